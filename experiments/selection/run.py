"""Compare ways to choose few of many features by the smallest singular values that they keep.

python experiments/selection/run.py [FILE ...] [--smoke] [--out FOLDER]

Each FILE holds structures, in any format of ASE. Molecules of ASE's g2 and rattled silicon come without a file. The
ways of scikit-matter need that package.
"""

import sys
import time
import warnings
from pathlib import Path

import ase.io
import numpy as np
from ase.build import bulk, molecule
from ase.collections import g2
from skmatter.feature_selection import CUR, FPS

import jaxfeat

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common import BLUE, GREEN, GREY, ORANGE, PINK, SKY, begin, new_figure, parser, save, show

SHARES = (0.05, 0.1, 0.2)
N_CHOOSE, N_TEST = 100, 100
"""Environments drawn at random to choose on, and others to test on. Jacobian-based ways see `N_JACOBIANS` of them."""
N_JACOBIANS = 32
CUR_STEP = 20
"""Features that CUR chooses between two decompositions; one by one it takes minutes."""
STYLES = {
    "select": (BLUE, "o"),
    "pivoted QR, whitened": (SKY, "s"),
    "pivoted QR": (GREEN, "^"),
    "CUR": (ORANGE, "v"),
    "farthest points": (PINK, "D"),
    "random": (GREY, "x"),
}


def descriptor(species, smoke, **sizes):
    return jaxfeat.PowerSpectrum(species, r_cut=4.0, **({"n_max": 3, "l_max": 2} if smoke else sizes))


def subjects(files, smoke):
    """Yield a name, structures and a descriptor."""
    for file in files:
        frames = ase.io.read(file, ":")
        frames = [frames[k] for k in np.random.default_rng(0).permutation(len(frames))[:40]]
        species = sorted({int(number) for atoms in frames for number in atoms.numbers})
        yield Path(file).stem, frames, descriptor(species, smoke)
    molecules = [molecule(name) for name in g2.names]
    known = {"H", "C", "O"} if smoke else {"H", "C", "N", "O", "F"}
    few = [atoms for atoms in molecules if set(atoms.symbols) <= known and len(atoms) > 3]
    yield "g2", few[: 12 if smoke else None], descriptor(sorted(known), smoke, n_max=6, l_max=4)
    if smoke:
        return
    rattled = [bulk("Si", cubic=True).repeat(2) for _ in range(5)]
    for seed, atoms in enumerate(rattled):
        atoms.rattle(0.05, seed=seed)
    # With fewer functions a twentieth of the features is less than the 45 directions of an environment.
    yield "silicon", rattled, descriptor(("Si",), smoke, n_max=14, l_max=10, radial="laplacian")


def whitened_rows(f, batch, power):
    """Stack the equilibrated Jacobians without rigid motions, `(n_features, sum of directions)`, with singular values
    to the given power: 1 leaves them, 0 makes all directions count the same."""
    found = []
    for env in batch:
        one = env.trimmed()
        jacobian = np.asarray(jaxfeat.jacobian(f, one))
        norms = np.sqrt((jacobian**2).sum((0, 2)))
        spectrum = jaxfeat.singular_spectrum(f, one, equilibrated=True)
        n = int(spectrum.n_values - spectrum.n_null)
        if not n:
            continue
        scaled = jacobian / np.where(norms > 0, norms, 1)[:, None]
        directions = np.asarray(spectrum.directions)[:n]
        values = np.asarray(spectrum.values)[:n]
        columns = scaled.reshape(len(jacobian), -1) @ directions.reshape(n, -1).T
        found.append(columns * values ** (power - 1.0))
    return np.concatenate(found, 1)


def pivots(rows, k):
    """Choose k rows by QR with pivots: each time the one that is longest across the rows before."""
    rest, chosen = rows.copy(), []
    squares = (rest**2).sum(1)
    for _ in range(k):
        best = int(np.argmax(squares))
        chosen.append(best)
        if squares[best] > 0:
            unit = rest[best] / np.linalg.norm(rest[best])
            rest -= np.outer(rest @ unit, unit)
            squares = (rest**2).sum(1)
        squares[chosen] = -1
    return chosen


def ways(f, batch, k):
    """Yield each way and k features in its order."""
    few = batch[np.linspace(0, len(batch) - 1, min(N_JACOBIANS, len(batch))).astype(int)]
    features = np.asarray(f(batch))
    yield "select", lambda: jaxfeat.select(f, batch, k).kept
    yield "pivoted QR, whitened", lambda: pivots(whitened_rows(f, few, 0.0), k)
    yield "pivoted QR", lambda: pivots(whitened_rows(f, few, 1.0), k)
    yield "CUR", lambda: CUR(n_to_select=k, recompute_every=CUR_STEP).fit(features).selected_idx_
    yield "farthest points", lambda: FPS(n_to_select=k, initialize=0).fit(features).selected_idx_
    yield "random", lambda: np.random.default_rng(1).permutation(f.n_features)[:k]


