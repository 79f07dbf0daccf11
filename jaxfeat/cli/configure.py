"""The configuration of JAX in a command: float64, one device per core, and compiled programs kept on disk."""

import os
from contextlib import suppress

import jax

from jaxfeat.linalg.compilations import keep_compilations
from jaxfeat.spectrum.devices import n_cores


def configure_jax() -> None:
    """Configure JAX. Environment variables of JAX and XLA take precedence, except that float64 is always on."""
    jax.config.update("jax_enable_x64", True)
    # Each core that this process may use becomes a device of JAX, so that scans and sweeps use all of them.
    told = jax.config.values["jax_num_cpu_devices"] >= 0 or "device_count" in os.environ.get("XLA_FLAGS", "")
    if not told:
        # A process that has used JAX before keeps its devices, and JAX raises.
        with suppress(RuntimeError):
            jax.config.update("jax_num_cpu_devices", n_cores())
    keep_compilations()
