"""Time features and exact Jacobians of methane by body order, on one core in float64.

    python benchmarks/orders.py [--smoke]

A carbon with four hydrogens at distances U(0.8, 1.6) Å in random directions, in batches of 16; r_cut 4 Å, σ 0.3 Å.
Wall-clock times are medians of five, blocked, compile time apart; FLOP are XLA's count, and beside the Jacobian stands
its largest difference from as many tangents through the features as there are coordinates, relative to the largest
entry, and how many times longer that takes.
"""

import argparse
import os
import statistics
import sys
import time

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

import jax  # noqa: E402
import numpy as np  # noqa: E402

import jaxfeat  # noqa: E402
from jaxfeat.features.base import AbstractFeaturizer  # noqa: E402

jax.config.update("jax_enable_x64", True)
BATCH = 16
BASIS = {"r_cut": 4.0, "sigma": 0.3}
CASES = {
    "power spectrum": lambda n, l: jaxfeat.PowerSpectrum(("H", "C"), n_max=n, l_max=l, **BASIS),
    "bispectrum": lambda n, l: jaxfeat.Bispectrum(("H", "C"), n_max=n, l_max=l, **BASIS),
    "four neighbors, H only": lambda n, l: jaxfeat.Correlations(("H",), nu=4, n_max=n - 1, l_max=l - 1, **BASIS),
}


def methanes(n):
    """Return environments of the carbon."""
    rng = np.random.default_rng(0)
    v = rng.normal(size=(n, 4, 3))
    v *= rng.uniform(0.8, 1.6, size=(n, 4, 1)) / np.linalg.norm(v, axis=-1, keepdims=True)
    return jaxfeat.Environment.stack([jaxfeat.Environment.from_neighbors(x, ["H"] * 4, "C") for x in v])


def measured(function, batch, repeats):
    """Return the result, the seconds of a call, the seconds of compilation, and the FLOP."""
    start = time.perf_counter()
    compiled = jax.jit(jax.vmap(function)).lower(batch).compile()
    compile_time = time.perf_counter() - start
    result, times = jax.block_until_ready(compiled(batch)), []
    for _ in range(repeats):
        start = time.perf_counter()
        jax.block_until_ready(compiled(batch))
        times.append(time.perf_counter() - start)
    return np.asarray(result), statistics.median(times), compile_time, compiled.cost_analysis()["flops"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="a small basis, one repeat")
    smoke = parser.parse_args().smoke
    (n_max, l_max), repeats, batch = ((2, 1), 1, methanes(BATCH)) if smoke else ((4, 4), 5, methanes(BATCH))
    print(f"{'':37}{'features':>9}{'compile':>10}{'a second':>10}{'µs/feature':>12}{'FLOP/feature':>14}")
    for name, build in CASES.items():
        f = build(n_max, l_max)
        plain = measured(lambda env, f=f: AbstractFeaturizer.jacobian(f, env), batch, repeats)
        for what, function in (("features", f.features), ("Jacobian", f.jacobian)):
            found, seconds, compile_time, flop = measured(lambda env, call=function: call(env), batch, repeats)
            each = BATCH * f.n_features
            print(
                f"ν = {f.nu} {name:23}{what:8}{f.n_features:9}{compile_time:8.1f} s{BATCH / seconds:10.0f}"
                f"{1e6 * seconds / each:12.4f}{flop / each:14.1f}",
                flush=True,
            )
        error = np.abs(found - plain[0]).max() / np.abs(plain[0]).max()
        print(f"{'':6}tangents by coordinate: {plain[1] / seconds:.1f} times longer; largest difference {error:.0e}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
