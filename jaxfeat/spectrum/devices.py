"""Batches over all devices of a process, a share on each."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from jaxfeat.linalg.jit import tuned_jit

AXIS = "environment"


def n_cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def devices() -> list[jax.Device]:
    """All that this process has; where JAX has been told a default device, that one."""
    chosen = jax.config.values["jax_default_device"]
    return jax.local_devices() if chosen is None else [chosen]


def shared_out(
    function: Callable[..., Any], over: Sequence[jax.Device], f: Any, batch: tuple[Any, ...], *settings: Any
) -> Any:
    """`function(f, *batch, *settings)`, whose results have the batch first as `batch` has: an equal share on each
    device.

    Each device runs the program that one alone would run for a share. Rounding apart, which depends on the size of what
    is compiled, the result is that of one device.
    """
    if len(over) == 1:
        return function(f, *batch, *settings)
    mesh = Mesh(np.asarray(over), (AXIS,))
    return _shared_out(function, mesh, f, jax.device_put(batch, NamedSharding(mesh, P(AXIS))), settings)


@tuned_jit
def _shared_out(function: Callable[..., Any], mesh: Mesh, f: Any, batch: Any, settings: Any) -> Any:
    arrays, rest = eqx.partition(f, eqx.is_array)

    def share(arrays: Any, batch: Any) -> Any:
        return function(eqx.combine(arrays, rest), *batch, *settings)

    # Loops begin with constants, the same on all devices, and end with what is not, which that check would refuse.
    alone = jax.shard_map(share, mesh=mesh, in_specs=(P(), P(AXIS)), out_specs=P(AXIS), check_vma=False)
    return alone(arrays, batch)
