"""What is made of Jacobians, compiled."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, wraps
from typing import Any

import equinox as eqx
import jax

from jaxfeat.linalg.primitive import inside_transformation


def tuned_jit(function: Callable[..., Any]) -> Callable[..., Any]:
    """`equinox.filter_jit`, with the kernels for CPUs written by the elder of XLA's two ways.

    Of what is done with Jacobians these are as fast or faster, and take about half as long to compile; of features
    alone the newer ones are twice as fast. What a loop writes over what it read, the elder way does number by number:
    loops with much to change hand it on twice, read the second copy, and end with the first.
    """
    inside = eqx.filter_jit(function)
    alone = cache(lambda: eqx.filter_jit(function, **_options()))

    @wraps(function)
    def call(*args: Any) -> Any:
        # Only a whole program takes options.
        return (inside if inside_transformation() else alone())(*args)

    return call


@cache
def _options() -> dict[str, Any]:
    """None, where XLA no longer knows them."""
    options: dict[str, Any] = {"compiler_options": {"xla_cpu_use_fusion_emitters": False}}
    try:
        jax.jit(lambda: 0, **options).lower().compile()
    except jax.errors.JaxRuntimeError:
        return {}
    return options
