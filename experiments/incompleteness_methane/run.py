"""Show methanes that the power spectrum mistakes for each other, and where it is singular: ν = 2 beside ν = 3.

python experiments/incompleteness_methane/run.py [--smoke] [--out FOLDER]
"""

import sys
from itertools import combinations, permutations, product
from pathlib import Path

import jax
import numpy as np
from matplotlib import colormaps
from matplotlib.colors import LogNorm
from matplotlib.patches import Rectangle

import jaxfeat

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common import VERMILION, begin, new_figure, parser, save

# X- at F is X+ at 2π - F: a map of X+ on both sides of F = π holds both sheets, and pairs are mirrored at F = π.
SHEET = jaxfeat.manifolds.prl_methane(1)
AZIMUTHS, ELEVATIONS = (0.7, 1.3), (-0.1, 0.1)
"""Bounds of the map, in units of π."""


def featurizers(smoke):
    # With equal radii only l_max >= 5 gives the power spectrum full rank, however large n_max is.
    return {
        "ν = 2": jaxfeat.PowerSpectrum(("C", "H"), n_max=3, l_max=5 if smoke else 6),
        "ν = 3": jaxfeat.Bispectrum(("C", "H"), n_max=2, l_max=3 if smoke else 4),
    }


def methanes(azimuths, elevations):
    return jax.vmap(SHEET)(np.pi * np.asarray(azimuths), np.pi * np.asarray(elevations))


def mapped(f, azimuths, elevations):
    """Compute the pair distance relative to the features, and the equilibrated σ_min/σ_max, on the grid: `(F, L)`
    each."""
    # The loop goes column by column, because the Jacobians of a fine grid would fill a gigabyte.
    columns = [methanes(np.full(len(elevations), azimuth), elevations) for azimuth in azimuths]
    features = np.stack([f(column) for column in columns])
    ratios = np.stack([jaxfeat.singular_spectrum(f, column, equilibrated=True).ratio for column in columns])
    distance = np.linalg.norm(features - features[::-1], axis=-1) / np.linalg.norm(features, axis=-1)
    return distance, ratios


def fixed_hydrogens():
    """Return the directions `(3, 3)` of the hydrogens that do not move."""
    fixed = np.asarray(SHEET(np.pi, 0.0).positions)[:3]
    return fixed / np.linalg.norm(fixed, axis=1, keepdims=True)


def circle(normal, height, n):
    """Return points `(n, 2)`, (F/π, L/π), of the circle of directions x with normal · x = height."""
    length = np.linalg.norm(normal)
    axis, height = normal / length, height / length
    across = np.linalg.svd(axis[None])[2][1:]
    turn = 2 * np.pi * (np.arange(n) + 0.5)[:, None] / n
    return angles(height * axis + np.sqrt(1 - height**2) * (np.cos(turn) * across[0] + np.sin(turn) * across[1]))


def angles(directions):
    azimuth, elevation = np.arctan2(directions[..., 1], directions[..., 0]), np.arcsin(directions[..., 2])
    return np.stack([azimuth / np.pi % 2, elevation / np.pi], -1)


def equal_opposite_angles(n):
    """Return curves `(3, n, 2)` on which the angle of H4 with Hk equals the angle of the other two."""
    h = fixed_hydrogens()
    return np.stack([circle(h[k], h[k - 1] @ h[k - 2], n) for k in range(3)])


def equal_adjacent_angles(n):
    """Return curves `(9, n, 2)` on which two angles that share a hydrogen are equal, at least one of them with H4."""
    h = fixed_hydrogens()
    at_fixed = [circle(h[i], h[i] @ h[j], n) for i, j in permutations(range(3), 2)]
    return np.stack(at_fixed + [circle(h[i] - h[j], 0.0, n) for i, j in combinations(range(3), 2)])


def mirror_images():
    """Return the three points at which H4 mirrors one hydrogen in the plane of the carbon and the two others."""
    h = fixed_hydrogens()
    normals = np.stack([np.cross(h[k - 1], h[k - 2]) for k in range(3)])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    return angles(h - 2 * np.sum(h * normals, 1, keepdims=True) * normals)


def points_of_interest(n):
    """Return special points of the map by kind, with `n` points on each closed curve."""
    sets = {
        "equal opposite angles": equal_opposite_angles(n),
        "equal adjacent angles": equal_adjacent_angles(n),
        "mirror image (C_s)": mirror_images(),
    }
    return {"F = π, L = 0": np.array([[1.0, 0.0]])} | {name: points[inside(points)] for name, points in sets.items()}


def inside(points):
    """Tell which points are on the map."""
    (low, high), (bottom, top) = AZIMUTHS, ELEVATIONS
    return (low < points[..., 0]) & (points[..., 0] < high) & (bottom < points[..., 1]) & (points[..., 1] < top)


def spread(n, m):
    """Return `m` evenly spread indices into `n` points. A column of the map has as many, so that it shares its
    program."""
    return np.linspace(0, n - 1, m).round().astype(int)


