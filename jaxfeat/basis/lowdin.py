"""Löwdin's orthonormal combinations of nearly dependent functions, without an inverse of their overlap."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from jaxfeat.errors import BasisError
from jaxfeat.linalg.arrays import array_namespace

N_STEPS = 42
"""Steps of the iteration on the primitives. A step multiplies a small singular value by 15/8, so these take 1e-10 to 1
and leave a few steps to converge. Smaller values would leave long doubles no better than 1e-9."""

N_STEPS_ROTATION = 90
"""Steps of the iteration on the rotation. They suffice for singular values of 1e-23, because primitives of a large l
differ in size by many orders of magnitude."""


def lowdin(primitives: Float[Any, "l q n"], rows: Float[Any, "l j n"]) -> Float[Any, "l j n"]:
    """Transform values of primitive functions to values of Löwdin's orthonormal combinations.

    The overlap S = PᵀP of the primitives P has the square of their condition number, 1e15 for 15 functions. S^(-1/2) is
    therefore never formed. Instead, P and `rows` are multiplied by the same polynomials in PᵀP until PᵀP is the unit
    matrix. Rounding errors then grow with the condition number alone, and the iteration has derivatives of all orders.

    **Arguments:**

    - `primitives`: Values on the nodes of a quadrature, times the square roots of its weights.
    - `rows`: Values of the primitives anywhere, or of a linear operator applied to them.

    **Returns:** `rows` S^(-1/2), of the shape of `rows`.

    **Raises:** `BasisError` if the functions are linearly dependent in this floating-point type.
    """
    q = primitives.shape[1]
    norms = (primitives**2).sum(1, keepdims=True) ** 0.5
    both = _polar(array_namespace(primitives).concatenate([primitives, rows], axis=1) / norms, q, N_STEPS)
    factor, rows = both[:, :q], both[:, q:]
    # The polar factor X of P depends on the norms of the primitives. X has orthonormal columns and P = X (XᵀP), so the
    # polar factor of XᵀP turns X into Löwdin's functions.
    rotation = factor.swapaxes(1, 2) @ primitives
    size = ((rotation**2).sum((1, 2), keepdims=True)) ** 0.5
    return rows @ _polar(rotation / size, rotation.shape[1], N_STEPS_ROTATION)


def _polar(x: Float[Any, "l j n"], q: int, n_steps: int) -> Float[Any, "l j n"]:
    """Make the columns of the first `q` rows orthonormal by the Newton-Schulz iteration of order 5."""
    unit = np.eye(x.shape[2], dtype=x.dtype)[None]

    def square(x: Any) -> Any:
        return x[:, :q].swapaxes(1, 2) @ x[:, :q]

    def step(x: Any) -> Any:
        y = square(x)
        return x @ (15 / 8 * unit - 5 / 4 * y + 3 / 8 * (y @ y))

    # The Frobenius norm bounds the largest singular value.
    x = x / ((x[:, :q] ** 2).sum((1, 2), keepdims=True)) ** 0.5
    if isinstance(x, np.ndarray):
        for _ in range(n_steps):
            # A step cubes the error.
            converged = np.abs(square(x) - unit).max() < 1e-7
            x = step(x)
            if converged:
                return x
        raise BasisError(
            f"{x.shape[2]} radial functions are linearly dependent in float64; choose a smaller n_max or l_max."
        )
    return jax.lax.scan(lambda x, _: (step(x), None), x, None, length=n_steps)[0]
