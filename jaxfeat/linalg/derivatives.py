"""Functions that have no derivative everywhere, and are therefore not differentiated at all."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, NoReturn

import jax

from jaxfeat.errors import DerivativeError


def refuse_derivatives(function: Callable[..., Any]) -> Callable[..., Any]:
    """Refuse both modes of differentiation of a function of arrays, while it is traced.

    Derivatives of decompositions do not exist where values repeat or vanish. Symmetric atoms make them do so, and
    singular points are where they vanish. The formulas would give NaN there, or a finite number that is wrong.

    **Raises:** `DerivativeError` as soon as an argument depends on what is differentiated by.
    """
    refusing = jax.custom_jvp(function)

    @refusing.defjvp
    def _(primals: Any, tangents: Any) -> NoReturn:
        raise DerivativeError(
            "singular values and vectors have no derivative where values repeat or vanish, so jaxfeat differentiates "
            "no singular spectrum or matrix decomposition; take the derivative of jaxfeat.log_sensitivity(f, env), or "
            "put jax.lax.stop_gradient around what the spectrum is made of, for its values alone."
        )

    return wraps(function)(refusing)
