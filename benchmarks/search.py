"""Time the search from random methanes to exact singular points of the power spectrum.

    python benchmarks/search.py [--n 1000] [--n-max 6] [--l-max 8] [--sigma 0.3] [--exclude symmetric] [--smoke]

Four neighbors at distances U(0.8, 1.6) Å in random directions, at least 0.6 Å apart, and bounds alike. Prints how many
starts land, how exactly, why the points are singular, and how long that took after compilation.
"""

import argparse
import collections
import os
import sys
import time

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

import jax  # noqa: E402
import numpy as np  # noqa: E402

import jaxfeat  # noqa: E402

jax.config.update("jax_enable_x64", True)
CAUSES = ("symmetry", "incompleteness", "truncation")
RADII, MIN_DISTANCE = (0.8, 1.6), 0.6
"""Å."""
WARM_UP = 40
"""Starts before the clock runs. Some of them fail, so that restarts are compiled as well."""


def starts(n):
    return jaxfeat.manifolds.random_environments(jax.random.key(0), n, ["H"] * 4, RADII, MIN_DISTANCE, None)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=1000)
    parser.add_argument("--n-max", type=int, default=6)
    parser.add_argument("--l-max", type=int, default=8)
    parser.add_argument("--sigma", type=float, default=0.3)
    parser.add_argument("--exclude", choices=["symmetric"])
    parser.add_argument("--smoke", action="store_true", help="few starts, small basis")
    arguments = parser.parse_args()
    if arguments.smoke:
        arguments.n, arguments.n_max, arguments.l_max = WARM_UP, 2, 5
    f = jaxfeat.PowerSpectrum(("H",), n_max=arguments.n_max, l_max=arguments.l_max, sigma=arguments.sigma)
    options = {"constraints": jaxfeat.Free(RADII, MIN_DISTANCE), "exclude": arguments.exclude}
    begun = time.perf_counter()
    jaxfeat.find_singular_points(f, starts(WARM_UP), **options)
    print(f"warm-up {time.perf_counter() - begun:.0f} s")
    batch = starts(arguments.n)
    begun = time.perf_counter()
    points = jaxfeat.find_singular_points(f, batch, **options)
    seconds = time.perf_counter() - begun

    landed = points.landed
    print(f"{points}, {seconds:.0f} s")
    if not landed.any():
        return 0
    print(f"largest σ_min/σ_max {points.sigma_ratio[landed].max():.1e}")
    print("distance to the exact point, median, 95 % and largest (Å):", end=" ")
    print(*(f"{x:.0e}" for x in np.quantile(points.accuracy[landed], (0.5, 0.95, 1))))
    print("steps, median, 90 % and largest:", *np.quantile(points.iterations[landed], (0.5, 0.9, 1)).astype(int))
    print("restarts:", dict(collections.Counter(points.restarts.tolist())))
    print("classified:", dict(collections.Counter(str(null.status) for null in points.null_space if null is not None)))
    by_cause = {cause: points.counts(cause) for cause in CAUSES}
    print("with null directions by", {cause: int((counts > 0).sum()) for cause, counts in by_cause.items()})
    for kind in points.kinds()[:10]:
        counts = ", ".join(f"{cause} {kind.counts[cause]}" for cause in CAUSES if kind.counts.get(cause))
        print(f"{len(kind.members):6} {kind.symbol:4} {counts or kind.status}; dimension {kind.dimension}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
