"""Measure how the cost of features, Jacobians and singular values grows with the sizes of a descriptor.

    python benchmarks/scaling.py [--smoke] [--out FOLDER]

Random environments of one species, one size varied at a time: neighbors, n_max, l_max + 1, order ν (by the number of
features it has), and environments in a call. Fits exponents over the largest three sizes, prints them beside the
expected ones, and writes scaling.json and scaling.png. One core, float64.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from functools import partial
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

import jax  # noqa: E402
import numpy as np  # noqa: E402
from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402

import jaxfeat  # noqa: E402
from jaxfeat.bench.timing import pin_to_core, time_call, time_in_turns  # noqa: E402

pin_to_core()
jax.config.update("jax_enable_x64", True)

HERE = Path(__file__).resolve().parent
STAGES = {"features": "#999999", "Jacobian": "#0072B2", "singular values": "#D55E00"}
USUAL = {"neighbors": 12, "n_max": 6, "l_max": 6, "nu": 2, "batch": 64}
"""Sizes that are held while another size varies."""
SMALL = {"nu": {"n_max": 3, "l_max": 3}}
"""Smaller sizes to hold for features of high order, which are many."""
VARIED = {
    "neighbors": (4, 8, 16, 32, 64),
    "n_max": (2, 4, 8, 16),
    "l_max": (1, 3, 7, 15),
    "nu": (1, 2, 3, 4),
    "batch": (1, 4, 16, 64, 256),
}
SMOKE = {"neighbors": (2, 3), "nu": (1, 2)}
TINY = {"neighbors": 2, "n_max": 2, "l_max": 1, "batch": 2}
"""Sizes that a smoke run holds."""
AXES = {
    "neighbors": "neighbors N",
    "n_max": "n_max",
    "l_max": "l_max + 1",
    "nu": "features, of ν = 1, 2, 3, 4",
    "batch": "environments in a call",
}
EXPECTED = {
    "neighbors": (1, 1, 3),
    "n_max": (2, 2, 2),
    "l_max": (2, 2, 2),
    "nu": (1, 1, 1),
    "batch": (1, 1, 1),
}
"""Exponents of the three stages where one size is large, and hence the most that a fit may give. With c channels,
L = l_max + 1 and N neighbors, ν = 2:

- features: N densities of c L² coefficients, then c² L² / 2 products summed over m. N enters the former alone.
- Jacobian: 3 N columns of c² L / 2 features, written out; the harmonics behind them take N c L².
- singular values: QR of c² L / 2 rows and 3 N columns takes (3N)² times the rows, the SVD of R (3N)³: between N² and
  N³, and N³ in the end. In the other sizes as the Jacobian.
