"""A block shared among all devices of the process."""

import os
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from jaxfeat.linalg.compilations import tuned_jit

_AXIS = "environment"


def n_cores() -> int:
    """Count the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def devices() -> list[jax.Device]:
    """List the devices of this process, or only the default device if JAX has been told one."""
    chosen = jax.config.values["jax_default_device"]
    return jax.local_devices() if chosen is None else [chosen]


def share_among_devices(
    function: Callable[..., Any], over: Sequence[jax.Device], f: Any, batch: tuple[Any, ...], *settings: Any
) -> Any:
    """Compute `function(f, *batch, *settings)` with an equal share of the batch on each device. The result is that of
    one device, except for rounding, which depends on the size of a compiled program."""
    if len(over) == 1:
        return function(f, *batch, *settings)
    mesh = Mesh(np.asarray(over), (_AXIS,))
    return _shared(function, mesh, f, jax.device_put(batch, NamedSharding(mesh, P(_AXIS))), settings)


@tuned_jit
def _shared(function: Callable[..., Any], mesh: Mesh, f: Any, batch: Any, settings: Any) -> Any:
    arrays, rest = eqx.partition(f, eqx.is_array)

    def share(arrays: Any, batch: Any) -> Any:
        return function(eqx.combine(arrays, rest), *batch, *settings)

    # Loops begin with constants, which are the same on all devices, and end with arrays that are not. `check_vma` would
    # refuse that.
    alone = jax.shard_map(share, mesh=mesh, in_specs=(P(), P(_AXIS)), out_specs=P(_AXIS), check_vma=False)
    return alone(arrays, batch)
