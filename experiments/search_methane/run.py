"""Take random methanes to exact singular points of the power spectrum: count, time and classify the landings.

python experiments/search_methane/run.py [--starts 1000] [--smoke] [--out FOLDER]
"""

import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import minimize

import jaxfeat

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common import BLUE, GREEN, GREY, ORANGE, VERMILION, begin, new_figure, parser, save, show

RADII, MIN_DISTANCE = (0.8, 1.6), 0.6
"""Distances of the hydrogens from the carbon in starts and constraints, Å."""
SIGMA = 0.3
SIMPLEX_ITERATIONS = 3000
"""Iterations of the published search by the method of Nelder and Mead."""
CAUSES = {"symmetry": GREY, "incompleteness": VERMILION, "truncation": BLUE}


def power_spectrum(n_max, l_max):
    return jaxfeat.PowerSpectrum(("H",), n_max=n_max, l_max=l_max, sigma=SIGMA)


def search(f, starts, exclude, restarts):
    begun = time.perf_counter()
    constraints = jaxfeat.Free(RADII, MIN_DISTANCE, None)
    points = jaxfeat.find_singular_points(f, starts, constraints=constraints, exclude=exclude, restarts=restarts)
    return points, time.perf_counter() - begun


def simplex(f, starts):
    """Return σ_min/σ_max at the end of the method of Nelder and Mead, and its seconds, for each start."""

    @jax.jit
    def ratio(x, env):
        values = jaxfeat.singular_spectrum(f, env.with_positions(x.reshape(env.positions.shape))).values
        return values[-1] / values[0]

    found, seconds = [], []
    for env in starts:
        ratio(env.positions.reshape(-1), env)
        begun = time.perf_counter()
        result = minimize(
            lambda x, env=env: float(ratio(jnp.asarray(x), env)),
            np.asarray(env.positions).reshape(-1),
            method="Nelder-Mead",
            options={"maxiter": SIMPLEX_ITERATIONS, "maxfev": 10**6, "xatol": 0, "fatol": 0},
        )
        found.append(result.fun)
        seconds.append(time.perf_counter() - begun)
    return np.asarray(found), np.asarray(seconds)


def shares(points):
    """Count the landed points that have one cause alone, by cause, and the points that have several."""
    causes = np.stack([points.counts(cause)[points.landed] > 0 for cause in CAUSES])
    alone = {cause: int((causes[i] & (causes.sum(0) == 1)).sum()) for i, cause in enumerate(CAUSES)}
    return alone | {"several": int((causes.sum(0) > 1).sum()), "none": int((causes.sum(0) == 0).sum())}


