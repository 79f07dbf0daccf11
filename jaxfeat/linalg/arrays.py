"""One code for NumPy's long doubles on the host and for JAX arrays inside a transformation."""

from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def as_quantity(value: Any) -> Any:
    """Return a number or a list of numbers as an array of float64, and a JAX array, traced or not, as it is."""
    return value if isinstance(value, jax.Array) else np.asarray(value, float)


def cast_to_jax_precision(tree: Any) -> Any:
    """Have NumPy's arrays of a pytree in the precision that JAX is set to.

    JAX refuses an array of NumPy that it has met with `jax_enable_x64` set the other way.
    """

    def converted(x: Any) -> Any:
        return x.astype(jax.dtypes.canonicalize_dtype(x.dtype), copy=False) if isinstance(x, np.ndarray) else x

    return jax.tree.map(converted, tree)


def array_namespace(x: Any) -> ModuleType:
    """Return `jax.numpy` for JAX arrays, traced ones included, and `numpy` for others."""
    return jnp if isinstance(x, jax.Array) else np


def concrete_values(array: Any) -> np.ndarray | None:
    """The array's values, or `None` inside a transformation, where they are not known."""
    try:
        return np.asarray(array)
    except jax.errors.TracerArrayConversionError:
        return None