def stretched(batch, k, by):
    """Move H4 and Hk outwards by a length (Å) and the other two inwards. `k` has shape `(b,)` and counts from 0."""
    sign = -np.ones((len(batch), 4))
    sign[:, 3] = sign[np.arange(len(batch)), k] = 1
    radii = np.linalg.norm(batch.positions, axis=-1)
    return batch.with_positions(batch.positions * (1 + by * sign / radii)[..., None])


def draw(found, azimuths, elevations):
    figure = new_figure(8.6, 4.3)
    panels = figure.subplots(2, 2, sharex=True, sharey=True)
    curves = equal_opposite_angles(2000)
    curves[~inside(curves)] = np.nan
    titles = ("pair distance |F(X$_+$) − F(X$_−$)| / |F|", "σ$_\\mathrm{min}$/σ$_\\mathrm{max}$, equilibrated")
    for row, (order, maps) in zip(panels, found.items(), strict=True):
        for axes, values, title in zip(row, maps, titles, strict=True):
            shown = np.maximum(values.T, 1e-17)
            scale = {"norm": LogNorm(1e-4, 0.2), "cmap": colormaps["viridis"].with_extremes(under="black")}
            image = axes.pcolormesh(azimuths, elevations, shown, shading="nearest", **scale)
            axes.set_title(f"{order}: {title}", fontsize=9)
            axes.plot(1, 0, "o", ms=8, mfc="none", mec=VERMILION, mew=1.5)
            for low in (0.7, 1.1):
                axes.add_patch(Rectangle((low, -0.1), 0.2, 0.2, fill=False, ec="white", lw=0.8, ls=(0, (1, 2))))
            axes.tick_params(labelsize=8)
        row[0].set_ylabel("L/π", fontsize=9)
        row[0].text(1.005, 0.09, "X$_+$ = X$_−$", color="white", fontsize=8, va="top")
        figure.colorbar(image, ax=row, extend="min", pad=0.01).ax.tick_params(labelsize=8)
    for curve in curves:
        panels[0, 1].plot(*curve.T, color="white", lw=0.9)
    mirrored = mirror_images()
    for axes in panels[:, 1]:
        axes.plot(*mirrored[inside(mirrored)].T, "x", color=VERMILION, ms=6)
    for axes in panels[1]:
        axes.set_xlabel("F/π (X$_+$);   right of 1:  2 − F/π of X$_−$", fontsize=9)
    return figure


def main(argv=None):
    arguments = parser(__doc__).parse_args(argv)
    folder = begin(arguments, __file__)
    # This grid contains the published grid of step 0.025 π.
    azimuths = np.linspace(*AZIMUTHS, 13 if arguments.smoke else 241)
    elevations = np.linspace(*ELEVATIONS, 5 if arguments.smoke else 81)
    fs = featurizers(arguments.smoke)
    found = {order: mapped(f, azimuths, elevations) for order, f in fs.items()}

    line, end = len(elevations) // 2, len(azimuths) // 2
    apart, off = np.delete(np.arange(len(azimuths)), end), np.delete(np.arange(len(elevations)), line)
    for order, (distance, ratio) in found.items():
        print(f"{order}: pair distance at most {distance[apart, line].max():.0e} for L = 0, ", end="")
        print(f"at least {distance[np.ix_(apart, off)].min():.0e} elsewhere")
        print(f"{order}: σ_min/σ_max {np.median(ratio):.0e} (median of the map), ", end="")
        print(f"{np.median(ratio[:, line]):.0e} (median of L = 0), {ratio[end, line]:.0e} at F = π, L = 0")

    sets = points_of_interest(24 if arguments.smoke else 600)
    for (name, points), (order, f) in product(sets.items(), fs.items()):
        batch = methanes(*points[spread(len(points), len(elevations))].T)
        null = np.unique(jaxfeat.singular_spectrum(f, batch, equilibrated=True).n_null)
        complete = np.unique([jaxfeat.complete_kernel(env, f.nu).nullity - 3 for env in batch])
        print(f"{order}, {name}: null directions of J {null}, of the complete basis {complete}", end=" ")
        print(f"({min(len(points), len(batch))} points)")

    curves = equal_opposite_angles(24 if arguments.smoke else 600)
    chosen = np.flatnonzero(inside(curves))
    chosen = chosen[spread(len(chosen), len(elevations))]
    batch, k = methanes(*curves.reshape(-1, 2)[chosen].T), chosen // curves.shape[1]
    for order, f in fs.items():
        long, short = (np.asarray(f(stretched(batch, k, by))) for by in (0.1, -0.1))
        swap = (np.linalg.norm(long - short, axis=1) / np.linalg.norm(long, axis=1)).max()
        print(f"{order}, equal opposite angles, radii 1.09 ± 0.1 Å and 1.09 ∓ 0.1 Å: pair distance at most {swap:.0e}")
    save(draw(found, azimuths, elevations), folder)


if __name__ == "__main__":
    main()
