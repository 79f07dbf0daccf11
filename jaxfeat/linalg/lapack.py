"""LAPACK, one matrix after the other.

Of a batch, jaxlib 0.10 hands the matrices to XLA's threads, and has the thread that it runs in, one of them, wait. As
soon as all of them wait nobody works any more: as many independent calls as there are threads stop a program for good,
and on two cores, or with several devices, that is no rare event. A loop over the matrices takes no longer on one core.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import jax
import jax.numpy as jnp
from jax.custom_batching import custom_vmap
from jax.lax import linalg
from jaxtyping import Array, Float

from jaxfeat.linalg.derivatives import refuse_derivatives


def one_by_one(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function of arrays, which `jax.vmap` makes a loop on CPUs; elsewhere libraries take whole batches.
    Derivatives are refused."""
    # Inside, since what stands around a custom_vmap has its own rule for batches.
    refusing = refuse_derivatives(function)
    one = custom_vmap(refusing)

    @one.def_vmap
    def _(size: int, mapped: Any, *arrays: Array) -> tuple[Any, Any]:
        def loop(*arrays: Array) -> Any:
            return jax.lax.map(lambda items: one(*items), arrays)

        whole = jax.tree.map(lambda m, x: x if m else jnp.broadcast_to(x, (size, *x.shape)), tuple(mapped), arrays)
        found = jax.lax.platform_dependent(*whole, cpu=loop, default=jax.vmap(refusing))
        return found, jax.tree.map(lambda _: True, found)

    return wraps(function)(one)


@one_by_one
def qr_triangle(matrix: Float[Array, "m c"]) -> Float[Array, "k c"]:
    """R of a QR decomposition, k = min(m, c)."""
    return jnp.linalg.qr(matrix, mode="r")


@one_by_one
def householder_qr(matrix: Float[Array, "m c"]) -> tuple[Float[Array, "m c"], Float[Array, " c"]]:
    """A QR decomposition as LAPACK keeps it: R, reflectors below it, and their factors."""
    packed, factors = jnp.linalg.qr(matrix, mode="raw")
    return packed.mT, factors


@one_by_one
def apply_q_transposed(
    packed: Float[Array, "m c"], factors: Float[Array, " c"], matrix: Float[Array, "m d"]
) -> Float[Array, "m d"]:
    """Qᵀ of `reflections` times a matrix."""
    return linalg.ormqr(packed, factors, matrix, transpose=True)


@one_by_one
def eigh(matrix: Float[Array, "c c"]) -> tuple[Float[Array, " c"], Float[Array, "c c"]]:
    """Eigenvalues of a symmetric matrix, ascending, and eigenvectors as columns."""
    values, vectors = jnp.linalg.eigh(matrix)
    return values, vectors


@one_by_one
def singular_values(matrix: Float[Array, "m c"]) -> Float[Array, " k"]:
    """Descending."""
    return jnp.linalg.svd(matrix, compute_uv=False)


@one_by_one
def right_singular_vectors(matrix: Float[Array, "m c"]) -> tuple[Float[Array, " k"], Float[Array, "k c"]]:
    """Singular values, descending, and right singular vectors as rows."""
    _, values, rows = jnp.linalg.svd(matrix, full_matrices=False)
    return values, rows


@one_by_one
def pseudo_inverse(matrix: Float[Array, "m c"], smallest: Float[Array, ""]) -> Float[Array, "c m"]:
    """Of what is above `smallest` times the largest singular value."""
    return jnp.linalg.pinv(matrix, rtol=smallest)


@one_by_one
def solve_linear(matrix: Float[Array, "c c"], right: Float[Array, "c *d"]) -> Float[Array, "c *d"]:
    """A⁻¹ b."""
    return jnp.linalg.solve(matrix, right)


@one_by_one
def solve_upper(triangle: Float[Array, "c c"], right: Float[Array, "c *d"]) -> Float[Array, "c *d"]:
    """R⁻¹ b."""
    return jax.scipy.linalg.solve_triangular(triangle, right)


@one_by_one
def solve_upper_transposed(triangle: Float[Array, "c c"], right: Float[Array, "c *d"]) -> Float[Array, "c *d"]:
    """R⁻ᵀ b."""
    return jax.scipy.linalg.solve_triangular(triangle, right, trans=1)
