"""Refusal of derivatives that do not exist everywhere."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, NoReturn

import jax

from jaxfeat.errors import DerivativeError


def refuse_derivatives(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function of arrays raise an error when it is differentiated, in either mode.

    Matrix decompositions have no derivative where singular values repeat or vanish. They repeat for symmetric atoms,
    and they vanish at singular points. The usual formulas give NaN there, or a finite number that is wrong.

    **Raises:** `DerivativeError` while the function is traced, if an argument depends on the variables of the
    derivative.
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
