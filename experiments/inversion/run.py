"""Go from features back to environments: measure the digits that come back next to a singular point, and from how far.

python experiments/inversion/run.py [--smoke] [--out FOLDER]
"""

import sys
from pathlib import Path
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import jaxfeat

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common import BLUE, GREEN, GREY, ORANGE, SKY, VERMILION, begin, new_figure, parser, save, show

PAIR = (-0.45, 0.95, 0.6, 0.7, 0.5, -0.75)
CONGRUENT = 1e-6
"""A result is the truth if all atoms together are within this distance of it, Å."""
NOISE = 1e-10
"""Relative error of the features in the direction that hurts most."""


class Fold(NamedTuple):
    """The parameters of the law at t = 0: the distance (Å) that t moves along the null direction v, and the direction u
    and the length κ of D²F[v, v] without its part in the range of J. κ is dσ_min/ds."""

    speed: float
    u: np.ndarray
    kappa: float


def featurizers(smoke):
    if smoke:
        return {
            "ν = 2": jaxfeat.PowerSpectrum(("H",), n_max=4, l_max=6),
            "ν = 3": jaxfeat.Bispectrum(("H",), n_max=2, l_max=2),
        }
    return {
        "ν = 1": jaxfeat.RadialSpectrum(("H",), n_max=6),
        "ν = 2": jaxfeat.PowerSpectrum(("H",), n_max=6, l_max=8),
        "ν = 3": jaxfeat.Bispectrum(("H",), n_max=4, l_max=4),
    }


def without_center(environments):
    """Make the featurizers. The carbon adds only constants to the features."""
    return eqx.tree_at(lambda env: env.center_species, environments, jnp.zeros_like(environments.center_species))


def random_methane(seed, n):
    return without_center(jaxfeat.manifolds.random_methane(jax.random.key(seed), n))


def found_line():
    """Return the straight line through a spurious singular point of a search, along its null direction."""
    starts = jaxfeat.manifolds.random_environments(jax.random.key(0), 8, ["H"] * 4, center_species=None)
    # A small basis suffices, because incompleteness hides a direction in every basis.
    small = jaxfeat.PowerSpectrum(("H",), n_max=3, l_max=6)
    found = jaxfeat.find_singular_points(small, starts, exclude="symmetric")
    # The generic case is a fold: one null direction that belongs to no family.
    generic = (found.counts("incompleteness") == 1) & (found.counts("symmetry") == 0) & (found.dimension == 6)
    assert generic.any(), f"the search led to no generic singular point: {found}"
    point, direction = (jnp.asarray(a[np.argmax(generic)]) for a in (found.positions, found.directions))
    return lambda t: starts[0].with_positions(point + t * direction)


def curves(smoke):
    """Return curves of environments by t that pass through exact singular points of ν = 2 at t = 0."""
    pair = lambda t: jaxfeat.manifolds.pair_family(*PAIR, t, 1, center_species=None)  # noqa: E731
    sheet = jaxfeat.manifolds.prl_methane(1)
    if smoke:
        return {"pair family": pair}
    return {"pair family": pair, "methane": lambda t: without_center(sheet(np.pi - t, 0.0)), "search": found_line()}


def fold(f, curve):
    moved = jax.jvp(lambda t: curve(t).positions, (0.0,), (1.0,))[1]
    env = curve(0.0)
    v = np.asarray(jaxfeat.singular_spectrum(f, env).directions[-1])
    v = v * np.sign(np.vdot(v, moved))
    along = lambda x: jax.jvp(lambda x: f(env.with_positions(x)), (x,), (jnp.asarray(v),))[1]  # noqa: E731
    curvature = np.asarray(jax.jvp(along, (env.positions,), (jnp.asarray(v),))[1])
    left, values, _ = np.linalg.svd(np.asarray(jaxfeat.jacobian(f, env)).reshape(len(curvature), -1), False)
    reached = left[:, values > 1e-10 * values[0]]
    curvature = curvature - reached @ (reached.T @ curvature)
    kappa = float(np.linalg.norm(curvature))
    return Fold(float(np.vdot(v, moved)), curvature / kappa, kappa)


class Sensitivity(NamedTuple):
    features: np.ndarray
    norm: np.ndarray
    smallest: np.ndarray
    ratio: np.ndarray
    worst: np.ndarray
    """Return the left singular vector of σ_min. Errors along it cost the most digits."""