- ν: each feature is a product of ν factors with few coupling coefficients: in proportion to the features.
"""
SLACK = 0.3
"""Amount by which a fit over a factor of four may exceed the asymptotic exponent, because caches overflow on the
way."""


def featurizer(sizes):
    of_order = {2: jaxfeat.PowerSpectrum, 3: jaxfeat.Bispectrum}
    kind = of_order.get(sizes["nu"], partial(jaxfeat.Correlations, nu=sizes["nu"]))
    return kind(("H",), r_cut=6.0, n_max=sizes["n_max"], l_max=sizes["l_max"], sigma=0.4)


def measured(sizes, repeats):
    """Return the seconds of each stage, and the number of features."""
    f = featurizer(sizes)
    symbols = ["H"] * sizes["neighbors"]
    key = jax.random.key(0)
    batch = jaxfeat.manifolds.random_environments(key, sizes["batch"], symbols, (1.0, 5.5), 0.0, None)
    calls = (lambda: f(batch), lambda: jaxfeat.jacobian(f, batch), lambda: jaxfeat.singular_spectrum(f, batch).values)

    def blocked(call, reset_peak):
        return time_call(lambda: jax.block_until_ready(call()), reset_peak)

    timed = time_in_turns([partial(blocked, call) for call in calls], min_calls=repeats, min_seconds=0.1)
    return [times["seconds"] for times in timed], f.n_features


def exponent(x, y):
    """Return the slope over the last three points."""
    return float(np.polyfit(np.log(x[-3:]), np.log(y[-3:]), 1)[0])


def judged(at, most):
    return "no more than expected" if at <= most + SLACK else "MORE THAN EXPECTED"


def draw(found, path):
    figure = Figure(figsize=(9.5, 5.6), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(2, 3).ravel()
    for axes, (name, one) in zip(panels, found.items(), strict=False):
        x, times = np.asarray(one["x"], float), 1e3 * np.asarray(one["seconds"])
        for k, color in enumerate(STAGES.values()):
            y = times[:, k]
            axes.loglog(x, y, "o-", ms=4, lw=1.4, color=color)
            expected = EXPECTED[name][k]
            axes.loglog(x, y[-1] * (x / x[-1]) ** expected, ":", lw=1, color=color)
        axes.set_ylim(bottom=times.min() / 3)
        # Labels of ends that are close to each other are stacked.
        low, high = np.log10(axes.get_ylim())
        below = low
        for k in np.argsort(times[-1]):
            below = max(np.log10(times[-1, k]), below + (high - low) / 18)
            text = f"  {one['exponents'][k]:.1f} ({EXPECTED[name][k]})"
            axes.annotate(text, (x[-1], 10**below), color=list(STAGES.values())[k], fontsize=8, va="center")
        axes.set_xlim(right=x[-1] * (x[-1] / x[0]) ** 0.3)
        axes.set_xlabel(AXES[name], fontsize=9)
        axes.set_xticks(x, [f"{v:.0f}" for v in x])
        axes.minorticks_off()
        axes.tick_params(labelsize=8)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("ms a call", fontsize=9)
    panels[3].set_ylabel("ms a call", fontsize=9)
    panels[5].set_axis_off()
    for k, (stage, color) in enumerate(STAGES.items()):
        panels[5].text(0.05, 0.9 - 0.1 * k, stage, color=color, fontsize=10)
    held = "N {neighbors}, n_max {n_max}, l_max {l_max},\nν {nu}, {batch} environments".format(**USUAL)
    note = f"at the ends: exponent over the\nlast three points (expected, dotted)\n\nheld otherwise:\n{held}"
    panels[5].text(0.05, 0.55, note, fontsize=8, va="top")
    figure.savefig(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true", help="two small sizes of two kinds, one repeat")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="where the results go (default: results)")
    arguments = parser.parse_args()
    folder = arguments.out or (Path("out") / "scaling" if arguments.smoke else HERE / "results")
    folder.mkdir(parents=True, exist_ok=True)
    for name, values in VARIED.items():
        for value in values:
            # Sizes that define no basis stop a run before any clock starts, also in a smoke run.
            featurizer(USUAL | SMALL.get(name, {}) | {name: value})
    found = {}
    for name, values in (SMOKE if arguments.smoke else VARIED).items():
        seconds, x = [], []
        for value in values:
            sizes = USUAL | SMALL.get(name, {}) | (TINY if arguments.smoke else {}) | {name: value}
            times, features = measured(sizes, 1 if arguments.smoke else 5)
            seconds.append(times)
            x.append({"l_max": value + 1, "nu": features}.get(name, value))
            print(f"{AXES[name]} {x[-1]}:", *(f"{1e3 * t:.3g}" for t in times), "ms", flush=True)
        exponents = [exponent(x, [times[k] for times in seconds]) for k in range(len(STAGES))]
        found[name] = {"x": x, "seconds": seconds, "exponents": exponents, "expected": EXPECTED[name]}
        for stage, at, most in zip(STAGES, exponents, EXPECTED[name], strict=True):
            verdict = "too small to tell" if arguments.smoke else judged(at, most)
            print(f"  {stage}: exponent {at:.2f}, expected {most} in the end: {verdict}")
    (folder / "scaling.json").write_text(json.dumps(found, indent=1) + "\n")
    draw(found, folder / "scaling.png")
    print(f"figure: {folder / 'scaling.png'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
