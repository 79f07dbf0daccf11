"""XLA's flags for runs in which compilation takes nearly all of the time."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from functools import cache

SHORT = ("--xla_backend_optimization_level=0", "--xla_cpu_use_fusion_emitters=false")
"""Flags that shorten compilation, at the cost of slower programs."""


def known(flags: Sequence[str]) -> str:
    """Return those of the `flags` that the installed XLA takes, as one string for the variable XLA_FLAGS.

    XLA ends its process at a flag that it does not know, and flags come and go with its versions. Each question is
    therefore put to a process of its own, which takes about a second: all flags at once, and one by one only if XLA
    refuses them together.
    """
    return _known(tuple(flags))


@cache
def _known(flags: tuple[str, ...]) -> str:
    if _takes(flags):
        return " ".join(flags)
    return " ".join(flag for flag in flags if len(flags) > 1 and _takes((flag,)))


def _takes(flags: tuple[str, ...]) -> bool:
    environment = {**os.environ, "XLA_FLAGS": " ".join(flags), "JAX_PLATFORMS": "cpu"}
    # XLA reads its flags when the first client is made.
    words = [sys.executable, "-c", "import jax; jax.devices()"]
    return subprocess.run(words, env=environment, capture_output=True, check=False).returncode == 0
