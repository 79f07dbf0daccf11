"""Tests run in float64 and forgive no mixing of types or ranks."""

import gc
import os
import signal
from pathlib import Path

# One device, whichever test is the first to run a command, which would take one for each core. JAX reads this variable
# when it is imported, and XLA its flags only when it is first asked for a device.
os.environ.setdefault("JAX_NUM_CPU_DEVICES", "1")

import jax
import pytest

from jaxfeat.bench.worker import FAST_COMPILE_FLAGS, accepted_flags

# Nearly all of a test's time is compilation. How fast a program is is no test's matter; benchmarks see to that.
# Modules of LLVM that are compiled in parts take longer in all.
# Set but empty, the variable asks for the flags that users run with: so `make test` runs the tests marked `as_shipped`.
# Workers of pytest-xdist inherit it, so that XLA is asked once.
if "XLA_FLAGS" not in os.environ:
    os.environ["XLA_FLAGS"] = accepted_flags([*FAST_COMPILE_FLAGS, "--xla_cpu_parallel_codegen_split_count=1"])

# Tracing leaves many objects and few cycles: looking for those every 700 objects takes a tenth of the time.
gc.set_threshold(100_000, 20, 50)

jax.config.update("jax_enable_x64", True)
# Commands that run inside a test leave nothing in the user's cache.
jax.config.update("jax_enable_compilation_cache", False)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

LONGEST = ("test_composability.py", "test_experiments.py", "test_classify.py", "test_compare.py")
"""Files that workers are to take first (`--no-loadscope-reorder`), so that none is left alone with one in the end."""


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))


@pytest.fixture(scope="module", autouse=True)
def room_for_programs():
    """Linux allows a process 65530 mappings, and compiled programs take a few each: past that, compiling crashes."""
    yield
    maps = Path("/proc/self/maps")
    if maps.exists() and len(maps.read_bytes().splitlines()) > 20_000:
        jax.clear_caches()
        gc.collect()


@pytest.fixture
def compiled(monkeypatch):
    """Features, Jacobians and spectra come from compiled programs, however little work there is."""
    from jaxfeat.features.host_work import HOST_SECONDS

    for work in HOST_SECONDS:
        monkeypatch.setitem(HOST_SECONDS, work, 0.0)
    monkeypatch.setattr("jaxfeat.PowerSpectrum.runs_on_host", False)


@pytest.fixture
def ctrl_c():
    """Python's own handler of Ctrl-C, which processes in the background lack."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
