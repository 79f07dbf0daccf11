"""Compare the slopes that reference forces ask of a model with the force errors of ridge models.

python experiments/forces/run.py [FILE ...] [--smoke] [--out FOLDER]

Each FILE holds structures with forces, in any format of ASE. Without a FILE, rattled methanols have the forces of ASE's
effective medium theory, which is no chemistry.
"""

import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
from ase.build import molecule
from ase.calculators.emt import EMT
from matplotlib.ticker import LogLocator, NullFormatter
from scipy.linalg import LinAlgError, cho_factor, cho_solve
from scipy.stats import spearmanr

import jaxfeat
from jaxfeat.errors import ReadError

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common import BLUE, GREEN, ORANGE, VERMILION, begin, new_figure, parser, save, show

BASE = {"n_max": 4, "l_max": 3, "sigma": 0.3, "radial": "gto", "r_cut": 4.0}
"""The descriptor from which each family departs. Lengths are in Å."""

FAMILIES = {
    "n_max, l_max": [{"n_max": n, "l_max": l} for n, l in ((2, 1), (2, 3), (3, 2), (3, 3), (4, 3), (4, 4), (6, 4))],
    "σ": [{"sigma": sigma} for sigma in (0.2, 0.3, 0.4, 0.5, 0.7)],
    "radial": [{"n_max": n, "radial": name} for n in (4, 6) for name in ("gto", "gto-rascal", "laplacian")],
    "r_cut": [{"r_cut": r_cut} for r_cut in (3.0, 4.0, 5.0, 6.0)],
}
SMOKE = {
    "n_max, l_max": [{"n_max": n, "l_max": l} for n, l in ((1, 1), (2, 1), (3, 3))],
    "σ": [{"n_max": 2, "l_max": 1, "sigma": sigma} for sigma in (0.3, 0.5)],
}
STYLES = {"n_max, l_max": (BLUE, "o"), "σ": (VERMILION, "s"), "radial": (GREEN, "^"), "r_cut": (ORANGE, "v")}
N_FRAMES = {"fit": 40, "choose": 10, "test": 20}
"""Frames drawn at random from each file: to fit the model, to choose its regularization, and to test it."""
N_FRAMES_SMOKE = {"fit": 8, "choose": 4, "test": 4}
REGULARIZATIONS = 10.0 ** np.arange(-11, -1)  # relative to the mean diagonal of the matrix that is inverted


class Row(NamedTuple):
    """Numbers of one descriptor: the root mean square errors of force components on test frames and on frames that were
    fitted, and medians over test frames of the norm of the slopes, of `scale_free` and of `invisible_share`."""

    n_features: int
    error: float
    fitted: float
    slope: float
    scale_free: float
    invisible: float


def made_up_frames(n):
    frames = []
    for seed in range(n):
        atoms = molecule("CH3OH")
        atoms.rattle(0.05, seed=seed)
        atoms.calc = EMT()
        atoms.get_forces()
        frames.append(atoms)
    return frames


def has_forces(atoms):
    return atoms.calc is not None and "forces" in atoms.calc.results


def drawn(frames, n):
    """Draw n frames, in random order."""
    return [frames[k] for k in np.random.default_rng(0).permutation(len(frames))[:n]]


def evaluate(frames, sizes, **options):
    """Fit a linear model with features summed over the atoms of each species, and look at the slopes it would need."""
    numbers = sorted({int(number) for atoms in frames for number in atoms.numbers})
    f = jaxfeat.PowerSpectrum(tuple(numbers), **options)
    summed = jaxfeat.summed(f)
    structures = [jaxfeat.structures(atoms, f) for atoms in frames]
    forces = [atoms.get_forces() for atoms in frames]
    jacobians = [np.asarray(jaxfeat.jacobian(summed, structure)) for structure in structures]
    # The force is minus the gradient of the energy, and its sign is that of the weights.
    rows = [one.reshape(len(one), -1).T for one in jacobians]
    ends = np.cumsum(list(sizes.values()))
    fit, choose, test = (slice(end - n, end) for end, n in zip(ends, sizes.values(), strict=True))
    error, fitted = ridge_errors(
        *((np.concatenate(rows[part]), np.concatenate(forces[part]).ravel()) for part in (fit, choose, test))
    )
    visible = [jaxfeat.visible_force(summed, *pair) for pair in zip(structures[test], forces[test], strict=True)]
    medians = [
        float(np.median(values))
        for values in (
            [np.linalg.norm(one.slopes) for one in visible],
            [one.scale_free for one in visible],
            [one.invisible_share for one in visible],
        )
    ]
    return Row(f.n_features * len(numbers), error, fitted, *medians)


