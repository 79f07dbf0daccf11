"""Tests run in float64 and forgive no mixing of types or ranks."""

import gc
import os

# Nearly all of a test's time is compilation. How fast a program is is no test's matter; benchmarks see to that.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false")

import jax

# Tracing leaves many objects and few cycles: looking for those every 700 objects takes a tenth of the time.
gc.set_threshold(100_000, 20, 50)

jax.config.update("jax_enable_x64", True)
# Commands that run inside a test leave nothing in the user's cache.
jax.config.update("jax_enable_compilation_cache", False)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")
