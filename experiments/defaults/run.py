"""Compare radial bases, widths of Gaussians, windows and radii at the same number of features, over many data sets.

python experiments/defaults/run.py [FILE ...] [--radii] [--smoke] [--out FOLDER]

Each FILE holds structures in any format of ASE. g2, s22, dcdft, rattled silicon, rattled salt and random methanes are
always there. --radii compares radii in place of widths and windows.
"""

import sys
from itertools import product
from pathlib import Path

import ase.collections
import jax
import numpy as np
from ase.build import bulk
from matplotlib.ticker import NullFormatter

import jaxfeat
from jaxfeat.cutoffs import ShiftedCosine, Smoothstep
from jaxfeat.errors import ReadError

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common import BLUE, GREEN, VERMILION, begin, new_figure, parser, save, show

SIZES = {"n_max": 8, "l_max": 6}
WINDOWS = {"smoothstep 1": Smoothstep(1.0), "cosine 0.5": ShiftedCosine(0.5)}  # widths in Å
RADIALS = {"gto": BLUE, "gto-rascal": GREEN, "laplacian": VERMILION}
SIGMAS = (0.2, 0.3, 0.4)  # Å
RADII = (3.0, 4.0, 5.0)  # Å
OLD = ("gto", 0.3, "smoothstep 1", 4.0)
"""The radial basis, σ, window and r_cut with which all others are compared."""

N_ENVIRONMENTS = 100  # drawn from each data set
N_METHANES = 640  # whose ratios are so close to one that fewer would not tell
TOGETHER = 16  # environments that NumPy computes faster than a program is compiled
DISPLACEMENT = 0.05  # Å, standard deviation of the displacements that break the symmetry of the built-in structures
BETTER = 1.005  # ratio from which a choice counts as better
LOWEST = 0.1  # share of least sensitive environments
MEASURES = ("equilibrated, median", "equilibrated, lowest tenth", "raw, median", "raw, lowest tenth")


def rattled(structures):
    """Displace atoms, so that symmetry hides no direction."""
    made = [one.copy() for one in structures]
    for seed, one in enumerate(made):
        one.rattle(DISPLACEMENT, seed=seed)
    return made


def cells(name, **options):
    return rattled([bulk(name, **options, cubic=True).repeat(2)] * 4)


def collection(name):
    """List the structures of one of ASE's collections that have atoms to be neighbors."""
    return rattled([one for one in getattr(ase.collections, name) if len(one) > 1 or one.pbc.any()])


def data_sets(files, smoke):
    """Return a function of a radius for each data set, which cuts its environments there."""

    def of_atoms(atoms):
        def cut(r_cut):
            # A few atoms of each of several structures are worth more than all atoms of one.
            rng = np.random.default_rng(0)
            some = [atoms[k] for k in rng.permutation(len(atoms))[:N_ENVIRONMENTS]]
            batch = jax.tree.map(np.asarray, jaxfeat.environments(some, r_cut))
            occupied = np.flatnonzero(np.asarray(batch.n_neighbors) > 0)
            return batch[np.sort(rng.permutation(occupied)[: 8 if smoke else N_ENVIRONMENTS])].trimmed()

        return cut

    made = {} if smoke else {Path(file).stem.split("_")[0]: of_atoms(jaxfeat.read(file).atoms) for file in files}
    made |= {"silicon": of_atoms(cells("Si")), "salt": of_atoms(cells("NaCl", crystalstructure="rocksalt", a=5.64))}
    n_methanes = 32 if smoke else N_METHANES
    made["methane"] = lambda r_cut: jaxfeat.manifolds.random_methane(jax.random.key(0), n_methanes)
    return made if smoke else made | {name: of_atoms(collection(name)) for name in ("g2", "s22", "dcdft")}


def sensitivities(f, batch, equilibrated):
    """Compute σ_min/σ_max. A value below its floor counts as the floor."""
    spectrum = jaxfeat.singular_spectrum(f, batch, equilibrated, directions=False)
    return np.maximum(np.asarray(spectrum.ratio), np.asarray(spectrum.floor / spectrum.values[:, 0]))


