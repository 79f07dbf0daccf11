"""Flags of XLA for runs that spend nearly all of their time compiling."""

import os
import subprocess
import sys
from collections.abc import Sequence
from functools import cache

FAST_COMPILE_FLAGS = ("--xla_backend_optimization_level=0", "--xla_cpu_use_fusion_emitters=false")
"""Flags that shorten compilation and make slower programs."""


def accepted_flags(flags: Sequence[str]) -> str:
    """Return the flags that the installed XLA accepts, as one string. XLA ends its process at a flag that it does not
    know, so a process of its own tries all flags at once, and one by one only if XLA refuses them together."""
    if _accepts(*flags):
        return " ".join(flags)
    return " ".join(flag for flag in flags if len(flags) > 1 and _accepts(flag))


@cache
def _accepts(*flags: str) -> bool:
    environment = {**os.environ, "XLA_FLAGS": " ".join(flags), "JAX_PLATFORMS": "cpu"}
    # XLA reads its flags when JAX makes the first client.
    words = [sys.executable, "-c", "import jax; jax.devices()"]
    return subprocess.run(words, env=environment, capture_output=True, check=False).returncode == 0
