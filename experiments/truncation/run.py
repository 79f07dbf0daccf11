"""Measure the rank of the power spectrum's Jacobian against n_max, l_max, the radial basis and σ.

python experiments/truncation/run.py [--smoke] [--out FOLDER]
"""

import sys
from itertools import product
from pathlib import Path

import numpy as np
from matplotlib.colors import LogNorm

import jaxfeat

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common import BLUE, VERMILION, begin, new_figure, parser, save

DIRECTIONS = np.array([[0.9, -0.3, 0.5], [-0.4, 1.1, 0.7], [0.2, 0.8, -1.3], [-1.2, -0.5, 0.1]])
RADII = {"equal": [1.09] * 4, "unequal": [0.95, 1.1, 1.3, 1.55]}
"""Distances of four neighbors without any symmetry, Å. The order matters for two of them at a time."""
COLORS = {"gto": BLUE, "laplacian": VERMILION}
SIGMA = 0.3
R_CUT = 4.0


def environment(radii):
    units = DIRECTIONS / np.linalg.norm(DIRECTIONS, axis=1, keepdims=True)
    return jaxfeat.Environment.from_neighbors(units * np.asarray(RADII[radii])[:, None], ["H"] * 4)


def null_space(env, basis, n_max, l_max, sigma=SIGMA):
    f = jaxfeat.PowerSpectrum(("H",), r_cut=R_CUT, n_max=n_max, l_max=l_max, sigma=sigma, radial=basis)
    return jaxfeat.null_space(f, env)


def rank(null):
    return null.directions["rigid"].shape[1] * 3 - null.nullity


def draw(found, widths, lines, bases, n_maxes, l_maxes):
    figure = new_figure(8.6, 4.0)
    maps, beside = figure.subfigures(1, 2, width_ratios=(1.75, 1))
    panels = maps.subplots(len(bases), 2, sharex=True, sharey=True, squeeze=False)
    for row, basis in zip(panels, bases, strict=True):
        for axes, radii in zip(row, RADII, strict=True):
            nulls = [[found[basis, radii, n, l] for l in l_maxes] for n in n_maxes]
            seen = np.array([[np.nan if null.truncation else null.sensitivity[1] for null in line] for line in nulls])
            image = axes.pcolormesh(seen, norm=LogNorm(1e-4, 0.1), edgecolor="white", lw=1)
            axes.set_facecolor("#DDDDDD")
            for i, line in enumerate(nulls):
                for j, null in enumerate(line):
                    dark = not null.truncation and null.sensitivity[1] < 6e-3
                    axes.text(j + 0.5, i + 0.5, rank(null), ha="center", va="center", fontsize=8,
                              color="white" if dark else "black")  # fmt: skip
            axes.set_title(f"{basis}, {radii} radii", fontsize=9)
            axes.set_xticks(np.arange(len(l_maxes)) + 0.5, l_maxes)
            axes.set_yticks(np.arange(len(n_maxes)) + 0.5, n_maxes)
            axes.tick_params(length=0, labelsize=8)
        row[0].set_ylabel("n$_\\mathrm{max}$", fontsize=9)
    for axes in panels[-1]:
        axes.set_xlabel("l$_\\mathrm{max}$", fontsize=9)
    bar = maps.colorbar(image, ax=panels, extend="both", pad=0.02, aspect=30)
    bar.ax.tick_params(labelsize=8)
    bar.set_label("σ$_\\mathrm{min}$/σ$_\\mathrm{max}$ where the rank is 9, grey where it is less", fontsize=8)

    axes = beside.subplots()
    for (basis, n_max, l_max), nulls in lines.items():
        values = [np.nan if null.truncation else null.sensitivity[1] for null in nulls]
        style = "-" if n_max == max(n_maxes) else "--"
        label = f"{basis}, n$_\\mathrm{{max}}$ {n_max}, l$_\\mathrm{{max}}$ {l_max}"
        axes.loglog(widths, values, style, marker="o", ms=3, color=COLORS[basis], lw=1.4, label=label)
    axes.set_xlabel("width σ of the Gaussians (Å)", fontsize=9)
    axes.set_ylabel("σ$_\\mathrm{min}$/σ$_\\mathrm{max}$, equilibrated", fontsize=9)
    axes.set_title("unequal radii", fontsize=9)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=7.5, frameon=False)
    return figure


def main(argv=None):
    arguments = parser(__doc__).parse_args(argv)
    folder = begin(arguments, __file__)
    # Every pair of sizes compiles a program.
    if arguments.smoke:
        bases, n_maxes, l_maxes, sizes = ("gto",), (2,), (1, 3, 5), ((2, 5),)
    else:
        bases, n_maxes, l_maxes, sizes = tuple(COLORS), (1, 2, 3, 6), (1, 2, 3, 4, 5), ((6, 5), (2, 5))
    envs = {radii: environment(radii) for radii in RADII}
    found = {
        (basis, radii, n, l): null_space(env, basis, n, l)
        for basis, n, l in product(bases, n_maxes, l_maxes)
        for radii, env in envs.items()
    }
    for basis, radii, n in product(bases, RADII, n_maxes):
        nulls = [found[basis, radii, n, l] for l in l_maxes]
        ranks, tried = (", ".join(map(str, each)) for each in (map(rank, nulls), l_maxes))
        print(f"{basis}, {radii} radii, n_max {n}: rank {ranks} of 9 for l_max {tried}")
    truncated = sum(rank(null) + null.truncation == 9 for null in found.values())
    print(f"all that is missing is truncation: {truncated} of {len(found)}")

    widths = np.geomspace(0.1, 1.0, 3 if arguments.smoke else 9)
    lines = {
        (basis, n, l): [null_space(envs["unequal"], basis, n, l, float(sigma)) for sigma in widths]
        for basis, (n, l) in product(bases, sizes)
    }
    for (basis, n, l), nulls in lines.items():
        ratios = [null.sensitivity[1] for null in nulls]
        ends = " and ".join(f"{ratios[k]:.0e} at σ = {widths[k]:.1f} Å" for k in (0, -1))
        ranks = sorted({rank(null) for null in nulls})
        print(f"{basis}, unequal radii, n_max {n}, l_max {l}: σ_min/σ_max {ends}, ranks {ranks}")
    save(draw(found, widths, lines, bases, n_maxes, l_maxes), folder)


if __name__ == "__main__":
    main()
