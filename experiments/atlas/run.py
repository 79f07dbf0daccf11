"""Count singular points by number of neighbors, order of the features and species.

python experiments/atlas/run.py [--starts 24] [--smoke] [--out FOLDER]
"""

import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

import jaxfeat
from jaxfeat.singular.random_invariants import random_invariants

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common import begin, new_figure, parser, save, show
from signature import closed_form, coincidences

RADII, MIN_DISTANCE = (0.8, 1.6), 0.5
"""Distances of the neighbors from the center in starts and constraints, Å."""
LENGTH = {1: 0.4, 2: 0.4, 3: 1.2}
"""Length of the waves of the invariants by order, Å. The invariants are waves in dot products in units of its square.
Long waves hardly see many pairs, and short waves have minima everywhere in the six products of a triple. Most starts
land with these lengths."""
PROCESSES = 2
SPECIES = {"one species": ("H",), "two species": ("H", "O")}


class Family(NamedTuple):
    """The properties that points of one family share. `coincidences` names the angles and radii."""

    null: str
    radii: str
    angles: str
    closed: str


class Case(NamedTuple):
    """The counts of one search: landed points, symmetric points, points that hide more, and their codimension."""

    neighbors: int
    nu: int
    species: str
    starts: int
    landed: int
    symmetric: int
    incomplete: int
    codimension: int | None
    families: dict
    generic: int
    seconds: float


def basis_free(n, nu, rng):
    """Make random invariants of the tuples of neighbors. They stand for a complete basis of this order, so that
    symmetry and incompleteness are the only causes."""
    drawn = random_invariants(n, nu, "O3", LENGTH[nu], rng)
    center = np.int32(0)

    def features(positions, species, mask):
        return drawn(jaxfeat.Environment(positions, species, mask, center, center - 1, center - 1))

    return jaxfeat.function(features, nu=nu)


def random_starts(n, name, count):
    kinds = SPECIES[name]
    symbols = [kinds[i % len(kinds)] for i in range(n)]
    return jaxfeat.manifolds.random_environments(jax.random.key(0), count, symbols, RADII, MIN_DISTANCE, None)


def ring_starts(count):
    """Move the published isosceles rings, which are incomplete for ν = 3, at random by 0.05 Å."""
    rings = jaxfeat.manifolds.ring_pair(1.2, (0.0, 1.1, -1.1), 0.6, 0.7, 1.3, 1, center_species=None)
    moves = 0.05 * np.random.default_rng(0).normal(size=(count, 7, 3))
    return jax.vmap(rings.with_positions)(rings.positions + moves)


def float64():
    """Set up each process."""
    jax.config.update("jax_enable_x64", True)


def search(name, nu, n, count):
    starts = ring_starts(count) if name == "rings" else random_starts(n, name, count)
    # A bispectrum leads back to the rings. In the metric of the invariants mirror planes are nearer.
    f = jaxfeat.Bispectrum(("H",), n_max=2, l_max=6) if name == "rings" else basis_free(n, nu, np.random.default_rng(0))
    begun = time.perf_counter()
    constraints = jaxfeat.Free(RADII, MIN_DISTANCE)
    points = jaxfeat.find_singular_points(f, starts, constraints=constraints)
    families, dimensions = Counter(), {}
    for i in np.flatnonzero(points.landed).tolist():
        null = points.null_space[i]
        if null is None or not null.incompleteness:
            continue
        x, z = points.positions[i], np.asarray(starts.species[i])
        radii, angles, equations = coincidences(x, z)
        hidden = f"incompleteness {null.incompleteness}" + (f", symmetry {null.symmetry}" if null.symmetry else "")
        family = Family(hidden, radii, angles, closed_form(x, z) if nu == 2 else "")
        families[family] += 1
        # If sets meet, the linearised equations give the dimension of their span. The coincidences bound it as well.
        dimension = min(int(points.dimension[i]), 3 * n - 3 - equations) if nu > 1 else int(points.dimension[i])
        dimensions[family] = min(dimension, dimensions.get(family, dimension))
    return Case(
        n, nu, name, count, int(points.landed.sum()), int((points.counts("symmetry") > 0).sum()),
        int((points.counts("incompleteness") > 0).sum()),
        3 * n - 3 - max(dimensions.values()) if dimensions else None,
        {family: (number, 3 * n - 3 - dimensions[family]) for family, number in families.most_common()},
        jaxfeat.null_space(f, starts[0]).nullity - 3, time.perf_counter() - begun,
    )  # fmt: skip


