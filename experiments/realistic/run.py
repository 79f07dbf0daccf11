"""Measure the sensitivity of the power spectrum on real structures, in the usual basis and in a small one.

python experiments/realistic/run.py [FILE ...] [--path FILE] [--smoke] [--out FOLDER]

Looks at ASE's g2 molecules and dcdft crystals, at random methanes and at rattled silicon; at the frames of each FILE;
and follows the environments of --path from frame to frame.
"""

import sys
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np
from ase.build import bulk

import jaxfeat
from jaxfeat.errors import ReadError
from jaxfeat.geometry.files.read import read
from jaxfeat.nulls.scan import scan

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common import begin, parser, save, show
from distributions import CAUSES, cause, draw, ratios
from follow import follow

R_CUT = 4.0
MOST_FRAMES = 50
"""Number of frames of a file, evenly spaced from the first."""
RATTLES = (0.0, 0.001, 0.01, 0.05, 0.1, 0.2)
"""Standard deviations of each coordinate, Å."""
MOST_GROUPS = 6


class Set(NamedTuple):
    """A set of environments `(b,)`, the group of each environment, and the order of the groups."""

    batch: jaxfeat.Environment
    groups: list[str]
    order: list[str]


def sets(files, smoke):
    """Return the sets by name."""
    if smoke:
        molecules = read("g2")
        chosen = [molecules.names.index(name) for name in ("CH4", "C2H2")]
        found = {"g2": by_species([molecules.atoms[k] for k in chosen])}
        methanes = read("random-methane:6")
    else:
        found = {"g2": by_species(read("g2").atoms), "dcdft": by_neighbors(read("dcdft").atoms), "silicon": rattled()}
        methanes = read("random-methane:20000")
    found["random methane"] = by_species(methanes.atoms, methanes.centers)
    for file in files:
        frames = read(file).atoms
        step = -(-len(frames) // MOST_FRAMES)
        print(f"{file.name}: frames 0, {step}, {2 * step} ... of {len(frames)}")
        found[file.stem] = by_species(frames[::step])
    return found


def by_species(structures, centers=None):
    batch = jaxfeat.environments(structures, R_CUT, centers)
    where = zip(batch.structure_index.tolist(), batch.center_index.tolist(), strict=True)
    symbols = [structures[i].symbols[j] for i, j in where]
    common = [symbol for symbol, _ in Counter(symbols).most_common()]
    shown = common if len(common) <= MOST_GROUPS else common[: MOST_GROUPS - 1]
    return Set(batch, [symbol if symbol in shown else "other" for symbol in symbols], [*shown, "other"])


def by_neighbors(structures):
    batch = jaxfeat.environments(structures, R_CUT)
    names = ["1-12", "13-18", "> 18"]
    return Set(batch, [names[(n > 12) + (n > 18)] for n in batch.n_neighbors.tolist()], names)


def rattled():
    cells = []
    for seed, amplitude in enumerate(RATTLES):
        cell = bulk("Si", "diamond", a=5.43, cubic=True) * (2, 2, 2)
        cell.rattle(amplitude, seed=seed)
        cells.append(cell)
    batch = jaxfeat.environments(cells, R_CUT)
    names = [f"{amplitude:g} Å" for amplitude in RATTLES]
    return Set(batch, [names[i] for i in batch.structure_index.tolist()], names)


def bases(smoke):
    """Return n_max and l_max by name, with the default of the command line first."""
    return {"default": (2, 3)} if smoke else {"default": (8, 6), "small": (4, 3)}


def featurizer(batch, n_max, l_max):
    numbers = np.unique(np.concatenate([np.ravel(batch.species), np.ravel(batch.center_species)]))
    return jaxfeat.PowerSpectrum(tuple(numbers[numbers > 0].tolist()), r_cut=R_CUT, n_max=n_max, l_max=l_max)


def grouped(looked_at, records):
    """Return the records with a spectrum by group, without empty groups."""
    members = {name: [] for name in looked_at.order}
    for name, record in zip(looked_at.groups, records, strict=True):
        members[name] += [record] if record["sigma"] else []
    return {name: found for name, found in members.items() if found}


def row(records):
    """Count the records, the null directions by cause, and give quantiles of σ_min/σ_max."""
    values = (ratios(records, equilibrated=equilibrated)[0] for equilibrated in (True, False))
    quantiles = [f"{q:.0e}" for v in values for q in np.quantile(v, (0.5, 0.01), method="lower")]
    counts = Counter(map(cause, records))
    return [len(records), *quantiles, *(counts[name] for name in CAUSES)]


def main(argv=None):
    words = parser(__doc__)
    words.add_argument("files", nargs="*", type=Path, metavar="FILE", help="structures, in any format of ASE")
    words.add_argument("--path", type=Path, metavar="FILE", help="frames of the same atoms that follow one another")
    arguments = words.parse_args(argv)
    folder = begin(arguments, __file__)
    try:
        looked_at_by_name = sets(arguments.files, arguments.smoke)
        path = read(arguments.path).atoms if arguments.path else []
    except ReadError as error:
        words.error(str(error))
    if any(frame.numbers.tolist() != path[0].numbers.tolist() for frame in path):
        words.error(f"{arguments.path}: its frames do not hold the same atoms in the same order; a path does.")
    chosen = bases(arguments.smoke)
    found, rows = {}, []
    for name, looked_at in looked_at_by_name.items():
        by_basis = {}
        for basis, sizes in chosen.items():
            f = featurizer(looked_at.batch, *sizes)
            records = scan(f, looked_at.batch)
            by_basis[basis] = grouped(looked_at, records)
            counts = Counter(cause(record) for record in records if record["sigma"])
            listed = ", ".join(f"{why} {counts[why]}" for why in CAUSES)
            print(f"{name}, {basis}: {sum(counts.values())} environments, null directions by {listed}", flush=True)
            rows += [[f"{name}, {group}, {basis}", *row(records)] for group, records in by_basis[basis].items()]
            if len(f.species) == 1:
                most = 3 * looked_at.batch.max_neighbors - 3
                print(f"{name}, {basis}: {f.n_features} features for {most} displacements that are not rigid")
        found[name] = by_basis
    head = ("", "envs", "equil.\nmedian", "1 %", "raw\nmedian", "1 %", *CAUSES)
    show("σ_min/σ_max (null ones count as the floor), and environments with null directions by cause", head, rows)
    save(draw(found), folder)
    if path:
        save(follow(arguments.path.stem, path, *chosen["default"]), folder, "path.png")


if __name__ == "__main__":
    main()
