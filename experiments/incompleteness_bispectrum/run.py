"""Show rings that the bispectrum mistakes for each other, and where it is singular: ν = 3 beside ν = 4.

python experiments/incompleteness_bispectrum/run.py [--smoke] [--out FOLDER]
"""

import sys
from pathlib import Path

import numpy as np

import jaxfeat

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common import BLUE, GREEN, SKY, begin, new_figure, parser, save, show

A = 1.1
ISOSCELES = (-A, A / 2 - np.pi)
"""Third azimuths that make (0, A, third) isosceles: one neighbor is halfway between the others, either way round."""
SCALENE = -2.0
STYLES = {"ν = 3": (BLUE, "-", 2.4), "ν = 3, SO(3)": (SKY, "--", 1.2), "ν = 4": (GREEN, "-", 1.4)}


def featurizers(smoke):
    """Make featurizers in bases that truncate nothing."""
    if smoke:
        return {
            "ν = 3": jaxfeat.Bispectrum(("H",), n_max=3, l_max=3),
            "ν = 4": jaxfeat.Correlations(("H",), nu=4, n_max=2, l_max=3),
        }
    return {
        "ν = 3": jaxfeat.Bispectrum(("H",), n_max=3, l_max=5),
        "ν = 3, SO(3)": jaxfeat.Bispectrum(("H",), n_max=3, l_max=5, pseudoscalars=True),
        "ν = 4": jaxfeat.Correlations(("H",), nu=4, n_max=2, l_max=4),
    }


def rings(third, sign):
    return jaxfeat.manifolds.ring_pair(1.2, (0.0, A, third), 0.6, 0.7, 1.3, sign, center_species=None)


def pair_distances(f, pairs):
    """Compute |F(X+) - F(X-)| relative to |F(X+)|."""
    plus, minus = (np.asarray(f(jaxfeat.Environment.stack(members))) for members in zip(*pairs, strict=True))
    return np.linalg.norm(plus - minus, axis=1) / np.linalg.norm(plus, axis=1)


def smallest(null):
    """Compute σ_min/σ_max of the equilibrated spectrum without rigid motions, null values included."""
    largest_null, smallest_seen = null.gap["jacobian"]
    return largest_null if null.nullity > null.rigid else smallest_seen


def draw(path, distances, nulls):
    figure = new_figure(8.6, 3.4)
    left, right = figure.subplots(1, 2, sharex=True)
    for axes, title in (
        (left, "pair distance |F(X$_+$) − F(X$_−$)| / |F|"),
        (right, "σ$_\\mathrm{min}$/σ$_\\mathrm{max}$ at X$_+$, equilibrated"),
    ):
        for third in ISOSCELES:
            axes.axvline(third, color="black", lw=0.6, ls=(0, (4, 3)))
            axes.text(third + 0.03, 1e-9, "isosceles", rotation=90, fontsize=7.5, va="center")
        axes.set_yscale("log")
        axes.set_ylim(1e-17, 1)
        axes.set_title(title, fontsize=9)
        axes.set_xlabel("third azimuth of each ring (rad)", fontsize=9)
        axes.tick_params(labelsize=8)
        axes.spines[["top", "right"]].set_visible(False)
    for order, (color, line, width) in STYLES.items():
        if order in nulls:
            left.plot(path, np.maximum(distances[order], 1e-17), line, color=color, lw=width, label=order)
            right.plot(path, [smallest(null) for null in nulls[order]], line, color=color, lw=width, label=order)
    right.legend(fontsize=8, frameon=False, loc="center")
    return figure


def main(argv=None):
    arguments = parser(__doc__).parse_args(argv)
    folder = begin(arguments, __file__)
    offsets = np.geomspace(1e-4, 0.1, 2 if arguments.smoke else 7)
    near = np.concatenate([[0.0], offsets, -offsets])
    path = np.unique(np.concatenate([[SCALENE], np.linspace(-0.6, -3.2, 5 if arguments.smoke else 53),
                                     *(third + near for third in ISOSCELES)]))  # fmt: skip
    fs, pairs = featurizers(arguments.smoke), [(rings(p, 1), rings(p, -1)) for p in path]
    distances = {order: pair_distances(f, pairs) for order, f in fs.items()}
    nulls = {order: [jaxfeat.null_space(f, plus) for plus, _ in pairs] for order, f in fs.items()}

    marked = {"scalene": SCALENE, "isosceles": ISOSCELES[0], "the other isosceles": ISOSCELES[1]}
    rows = []
    for order, f in fs.items():
        for name, third in marked.items():
            k = int(np.argmin(np.abs(path - third)))
            null = nulls[order][k]
            complete = jaxfeat.complete_kernel(pairs[k][0], f.nu, pseudoscalars=f.group == "SO3").nullity
            measured = (f"{distances[order][k]:.0e}", f"{smallest(null):.0e}", null.nullity, complete)
            rows.append([f"{order}, {name}", *measured])
            print(f"{order}, {name}: incompleteness {null.incompleteness} ({null.status})")
    head = ("", "pair distance", "σ_min/σ_max", "nullity of J", "complete basis")
    show("The pair, and X+", head, rows)
    for order, found in nulls.items():
        causes = {cause: sum(getattr(null, cause) > 0 for null in found) for cause in ("symmetry", "truncation")}
        singular = [f"{p:.4f}" for p, null in zip(path, found, strict=True) if null.incompleteness]
        doubtful = sum(null.status != "ok" for null in found)
        print(f"{order}: singular at {', '.join(singular) or 'none'} of {len(path)} azimuths", end="; ")
        print(f"symmetry at {causes['symmetry']}, truncation at {causes['truncation']}, ambiguous {doubtful}")
    save(draw(path, distances, nulls), folder)


if __name__ == "__main__":
    main()
