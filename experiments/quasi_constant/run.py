"""Follow a methane on a closed orbit on which its power spectrum hardly changes: ν = 2 beside ν = 3.

python experiments/quasi_constant/run.py [--smoke] [--out FOLDER]
"""

import sys
from pathlib import Path

import numpy as np

import jaxfeat

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common import BLUE, GREEN, GREY, ORANGE, PINK, VERMILION, begin, new_figure, parser, save, show

HYDROGENS = (
    (-0.487769, -0.041057, 0.974419),
    (0.747395, -0.586838, -0.532971),
    (0.784215, 0.602362, 0.456900),
    (-0.696015, 0.835322, 0.069546),
)
"""Positions (Å) of an exact singular point of ν = 2 next to a published quasi-constant manifold, to six digits."""
FLAT, ABOVE = (0, 1, 3), 2
"""At this point H1, H2 and H4 lie in a plane with the carbon, and H3 is above the plane."""
PAIRS = ((0, 2), (1, 2), (3, 2), (0, 1), (0, 3), (1, 3))

SIZES = (0.01, 0.02, 0.05, 0.1)
"""Distances (Å) of starts from the point with two null directions."""
FAR = 0.2
"""Distance (Å) from which no orbit closes."""
LONGEST = 3.0
"""Length of a path, Å."""


def featurizers(smoke):
    return {
        "ν = 2": jaxfeat.PowerSpectrum(("C", "H"), n_max=3 if smoke else 4, l_max=5 if smoke else 6),
        "ν = 3": jaxfeat.Bispectrum(("C", "H"), n_max=2 if smoke else 3, l_max=2 if smoke else 4),
    }


def methane(hydrogens):
    return jaxfeat.Environment.from_neighbors(np.asarray(hydrogens), ["H"] * 4, "C")


def center_of(hydrogens):
    """Return the nearest environment with two null directions: all distances are equal, three hydrogens lie in a plane
    with the carbon, and one lies on its normal."""
    units = hydrogens / np.linalg.norm(hydrogens, axis=1, keepdims=True)
    flat = units[list(FLAT)]
    normal = np.linalg.svd(flat)[2][2]
    normal *= np.sign(normal @ units[ABOVE])
    found = units - np.outer(units @ normal, normal)
    found[ABOVE] = normal
    return np.linalg.norm(hydrogens, axis=1).mean() * found / np.linalg.norm(found, axis=1, keepdims=True)


def relative_change(f, batch):
    # Each call traces one path, so that paths of all lengths share a program.
    features = np.stack([f(env) for env in batch])
    return np.linalg.norm(features - features[0], axis=1) / np.linalg.norm(features[0])


def sensitivity(f, batch):
    return np.asarray([jaxfeat.singular_spectrum(f, env).ratio for env in batch])


def extent(batch):
    """Return the largest displacement (Å) of all hydrogens together from the start, after turning them onto it."""
    x = np.asarray(batch.positions)
    u, _, vt = np.linalg.svd(np.einsum("ni,bnj->bij", x[0], x))
    u[:, :, 2] *= np.linalg.det(u @ vt)[:, None]
    return np.linalg.norm(np.einsum("bij,bnj->bni", u @ vt, x) - x[0], axis=(1, 2)).max()


def angles(batch):
    """Return the angles `(b, 6)` in degrees, in the order of `PAIRS`."""
    units = np.asarray(batch.positions)
    units = units / np.linalg.norm(units, axis=-1, keepdims=True)
    return np.degrees(np.stack([np.arccos(np.sum(units[:, i] * units[:, j], -1)) for i, j in PAIRS], 1))


def beside(center, null, size, towards):
    """Return the displacement along the two null directions of the inner point that is nearest to another
    displacement."""
    along = np.einsum("k,kni->ni", np.einsum("kni,ni->k", null, towards), null)
    return methane(np.asarray(center.positions) + size * along / np.linalg.norm(along))


