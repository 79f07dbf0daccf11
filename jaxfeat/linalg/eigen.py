"""Eigenvalues and eigenvectors of symmetric matrices with some rows and columns left out."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from jaxfeat.linalg.derivatives import refuse_derivatives
from jaxfeat.linalg.lanes import in_lanes
from jaxfeat.linalg.lapack import eigh
from jaxfeat.linalg.svd import right_svd
from jaxfeat.linalg.triangular import MAX_COLUMNS_IN_LANES, reflector


def psd_eigh(matrix: Float[Array, "c c"], valid: Bool[Array, " c"]) -> tuple[Float[Array, " c"], Float[Array, "c c"]]:
    """Eigenvalues of the `valid` rows and columns of a positive `matrix`, descending, then zeros; eigenvectors as
    columns alike. Rounding errors below zero count as zero."""
    c = matrix.shape[1]
    matrix = _kept(matrix, valid)
    # Below all others, rather than among the null ones.
    below = -1 - jnp.abs(matrix).sum(1).max(initial=0)
    values, vectors = eigh(matrix + jnp.diag(jnp.where(valid, 0, below)))
    kept = jnp.arange(c) < jnp.sum(valid)
    return jnp.where(kept, jnp.maximum(values[::-1], 0), 0), jnp.where(kept[None], vectors[:, ::-1], 0)


def psd_eigenvalues(matrix: Float[Array, "c c"], valid: Bool[Array, " c"]) -> Float[Array, " c"]:
    """The eigenvalues alone, within some ten eps of the trace."""
    matrix = _kept(matrix, valid)
    if 1 < matrix.shape[1] <= MAX_COLUMNS_IN_LANES:
        return _side_by_side((), matrix)
    # They are the singular values; LAPACK's eigenvalues would come with vectors.
    return right_svd(matrix, valid, False)[0]


def _kept(matrix: Float[Array, "c c"], valid: Bool[Array, " c"]) -> Float[Array, "c c"]:
    return jnp.where(valid[:, None] & valid[None], matrix, 0)


@refuse_derivatives
@in_lanes
def _side_by_side(shared: tuple[()], matrix: Float[Array, "c c b"]) -> Float[Array, "c b"]:
    """By reflections to tridiagonal form, and bisection there (Barth, Martin, Wilkinson, Numer. Math. 9, 386 (1967)):
    all eigenvalues of all lanes take the same steps."""
    trace = jnp.sum(jnp.diagonal(matrix), 1)
    scale = jnp.where(trace > 0, trace, 1)
    return scale[None] * _bisected(*_tridiagonal(matrix / scale[None, None]))


def _tridiagonal(matrix: Float[Array, "c c b"]) -> tuple[Float[Array, "c b"], Float[Array, "d b"]]:
    """The diagonal, and the squares beside it."""
    c = len(matrix)

    # The next reflector is part of what a step hands on: XLA would work it out again for every entry. The first step
    # has none yet.
    def step(k: Array, carry: tuple[Array, ...]) -> tuple[Array, ...]:
        _, matrix, v, factor = carry
        along = jnp.sum(matrix * v[None], 1)
        w = factor[None] * (along - (factor / 2 * jnp.sum(along * v, 0))[None] * v)
        matrix = matrix - v[:, None] * w[None] - w[:, None] * v[None]
        column = jax.lax.dynamic_index_in_dim(matrix, k, 0, keepdims=False)
        return matrix, matrix, *reflector(column, jnp.minimum(k + 1, c - 1))

    start = matrix, matrix, jnp.zeros_like(matrix[0]), jnp.zeros_like(matrix[0, 0])
    matrix, *_ = jax.lax.fori_loop(0, c - 1, step, start)
    index = np.arange(c)
    return matrix[index, index], matrix[index[1:], index[:-1]] ** 2


def _bisected(diagonal: Float[Array, "c b"], squares: Float[Array, "d b"]) -> Float[Array, "c b"]:
    """Eigenvalues, descending, between 0 and 1. As many are below x as the leading minors of T - x change sign."""
    c, info = len(diagonal), jnp.finfo(diagonal.dtype)
    number = jnp.arange(c, dtype=jnp.int32)[:, None]
    # None of the factors of a minor is above 1, and that many of them, with one that is left over, do not underflow.
    few = -info.minexp // (info.nmant + 2) - 1

    def halve(carry: tuple[Array, Array], width: Array) -> tuple[tuple[Array, Array], None]:
        _, least = carry
        x = least + width
        before, minor, n_below = jnp.zeros_like(x), jnp.ones_like(x), jnp.zeros_like(x, jnp.int32)
        for i in range(c):
            further = (diagonal[i : i + 1] - x) * minor - (squares[i - 1 : i] * before if i else 0)
            # An entry of T that is another by eps.
            before, minor = minor, jnp.where(further == 0, info.eps * minor, further)
            n_below = n_below + ((minor < 0) != (before < 0)).astype(n_below.dtype)
            if i % few == few - 1:
                larger = jnp.maximum(jnp.abs(minor), jnp.abs(before))
                before, minor = before / larger, minor / larger
        least = jnp.where(c - n_below > number, x, least)
        return (least, least), None

    widths = jnp.asarray(0.5 ** np.arange(1, info.nmant + 2), diagonal.dtype)
    return jax.lax.scan(halve, (jnp.zeros_like(diagonal),) * 2, widths)[0][0]
