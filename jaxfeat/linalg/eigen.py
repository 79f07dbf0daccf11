"""Eigenvalues and eigenvectors of symmetric matrices with some rows and columns left out."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float


def positive_eigen(
    matrix: Float[Array, "c c"], valid: Bool[Array, " c"]
) -> tuple[Float[Array, " c"], Float[Array, "c c"]]:
    """Eigenvalues of the `valid` rows and columns of a positive `matrix`, descending, then zeros; eigenvectors as
    columns alike. Rounding errors below zero count as zero."""
    c = matrix.shape[1]
    inside = valid[:, None] & valid[None]
    matrix = jnp.where(inside, matrix, 0)
    # Below all others, rather than among the null ones.
    below = -1 - jnp.abs(matrix).sum(1).max(initial=0)
    values, vectors = jnp.linalg.eigh(matrix + jnp.diag(jnp.where(valid, 0, below)))
    kept = jnp.arange(c) < jnp.sum(valid)
    return jnp.where(kept, jnp.maximum(values[::-1], 0), 0), jnp.where(kept[None], vectors[:, ::-1], 0)