def draw(way, changes, ratios, table, own):
    figure = new_figure(8.6, 6.2)
    (change, sigma), (atoms, sizes) = figure.subplots(2, 2)
    for (order, values), color in zip(changes.items(), (BLUE, VERMILION), strict=True):
        change.semilogy(way.path[1:-1], values[1:-1], color=color, label=f"{order}, along the orbit of ν = 2")
        sigma.semilogy(way.path, np.maximum(ratios[order], 1e-9), color=color, label=order)
    if own is not None:
        change.semilogy(own.path[1:], own.relative_change[1:], color=VERMILION, ls=":", label="ν = 3, its own path")
    change.set_ylim(1e-8, 1e-1)
    change.set_title("change of features, |F − F$_0$| / |F$_0$|", fontsize=9)
    change.legend(fontsize=7.5, frameon=False, loc="upper center", ncols=2)
    sigma.set_ylim(1e-6, 1e-1)
    sigma.set_title("σ$_\\mathrm{min}$/σ$_\\mathrm{max}$ along the orbit", fontsize=9)
    sigma.legend(fontsize=7.5, frameon=False, loc="center", bbox_to_anchor=(0.5, 0.68), ncols=2)
    moved = angles(way.environments)
    labels = [f"H{i + 1}-C-H{j + 1}" for i, j in PAIRS]
    for k, color in enumerate((ORANGE, PINK, GREEN, GREY, GREY, GREY)):
        label = labels[k] if k < 3 else "the other three" if k == 3 else None
        atoms.plot(way.path, moved[:, k] - moved[0, k], color=color, label=label, ls="-" if k < 3 else "--")
    atoms.set_title("where the atoms go: change of angles, degrees", fontsize=9)
    atoms.set_ylim(-2.7, 4.6)
    atoms.legend(fontsize=7.5, frameon=False, loc="upper center", ncols=2)
    for axes in (change, sigma, atoms):
        axes.set_xlabel("path of all hydrogens together, Å", fontsize=9)
    eps, two, three = np.asarray(table).T
    sizes.loglog(eps, two, "o-", color=BLUE, label="ν = 2", ms=4)
    sizes.loglog(eps, three, "o-", color=VERMILION, label="ν = 3", ms=4)
    sizes.loglog(eps, two[0] * (eps / eps[0]) ** 2, color=GREY, lw=0.8, zorder=0)
    sizes.loglog(eps, three[0] * (eps / eps[0]), color=GREY, lw=0.8, zorder=0)
    sizes.set_xticks(eps, [f"{value:g}" for value in eps], minor=False)
    sizes.set_xticks([], minor=True)
    sizes.set_xlabel("distance of the start from the point blind twice, Å", fontsize=9)
    sizes.set_title("largest change on an orbit; grey: slopes 2 and 1", fontsize=9)
    sizes.legend(fontsize=7.5, frameon=False, loc="lower right")
    for axes in (change, sigma, atoms, sizes):
        axes.tick_params(labelsize=8)
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def main(argv=None):
    arguments = parser(__doc__).parse_args(argv)
    folder = begin(arguments, __file__)
    fs = featurizers(arguments.smoke)
    power, bispectrum = fs.values()

    singular = jaxfeat.trace_singular_set(power, methane(HYDROGENS), 0.2 if arguments.smoke else 2.0)
    start = singular.environments[0]
    print(
        f"the singular set: dimension {singular.dimension.min()} to {singular.dimension.max()}, followed for ", end=""
    )
    print(f"{singular.path[-1]:.2f} Å ({singular.status}), σ_min/σ_max at most {singular.sigma_ratio.max():.0e}")

    ways = {sign: jaxfeat.trace_quasi_constant(power, start, LONGEST, sign=sign) for sign in (1, -1)}
    for sign, way in ways.items():
        print(f"ν = 2, sign {sign:+d}: {way.status} after {way.path[-1]:.4f} Å, ", end="")
        print(f"features back to {way.relative_change[-1]:.0e}")
    way = ways[1]
    changes = {order: relative_change(f, way.environments) for order, f in fs.items()}
    ratios = {order: sensitivity(f, way.environments) for order, f in fs.items()}
    for order in fs:
        print(f"{order}, on the orbit: change of features at most {changes[order].max():.1e}, ", end="")
        print(f"σ_min/σ_max between {ratios[order].min():.0e} and {ratios[order].max():.0e}")
    own = None
    if not arguments.smoke:
        own = jaxfeat.trace_quasi_constant(bispectrum, start, float(way.path[-1]))
        print(f"ν = 3, its own least sensitive path: {own.status}, {own.path[-1]:.4f} Å, ", end="")
        print(f"change at the end {own.relative_change[-1]:.1e}, held to {own.path[own.held].max():.3f} Å")
    moved = angles(way.environments)
    for k, (i, j) in enumerate(PAIRS):
        print(f"H{i + 1}-C-H{j + 1}: {moved[:, k].min():.2f} to {moved[:, k].max():.2f} degrees")
    radii = np.linalg.norm(way.environments.positions, axis=-1)
    print(f"extent {extent(way.environments):.3f} Å; radii change by at most {np.ptp(radii, axis=0).max():.0e} Å")

    center = methane(center_of(np.asarray(start.positions)))
    for order, f in fs.items():
        hidden = jaxfeat.complete_kernel(center, f.nu).nullity - 3
        print(f"{order}, the point inside: {hidden} null directions, whatever the basis; ", end="")
        print(f"σ_min/σ_max {sensitivity(f, [center])[0]:.0e}")
    null = np.asarray(jaxfeat.singular_spectrum(power, center).directions)[-2:]
    towards = np.asarray(start.positions - center.positions)
    print(f"the point inside is {np.linalg.norm(towards):.3f} Å away")
    table, rows = [], []
    for size in SIZES[:2] if arguments.smoke else SIZES:
        around = jaxfeat.trace_quasi_constant(power, beside(center, null, size, towards), LONGEST)
        found = [relative_change(f, around.environments).max() for f in fs.values()]
        table.append((size, *found))
        rows.append((f"{size:g}", around.status, f"{around.path[-1]:.3f}", f"{extent(around.environments):.3f}",
                     *(f"{value:.1e}" for value in found)))  # fmt: skip
    show("orbits round the point that is blind twice", ("start, Å", "end", "length, Å", "extent, Å", *fs), rows)
    if not arguments.smoke:
        far = jaxfeat.trace_quasi_constant(power, beside(center, null, FAR, towards), LONGEST)
        print(f"from {FAR:g} Å: {far.status}, {far.path[-1]:.2f} Å, extent {extent(far.environments):.2f} Å, ", end="")
        print(f"held to {far.path[far.held].max():.2f} Å, change at most {far.relative_change.max():.1e}; ", end="")
        print(f"ν = 3: {relative_change(bispectrum, far.environments).max():.1e}")
    save(draw(way, changes, ratios, table, own), folder)


if __name__ == "__main__":
    main()
