"""Helpers for code that runs on NumPy arrays (float64 or long double) and on JAX arrays, traced or not."""

from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def as_quantity(value: Any) -> Any:
    """Convert a number or a list of numbers to a float64 array; return a JAX array unchanged."""
    return value if isinstance(value, jax.Array) else np.asarray(value, float)


def cast_to_jax_precision(tree: Any) -> Any:
    """Cast NumPy arrays to JAX's precision. JAX refuses one that it has seen before `jax_enable_x64` was changed."""
    jax_dtype = jax.dtypes.canonicalize_dtype
    return jax.tree.map(lambda x: x.astype(jax_dtype(x.dtype), copy=False) if isinstance(x, np.ndarray) else x, tree)


def array_namespace(x: Any) -> ModuleType:
    """Return `jax.numpy` for a JAX array, traced or not, and `numpy` for anything else."""
    return jnp if isinstance(x, jax.Array) else np


def einsum(subscripts: str, *arrays: Any) -> Any:
    """Contract arrays in full precision: NumPy's in NumPy, and others in JAX."""
    if all(isinstance(array, np.ndarray) for array in arrays):
        return np.einsum(subscripts, *arrays)
    return jnp.einsum(subscripts, *arrays, precision="highest")


def format_quantity(value: Any, unit: str = "") -> str:
    """Format a number with its unit for a repr; a tracer, which has no value yet, as "traced"."""
    known = concrete_values(value)
    return f"{'traced' if known is None else format(float(known), 'g')} {unit}".strip()


def concrete_values(array: Any) -> np.ndarray | None:
    """Return the values of an array, or `None` if the array is a tracer and has no values yet."""
    try:
        return np.asarray(array)
    except jax.errors.TracerArrayConversionError:
        return None
