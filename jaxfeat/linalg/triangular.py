"""R of a QR decomposition, which has the singular values and right singular vectors of a tall matrix."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxfeat.linalg.lanes import in_lanes
from jaxfeat.linalg.lapack import apply_q_transposed, householder_qr, qr_triangle, refuse_derivatives

MAX_COLUMNS_IN_LANES = 16  # Columns of the largest matrices decomposed in lanes. LAPACK takes larger ones one by one.
MIN_PANEL_COLUMNS = 33  # Columns of the narrowest panel. LAPACK applies more than 32 reflections as matrix products.
COLUMNS_PER_REDUCTION = 6  # columns that a loop over full columns eliminates before these are cut down to the rest


def r_factor(matrix: Float[Array, "m c"]) -> Float[Array, "k c"]:
    """Compute the upper triangle R of `matrix` = Q R with orthogonal Q, k = min(m, c). Householder reflections make R
    accurate: it has the singular values and right singular vectors of a matrix within a few eps of the given one."""
    m, c = matrix.shape
    if min(m, c) == 0:
        return jnp.zeros((min(m, c), c), matrix.dtype)
    if c <= MAX_COLUMNS_IN_LANES:
        return _r_in_lanes((), matrix)
    return qr_triangle(matrix) if c < 2 * MIN_PANEL_COLUMNS else _r_by_panels(matrix)


def _r_by_panels(matrix: Float[Array, "m c"]) -> Float[Array, "k c"]:
    """Decompose panel by panel, because LAPACK reflects up to 128 columns one by one, without matrix products."""
    rest, rows = matrix, []
    n_panels = matrix.shape[1] // MIN_PANEL_COLUMNS
    for panel in range(n_panels):
        width = rest.shape[1] // (n_panels - panel)
        packed, factors = householder_qr(rest[:, :width])
        corner = jnp.triu(packed[:width])
        beside = apply_q_transposed(packed, factors, rest[:, width:])
        n_before = matrix.shape[1] - rest.shape[1]
        rows.append(jnp.pad(jnp.concatenate([corner, beside[:width]], 1), ((0, 0), (n_before, 0))))
        rest = beside[width:]
    return jnp.concatenate(rows)


@refuse_derivatives
@in_lanes
def _r_in_lanes(shared: tuple[()], matrix: Float[Array, "m c b"]) -> Float[Array, "k c b"]:
    m, c, b = matrix.shape
    rest, done = jnp.moveaxis(matrix, 1, 0), []
    for start in range(0, min(m, c), COLUMNS_PER_REDUCTION):
        n = min(COLUMNS_PER_REDUCTION, min(m, c) - start)
        rest = _eliminate(rest, n)
        done.append(jnp.concatenate([jnp.zeros((start, n, b), matrix.dtype), rest[:, :n]]))
        rest = rest[n:, n:]
    rows = jnp.concatenate(done, 1).swapaxes(0, 1)
    # Below the diagonal stand rounding errors in place of zeros.
    return jnp.where(jnp.arange(c)[None, :, None] < jnp.arange(len(rows))[:, None, None], 0, rows)


def _eliminate(columns: Float[Array, "c m b"], n: int) -> Float[Array, "c m b"]:
    """Make the first `n` columns triangular. A loop compiles faster than its unrolling."""

    # A step carries the next reflector, which XLA would otherwise compute again for every column. There is no reflector
    # before the first step, which therefore does nothing but make one.
    def step(k: Array, carry: tuple[Array, ...]) -> tuple[Array, ...]:
        _, columns, v, factor = carry
        along = factor[None] * jnp.sum(v[None] * columns, 1)
        columns = columns - along[:, None] * v[None]
        k = jnp.minimum(k, n - 1)
        return columns, columns, *reflector(jax.lax.dynamic_index_in_dim(columns, k, 0, keepdims=False), k)

    start = columns, columns, jnp.zeros_like(columns[0]), jnp.zeros_like(columns[0, 0])
    return jax.lax.fori_loop(0, n + 1, step, start)[0]


def reflector(column: Float[Array, "m b"], k: Int[Array, ""]) -> tuple[Float[Array, "m b"], Float[Array, " b"]]:
    """Compute v and 2 / |v|² of the reflection 1 - 2 v vᵀ / |v|² that zeros a column below its entry `k`."""
    index = jnp.arange(len(column))[:, None]
    below = jnp.where(index >= k, column, 0)
    length = jnp.sqrt(jnp.sum(below**2, 0))
    first = jax.lax.dynamic_index_in_dim(below, k, 0, keepdims=False)
    v = below + jnp.where(index == k, jnp.where(first < 0, -length, length)[None], 0)
    half = length * (length + jnp.abs(first))
    return v, jnp.where(half > 0, 1 / jnp.where(half > 0, half, 1), 0)