def draw(before, simplexed, found):
    figure = new_figure(9.6, 3.2)
    left, middle, right = figure.subplots(1, 3, width_ratios=(1, 1, 1.2))
    (name, points), *_ = found.items()
    curves = {
        f"{len(before)} starts": (before, GREY),
        f"{len(simplexed)} of them, Nelder-Mead": (simplexed, ORANGE),
        "all, landed": (np.maximum(points.sigma_ratio, 1e-17), BLUE),
    }
    for label, (values, color) in curves.items():
        values = np.sort(values[np.isfinite(values)])
        left.step(values, np.arange(1, len(values) + 1) / len(values), where="post", color=color, lw=1.6, label=label)
    left.set_xscale("log")
    left.set_xlim(1e-17, 1)
    left.set_xlabel("σ$_\\mathrm{min}$/σ$_\\mathrm{max}$", fontsize=9)
    left.set_ylabel("share below", fontsize=9)
    left.legend(fontsize=7.5, frameon=False, loc="center", bbox_to_anchor=(0.45, 0.62))
    for (name, points), line in zip(found.items(), ("-", "--", ":"), strict=False):
        first = points.iterations[points.landed & (points.restarts == 0)]
        steps = np.arange(0, 61)
        middle.plot(steps, [(first <= k).sum() / len(points) for k in steps], line, color="black", lw=1.4, label=name)
    middle.set_xlabel("Gauss-Newton steps of the first try", fontsize=9)
    middle.set_ylabel("share landed", fontsize=9)
    middle.legend(fontsize=7.5, frameon=False, loc="lower right")
    colors = CAUSES | {"several": GREEN, "none": "#DDDDDD"}
    for row, points in enumerate(found.values()):
        start = 0.0
        for cause, count in shares(points).items():
            width = count / max(points.landed.sum(), 1)
            right.barh(row, width, left=start, color=colors[cause], label=cause if not row else None)
            if width > 0.04:
                right.text(start + width / 2, row, count, ha="center", va="center", fontsize=8, color="white")
            start += width
    right.set_yticks(range(len(found)), list(found), fontsize=8)
    right.invert_yaxis()
    right.set_xlim(0, 1)
    right.set_xlabel("share of the landed points, by cause", fontsize=9)
    right.legend(fontsize=7.5, frameon=False, ncols=3, loc="lower center", bbox_to_anchor=(0.4, 1.0))
    for axes in (left, middle, right):
        axes.tick_params(labelsize=8)
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def main(argv=None):
    options = parser(__doc__)
    options.add_argument("--starts", type=int, default=1000, help="(default: %(default)s)")
    arguments = options.parse_args(argv)
    folder = begin(arguments, __file__)
    n, n_simplex, sizes, restarts = arguments.starts, 20, ((6, 8), (6, 5)), 3
    if arguments.smoke:
        # Descents begin with the second restart, and compile programs of their own.
        n, n_simplex, sizes, restarts = 8, 0, ((2, 5), (2, 4)), 1
    starts = jaxfeat.manifolds.random_environments(jax.random.key(0), n, ["H"] * 4, RADII, MIN_DISTANCE, None)
    (large, small), wanted = (power_spectrum(*size) for size in sizes), sizes[0]
    runs = {
        "n_max {}, l_max {}".format(*sizes[0]): (large, None),
        "n_max {}, l_max {}".format(*sizes[1]): (small, None),
        "without symmetric\nn_max {}, l_max {}".format(*sizes[0]): (large, "symmetric"),
    }
    if arguments.smoke:
        runs.pop("n_max {}, l_max {}".format(*sizes[1]))
    found, rows = {}, []
    for name, (f, exclude) in runs.items():
        points, seconds = search(f, starts, exclude, restarts)
        found[name] = points
        landed = points.landed
        named = " ".join(name.split())
        if not landed.any():
            continue
        unsymmetric = int((points.counts("symmetry")[landed] == 0).sum())
        steps = np.quantile(points.iterations[landed], (0.5, 0.9)).astype(int)
        rows.append(
            [named, landed.sum(), (landed & (points.restarts == 0)).sum(), f"{points.sigma_ratio[landed].max():.0e}",
             f"{steps[0]}, {steps[1]}", unsymmetric, len(points.distinct), f"{seconds:.0f}"]
        )  # fmt: skip
        print(f"{named}: " + ", ".join(f"{cause} {count}" for cause, count in shares(points).items()))
    head = ("search", "landed", "at once", "σ_min/σ_max at most", "steps: median, 90 %", "no symmetry", "distinct", "s")
    show(f"{n} starts", head, rows)

    points = found[" ".join(next(iter(runs)).split())]
    show(
        f"kinds at n_max {wanted[0]}, l_max {wanted[1]}",
        ("null directions", "point group", "dimension", "points"),
        [
            (", ".join(f"{cause} {kind.counts[cause]}" for cause in CAUSES if kind.counts[cause]), kind.symbol,
             kind.dimension, len(kind.members))
            for kind in points.kinds()[:12] if kind.counts
        ],
    )  # fmt: skip
    before = np.asarray(jax.vmap(lambda env: jaxfeat.singular_spectrum(large, env).ratio)(starts))
    after, seconds = simplex(large, [starts[i] for i in range(n_simplex)])
    if n_simplex:
        print(
            f"Nelder-Mead, {SIMPLEX_ITERATIONS} iterations, {n_simplex} starts: σ_min/σ_max median "
            f"{np.median(after):.0e}, least {after.min():.0e}, {np.median(seconds):.1f} s a start"
        )
    save(draw(before, after, found), folder)


if __name__ == "__main__":
    main()