def levels(cut, radial, sigma, window, r_cut, sizes):
    """Compute the medians of σ_min/σ_max over all environments and over the least sensitive tenth of each species."""
    batch = cut(r_cut)
    centers, found = np.asarray(batch.center_species), []
    numbers = np.unique(np.append(np.asarray(batch.species)[np.asarray(batch.mask)], centers)).tolist()
    f = jaxfeat.PowerSpectrum(numbers, r_cut, **sizes, sigma=sigma, radial=radial, cutoff=WINDOWS[window])
    starts = range(0, len(batch), TOGETHER)
    for equilibrated in (True, False):
        ratios = np.concatenate([sensitivities(f, batch[k : k + TOGETHER], equilibrated) for k in starts])
        lowest = [np.sort(ratios[centers == z])[: max(round(LOWEST * (centers == z).sum()), 1)] for z in set(centers)]
        found += [np.median(ratios), np.median(np.concatenate(lowest))]
    return np.asarray(found)


def name_of(choice):
    radial, sigma, window, r_cut = choice
    return f"{radial}, σ {sigma:g}, {window}, r_cut {r_cut:g}"


def main():
    arguments = parser(__doc__)
    arguments.add_argument("files", nargs="*", metavar="FILE", help="structures to add to the built-in ones")
    arguments.add_argument("--radii", action="store_true", help="compare radii in place of widths and windows")
    arguments = arguments.parse_args()
    folder = begin(arguments, __file__)
    sizes = {"n_max": 6, "l_max": 4} if arguments.smoke else SIZES
    sets = data_sets(arguments.files, arguments.smoke)
    sigmas, windows, radii = ((0.3,), ("smoothstep 1",), RADII) if arguments.radii else (SIGMAS, WINDOWS, (4.0,))
    if arguments.smoke:
        sigmas, radii = (0.3,), (4.0,)
    choices = [OLD, *(one for one in product(RADIALS, sigmas, windows, radii) if one != OLD)]
    ratios = np.full((len(choices), len(sets), len(MEASURES)), np.nan)
    for j, (name, cut) in enumerate(sets.items()):
        found = np.asarray([levels(cut, *choice, sizes) for choice in choices])
        ratios[:, j] = found / found[0]
        title = f"{name}: level of {name_of(OLD)}, and ratios to it"
        rows = [[name_of(OLD), *(f"{value:.1e}" for value in found[0])]]
        rows += [[name_of(one), *map(format_ratio, row)] for one, row in zip(choices[1:], ratios[1:, j], strict=True)]
        show(title, ["choice", *MEASURES], rows)
    report(choices, list(sets), ratios)
    draw(choices, list(sets), ratios, folder)


def format_ratio(value):
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"


def report(choices, names, ratios):
    """Say which choices are better on all data sets, and where the others are worse."""
    worst = ratios.min(1)
    rows = [
        [name_of(one), *(f"{format_ratio(row[k])} {names[ratios[i, :, k].argmin()]}" for k in range(len(MEASURES)))]
        for i, (one, row) in enumerate(zip(choices, worst, strict=True))
        if i
    ]
    show("The least ratio over all data sets, and where it is", ["choice", *MEASURES], rows)
    for measures, columns in (("all four measures", range(4)), ("both lowest tenths", (1, 3))):
        better = [name_of(one) for one, row in zip(choices, worst, strict=True) if (row[list(columns)] >= BETTER).all()]
        print(f"better on all {len(names)} data sets in {measures}: {'; '.join(better) or 'none'}")


def draw(choices, names, ratios, folder):
    """Draw the ratios of the lowest tenths with each radial basis, at the other choices of the old default."""
    figure = new_figure(7.2, 3.4)
    axes = figure.subplots(1, 2, sharey=True)
    for ax, k in zip(axes, (1, 3), strict=True):
        for radial, color in RADIALS.items():
            i = choices.index((radial, *OLD[1:]))
            ax.plot(range(len(names)), ratios[i, :, k], "o", ms=5, color=color, label=radial)
        ax.axhline(1, color="#000000", lw=0.8)
        ax.set_yscale("log")
        ax.set_xticks(range(len(names)), names, rotation=45, ha="right")
        ax.set_title(MEASURES[k], fontsize=9)
        ax.tick_params(labelsize=8)
        ticks = [0.5, 1, 2, 5, 10, 20]
        ax.set_yticks(ticks, map(str, ticks))
        ax.yaxis.set_minor_formatter(NullFormatter())
    axes[0].set_ylabel("σ$_\\mathrm{min}$/σ$_\\mathrm{max}$ over that of gto", fontsize=9)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    save(figure, folder)


if __name__ == "__main__":
    try:
        main()
    except ReadError as error:
        sys.exit(f"{error}")
