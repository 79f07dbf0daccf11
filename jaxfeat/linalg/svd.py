"""Singular values and right singular vectors of matrices with some columns left out."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxfeat.linalg.derivatives import refuse_derivatives
from jaxfeat.linalg.lanes import in_lanes
from jaxfeat.linalg.lapack import right_singular_vectors, singular_values
from jaxfeat.linalg.triangular import MAX_COLUMNS_IN_LANES, r_factor

MAX_SWEEPS = 40
"""One-sided Jacobi rotations converge quadratically; 6 to 9 sweeps are the rule."""


def right_svd(
    matrix: Float[Array, "m c"], valid: Bool[Array, " c"], vectors: bool
) -> tuple[Float[Array, " c"], Float[Array, "c k"]]:
    """Singular values of the `valid` columns, descending, then zeros; and, with `vectors`, right singular vectors as
    columns alike."""
    c = matrix.shape[1]
    if c == 0:
        return jnp.zeros(0, matrix.dtype), jnp.zeros((0, 0), matrix.dtype)
    matrix = jnp.where(valid[None], matrix, 0)
    if c > MAX_COLUMNS_IN_LANES:
        return _one_by_one(matrix, valid, vectors)
    if len(matrix) > MAX_COLUMNS_IN_LANES:
        matrix = r_factor(matrix)
    start = jnp.eye(c if vectors else 0, c, dtype=matrix.dtype)
    values, turned = _side_by_side((), (matrix, start, valid))
    return values, turned if vectors else jnp.zeros((c, 0), matrix.dtype)


def _one_by_one(matrix: Array, valid: Array, vectors: bool) -> tuple[Array, Array]:
    c = matrix.shape[1]
    n_valid = jnp.sum(valid)
    kept = jnp.arange(c) < n_valid
    if not vectors:
        # Columns of zeros add values of zero, which are the last ones.
        reduced = r_factor(matrix) if len(matrix) > c else matrix
        values = singular_values(reduced)
        return jnp.where(kept, jnp.pad(values, (0, c - len(values))), 0), jnp.zeros((c, 0), matrix.dtype)
    # Invalid columns get a singular value of their own above all others. As zeros they would mix with the true null
    # directions; decoupled and on top, they can be taken off.
    on_top = jnp.linalg.norm(matrix)
    marks = jnp.diag(jnp.where(valid, 0, jnp.where(on_top > 0, 2 * on_top, 1)))
    order = (jnp.arange(c) + c - n_valid) % c
    values, rows = right_singular_vectors(r_factor(jnp.concatenate([matrix, marks])))
    return jnp.where(kept, values[order], 0), jnp.where(kept[None], rows[order].T, 0)


@refuse_derivatives
@in_lanes
def _side_by_side(shared: tuple[()], each: tuple[Array, Array, Array]) -> tuple[Array, Array]:
    """Rotates pairs of columns until all are orthogonal: then they are as long as the singular values (Hestenes, J.
    SIAM 6, 51 (1958)). Columns of zeros stay where they are."""
    matrix, turned, valid = each
    m, c, _ = matrix.shape
    # Columns first, and what they are to be turned into along with them.
    columns = jnp.concatenate([matrix, turned]).transpose(1, 0, 2)
    if c % 2:
        columns = jnp.concatenate([columns, jnp.zeros_like(columns[:1])])
    half = len(columns) // 2
    tolerance = m * jnp.finfo(matrix.dtype).eps

    def turn(_: Array, carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        x, y, still = carry
        p, q, mixed = (sum(u[:, j] * v[:, j] for j in range(m)) for u, v in ((x, x), (y, y), (x, y)))
        done = jnp.abs(mixed) <= tolerance * jnp.sqrt(p) * jnp.sqrt(q)
        ratio = (q - p) / (2 * jnp.where(done, 1, mixed))
        tangent = jnp.where(ratio < 0, -1, 1) / (jnp.abs(ratio) + jnp.sqrt(1 + ratio**2))
        cos = jnp.where(done, 1, 1 / jnp.sqrt(1 + tangent**2))
        cos, sin = cos[:, None], jnp.where(done, 0, cos * tangent)[:, None]
        x, y = cos * x - sin * y, sin * x + cos * y
        # As players of a tournament move on, so that all meet: the first one stays.
        if half > 1:
            x, y = jnp.concatenate([x[:1], y[:1], x[1:-1]]), jnp.concatenate([y[1:], x[-1:]])
        return x, y, still & done.all()

    def sweep(carry: tuple[Array, Array, Array, Array]) -> tuple[Array, Array, Array, Array]:
        x, y, _, n = carry
        # After a whole round everybody is back in place.
        return *jax.lax.fori_loop(0, 2 * half - 1, turn, (x, y, like(True))), n + 1

    def like(value: bool) -> Array:
        # Inside shard_map, whatever a loop hands on varies over devices from its start.
        return jnp.full_like(matrix[0, 0, 0], value, bool)

    start = (columns[:half], columns[half:], like(False), jnp.asarray(0, jnp.int32))
    x, y, *_ = jax.lax.while_loop(lambda carry: ~carry[2] & (carry[3] < MAX_SWEEPS), sweep, start)
    columns = jnp.concatenate([x, y])[:c]
    values = jnp.where(valid, jnp.sqrt(jnp.sum(columns[:, :m] ** 2, 1)), -1)
    # Sorting networks are slow here, counting is not.
    index = jnp.arange(c)
    before = (values[:, None] > values[None]) | (
        (values[:, None] == values[None]) & (index[:, None] < index[None])[:, :, None]
    )
    place = before.sum(0)[None] == index[:, None, None]
    values = jnp.sum(jnp.where(place, jnp.maximum(values, 0)[None], 0), 1)
    vectors = jnp.sum(jnp.where((place & valid[None])[:, :, None], columns[None, :, m:], 0), 1)
    return values, vectors.transpose(1, 0, 2)