def smallest(f, batch, n_seen):
    """Return the last singular value that counts, equilibrated and over the largest, and raw."""
    values = [
        np.asarray(jaxfeat.singular_spectrum(f, batch, scaled, directions=False).values) for scaled in (True, False)
    ]
    rows = np.arange(len(batch))
    last = [one[rows, n_seen - 1] for one in values]
    largest = values[0][:, 0]
    # If no chosen feature sees an environment, nothing is kept.
    return last[0] / np.where(largest > 0, largest, np.inf), last[1]


def evaluate(f, frames, smoke, shares):
    """Return (way, share): the ratios after to before on held-out environments, of both quantities."""
    batch = jaxfeat.environments(frames, f)
    order = np.random.default_rng(0).permutation(len(batch))
    n_choose = len(order) // 2 if smoke else min(N_CHOOSE, len(order) // 2)
    choose, test = batch[order[:n_choose]], batch[order[n_choose:][:N_TEST]]
    spectrum = jaxfeat.singular_spectrum(f, test, True, directions=False)
    n_seen = np.asarray(spectrum.n_values - spectrum.n_null)
    test, n_seen = test[np.flatnonzero(n_seen > 0)], n_seen[n_seen > 0]
    before, found, most = smallest(f, test, n_seen), {}, round(max(shares) * f.n_features)
    for way, chosen in ways(f, choose, most):
        start = time.process_time()
        with warnings.catch_warnings():
            # Features of absent species are zero, and CUR says so of each.
            warnings.filterwarnings("ignore", "Column vector contains only zeros")
            kept = [int(index) for index in chosen()]
        seconds = time.process_time() - start
        print(f"{way}: {most} features chosen in {seconds:.1f} CPU seconds", flush=True)
        for share in shares:
            selected = jaxfeat.SelectedFeatures(f, kept[: round(share * f.n_features)])
            after = smallest(selected, test, n_seen)
            found[way, share] = tuple(np.nan_to_num(x) / y for x, y in zip(after, before, strict=True))
    return found


def report(subject, f, found):
    rows = []
    for (way, share), (ratio, sigma) in found.items():
        numbers = (np.median(ratio), np.quantile(ratio, 0.1), np.median(sigma), np.quantile(sigma, 0.1))
        rows.append((way, f"{share:.0%}", round(share * f.n_features), *(f"{number:.2g}" for number in numbers)))
    columns = ("way", "share", "features", "σ_min/σ_max", "lowest tenth", "σ_min", "lowest tenth")
    show(f"{subject}: after over before, of {f.n_features} features", columns, rows)
    for share in sorted({share for _, share in found}):
        lowest = {way: np.quantile(found[way, share][1], 0.1) for way in STYLES}
        print(f"{subject}, {share:.0%}: the lowest tenth of σ_min is largest for {max(lowest, key=lowest.__getitem__)}")


def draw(results):
    figure = new_figure(2.1 * len(results) + 1.7, 4.2)
    panels = figure.subplots(2, len(results), squeeze=False, sharex=True)
    for column, (subject, found) in zip(panels.T, results.items(), strict=True):
        shares = sorted({share for _, share in found})
        for number, axes in enumerate(column):
            for way, (color, marker) in STYLES.items():
                levels = [np.quantile(found[way, share][number], (0.1, 0.5)) for share in shares]
                low, middle = np.maximum(np.transpose(levels), 1e-4)
                axes.plot(np.multiply(shares, 100), middle, color=color, marker=marker, ms=5, lw=1.2, label=way)
                axes.plot(np.multiply(shares, 100), low, color=color, marker=marker, ms=3, lw=0.7, ls=":")
            axes.axhline(1, color="black", lw=0.5)
            axes.set_yscale("log")
            axes.set_ylim(1e-3, 3)
            axes.tick_params(labelsize=8)
            axes.spines[["top", "right"]].set_visible(False)
        column[0].set_title(subject, fontsize=9)
        column[1].set_xlabel("features kept (%)", fontsize=9)
    panels[0][0].set_ylabel("σ_min/σ_max, after/before", fontsize=9)
    panels[1][0].set_ylabel("σ_min, after/before", fontsize=9)
    figure.legend(*panels[0][0].get_legend_handles_labels(), loc="outside right center", fontsize=8, frameon=False)
    return figure


def main():
    read = parser(__doc__)
    read.add_argument("files", nargs="*", type=Path, metavar="FILE", help="structures to choose features for")
    arguments = read.parse_args()
    folder = begin(arguments, __file__)
    shares = (0.3, 0.6) if arguments.smoke else SHARES
    results = {}
    for subject, frames, f in subjects(arguments.files, arguments.smoke):
        results[subject] = evaluate(f, frames, arguments.smoke, shares)
        report(subject, f, results[subject])
    save(draw(results), folder)


if __name__ == "__main__":
    main()
