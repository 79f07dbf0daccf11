"""Count the second-order responses that orders ν = 1, 2 and 3 have behind symmetry, at sites and in crystals, and fit
force constants of each order to the forces of displaced atoms.

python experiments/second_order/run.py [--phonons FOLDER] [--smoke] [--out FOLDER]
"""

import sys
from pathlib import Path

import numpy as np

import jaxfeat
from jaxfeat.errors import SizeError

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common import BLUE, GREY, ORANGE, VERMILION, begin, new_figure, parser, save, show
from phonons import FORMULAS, MATERIALS, fit_material
from sites import SITES, SUPERCELLS, turned

ORDERS = (1, 2, 3)
COLORS = {1: ORANGE, 2: BLUE, 3: VERMILION}
MOST_WITH_FEATURES = 18  # neighbors up to which actual features are computed for ν = 2
BISPECTRA = ("simple cubic, 6", "fcc, 12", "hcp, ideal c/a, 12", "diamond, 4", "graphene, 9", "SF6, S", "methane, C")
SMOKE_SITES = ("fcc, 12", "SF6, S", "hcp, ideal c/a, 12", "methane, C")
SMOKE_SUPERCELLS = ("MoS2",)


def featurizer(order, env, nearest, farthest):
    """Make a featurizer of order 2 or 3 whose lengths are those of the environment."""
    species = np.unique(np.asarray(env.species)).tolist()
    lengths = {"r_cut": 1.6 * farthest, "sigma": 0.17 * nearest, "include_center": False}
    if order == 3:
        return jaxfeat.Bispectrum(species, n_max=2, l_max=6, **lengths)
    n_max, l_max = (6, 12) if len(species) == 1 else (4, 10)
    return jaxfeat.PowerSpectrum(species, n_max=n_max, l_max=l_max, **lengths)


def count_site(name, seed, smoke):
    """Count the responses of complete bases by order, and those of features where they fit."""
    env, nearest, farthest = turned(SITES[name], seed)
    counts, features = {}, {}
    for order in ORDERS:
        try:
            found = jaxfeat.second_order(order, env)
        except SizeError:
            continue
        if found.seen_by_order is not None:
            assert found.status == "ok", found.reason
            counts[order] = found.seen_by_order
    n = len(env.species)
    chosen = [2] * (n <= MOST_WITH_FEATURES) + [3] * (name in BISPECTRA)
    if smoke:
        chosen = [2] * (name == SMOKE_SITES[0])
    for order in chosen:
        of_features = jaxfeat.second_order(featurizer(order, env, nearest, farthest), env)
        features[order] = of_features.seen, of_features.gap["features"], of_features.status
    return found, n, counts, features


def count_sites(names, smoke):
    """Print the table of sites. Return the counts by name."""
    rows, found = [], {}
    agree = total = 0
    for seed, name in enumerate(names):
        one, n, counts, features = count_site(name, seed, smoke)
        found[name] = counts, one.allowed
        cells = [counts.get(order, "-") for order in ORDERS]
        cells += [features[order][0] if order in features else "" for order in (2, 3)]
        rows.append((name, n, one.symbol, one.n_directions, *cells[:3], one.allowed, *cells[3:]))
        for order, (seen, gap, status) in features.items():
            agree, total = agree + (seen == counts[order] and status == "ok"), total + 1
            print(
                f"{name}, features of ν = {order}: {seen} of {counts[order]}, zeros {gap[0]:.0e}, others {gap[1]:.0e}"
            )
    heads = (
        "site",
        "neighbors",
        "symmetry",
        "hidden",
        "ν = 1",
        "ν = 2",
        "ν = 3",
        "allowed",
        "features 2",
        "features 3",
    )
    show("Second-order responses on the directions that symmetry hides", heads, rows)
    print(f"features see what the complete basis of their order does: {agree} of {total}")
    return found