def sensitivity(f, environments):
    features, spectrum = np.asarray(f(environments)), jaxfeat.singular_spectrum(f, environments)
    velocity = np.einsum("bdnx,bnx->bd", jaxfeat.jacobian(f, environments), spectrum.directions[:, -1])
    worst = velocity / np.linalg.norm(velocity, axis=1, keepdims=True)
    norm, smallest = np.linalg.norm(features, axis=1), np.asarray(spectrum.values[:, -1])
    return Sensitivity(features, norm, smallest, np.asarray(spectrum.ratio), worst)


def displaced(environments, lengths, rng):
    """Move all atoms at random. The lengths (Å) are those of all atoms together."""
    moves = rng.normal(size=environments.positions.shape)
    moves *= np.asarray(lengths)[:, None, None] / np.linalg.norm(moves, axis=(1, 2), keepdims=True)
    return environments.with_positions(environments.positions + moves)


def errors(f, environments, offsets, noise, rng, towards=None):
    """Invert features with relative errors `noise`, and return the distances (Å) of the results to the truth."""
    seen = sensitivity(f, environments)
    worst = seen.worst if towards is None else seen.worst * np.sign(seen.worst @ towards)[:, None]
    target = seen.features + noise * seen.norm[:, None] * worst
    starts = displaced(environments, np.minimum(0.01, offsets / 10), rng)
    found = jaxfeat.invert(f, target, starts, tolerance=max(1e-12, 2 * abs(noise)), max_iterations=200)
    return found, found.distance(environments)


def law(smallest, kappa, error):
    """Return the error (Å) of the environment for an error of the features: sqrt(s² + 2 error/κ) - s with s =
    σ_min/κ."""
    return 2 * error / (np.sqrt(smallest**2 + 2 * kappa * error) + smallest)


def rounding(f, environments, rng):
    """Measure the relative rounding error of features on turned environments, whose features should be the same."""
    turns = np.linalg.qr(rng.normal(size=(len(environments), 3, 3)))[0]
    turned = environments.with_positions(environments.positions @ turns)
    features, again = np.asarray(f(environments)), np.asarray(f(turned))
    return float(np.sqrt(np.mean(np.sum((features - again) ** 2, 1) / np.sum(features**2, 1)) / 2))


def next_to(name, f, curve, offsets, rng):
    """Measure the errors next to the singular point of a curve by kind, (σ_min/σ_max, error), and the law's
    parameters."""
    at = fold(f, curve)
    environments, mirrored = (
        jaxfeat.Environment.stack([curve(sign * s / at.speed) for s in offsets]) for sign in (1, -1)
    )
    seen = sensitivity(f, environments)
    threshold = np.sqrt(2 * NOISE * seen.norm[-1] / at.kappa)
    series = {}
    for kind, noise in (("noise", NOISE), ("against", -NOISE), ("rounding", 0.0)):
        found, error = errors(f, environments, offsets, noise, rng, at.u)
        series[kind] = (seen.ratio, error)
        if kind == "against":
            solved = found.residual < NOISE / 100
            print(
                f"{name}, errors of the other sign: a solution down to s = {offsets[solved].min():.0e} Å, none ", end=""
            )
            print(f"from {offsets[~solved].max(initial=0):.0e} Å on; law {threshold:.1e} Å")
    ratios = series["noise"][1] / law(seen.smallest, at.kappa, NOISE * seen.norm)
    away = series["rounding"][1] * seen.smallest / seen.norm
    print(f"{name}, rounding only: error σ_min / |F| {away.min():.0e} to {away.max():.0e}")
    far = offsets > 10 * threshold
    slope = np.polyfit(np.log(seen.smallest[far]), np.log(series["noise"][1][far]), 1)[0]
    print(f"{name}: κ {at.kappa:.4f} from D²F, {seen.smallest[-1] / offsets[-1]:.4f} from σ_min")
    print(f"{name}: slope of the error {slope:.2f}, error over law {ratios.min():.2f} to {ratios.max():.2f}")

    on_it = jaxfeat.Environment.stack([curve(0.0)] * 4)
    amounts = np.geomspace(1e-6, 1e-12, 4)
    target = np.asarray(f(on_it)) + amounts[:, None] * seen.norm[-1] * at.u
    found = jaxfeat.invert(f, target, displaced(on_it, np.full(4, 1e-2), rng), tolerance=1e-5)
    ratios = found.distance(on_it) / np.sqrt(2 * amounts * seen.norm[-1] / at.kappa)
    root = np.polyfit(np.log(amounts), np.log(found.distance(on_it)), 1)[0]
    print(f"{name}, on the fold: error as ε to the {root:.2f}, over law {ratios.min():.2f} to {ratios.max():.2f}")

    found = jaxfeat.invert(f, seen.features, mirrored)
    there = found.recovered & (found.distance(environments) > offsets)
    print(f"{name}, from t to -t: {there.sum()} of {len(offsets)} have the features of the other side")
    missed = ~there & (found.residual > 1e-12)
    if missed.sum() > 1:
        power = np.polyfit(np.log(offsets[missed]), np.log(found.residual[missed]), 1)[0]
        print(f"{name}: the others miss them by s to the {power:.2f}, {found.residual[missed].max():.0e} |F| at most")
    series["other"] = (seen.ratio[there], found.distance(environments)[there])
    return series, (at.kappa, seen.norm[-1], float(seen.smallest[-1] / seen.ratio[-1]))


