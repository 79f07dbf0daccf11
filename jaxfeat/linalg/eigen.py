"""Gram matrices, eigenvalues of positive semidefinite matrices of which some rows and columns are left out, and a
decomposition that has derivatives of all orders."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from jaxfeat.linalg.lanes import in_lanes
from jaxfeat.linalg.lapack import eigh, eigh_if, refuse_derivatives
from jaxfeat.linalg.svd import right_svd
from jaxfeat.linalg.triangular import MAX_COLUMNS_IN_LANES, reflector

CROSSING_EPS = 1024
"""Eigenvalues that differ by less than this many eps of the largest are taken for equal. Rounding turns vectors of such
eigenvalues by a thousandth or more."""


def gram_matrix(matrix: Float[Array, "m c"]) -> Float[Array, "c c"]:
    """Compute AᵀA, symmetric to the last bit."""
    if not 0 < matrix.shape[1] <= MAX_COLUMNS_IN_LANES:
        return jnp.matmul(matrix.T, matrix, precision="highest")
    return _gram_in_lanes((), matrix)


@in_lanes
def _gram_in_lanes(shared: tuple[()], matrix: Float[Array, "m c b"]) -> Float[Array, "c c b"]:
    columns = jnp.moveaxis(matrix, 1, 0)
    return jax.lax.map(lambda column: jnp.sum(columns * column[None], 1), columns)


def psd_eigh(
    matrix: Float[Array, "c c"], valid: Bool[Array, " c"], wanted: Bool[Array, ""] | None = None
) -> tuple[Float[Array, " c"], Float[Array, "c c"]]:
    """Compute the eigenvalues of the `valid` rows and columns of a positive semidefinite matrix, descending, and the
    eigenvectors as columns. Values are zero for columns left out, and in place of rounding errors below zero. CPUs skip
    matrices that are not `wanted`, whose values and vectors are zero."""
    c = matrix.shape[1]
    matrix = jnp.where(valid[:, None] & valid[None], matrix, 0)
    # The columns left out get eigenvalues below all others, because as zeros they would mix with the null directions.
    below = -1 - jnp.abs(matrix).sum(1).max(initial=0)
    matrix = matrix + jnp.diag(jnp.where(valid, 0, below))
    values, vectors = eigh(matrix) if wanted is None else eigh_if(wanted, matrix)
    kept = jnp.arange(c) < jnp.sum(valid)
    return jnp.where(kept, jnp.maximum(values[::-1], 0), 0), jnp.where(kept[None], vectors[:, ::-1], 0)


def psd_eigenvalues(matrix: Float[Array, "c c"], valid: Bool[Array, " c"]) -> Float[Array, " c"]:
    """Compute the eigenvalues of `psd_eigh` alone, with errors of about ten eps of the trace."""
    matrix = jnp.where(valid[:, None] & valid[None], matrix, 0)
    if 1 < matrix.shape[1] <= MAX_COLUMNS_IN_LANES:
        return _eigenvalues_in_lanes((), matrix)
    # The singular values are the eigenvalues, and LAPACK computes them without vectors.
    return right_svd(matrix, valid, False)[0]


def _same_eigenspace(values: Float[Array, " c"]) -> Bool[Array, "c c"]:
    """Tell which pairs of eigenvalues, in descending order, are one within rounding, directly or by others between."""
    gaps = values[:-1] - values[1:]
    apart = gaps > CROSSING_EPS * jnp.finfo(values.dtype).eps * jnp.abs(values).max(initial=0)
    space = jnp.concatenate([jnp.zeros(1, jnp.int32), jnp.cumsum(apart.astype(jnp.int32))])
    return space[:, None] == space[None]


def mean_over_eigenspaces(values: Float[Array, " c"]) -> Float[Array, "c c"]:
    """Return the matrix that replaces numbers, one for each eigenvalue, by their means over equal eigenvalues."""
    same = _same_eigenspace(values).astype(values.dtype)
    return same / jnp.sum(same, 1, keepdims=True)


@jax.custom_jvp
def smooth_eigh(matrix: Float[Array, "c c"]) -> tuple[Float[Array, " c"], Float[Array, "c c"]]:
    """Compute the eigenvalues of a symmetric matrix, descending, and its eigenvectors as columns, with derivatives.

    Derivatives of any order are exact where all eigenvalues differ. Eigenvalues that cross have none there. Each gets
    the mean of the slopes of all that cross, which is one of Clarke's generalized gradients of it, and their vectors do
    not turn within the space that they span. So no derivative is infinite or undefined.
    """
    values, vectors = eigh(matrix)
    return values[::-1], vectors[:, ::-1]


@smooth_eigh.defjvp
def _(primals: tuple[Array], tangents: tuple[Array]) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    # The decomposition is called again, so that this rule serves the next derivative too.
    values, vectors = smooth_eigh(*primals)
    same = _same_eigenspace(values)
    change = jnp.matmul(vectors.T, jnp.matmul(tangents[0], vectors, precision="highest"), precision="highest")
    gaps = jnp.where(same, 1, values[None] - values[:, None])
    turned = jnp.matmul(vectors, jnp.where(same, 0, change / gaps), precision="highest")
    slopes = jnp.matmul(mean_over_eigenspaces(values), jnp.diagonal(change), precision="highest")
    return (values, vectors), (slopes, turned)


@refuse_derivatives
@in_lanes
def _eigenvalues_in_lanes(shared: tuple[()], matrix: Float[Array, "c c b"]) -> Float[Array, "c b"]:
    """Reflect to tridiagonal form and bisect there. All eigenvalues of all lanes take the same steps.

    **Source:** Barth, Martin, Wilkinson, Numer. Math. 9, 386 (1967).
    """
    trace = jnp.sum(jnp.diagonal(matrix), 1)
    scale = jnp.where(trace > 0, trace, 1)
    return scale[None] * _bisect(*_tridiagonal(matrix / scale[None, None]))


def _tridiagonal(matrix: Float[Array, "c c b"]) -> tuple[Float[Array, "c b"], Float[Array, "d b"]]:
    """Compute the diagonal of the tridiagonal form, and the squares of the entries beside it."""
    c = len(matrix)

    # A step carries the next reflector, which XLA would otherwise compute again for every entry. There is no reflector
    # before the first step.
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


def _bisect(diagonal: Float[Array, "c b"], squares: Float[Array, "d b"]) -> Float[Array, "c b"]:
    """Find the eigenvalues of a tridiagonal T between 0 and 1, descending, each between its own bounds. The number of
    eigenvalues below x is the number of sign changes in the leading minors of T - x."""
    c, info = len(diagonal), jnp.finfo(diagonal.dtype)
    index = jnp.arange(c, dtype=jnp.int32)[:, None]
    # No factor of a minor exceeds 1. This many factors of eps, and one more, do not underflow.
    n_safe = -info.minexp // (info.nmant + 2) - 1

    def halve(carry: tuple[Array, Array], width: Array) -> tuple[tuple[Array, Array], None]:
        _, lower = carry
        x = lower + width
        before, minor, n_below = jnp.zeros_like(x), jnp.ones_like(x), jnp.zeros_like(x, jnp.int32)
        for i in range(c):
            following = (diagonal[i : i + 1] - x) * minor - (squares[i - 1 : i] * before if i else 0)
            # A minor of zero is replaced by that of a T whose entry differs by eps.
            before, minor = minor, jnp.where(following == 0, info.eps * minor, following)
            n_below = n_below + ((minor < 0) != (before < 0)).astype(n_below.dtype)
            if i % n_safe == n_safe - 1:
                larger = jnp.maximum(jnp.abs(minor), jnp.abs(before))
                before, minor = before / larger, minor / larger
        lower = jnp.where(c - n_below > index, x, lower)
        return (lower, lower), None

    widths = jnp.asarray(0.5 ** np.arange(1, info.nmant + 2), diagonal.dtype)
    return jax.lax.scan(halve, (jnp.zeros_like(diagonal),) * 2, widths)[0][0]
