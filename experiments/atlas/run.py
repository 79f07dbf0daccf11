"""Find singular environments by number of neighbors, order of the features and species, and sort them into families.

python experiments/atlas/run.py [--starts 600] [--points FOLDER] [--smoke] [--out FOLDER]
"""

import json
import re
import sys
import time
from collections import Counter, defaultdict
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

import jaxfeat

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common import begin, new_figure, parser, save, show
from landing import LANDED, land
from patterns import count_patterns, realize

RADII, MIN_DISTANCE = (0.8, 1.6), 0.5
"""Distances of the neighbors from the center in starts, Å, and the smallest distance between two of them."""
KEPT_RADII, KEPT_DISTANCE = (0.5, 2.0), 0.3
"""The same for landed points. Others are counted as out of bounds."""
SPECIES = {"one": ("H",), "two": ("H", "O")}
ORDERS = {"ν = 2": (2, False), "ν = 3": (3, False), "ν = 3 with pseudoscalars": (3, True)}
SIZES = {"ν = 2": range(2, 9), "ν = 3": range(2, 9), "ν = 3 with pseudoscalars": range(2, 6)}
SHARES = {2: (0.1, 0.1, 16, 16, 8, 4, 2), 3: (0.1, 0.1, 0.5, 0.5, 0.3, 0.15, 0.1)}
"""The numbers of starts for 2, 3, ... neighbors in terms of `--starts`. Large environments and triples cost more."""
PATTERNS = (3, 3, 0), (4, 4, 0), (5, 5, 100), (6, 3, 16)
"""Numbers of neighbors, the most like neighbors at one radius, and starts for each pattern that could hide more."""
NUMBERS = 1, 8, 6, 7, 9, 17
"""Atomic numbers of the shells of a pattern."""
MOVES = (0.02, 0.1, 0.3)  # distances (Å) of starts from members of known families, for ν = 3


class Search(NamedTuple):
    """One search: counts of starts, of landed points in bounds, and of those that hide more than symmetry does."""

    order: str
    neighbors: int
    species: str
    start: str
    starts: int
    landed: int
    out_of_bounds: int
    incomplete: int
    hidden: dict
    seconds: float


def symbols(n, name):
    kinds = SPECIES[name]
    return [kinds[i % len(kinds)] for i in range(n)]


def count_hidden(env, nu, pseudoscalars):
    """Count the null directions that the next order sees."""
    return (
        jaxfeat.complete_kernel(env, nu, pseudoscalars).nullity
        - jaxfeat.complete_kernel(env, nu + 1, pseudoscalars).nullity
    )


def search(order, starts, names, name, start):
    """Land starts `(b, n, 3)` and return the counts with the incomplete points."""
    nu, pseudoscalars = ORDERS[order]
    begun, n = time.process_time(), starts.shape[1]
    numbers = jaxfeat.Environment.from_neighbors(starts[0], names).species
    positions, residual = land(starts, np.asarray(numbers), nu, pseudoscalars)
    landed = np.flatnonzero(residual < LANDED)
    radii = np.linalg.norm(positions[landed], axis=2)
    apart = np.linalg.norm(positions[landed, :, None] - positions[landed, None], axis=3) + 9 * np.eye(n)
    inside = (radii.min(1) > KEPT_RADII[0]) & (radii.max(1) < KEPT_RADII[1]) & (apart.min((1, 2)) > KEPT_DISTANCE)
    hidden = [
        count_hidden(jaxfeat.Environment.from_neighbors(x, names), nu, pseudoscalars) for x in positions[landed[inside]]
    ]
    found = positions[landed[inside]][np.asarray(hidden, int) > 0]
    counts = {str(k): v for k, v in sorted(Counter(h for h in hidden if h > 0).items())}
    made = Search(order, n, name, start, len(starts), int(inside.sum()), int((~inside).sum()), len(found), counts,
                  round(time.process_time() - begun, 1))  # fmt: skip
    print(
        f"N = {n}, {order}, {name} species, {start}: {made.landed} of {len(starts)} land, {made.out_of_bounds} out of "
        f"bounds, {made.incomplete} hide more than symmetry, {made.seconds:.0f} s",
        flush=True,
    )
    return made, found


