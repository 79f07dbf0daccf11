"""Measure what models of other packages do not see: null directions by cause, sensitivity, and invisible forces.

python experiments/models/run.py [--forces FILE] [--search] [--starts 12] [--smoke] [--out FOLDER]

FILE holds structures of H, C, N and O with forces, in any format of ASE; two of them are used. Models whose package is
missing are left out. With --search, networks in JAX are searched for displacements that no atom sees, and nothing else
runs.
"""

import sys
import warnings
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import bulk, molecule

import jaxfeat
from jaxfeat.errors import ReadError

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import networks
from common import BLUE, GREEN, ORANGE, PINK, SKY, VERMILION, begin, new_figure, parser, save, show
from networks import ELEMENTS, R_CUT
from search import constructed, search

LITMUS = Atoms("CH4", [[0, 0, 0], [-0.55, 0, 0.95], [0.6, 0.75, 0.5], [0.6, -0.75, -0.5], [-1.09, 0, 0]])
"""The methane of the page on the theory: N_1 has 6, 5, 5, 5, 6 and N_2 1, 0, 0, 0, 1 directions around its atoms."""
LONGEST_REACH = 5.3  # Å: the crystal is for models of one layer only, because clusters of more layers are large
N_FORCES = 2
COLORS = (BLUE, VERMILION, GREEN, ORANGE, PINK, SKY)


def soap():
    from dscribe.descriptors import SOAP

    return jaxfeat.from_dscribe(SOAP(species=list(ELEMENTS), r_cut=R_CUT, n_max=6, l_max=6, sigma=0.3))


def mace(correlation, n_layers):
    return jaxfeat.from_mace(networks.random_mace(correlation, n_layers))


PACKAGES = {
    **{f"MACE, {c} × {n}": lambda c=c, n=n: mace(c, n) for n in (1, 2) for c in (1, 2, 3)},
    "SO3LR": jaxfeat.from_so3lr,
    "ANI-1x": lambda: jaxfeat.from_torchani("ANI-1x"),
    "ANI-2x": lambda: jaxfeat.from_torchani("ANI-2x"),
    "SOAP (DScribe)": soap,
    "e3nn-jax × 1": lambda: networks.e3nn_network(1),
    "e3nn-jax × 2": lambda: networks.e3nn_network(2),
}
"""Models by name. MACE has a correlation × a number of layers, and all weights but those of SO3LR are random."""
OURS = {
    "ACSF": lambda: jaxfeat.SymmetryFunctions(ELEMENTS, R_CUT),
    "power spectrum": lambda: jaxfeat.PowerSpectrum(ELEMENTS, n_max=6, l_max=6, sigma=0.3, r_cut=R_CUT),
    "linear × 1": lambda: networks.scalar_network("linear", 1),
    "linear × 2": lambda: networks.scalar_network("linear", 2),
    "linear × 3": lambda: networks.scalar_network("linear", 3),
    "tanh × 2": lambda: networks.scalar_network("tanh", 2),
    "angles × 1": lambda: networks.scalar_network("angles", 1),
    "angles × 2": lambda: networks.scalar_network("angles", 2),
}
SMOKE = ("SOAP (DScribe)", "ACSF", "power spectrum", "linear × 2")


def benzene():
    """Make an exact hexagon. Rounded coordinates, as in most files, leave singular values of 1e-8 of the largest."""
    angles = np.arange(6) * np.pi / 3
    ring = np.stack([np.cos(angles), np.sin(angles), np.zeros(6)], 1)
    return Atoms("C6H6", np.concatenate([1.395 * ring, 2.482 * ring]))


def subjects():
    """Return each structure with the atoms that are looked at alone: one of each kind."""
    crystal = bulk("C", "diamond", a=3.567, cubic=True)
    crystal.rattle(0.05, seed=0)
    return {
        "methane": (LITMUS, range(5)),
        "ethanol": (molecule("CH3CH2OH"), range(9)),
        "formic acid": (molecule("HCOOH"), range(5)),
        "benzene": (benzene(), (0, 6)),
        "diamond": (crystal, (0,)),
    }


def load(chosen):
    """Make the models, and say which are left out."""
    models = {}
    for name, make in chosen.items():
        try:
            models[name] = make()
        except ImportError as error:
            print(f"left out: {name} ({error})")
    return models


def causes(nulls):
    """Count the null directions of several atoms by cause. Rigid motions are not counted."""
    counts = {cause: sum(null.counts[cause] for null in nulls) for cause in nulls[0].counts if cause != "rigid"}
    named = [f"{cause} {count}" for cause, count in counts.items() if count]
    doubtful = sum(null.status != "ok" for null in nulls)
    return ", ".join(named + [f"{doubtful} doubtful"] * bool(doubtful)) or "0"


def least(nulls):
    """Return the smallest σ_min/σ_max; σ_min is the smallest value that is not null."""
    ratios = [null.sensitivity[0] for null in nulls if np.isfinite(null.sensitivity[0])]
    return min(ratios, default=np.nan)


def look(m, atoms, centers):
    """Classify the null directions of single atoms, and of all atoms together."""
    structure = jaxfeat.structures(atoms, m)
    alone = [jaxfeat.null_space(m, structure, center=center) for center in centers]
    return alone, jaxfeat.null_space(jaxfeat.stacked(m), structure)