def lost_digits(fs, smoke, rng):
    """Measure errors against σ_min/σ_max by series and kind, the laws' parameters, and the size of rounding errors."""
    f, g, series, laws = fs["ν = 2"], fs["ν = 3"], {}, {}
    offsets = 10.0 ** -np.arange(1, 9, 2 if smoke else 0.5)
    for name, curve in curves(smoke).items():
        series[name], laws[name] = next_to(name, f, curve, offsets, rng)
    methanes = random_methane(1, 4 if smoke else 64)
    curve = curves(True)["pair family"]
    for name, featurizer, environments in (
        ("random methane", f, methanes),
        ("ν = 3", g, jaxfeat.Environment.stack([curve(t) for t in offsets])),
    ):
        seen = sensitivity(featurizer, environments)
        found = {}
        for kind, noise in (("noise", NOISE), ("rounding", 0.0)):
            found[kind] = (seen.ratio, errors(featurizer, environments, np.ones(len(environments)), noise, rng)[1])
        series[name] = found
        ratios = found["noise"][1] / (NOISE * seen.norm / seen.smallest)
        print(f"{name}: σ_min/σ_max from {seen.ratio.min():.0e}, error over ε |F| / σ_min ", end="")
        print(f"{ratios.min():.3f} to {ratios.max():.3f}")
    # In d dimensions rounding errors have a component of 1/√d along the direction that counts.
    level = rounding(f, methanes, rng) / np.sqrt(f.n_features)
    print(f"rounding: ε = {level:.0e} along one direction of features")
    return series, laws, level


class Success(NamedTuple):
    recovered: int
    congruent: int
    iterations: float


def successes(fs, smoke, rng):
    """Count the random methanes, with every atom moved at random, that are recovered, and the congruent ones among
    them."""
    methanes = random_methane(2, 4 if smoke else 100)
    sizes = (0.05, 0.2) if smoke else (0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0)
    counted = {}
    for order, f in fs.items():
        for size in sizes:
            starts = displaced(methanes, np.full(len(methanes), 2 * size), rng)
            found = jaxfeat.invert(f, np.asarray(f(methanes)), starts)
            congruent = found.recovered & (found.distance(methanes) < CONGRUENT)
            counted[order, size] = Success(found.recovered.sum(), congruent.sum(), np.median(found.iterations))
            print(f"{order}, {size} Å: {found.recovered.sum()} of {len(methanes)} have the features, ", end="")
            print(f"{congruent.sum()} are congruent ({found})", flush=True)
    return sizes, len(methanes), counted


def branches(fs, smoke, rng):
    """Count which member of a pair is recovered from starts 0.1 Å around one of them."""
    rows, count = [], 4 if smoke else 100
    for t in (0.2, 1e-2, 1e-4):
        one, other = (jaxfeat.manifolds.pair_family(*PAIR, t, sign, center_species=None) for sign in (1, -1))
        same = jaxfeat.Environment.stack([one] * count)
        starts = displaced(same, np.full(count, 0.2), rng)
        for order in ("ν = 2", "ν = 3"):
            found = jaxfeat.invert(fs[order], np.asarray(fs[order](same)), starts)
            own = found.recovered & (found.distance(one) < CONGRUENT)
            partner = found.recovered & (found.distance(other) < CONGRUENT)
            apart = np.median(found.distance(one)[partner & ~own]) if (partner & ~own).any() else np.nan
            rows.append((f"{order}, cy = {t:g} Å", own.sum(), partner.sum(), (~own & ~partner).sum(), f"{apart:.1e}"))
            print(f"{order}, cy = {t:g}: other member recovered {partner.any()}")
    head = ("", "the member itself", "the other member", "neither", "apart (Å)")
    show(f"{count} starts about one member of a pair, each atom moved by 0.1 Å", head, rows)


