"""Singular values and right singular vectors of matrices, of which some columns are left out."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxfeat.linalg.lanes import in_lanes
from jaxfeat.linalg.lapack import refuse_derivatives, right_singular_vectors, singular_values
from jaxfeat.linalg.triangular import MAX_COLUMNS_IN_LANES, r_factor

MAX_SWEEPS = 40  # Sweeps of Jacobi rotations. The rotations converge quadratically, usually in 6 to 9 sweeps.


def right_svd(
    matrix: Float[Array, "m c"], valid: Bool[Array, " c"], vectors: bool
) -> tuple[Float[Array, " c"], Float[Array, "c k"]]:
    """Compute the singular values of the `valid` columns of a matrix, descending, with zeros for the columns left out,
    and the right singular vectors as columns: none without `vectors`."""
    c = matrix.shape[1]
    if c == 0:
        return jnp.zeros(0, matrix.dtype), jnp.zeros((0, 0), matrix.dtype)
    matrix = jnp.where(valid[None], matrix, 0)
    if c > MAX_COLUMNS_IN_LANES:
        return _svd_by_lapack(matrix, valid, vectors)
    if len(matrix) > MAX_COLUMNS_IN_LANES:
        matrix = r_factor(matrix)
    start = jnp.eye(c if vectors else 0, c, dtype=matrix.dtype)
    values, rotated = _svd_in_lanes((), (matrix, start, valid))
    return values, rotated if vectors else jnp.zeros((c, 0), matrix.dtype)


def _svd_by_lapack(matrix: Array, valid: Array, vectors: bool) -> tuple[Array, Array]:
    c = matrix.shape[1]
    n_valid = jnp.sum(valid)
    kept = jnp.arange(c) < n_valid
    if not vectors:
        # The columns left out are zeros, whose singular values are zeros and come last.
        reduced = r_factor(matrix) if len(matrix) > c else matrix
        values = singular_values(reduced)
        return jnp.where(kept, jnp.pad(values, (0, c - len(values))), 0), jnp.zeros((c, 0), matrix.dtype)
    # Each column left out gets a row with one entry, hence a singular value above all others, and is taken off the top.
    # As zeros, these columns would mix with the null directions.
    scale = jnp.linalg.norm(matrix)
    marks = jnp.diag(jnp.where(valid, 0, jnp.where(scale > 0, 2 * scale, 1)))
    order = (jnp.arange(c) + c - n_valid) % c
    values, rows = right_singular_vectors(r_factor(jnp.concatenate([matrix, marks])))
    return jnp.where(kept, values[order], 0), jnp.where(kept[None], rows[order].T, 0)


@refuse_derivatives
@in_lanes
def _svd_in_lanes(shared: tuple[()], each: tuple[Array, Array, Array]) -> tuple[Array, Array]:
    """Rotate pairs of columns until all are orthogonal; their lengths are then the singular values.

    The same rotations turn the columns of a second matrix. Columns of zeros stay where they are.

    **Source:** Hestenes, J. SIAM 6, 51 (1958).
    """
    matrix, rotated, valid = each
    m, c, _ = matrix.shape
    # Each column of the second matrix hangs below the same column of the first.
    columns = jnp.concatenate([matrix, rotated]).transpose(1, 0, 2)
    if c % 2:
        columns = jnp.concatenate([columns, jnp.zeros_like(columns[:1])])
    half = len(columns) // 2
    tolerance = m * jnp.finfo(matrix.dtype).eps

    def rotate(_: Array, carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        x, y, converged = carry
        p, q, mixed = (sum(u[:, j] * v[:, j] for j in range(m)) for u, v in ((x, x), (y, y), (x, y)))
        done = jnp.abs(mixed) <= tolerance * jnp.sqrt(p) * jnp.sqrt(q)
        ratio = (q - p) / (2 * jnp.where(done, 1, mixed))
        tangent = jnp.where(ratio < 0, -1, 1) / (jnp.abs(ratio) + jnp.sqrt(1 + ratio**2))
        cos = jnp.where(done, 1, 1 / jnp.sqrt(1 + tangent**2))
        cos, sin = cos[:, None], jnp.where(done, 0, cos * tangent)[:, None]
        x, y = cos * x - sin * y, sin * x + cos * y
        # Columns move on like the players of a round-robin tournament: the first stays, and each meets every other.
        if half > 1:
            x, y = jnp.concatenate([x[:1], y[:1], x[1:-1]]), jnp.concatenate([y[1:], x[-1:]])
        return x, y, converged & done.all()

    def sweep(carry: tuple[Array, Array, Array, Array]) -> tuple[Array, Array, Array, Array]:
        x, y, _, n = carry
        # After a whole round every column is back in its place.
        return *jax.lax.fori_loop(0, 2 * half - 1, rotate, (x, y, flag(True))), n + 1

    def flag(value: bool) -> Array:
        # Made from the matrix, because inside shard_map the carry of a loop must vary over devices from the start.
        return jnp.full_like(matrix[0, 0, 0], value, bool)

    start = (columns[:half], columns[half:], flag(False), jnp.asarray(0, jnp.int32))
    x, y, *_ = jax.lax.while_loop(lambda carry: ~carry[2] & (carry[3] < MAX_SWEEPS), sweep, start)
    columns = jnp.concatenate([x, y])[:c]
    values = jnp.where(valid, jnp.sqrt(jnp.sum(columns[:, :m] ** 2, 1)), -1)
    # Sort by counting the values that come before each: sorting networks are slow in lanes.
    index = jnp.arange(c)
    before = (values[:, None] > values[None]) | (
        (values[:, None] == values[None]) & (index[:, None] < index[None])[:, :, None]
    )
    chosen = before.sum(0)[None] == index[:, None, None]
    values = jnp.sum(jnp.where(chosen, jnp.maximum(values, 0)[None], 0), 1)
    vectors = jnp.sum(jnp.where((chosen & valid[None])[:, :, None], columns[None, :, m:], 0), 1)
    return values, vectors.transpose(1, 0, 2)
