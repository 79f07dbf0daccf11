"""Löwdin's orthonormal functions of nearly dependent primitives, without inverting their overlap."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from jaxfeat.errors import BasisError
from jaxfeat.linalg.arrays import array_namespace

STEPS = 42
"""A step lets a small singular value grow by 15/8, so these take 1e-10 to one and leave a few steps to settle. Smaller
values would leave long doubles no better than 1e-9."""

STEPS_ROTATION = 90
"""The same for 1e-23: primitives of a large l differ in size by many orders of magnitude."""


def lowdin(primitives: Float[Any, "l q n"], rows: Float[Any, "l j n"]) -> Float[Any, "l j n"]:
    """Transform primitive functions to Löwdin's orthonormal combinations of them.

    The overlap S = PᵀP of `primitives` P has the square of their condition number, 1e15 for 15 functions. So S^(-1/2)
    is never formed: P and `rows` are multiplied by the same polynomials in PᵀP until PᵀP is the unit matrix. Rounding
    errors then grow with the condition number alone. The iteration has derivatives to all orders, too.

    **Arguments:**

    - `primitives`: values on the nodes of a quadrature, times the square roots of its weights.
    - `rows`: values anywhere, `(l, j, n)`, of the primitives or of a linear operator applied to them.

    **Returns:** the values of the orthonormal functions in place of those of the primitives: `rows` S^(-1/2).

    **Raises:** `BasisError` for functions that are linearly dependent in this floating-point type.
    """
    q = primitives.shape[1]
    norms = (primitives**2).sum(1, keepdims=True) ** 0.5
    both = _polar(_joined(primitives, rows) / norms, q, STEPS)
    top, rows = both[:, :q], both[:, q:]
    # The polar factor of P depends on the primitives' norms. P = X (XᵀP), and X has orthonormal columns.
    rotation = top.swapaxes(1, 2) @ primitives
    size = ((rotation**2).sum((1, 2), keepdims=True)) ** 0.5
    return rows @ _polar(rotation / size, rotation.shape[1], STEPS_ROTATION)


def _joined(first: Any, second: Any) -> Any:
    return array_namespace(first).concatenate([first, second], axis=1)


def _polar(x: Float[Any, "l j n"], q: int, n_steps: int) -> Float[Any, "l j n"]:
    """Make the columns of the first `q` rows orthonormal, by Newton and Schulz's iteration of order 5."""
    unit = np.eye(x.shape[2], dtype=x.dtype)[None]

    def square(x: Any) -> Any:
        return x[:, :q].swapaxes(1, 2) @ x[:, :q]

    def step(x: Any) -> Any:
        y = square(x)
        return x @ (15 / 8 * unit - 5 / 4 * y + 3 / 8 * (y @ y))

    # The norm of all columns bounds the largest singular value.
    x = x / ((x[:, :q] ** 2).sum((1, 2), keepdims=True)) ** 0.5
    if isinstance(x, np.ndarray):
        for _ in range(n_steps):
            # The error that a step leaves is the cube of the one that it found.
            settled = np.abs(square(x) - unit).max() < 1e-7
            x = step(x)
            if settled:
                return x
        raise BasisError(
            f"{x.shape[2]} radial functions are linearly dependent in float64; choose a smaller n_max or l_max."
        )
    return jax.lax.scan(lambda x, _: (step(x), None), x, None, length=n_steps)[0]