def tables(models, chosen):
    """Print the table of each structure, and return the sensitivities of single atoms and of all atoms together."""
    found = {}
    for subject, (atoms, centers) in chosen.items():
        rows = []
        for name, m in models.items():
            if atoms.pbc.any() and float(m.r_cut) > LONGEST_REACH:
                continue
            alone, together = look(m, atoms, centers)
            found[subject, name] = least(alone), least([together])
            numbers = [f"{value:.1e}" for value in found[subject, name]]
            rows.append([name, causes(alone), causes([together]), *numbers])
            if subject == "methane":
                beyond = ", ".join(str(null.nullity - null.rigid - null.symmetry) for null in alone)
                print(f"methane, {name}: {beyond} beyond symmetry for each atom", flush=True)
        columns = [f"{subject}: model", "each atom alone", "stacked", "σ_min/σ_max, worst atom", "stacked"]
        show(f"Null directions of {atoms.get_chemical_formula()}", columns, rows)
    return found


def force_table(models, frames):
    """Print the share of reference forces that no function of the features gives."""
    rows = []
    for name, m in models.items():
        batch = [jaxfeat.structures(atoms, m) for atoms in frames]
        found = [jaxfeat.visible_force(m, s, a.get_forces()) for s, a in zip(batch, frames, strict=True)]
        numbers = ([f"{getattr(one, key):.2g}" for one in found] for key in ("n_null", "invisible_share", "scale_free"))
        rows.append([name, *map(", ".join, numbers)])
    show("Reference forces, all atoms stacked", ["model", "null", "invisible share", "scale-free number"], rows)


def own_forces():
    """Print the share of MACE's own forces, and of the slopes of each atom's energy, outside of the rows of J."""
    from mace.calculators import MACECalculator

    for correlation, n_layers in ((1, 1), (2, 1), (2, 2)):
        model = networks.random_mace(correlation, n_layers)
        calculator, m = MACECalculator(models=[model], device="cpu", default_dtype="float64"), jaxfeat.from_mace(model)
        structure = jaxfeat.structures(LITMUS, m)
        jacobian = np.asarray(jaxfeat.jacobian(jaxfeat.stacked(m), structure)).reshape(5, -1, 15)
        slopes = differences(calculator)
        forces = calculator.get_forces(LITMUS.copy()).ravel()
        shares = [outside(rows, slope) for rows, slope in zip(jacobian, slopes, strict=True)]
        whole = outside(jacobian.reshape(-1, 15), forces)
        print(
            f"MACE, {correlation} × {n_layers}: outside of the rows of J lie {whole:.1e} of its forces, and "
            f"{max(shares):.1e} of the slopes of an atom's energy, by differences"
        )


def outside(rows, vector):
    """Return the share of a vector outside of the span of rows."""
    _, values, directions = np.linalg.svd(rows, full_matrices=False)
    seen = directions[values > 1e-12 * values[0]]
    return np.linalg.norm(vector - seen.T @ (seen @ vector)) / np.linalg.norm(vector)


def differences(calculator, step=1e-3):
    """Derive the energy of each atom by five-point differences."""

    def energies(coordinate, move):
        atoms = LITMUS.copy()
        atoms.positions.flat[coordinate] += move
        calculator.calculate(atoms, ["energy"])
        return np.asarray(calculator.results["node_energy"], float)

    stencil = ((-2, 1), (-1, -8), (1, 8), (2, -1))
    columns = [sum(w * energies(i, k * step) for k, w in stencil) / (12 * step) for i in range(15)]
    return np.stack(columns, 1)


def draw(found):
    names = list(dict.fromkeys(name for _, name in found))
    subjects = list(dict.fromkeys(subject for subject, _ in found))
    figure = new_figure(7.5, 1.4 + 0.27 * len(names))
    axes = figure.subplots()
    for k, (subject, color) in enumerate(zip(subjects, COLORS, strict=False)):
        for row, name in enumerate(names):
            if (subject, name) in found:
                alone, together = found[subject, name]
                height = row + 0.14 * (k - (len(subjects) - 1) / 2)
                axes.plot([alone, together], [height, height], color=color, lw=0.6)
                axes.plot(alone, height, "o", ms=4, color=color, mfc="white")
                axes.plot(together, height, "o", ms=4, color=color)
        axes.plot([], [], "o", color=color, label=subject)
    axes.set_xscale("log")
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel(
        "σ_min/σ_max, null directions aside: open, the worst atom alone; filled, all atoms stacked", fontsize=8
    )
    axes.tick_params(labelsize=8)
    axes.grid(axis="y", color="0.9", lw=0.5)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=8, frameon=False, ncols=len(subjects), loc="lower center", bbox_to_anchor=(0.45, 1.0))
    return figure


def main(argv=None):
    words = parser(__doc__)
    words.add_argument("--forces", type=Path, metavar="FILE", help="structures with reference forces")
    words.add_argument("--search", action="store_true", help="search networks for structures that they do not see")
    words.add_argument("--starts", type=int, default=12, help="random starts of each search")
    arguments = words.parse_args(argv)
    folder = begin(arguments, __file__)
    # Packages of models warn of what they do with their own tables.
    warnings.filterwarnings("ignore")
    if arguments.search:
        search(arguments.starts)
        return
    frames = []
    if arguments.forces:
        try:
            frames = jaxfeat.read(arguments.forces).atoms
        except ReadError as error:
            words.error(str(error))
        frames = [frames[k] for k in np.linspace(0, len(frames) - 1, N_FORCES).astype(int)]
    chosen, known = subjects(), {**PACKAGES, **OURS}
    if arguments.smoke:
        chosen, known = {"methane": chosen["methane"]}, {name: known[name] for name in SMOKE}
    models = load(known)
    found = tables(models, chosen)
    constructed(models)
    if frames:
        force_table(models, frames)
    if any(name.startswith("MACE") for name in models):
        own_forces()
    save(draw(found), folder)


if __name__ == "__main__":
    main()