def random_starts(n, name, count):
    drawn = jaxfeat.manifolds.random_environments(jax.random.key(n), count, symbols(n, name), RADII, MIN_DISTANCE, None)
    return np.asarray(drawn.positions)


def starts_near(stratum, count, move):
    """Move members of a family at random by `move` Å."""
    rng = np.random.default_rng(0)
    members = [np.asarray(stratum.member(seed, ("H",)).positions) for seed in range(count)]
    return np.stack(members) + move * rng.normal(size=(count, stratum.n_neighbors, 3)) / np.sqrt(3)


def list_searches(arguments):
    """List the searches: order, symbols' name, name of the starts, and a function that makes the starts."""
    names, orders = list(SPECIES), list(ORDERS)
    if arguments.smoke:
        names, orders = names[:1], orders[:1]
    for order in orders:
        nu, pseudoscalars = ORDERS[order]
        for n in (4,) if arguments.smoke else SIZES[order]:
            count = max(int(arguments.starts * SHARES[nu][n - 2]) // (2 if pseudoscalars else 1), 8)
            for name in names:
                yield order, n, name, "random", partial(random_starts, n, name, count)
    if arguments.smoke:
        return
    for n in (4, 5, 6):
        for nu, move in ((2, 0.1), *((3, move) for move in MOVES)):
            for family in jaxfeat.strata(n, nu).values():
                if family.name != "planar":
                    count = max(arguments.starts // (50 if nu == 2 else 20), 8)
                    start = f"{move} Å from {family.name}, ν = {nu}"
                    yield "ν = 3", n, "one", start, partial(starts_near, family, count, move)


def search_all(arguments):
    """Run all searches, or read those that a folder has. Return them and their incomplete points, by search."""
    made, points = [], {}
    for order, n, name, start, make in list_searches(arguments):
        key = f"{order}|{n}|{name}|{start}"
        file = arguments.points / f"{re.sub('[^a-zA-Z0-9.]+', '-', key)}.npz" if arguments.points else None
        if file is not None and file.exists():
            with np.load(file) as kept:
                one, points[key] = Search(**json.loads(str(kept["search"]))), kept["points"]
        else:
            one, points[key] = search(order, make(), symbols(n, name), name, start)
            if file is not None:
                np.savez(file, search=json.dumps(one._asdict()), points=points[key])
        made.append(one)
    return made, points


def classify(points):
    """Sort incomplete points into families. New ones are named by their coincidences. The rows are sorted by search and
    frequency, and hold an example of the smallest codimension."""
    rows = defaultdict(list)
    for key, positions in points.items():
        order, n, name, start = key.split("|")
        nu, pseudoscalars = ORDERS[order]
        for x in positions:
            env = jaxfeat.Environment.from_neighbors(x, symbols(int(n), name))
            if int(n) < 4:
                rows[order, int(n), name, start, "fewer than 4 neighbors", False].append((0, 0, x))
                continue
            try:
                found = jaxfeat.propose_stratum(env, nu, pseudoscalars)
            except jaxfeat.errors.GeometryError:
                rows[order, int(n), name, start, "not exact", False].append((0, 0, x))
                continue
            family = found.strata[0].name if found.known else f"new: {found.coincidences}"
            if not found.hidden:
                family = "symmetric where its coincidences are exact"
            codimension = found.stratum.codimension if found.stratum is not None else found.codimension
            rows[order, int(n), name, start, family, found.known].append((codimension, found.hidden, found.positions))
    columns = "order", "neighbors", "species", "start", "family", "known"
    made = []
    for key, members in sorted(rows.items(), key=lambda row: (*row[0][:4], -len(row[1]))):
        codimension, hidden, x = min(members, key=lambda member: member[:2])
        made.append(
            dict(zip(columns, key, strict=True))
            | {"points": len(members), "codimension": codimension, "hidden": hidden}
            | ({} if key[-1] else {"example": np.round(x, 10).tolist()})
        )
    return made


def prove_members(sizes):
    """Prove a random member of every family."""
    rows = []
    for order, (nu, pseudoscalars) in ORDERS.items():
        for n in sizes:
            for stratum in jaxfeat.strata(n, nu, pseudoscalars).values():
                if stratum.name == "planar":
                    continue
                found = jaxfeat.prove(stratum.member(1, ("H",)), nu, pseudoscalars)
                row = {"order": order, "neighbors": n, "family": stratum.name, "proved": found.proved}
                rest = {"radius": found.radius, "seen_by": found.seen_by} if found.proved else {"reason": found.reason}
                rows.append(row | rest)
    return rows


def exact_algebra(n, largest, n_starts):
    """Count the patterns of n neighbors, and look for positions of those that could hide more from ν = 3."""
    total, excess = count_patterns(n, largest)
    rng, realized = np.random.default_rng(0), []
    for pattern in excess:
        for x in realize(pattern, n_starts, rng):
            apart = np.linalg.norm(x[:, None] - x, axis=2) + 9 * np.eye(n)
            if min(apart.min(), np.linalg.norm(x, axis=1).min()) < 0.1:
                continue
            env = jaxfeat.Environment.from_neighbors(x, np.asarray(NUMBERS)[list(pattern.shells)])
            if count_hidden(env, 3, False) > 0:
                realized.append({**pattern._asdict(), "example": np.round(x, 10).tolist()})
                break
    made = {"neighbors": n, "largest": largest, "patterns": total, "excess": len(excess), "realized": realized}
    print(
        f"N = {n}, up to {largest} like: {total} patterns, of which {len(excess)} could hide more than symmetry from "
        f"ν = 3, and {len(realized)} do",
        flush=True,
    )
    return made


def members():
    """Make a member of each family of ν = 3."""
    for n, name, chiral in (
        (4, "achiral triples", True),
        (5, "heptagon", False),
        (6, "rods", False),
        (7, "rings", True),
    ):
        yield name, jaxfeat.strata(n, 3, chiral)[name].member(1, ("H",))


def nullities():
    """Count the null directions of the complete basis, rigid motions included, at a member of each family of ν = 3."""
    kinds = (2, False), (3, False), (3, True), (4, False), (4, True)
    return [
        (name, len(env.positions), *(jaxfeat.complete_kernel(env, *kind).nullity for kind in kinds))
        for name, env in members()
    ]


def bispectra():
    """Count the null directions of bispectra of growing size at the same members, by cause."""
    rows = []
    for name, env in members():
        for size in (4, 6, 8):
            for pseudoscalars in (False, True):
                f = jaxfeat.Bispectrum(("H",), r_cut=4.0, n_max=3, l_max=size, pseudoscalars=pseudoscalars)
                null = jaxfeat.null_space(f, env)
                causes = null.symmetry, null.incompleteness, null.truncation
                rows.append((name, "with" if pseudoscalars else "without", size, f.n_features, *causes))
    return rows


def draw(searches):
    """Draw the shares of incomplete points, above members of three families with the displacements that they hide."""
    figure = new_figure(8.6, 4.8)
    top, bottom = figure.subfigures(2, 1, height_ratios=(1, 0.75))
    panels = top.subplots(1, len(SPECIES), sharey=True)
    orders, sizes = list(ORDERS), sorted({search.neighbors for search in searches})
    for axes, name in zip(panels, SPECIES, strict=True):
        shares = np.full((len(orders), len(sizes)), np.nan)
        for one in searches:
            if one.species == name and one.start == "random" and one.landed:
                i, j = orders.index(one.order), sizes.index(one.neighbors)
                shares[i, j] = one.incomplete / one.landed
                color = "black" if shares[i, j] < 0.6 else "white"
                text = f"{one.incomplete}\n{one.landed}"
                axes.text(j, i, text, ha="center", va="center", fontsize=7.5, color=color)
        image = axes.imshow(shares, cmap="Oranges", vmin=0, vmax=1, aspect="auto")
        axes.set_xticks(range(len(sizes)), sizes)
        axes.set_yticks(range(len(orders)), [order.replace(" with ", "\nwith\n") for order in orders])
        axes.set_xlabel("neighbors")
        axes.set_title(f"{name} species")
        axes.tick_params(length=0)
    top.colorbar(image, ax=panels, pad=0.02, label="landed points that hide\nmore than symmetry does")
    shown = ((4, 2, False, "A_1"), (5, 3, False, "heptagon"), (6, 3, False, "rods"), (4, 3, True, "achiral triples"))
    for axes, (n, nu, chiral, name) in zip(bottom.subplots(1, len(shown)), shown, strict=True):
        stratum = jaxfeat.strata(n, nu, chiral)[name]
        env = stratum.member(1, ("H",))
        title = f"{name}, N = {n}, ν = {nu}" + (",\npseudoscalars" if chiral else "")
        jaxfeat.plot.displacement(env, stratum.direction(env.positions), axes, title, "incompleteness")
    return figure


def main(argv=None):
    options = parser(__doc__)
    options.add_argument("--starts", type=int, default=600, help="the unit of numbers of starts (default: %(default)s)")
    options.add_argument("--points", type=Path, metavar="FOLDER", help="keeps the searches that are done")
    options.add_argument(
        "--patterns", type=int, default=5, help="most neighbors in exact algebra (default: %(default)s)"
    )
    arguments = options.parse_args(argv)
    folder = begin(arguments, __file__)
    if arguments.smoke:
        arguments.starts = 4
    if arguments.points:
        arguments.points.mkdir(parents=True, exist_ok=True)
    searches, points = search_all(arguments)
    families = classify(points)
    algebra = []
    for case in PATTERNS[: 2 if arguments.smoke else None]:
        file = arguments.points / f"patterns-{case[0]}.json" if arguments.points else None
        algebra.append(json.loads(file.read_text()) if file and file.exists() else exact_algebra(*case))
        if file:
            file.write_text(json.dumps(algebra[-1]))
    show(
        "families that hide more than symmetry does",
        ("search", "family", "codimension", "hidden", "points"),
        [
            (f"N = {row['neighbors']}, {row['order']}, {row['species']}, {row['start']}", row["family"],
             row["codimension"], row["hidden"], row["points"])
            for row in families
        ],
    )  # fmt: skip
    orders = "ν = 2", "ν = 3", "3, pseudoscalars", "ν = 4", "4, pseudoscalars"
    show("null directions of the complete basis, rigid ones included", ("family", "N", *orders), nullities())
    if not arguments.smoke:
        columns = "family", "pseudoscalars", "l_max", "features", "symmetry", "incompleteness", "truncation"
        show("null directions of bispectra with n_max = 3", columns, bispectra())
        kept = {
            "searches": [one._asdict() for one in searches], "families": families, "algebra": algebra,
            "proofs": prove_members(range(4, 9)),
        }  # fmt: skip
        unproved = [
            f"{row['family']}, N = {row['neighbors']}: {row['reason']}" for row in kept["proofs"] if not row["proved"]
        ]
        print(f"members proved: {len(kept['proofs']) - len(unproved)} of {len(kept['proofs'])}", *unproved, sep="\n")
        lists = (f"{json.dumps(name)}: [\n" + ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n]"
                 for name, rows in kept.items())  # fmt: skip
        (folder / "atlas.json").write_text("{\n" + ",\n".join(lists) + "\n}\n")
    save(draw(searches), folder)


if __name__ == "__main__":
    main()
