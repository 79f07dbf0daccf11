"""R of a QR decomposition: all of a tall matrix that its singular values need."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxfeat.linalg.derivatives import refuse_derivatives
from jaxfeat.linalg.lanes import in_lanes
from jaxfeat.linalg.lapack import apply_q_transposed, householder_qr, qr_triangle

MAX_COLUMNS_IN_LANES = 16
"""Columns up to which matrices go side by side rather than through LAPACK one by one."""

MIN_PANEL_COLUMNS = 33
"""Columns of a panel, at least."""

COLUMNS_PER_REDUCTION = 6
"""Columns that are done between two reductions of what is left."""


def r_factor(matrix: Float[Array, "m c"]) -> Float[Array, "k c"]:
    """The upper triangular R of `matrix` = Q R with orthogonal Q, k = min(m, c). Signs are arbitrary.

    By Householder reflections: R has the singular values and right singular vectors of a matrix within a few eps of the
    given one.
    """
    m, c = matrix.shape
    if min(m, c) == 0:
        return jnp.zeros((min(m, c), c), matrix.dtype)
    if c <= MAX_COLUMNS_IN_LANES:
        return _side_by_side((), matrix)
    return qr_triangle(matrix) if c < 2 * MIN_PANEL_COLUMNS else _by_panels(matrix)


def _by_panels(matrix: Float[Array, "m c"]) -> Float[Array, "k c"]:
    """LAPACK reflects column by column up to 128 of them, but applies more than 32 reflections as matrix products."""
    left, done = matrix, []
    n_panels = matrix.shape[1] // MIN_PANEL_COLUMNS
    for panel in range(n_panels):
        width = left.shape[1] // (n_panels - panel)
        packed, factors = householder_qr(left[:, :width])
        corner = jnp.triu(packed[:width])
        rest = apply_q_transposed(packed, factors, left[:, width:])
        before = matrix.shape[1] - left.shape[1]
        done.append(jnp.pad(jnp.concatenate([corner, rest[:width]], 1), ((0, 0), (before, 0))))
        left = rest[width:]
    return jnp.concatenate(done)


@refuse_derivatives
@in_lanes
def _side_by_side(shared: tuple[()], matrix: Float[Array, "m c b"]) -> Float[Array, "k c b"]:
    m, c, b = matrix.shape
    left, done = jnp.moveaxis(matrix, 1, 0), []
    for start in range(0, min(m, c), COLUMNS_PER_REDUCTION):
        n = min(COLUMNS_PER_REDUCTION, min(m, c) - start)
        left = _reflected(left, n)
        done.append(jnp.concatenate([jnp.zeros((start, n, b), matrix.dtype), left[:, :n]]))
        left = left[n:, n:]
    rows = jnp.concatenate(done, 1).swapaxes(0, 1)
    # Below the diagonal there are rounding errors of zero.
    return jnp.where(jnp.arange(c)[None, :, None] < jnp.arange(len(rows))[:, None, None], 0, rows)


def _reflected(columns: Float[Array, "c m b"], n: int) -> Float[Array, "c m b"]:
    """The first `n` columns made triangular; a loop, which compiles faster than its unrolling."""

    # The next reflector is part of what a step hands on: XLA would work it out again for every column. The first step
    # has none yet.
    def step(k: Array, carry: tuple[Array, ...]) -> tuple[Array, ...]:
        _, columns, v, factor = carry
        along = factor[None] * jnp.sum(v[None] * columns, 1)
        columns = columns - along[:, None] * v[None]
        k = jnp.minimum(k, n - 1)
        return columns, columns, *reflector(jax.lax.dynamic_index_in_dim(columns, k, 0, keepdims=False), k)

    start = columns, columns, jnp.zeros_like(columns[0]), jnp.zeros_like(columns[0, 0])
    return jax.lax.fori_loop(0, n + 1, step, start)[0]


def reflector(column: Float[Array, "m b"], k: Int[Array, ""]) -> tuple[Float[Array, "m b"], Float[Array, " b"]]:
    """v and 2 / |v|² of the reflection that leaves nothing of a column below its entry `k`, nor changes what is above
    it."""
    index = jnp.arange(len(column))[:, None]
    below = jnp.where(index >= k, column, 0)
    length = jnp.sqrt(jnp.sum(below**2, 0))
    first = jax.lax.dynamic_index_in_dim(below, k, 0, keepdims=False)
    v = below + jnp.where(index == k, jnp.where(first < 0, -length, length)[None], 0)
    half = length * (length + jnp.abs(first))
    return v, jnp.where(half > 0, 1 / jnp.where(half > 0, half, 1), 0)