def draw(series, laws, level, sizes, total, counted):
    figure = new_figure(9.2, 4.0)
    left, right = figure.subplots(1, 2, width_ratios=(1.35, 1))
    looks = {
        "pair family": (BLUE, "o", "ν = 2, pair family"),
        "methane": (SKY, "^", "ν = 2, methane, F = π, L = 0"),
        "search": (ORANGE, "D", "ν = 2, point of a search"),
        "random methane": (GREY, ".", "ν = 2, random methane"),
        "ν = 3": (GREEN, "s", "ν = 3, pair family"),
    }
    kappa, norm, largest = laws["pair family"]
    ratio = np.geomspace(1e-10, 1, 400)
    for error, line in ((NOISE, "-"), (level, ":")):
        left.plot(ratio, law(ratio * largest, kappa, error * norm), line, color="black", lw=1)
        left.plot(ratio, error * norm / (ratio * largest), line, color="black", lw=0.5, alpha=0.4)
    left.plot(ratio, 2 * ratio * largest / kappa, "--", color=VERMILION, lw=0.9)
    left.plot(
        *series["pair family"]["other"], "x", color=VERMILION, ms=4.5, label="ν = 2, pair family: the other solution"
    )
    for name, (color, marker, label) in looks.items():
        if name in series:
            left.plot(*series[name]["noise"], marker, color=color, ms=4.5, mew=0.8, label=label)
            left.plot(*series[name]["rounding"], marker, color=color, ms=4.5, mew=0.8, mfc="none", alpha=0.8)
    left.set_xscale("log")
    left.set_yscale("log")
    left.set_xlim(4e-10, 1)
    left.set_ylim(1e-17, 1)
    left.set_xlabel("σ$_\\mathrm{min}$/σ$_\\mathrm{max}$ (distance to the singular point →)", fontsize=9)
    left.set_title("distance of what is recovered to the truth (Å)", fontsize=9)
    left.text(5e-10, 6e-5, "$\\sqrt{2ε|F|/κ}$", fontsize=8)
    left.text(2e-4, 2e-6, "$ε|F|/σ_\\mathrm{min}$,  $ε = 10^{-10}$", fontsize=8)
    left.text(1e-4, 0.04, "2σ$_\\mathrm{min}$/κ", color=VERMILION, fontsize=8)
    filled = "filled: ε = $10^{-10}$\nopen: rounding errors only"
    left.legend(fontsize=6.5, frameon=False, loc="lower left", title=filled, title_fontsize=6.5, alignment="left")
    for order, color in (("ν = 1", VERMILION), ("ν = 2", BLUE), ("ν = 3", GREEN)):
        if (order, sizes[0]) not in counted:
            continue
        recovered, congruent = (
            [100 * getattr(counted[order, size], name) / total for size in sizes] for name in ("recovered", "congruent")
        )
        right.plot(sizes, recovered, "o--", color=color, lw=1, ms=7, mfc="none")
        right.plot(sizes, congruent, "o-", color=color, lw=1.4, ms=4, label=order)
    right.plot([], [], "o--", color="black", lw=1, ms=7, mfc="none", label="equal features")
    right.plot([], [], "o-", color="black", lw=1.4, ms=4, label="and congruent")
    right.set_xscale("log")
    right.set_ylim(-3, 103)
    right.set_xlabel("displacement of each atom of the start (Å)", fontsize=9)
    right.set_title(f"starts that are recovered, of {total} random methanes (%)", fontsize=9)
    right.legend(fontsize=7.5, frameon=False, loc="center left")
    for axes in (left, right):
        axes.tick_params(labelsize=8)
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def main(argv=None):
    arguments = parser(__doc__).parse_args(argv)
    folder = begin(arguments, __file__)
    fs, rng = featurizers(arguments.smoke), np.random.default_rng(0)
    found = lost_digits(fs, arguments.smoke, rng)
    branches(fs, arguments.smoke, rng)
    success = successes(fs, arguments.smoke, rng)
    save(draw(*found, *success), folder)


if __name__ == "__main__":
    main()