def draw(cases):
    figure = new_figure(8.6, 2.9)
    panels = figure.subplots(1, len(SPECIES), sharey=True)
    orders, sizes = (sorted({getattr(case, name) for case in cases}) for name in ("nu", "neighbors"))
    for axes, name in zip(panels, SPECIES, strict=True):
        shares = np.full((len(orders), len(sizes)), np.nan)
        for case in cases:
            if case.species != name:
                continue
            i, j = orders.index(case.nu), sizes.index(case.neighbors)
            shares[i, j] = case.incomplete / max(case.landed, 1)
            text = f"{case.incomplete}/{case.landed}"
            if case.codimension is not None:
                text += f"\ncodim {case.codimension}"
            axes.text(
                j, i, text, ha="center", va="center", fontsize=8, color="black" if shares[i, j] < 0.75 else "white"
            )
        image = axes.imshow(shares, cmap="YlOrRd", vmin=0, vmax=1, aspect="auto")
        axes.set_xticks(range(len(sizes)), sizes)
        axes.set_yticks(range(len(orders)), [f"ν = {nu}" for nu in orders])
        axes.set_xlabel("neighbors", fontsize=9)
        axes.set_title(name, fontsize=9)
        axes.tick_params(length=0, labelsize=8)
    bar = figure.colorbar(image, ax=panels, pad=0.02)
    bar.set_label("landed points that hide\nmore than symmetry does", fontsize=8)
    bar.ax.tick_params(labelsize=8)
    return figure


def main(argv=None):
    options = parser(__doc__)
    options.add_argument(
        "--starts", type=int, default=24, help="of each search; a third for ν = 3 (default: %(default)s)"
    )
    arguments = options.parse_args(argv)
    folder = begin(arguments, __file__)
    sizes, orders, names, count = range(2, 8), (1, 2, 3), list(SPECIES), arguments.starts
    if arguments.smoke:
        sizes, orders, names, count = (3, 4), (1, 2), names[:1], 8
    cases = []
    # There are many triples, hence fewer starts. The longest searches come first, so that no process waits for another.
    many = [
        (name, nu, n, count // 3 if nu == 3 else count) for nu in orders[::-1] for n in sizes[::-1] for name in names
    ]
    if arguments.smoke:
        many.remove((names[0], 1, 3, count))
    else:
        many.insert(0, ("rings", 3, 7, count // 3))
    # Processes are spawned, because JAX does not survive a fork.
    with ProcessPoolExecutor(1 if arguments.smoke else PROCESSES, get_context("spawn"), float64) as pool:
        for case in pool.map(search, *zip(*many, strict=True)):
            cases.append(case)
            print(
                f"N = {case.neighbors}, ν = {case.nu}, {case.species}: {case.landed} of {case.starts} land, symmetric "
                f"{case.symmetric}, incomplete {case.incomplete}, generic nulls {case.generic}, {case.seconds:.0f} s",
                flush=True,
            )
    cases.sort(key=lambda case: (case.species, case.nu, case.neighbors))
    show(
        "families that hide more than symmetry does",
        ("case", "null directions", "equal radii", "equal angles", "codimension", "points", "closed form"),
        [
            (f"N = {case.neighbors}, ν = {case.nu}, {case.species}", *family[:3], codimension, number, family.closed)
            for case in cases if case.nu > 1
            for family, (number, codimension) in case.families.items()
        ],
    )  # fmt: skip
    save(draw(cases), folder)


if __name__ == "__main__":
    main()