def ridge_errors(fit, choose, test):
    """Return the errors of the ridge model on the test rows and on the fitted rows. Each argument is a matrix with one
    row for each force component, and the components."""
    matrix, forces = fit
    few_features = matrix.shape[1] < len(matrix)
    gram = matrix.T @ matrix if few_features else matrix @ matrix.T
    target = matrix.T @ forces if few_features else forces
    models = []
    for regularization in REGULARIZATIONS:
        shifted = gram + regularization * np.trace(gram) / len(gram) * np.eye(len(gram))
        try:
            found = cho_solve(cho_factor(shifted), target)
        except LinAlgError:
            continue  # too little regularization for float64
        weights = found if few_features else matrix.T @ found
        models.append((rms(choose, weights), weights))
    _, best = min(models, key=lambda one: one[0])
    return rms(test, best), rms(fit, best)


def rms(rows, weights):
    matrix, forces = rows
    return float(np.sqrt(np.mean((matrix @ weights - forces) ** 2)))


def name_of(options):
    return "{radial} {n_max}, {l_max}, σ {sigma:g}, r_cut {r_cut:g}".format(**options)


def agreement(rows, number):
    """Compute Spearman's rank correlation of a number with the test error."""
    return float(spearmanr([getattr(row, number) for row in rows], [row.error for row in rows]).statistic)


def report(subject, found):
    everything = {name: row for rows in found.values() for name, row in rows.items()}
    show(
        f"{subject}: force errors (eV/Å), and medians over test frames",
        ("descriptor", "features", "error", "fitted", "slopes", "scale-free", "invisible"),
        [
            (name, row.n_features, f"{row.error:.3f}", f"{row.fitted:.3f}", f"{row.slope:.3g}", f"{row.scale_free:.2f}",
             f"{row.invisible:.1e}")
            for name, row in everything.items()
        ],
    )  # fmt: skip
    sizes_and_widths = found["n_max, l_max"] | found["σ"]
    for family, rows in {**found, "n_max, l_max and σ": sizes_and_widths, "all": everything}.items():
        both = (agreement(rows.values(), number) for number in ("slope", "scale_free"))
        slope, scale_free = (f"{value:+.2f}" for value in both)
        print(f"{subject}, {family}: rank correlation with the error: slopes {slope}, scale-free {scale_free}")


def draw(results):
    figure = new_figure(8.0, 3.4 * len(results))
    panels = figure.subplots(len(results), 2, squeeze=False, sharey="row")
    labels = {"slope": "norm of the slopes (eV per feature unit)", "scale_free": "scale-free number"}
    for line, (subject, found) in zip(panels, results.items(), strict=True):
        for axes, (number, label) in zip(line, labels.items(), strict=True):
            for family, rows in found.items():
                color, marker = STYLES[family]
                points = [(getattr(row, number), row.error) for row in rows.values()]
                # Radial bases have no order.
                style = {"lw": 0.0 if family == "radial" else 0.9, "marker": marker, "ms": 5}
                axes.plot(*zip(*points, strict=True), color=color, label=family, **style)
            axes.set_xscale("log")
            axes.set_yscale("log")
            for axis, ticks in ((axes.xaxis, (1, 2, 5)), (axes.yaxis, (1, 1.5, 2, 3, 5, 7))):
                if axis is axes.yaxis or number == "scale_free":
                    axis.set_major_locator(LogLocator(subs=ticks))
                    axis.set_major_formatter("{x:g}")
                    axis.set_minor_formatter(NullFormatter())
            axes.set_xlabel(label, fontsize=9)
            axes.tick_params(labelsize=8, which="both")
            axes.spines[["top", "right"]].set_visible(False)
        line[0].set_ylabel("force error of the ridge model (eV/Å)", fontsize=9)
        line[0].set_title(subject, fontsize=9, loc="left")
    panels[0, 1].legend(fontsize=7.5, frameon=False)
    return figure


def main(argv=None):
    words = parser(__doc__)
    words.add_argument("files", nargs="*", type=Path, metavar="FILE", help="structures with forces")
    arguments = words.parse_args(argv)
    folder = begin(arguments, __file__)
    families, sizes, base = FAMILIES, N_FRAMES, BASE
    if arguments.smoke:
        families, sizes, base = SMOKE, N_FRAMES_SMOKE, {**BASE, "n_max": 2, "l_max": 1}
    try:
        subjects = {file.stem: jaxfeat.read(file).atoms for file in arguments.files}
    except ReadError as error:
        words.error(str(error))
    results = {}
    for subject, frames in (subjects or {"methanol": made_up_frames(sum(sizes.values()))}).items():
        if len(frames) < sum(sizes.values()) or not all(map(has_forces, frames)):
            words.error(f"{subject}: give at least {sum(sizes.values())} structures, all of them with forces.")
        chosen, known, found = drawn(frames, sum(sizes.values())), {}, {}
        for family, changes in families.items():
            found[family] = {}
            for options in changes:
                name = name_of({**base, **options})
                if name not in known:
                    known[name] = evaluate(chosen, sizes, **{**base, **options})
                found[family][name] = known[name]
        report(subject, found)
        results[subject] = found
    save(draw(results), folder)


if __name__ == "__main__":
    main()
