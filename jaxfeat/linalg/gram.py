"""Gram matrices AᵀA of tall matrices."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxfeat.linalg.lanes import in_lanes
from jaxfeat.linalg.triangular import MAX_COLUMNS_IN_LANES


def gram_matrix(matrix: Float[Array, "m c"]) -> Float[Array, "c c"]:
    """Compute AᵀA, symmetric to the last bit."""
    if not 0 < matrix.shape[1] <= MAX_COLUMNS_IN_LANES:
        return jnp.matmul(matrix.T, matrix, precision="highest")
    return _gram_in_lanes((), matrix)


@in_lanes
def _gram_in_lanes(shared: tuple[()], matrix: Float[Array, "m c b"]) -> Float[Array, "c c b"]:
    columns = jnp.moveaxis(matrix, 1, 0)
    return jax.lax.map(lambda column: jnp.sum(columns * column[None], 1), columns)
