"""LAPACK on one matrix at a time. No other module of the package calls it. For a batch, jaxlib 0.10 hands the matrices
to the threads of XLA, and the calling thread, which is one of them, waits for the others. The pool deadlocks as soon as
all threads wait, that is, with as many independent calls as there are threads: on two cores, or with several devices,
this happens. A loop over the matrices is as fast on one core."""

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cache, wraps
from typing import Any, NoReturn

import jax
import jax.numpy as jnp
from jax.custom_batching import custom_vmap
from jax.lax import linalg
from jaxtyping import Array, Bool, Float
from threadpoolctl import ThreadpoolController

from jaxfeat.errors import DerivativeError


def refuse_derivatives(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function of arrays raise an error when it is differentiated, in either mode.

    Matrix decompositions have no derivative where singular values repeat or vanish. They repeat for symmetric atoms,
    and they vanish at singular points. The usual formulas give NaN there, or a finite number that is wrong. The
    `DerivativeError` comes while the function is traced, if an argument depends on the variables of the derivative.
    """
    refusing = jax.custom_jvp(function)

    @refusing.defjvp
    def _(primals: Any, tangents: Any) -> NoReturn:
        raise DerivativeError(
            "singular values and vectors have no derivative where values repeat or vanish, so jaxfeat differentiates "
            "no singular spectrum or matrix decomposition; differentiate jaxfeat.log_sensitivity(f, env) instead, or, "
            "if you need the values alone, apply jax.lax.stop_gradient to the arguments of the spectrum."
        )

    return wraps(function)(refusing)


def one_by_one(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make `jax.vmap` loop over the items on CPUs, and refuse derivatives. Other devices take whole batches."""
    # Derivatives are refused inside custom_vmap, because a custom_jvp around it would have its own batching rule.
    refusing = refuse_derivatives(function)
    of_item = custom_vmap(refusing)

    @of_item.def_vmap
    def _(size: int, mapped: Any, *arrays: Array) -> tuple[Any, Any]:
        def loop(*arrays: Array) -> Any:
            return jax.lax.map(lambda items: of_item(*items), arrays)

        batch = jax.tree.map(lambda m, x: x if m else jnp.broadcast_to(x, (size, *x.shape)), tuple(mapped), arrays)
        found = jax.lax.platform_dependent(*batch, cpu=loop, default=jax.vmap(refusing))
        return found, jax.tree.map(lambda _: True, found)

    return wraps(function)(of_item)


@one_by_one
def qr_triangle(matrix: Float[Array, "m c"]) -> Float[Array, "k c"]:
    """Compute R of a QR decomposition, with k = min(m, c)."""
    return jnp.linalg.qr(matrix, mode="r")


@one_by_one
def householder_qr(matrix: Float[Array, "m c"]) -> tuple[Float[Array, "m c"], Float[Array, " c"]]:
    """Compute a QR decomposition in the form of LAPACK: R with the reflectors below it, and their factors."""
    packed, factors = jnp.linalg.qr(matrix, mode="raw")
    return packed.mT, factors


@one_by_one
def apply_q_transposed(
    packed: Float[Array, "m c"], factors: Float[Array, " c"], matrix: Float[Array, "m d"]
) -> Float[Array, "m d"]:
    """Multiply a matrix by Qᵀ of `householder_qr`."""
    return linalg.ormqr(packed, factors, matrix, transpose=True)


@one_by_one
def eigh(matrix: Float[Array, "c c"]) -> tuple[Float[Array, " c"], Float[Array, "c c"]]:
    """Compute the eigenvalues of a symmetric matrix, ascending, and its eigenvectors as columns."""
    values, vectors = jnp.linalg.eigh(matrix)
    return values, vectors


@one_by_one
def eigh_if(wanted: Bool[Array, ""], matrix: Float[Array, "c c"]) -> tuple[Float[Array, " c"], Float[Array, "c c"]]:
    """Compute the same if it is wanted, and zeros otherwise, which take CPUs no time."""
    return jax.lax.cond(
        wanted, lambda: tuple(jnp.linalg.eigh(matrix)), lambda: jax.tree.map(jnp.zeros_like, (matrix[0], matrix))
    )


@one_by_one
def singular_values(matrix: Float[Array, "m c"]) -> Float[Array, " k"]:
    """Compute singular values, descending."""
    return jnp.linalg.svd(matrix, compute_uv=False)


@one_by_one
def right_singular_vectors(matrix: Float[Array, "m c"]) -> tuple[Float[Array, " k"], Float[Array, "k c"]]:
    """Compute singular values, descending, and right singular vectors as rows."""
    _, values, rows = jnp.linalg.svd(matrix, full_matrices=False)
    return values, rows


@one_by_one
def solve_upper(triangle: Float[Array, "c c"], right: Float[Array, "c *d"]) -> Float[Array, "c *d"]:
    """Compute R⁻¹ b for an upper triangle R."""
    return jax.scipy.linalg.solve_triangular(triangle, right)


@one_by_one
def solve_upper_transposed(triangle: Float[Array, "c c"], right: Float[Array, "c *d"]) -> Float[Array, "c *d"]:
    """Compute R⁻ᵀ b for an upper triangle R."""
    return jax.scipy.linalg.solve_triangular(triangle, right, trans=1)


def one_blas_thread(of_xla: bool = False) -> AbstractContextManager[Any]:
    """Limit BLAS to one thread in a `with` block. On small matrices others only wait: tenfold slower if busy. A block
    that runs compiled programs says so with `of_xla`: they call the LAPACK of SciPy, which takes time to load."""
    if of_xla:
        import scipy.linalg  # noqa: F401
    return _find_libraries("scipy.linalg" in sys.modules).limit(limits=1, user_api="blas")


@cache
def _find_libraries(with_scipy: bool) -> ThreadpoolController:
    # The search goes through all libraries of the process, so it is done once, and again if SciPy has been loaded.
    return ThreadpoolController()
