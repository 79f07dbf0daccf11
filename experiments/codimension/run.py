"""Measure the codimension of the incomplete environments of ν = 2 over finite fields, and test each step of its proof.

python experiments/codimension/run.py [--hits 600] [--smoke] [--out FOLDER]
"""

import sys
import time
from math import comb
from pathlib import Path

import numpy as np

import jaxfeat

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common import BLUE, GREEN, GREY, VERMILION, begin, new_figure, parser, save, show
from finite_field import class_rows, count_points, orbit_rows, values
from proof_cases import FAR, check_cases, check_cone, check_gauges, draw, rank

PRIMES = {3: (11, 19, 31), 4: (11, 17, 23, 31, 43), 5: (11, 19, 29, 41), 6: (11, 17, 23)}
SMOKE_PRIMES = {3: (7,), 4: (7, 11)}
MOST = 8_000_000  # environments of one kind: a minute


def shell_sizes(n, largest=None):
    """List the sizes of shells of n neighbors, in descending order."""
    if n == 0:
        yield ()
    for size in range(min(n, largest or n), 0, -1):
        for rest in shell_sizes(n - size, size):
            yield (size, *rest)


def families(n):
    """Count the families of codimension N - 1 in which two given neighbors are b and b': A_k and opposite heights."""
    return sum(comb(n - 2, k) for k in range(1, n - 2)) + (n - 2 if n > 3 else 0)


def fitted_codimension(shells, counts):
    """Fit the codimension: that of the equal radii, and the power of 1/p with which the share of points falls."""
    primes = [p for p, count in counts.items() if count.incomplete > 9]
    if len(primes) < 2:
        return None
    shares = [counts[p].incomplete / counts[p].points for p in primes]
    weights = [counts[p].incomplete ** 0.5 for p in primes]
    return sum(shells) - len(shells) - np.polyfit(np.log(primes), np.log(shares), 1, w=weights)[0]


def measure(primes, hits, rng):
    """Count incomplete points for every kind of shells."""
    found = {}
    for n, fields in primes.items():
        for shells in shell_sizes(n):
            if len(shells) == n:
                continue  # all radii differ, and nothing coincides
            most_frequent = shells == (2,) + (1,) * (n - 2)
            for p in fields:
                # The scaled shares are close to these numbers.
                wanted = hits * (2 / max(families(n), 1) if most_frequent else 0.1) * p ** (len(shells) - 1)
                wanted = int(min(max(wanted, 2000 if hits > 99 else 300), MOST))
                found.setdefault(shells, {})[p] = count_points(shells, p, wanted, rng)
    return found