def count_crystals(names):
    """Print the table of crystals."""
    rows = []
    for name in names:
        atoms, radii = SUPERCELLS[name]
        for r_cut in radii:
            crystal = jaxfeat.structures(atoms, r_cut)
            n_neighbors = sorted(set(np.asarray(crystal.neighbor_mask).sum(1).tolist()))
            found = {order: jaxfeat.second_order(order, crystal) for order in ORDERS}
            one = found[1]
            counts = [found[order].seen_by_order for order in ORDERS]
            neighbors = ", ".join(map(str, n_neighbors))
            rows.append((name, r_cut, neighbors, len(atoms), one.symbol, *counts, one.complete, one.allowed))
            print(f"{name}, {r_cut} Å: ν = 1, 2, 3 have {', '.join(map(str, counts))} of {one.allowed} force constants")
    heads = ("crystal", "r_cut", "neighbors", "atoms", "space group", *(f"ν = {k}" for k in ORDERS), "any", "allowed")
    show("Force constants of crystals: those of sites of each order, of any function of sites, allowed", heads, rows)


def draw(sites, materials):
    figure = new_figure(9.0, 5.6)
    left, right = figure.subplots(1, 2, width_ratios=(1.25, 1)) if materials else (figure.subplots(), None)
    names = list(sites)
    for y, name in enumerate(names):
        counts, allowed = sites[name]
        left.barh(y, 1, 0.72, facecolor="none", edgecolor=GREY, lw=0.6)
        for order in sorted(counts, reverse=True):
            left.barh(y, counts[order] / allowed, 0.72 if order > 1 else 0.36, color=COLORS[order], lw=0)
        left.text(1.02, y, allowed, va="center", fontsize=6.5)
    left.set_yticks(range(len(names)), names, fontsize=6.5)
    left.set_xlim(0, 1.12)
    left.set_ylim(len(names) - 0.4, -0.6)
    left.set_xlabel("share of the allowed responses that are seen; right: allowed", fontsize=8)
    left.set_title("one site: behind its symmetry", fontsize=9)
    left.spines[["top", "right"]].set_visible(False)
    left.tick_params(labelsize=6.5)
    for order in ORDERS:
        left.barh(-9, 0, color=COLORS[order], label=f"ν = {order}")
    left.legend(loc="lower left", bbox_to_anchor=(0.0, 1.03), ncols=3, fontsize=7.5, frameon=False)
    if materials:
        draw_materials(right, materials)
    return figure


def draw_materials(axes, materials):
    """Draw the share of the forces that force constants of each order cannot fit, against the radius."""
    markers = dict(zip(materials, "osD^", strict=False))
    for name, fits in materials.items():
        radii = [fit.r_cut for fit in fits]
        for order in ORDERS:
            shares = [100 * fit.left[order] for fit in fits]
            style = {"color": COLORS[order], "marker": markers[name], "ms": 4.5 if order < 3 else 2.2, "lw": 1.0}
            axes.semilogy(radii, shares, ls="-" if order < 3 else ":", **style)
        axes.text(radii[-1] + 0.06, 100 * fits[-1].left[2], FORMULAS[name], va="center", fontsize=7.5)
    axes.set_xlim(right=axes.get_xlim()[1] + 0.35)
    axes.set_xlabel("radius of the sites (Å)", fontsize=8)
    axes.set_ylabel("DFT forces that are left (%)", fontsize=8)
    axes.set_yticks([0.5, 1, 2, 5, 10, 20], ["0.5", "1", "2", "5", "10", "20"])
    axes.minorticks_off()
    axes.set_title("one displaced atom: forces of each order", fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)


def main(argv=None):
    arguments = parser(__doc__)
    arguments.add_argument("--phonons", type=Path, metavar="FOLDER", help="NAME_perfect.extxyz, NAME_displaced.extxyz")
    arguments = arguments.parse_args(argv)
    folder = begin(arguments, __file__)
    sites = count_sites(SMOKE_SITES if arguments.smoke else SITES, arguments.smoke)
    count_crystals(SMOKE_SUPERCELLS if arguments.smoke else SUPERCELLS)
    materials = {}
    if arguments.phonons is not None:
        for name in MATERIALS:
            if (arguments.phonons / f"{name}_perfect.extxyz").exists():
                materials[name] = fit_material(arguments.phonons, name, ORDERS)
    save(draw(sites, materials), folder)


if __name__ == "__main__":
    main()
