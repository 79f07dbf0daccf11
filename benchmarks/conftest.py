"""Set up `pytest benchmarks`: one core, one thread, float64, and no compiled program from disk."""

import os

# The environment is set before any library counts its cores.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

import jax  # noqa: E402

from jaxfeat.bench.timing import pin_to_core  # noqa: E402

pin_to_core()
jax.config.update("jax_enable_x64", True)
jax.config.update("jax_enable_compilation_cache", False)


def pytest_addoption(parser):
    parser.addoption("--smoke", action="store_true", help="a few configurations in a small basis, once")
    parser.addoption("--data", metavar="FILE", help="3bpa_train_300K.xyz, for W6 (default: $JAXFEAT_3BPA)")