def measure_planar(primes, hits, rng):
    """Count incomplete points among four neighbors in a plane. The plane itself costs two more."""
    found = {}
    for shells in ((2, 1, 1), (2, 2), (3, 1), (4,)):
        for p in primes:
            wanted = min(max(hits * p ** len(shells) // 2, 300), MOST // 4)
            found.setdefault(shells, {})[p] = count_points(shells, p, wanted, rng, planar=True)
    return found


def compare_kernels(n, count, rng):
    """Compare the nullities of N₂ and of symmetry, modulo a prime, with those of jaxfeat at integer points."""
    equal = tried = 0
    for _ in range(count):
        x = draw(n, 2, rng)
        if not x.any(1).all() or len(np.unique(x, axis=0)) < n:
            continue
        key = values(x[None], FAR)[0]
        exact = [class_rows(x[None], (key[:, :, None, None] == key)[None])[0], orbit_rows(x, key)]
        env = jaxfeat.Environment.from_neighbors(x.astype(float), ["H"] * n)
        oracle = [jaxfeat.complete_kernel(env, nu).nullity for nu in (2, 4)]
        equal += [3 * n - rank(rows) for rows in exact] == oracle
        tried += 1
    return equal, tried


def draw_figure(found):
    figure = new_figure(7.2, 3.2)
    axes = figure.subplots()
    for n, color in zip((4, 5, 6), (BLUE, VERMILION, GREEN), strict=True):
        kinds = {shells: counts for shells, counts in found.items() if sum(shells) == n}
        for shells, counts in kinds.items():
            main = shells == (2,) + (1,) * (n - 2)
            primes = [p for p, count in counts.items() if count.incomplete]
            scaled = [counts[p].incomplete / counts[p].points * p ** (len(shells) - 1) for p in primes]
            errors = [2 * y / counts[p].incomplete ** 0.5 for p, y in zip(primes, scaled, strict=True)]
            if main:
                axes.errorbar(primes, scaled, errors, fmt="o", ms=4, color=color, label=f"N = {n}: two equal radii")
                axes.axhline(families(n), color=color, lw=0.8, ls="--")
            else:
                axes.plot(primes, scaled, "-", color=color, lw=0.7, alpha=0.6)
    axes.plot([], [], "-", color=GREY, lw=0.8, label="more equal radii")
    axes.plot([], [], "--", color=GREY, lw=0.8, label="families in closed form")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks([11, 17, 23, 31, 43], ["11", "17", "23", "31", "43"])
    axes.minorticks_off()
    axes.set_xlabel("elements p of the field", fontsize=9)
    axes.set_ylabel("incomplete points\nas a multiple of $p^{-(N-1)}$", fontsize=9)
    axes.tick_params(labelsize=8)
    axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
    return figure


def main(argv=None):
    options = parser(__doc__)
    options.add_argument("--hits", type=int, default=600, help="incomplete points to aim at in each count")
    arguments = options.parse_args(argv)
    folder = begin(arguments, __file__)
    rng, begun = np.random.default_rng(0), time.process_time()
    smoke = arguments.smoke

    check_gauges(rng)
    check_cone(5 if smoke else 200, rng)
    print("the dimensions behind the lemmas, and the cone: as stated")
    cases = {}
    for n, reach, count in ((4, 2, 20_000), (5, 2, 20_000), (6, 1, 10_000), (6, 3, 10_000), (7, 1, 5_000)):
        for name, number in check_cases(n, reach, count // 200 if smoke else count, rng).items():
            cases[name] = cases.get(name, 0) + number
    show("Cases of the proof at integer points, N = 4 to 7", ["case", "points"], sorted(cases.items()))
    print(f"the statements of the proof hold at {sum(cases.values())} of {sum(cases.values())} points")
    for n in (3, 4):
        equal, tried = compare_kernels(n, 10 if smoke else 300, rng)
        print(f"N = {n}: nullities modulo 2^31 - 1 are those of complete_kernel: {equal} of {tried}")

    found = measure(SMOKE_PRIMES if smoke else PRIMES, 40 if smoke else arguments.hits, rng)
    rows = []
    for shells, counts in found.items():
        p = max(counts)
        scaled = [counts[p].points and x / counts[p].points * p ** (len(shells) - 1) for x in counts[p][1:]]
        fit = fitted_codimension(shells, counts)
        rows.append((
            f"{sum(shells)}: {' + '.join(map(str, shells))}", sum(c.points for c in counts.values()),
            sum(c.incomplete for c in counts.values()), sum(c.known for c in counts.values()),
            p, *(f"{x:.2f}" for x in scaled), "" if fit is None else f"{fit:.2f}",
        ))  # fmt: skip
    columns = ["N: shells", "points", "incomplete", "known", "p", "changing", "incomplete", "known", "codim"]
    show("Random points over finite fields; columns after p are multiples of p^-(N-1)", columns, rows)
    for n in sorted({sum(shells) for shells in found} - {3}):
        counts = found[(2,) + (1,) * (n - 2)]
        hits, known = sum(c.incomplete for c in counts.values()), sum(c.known for c in counts.values())
        print(f"N = {n}, two equal radii: {known} of {hits} incomplete points lie in A_k or opposite heights")
    planar = measure_planar(
        (7,) if smoke else (11, 19, 31), 1 if smoke else arguments.hits // 3, np.random.default_rng(1)
    )
    for shells, counts in planar.items():
        fit, hits = fitted_codimension(shells, counts), sum(c.incomplete for c in counts.values())
        text = "" if fit is None else f", codimension {fit + 2:.2f}"
        drawn = sum(c.points for c in counts.values())
        print(f"planar, {' + '.join(map(str, shells))}: {hits} incomplete of {drawn}{text}")
    three = sum(c.incomplete for shells, counts in found.items() if sum(shells) == 3 for c in counts.values())
    print(f"N = 3: incomplete points {three}")
    save(draw_figure({s: c for s, c in found.items() if sum(s) > 3}), folder)
    print(f"CPU seconds: {time.process_time() - begun:.0f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
