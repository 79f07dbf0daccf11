"""Prove random members of all strata, refuse points that lie off, and write the certificates of named points.

python experiments/proofs/run.py [--smoke] [--out FOLDER]
"""

import json
import re
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np

import jaxfeat

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common import BLUE, GREY, VERMILION, begin, new_figure, parser, save, show

ORDERS = ((2, False), (3, False), (3, True))  # ν, and whether pseudoscalars count
MOVED = 1e-6  # Å, the distance of moved members from their stratum
SIX_DIGITS = [
    (-0.487769, -0.041057, 0.974419),
    (0.747395, -0.586838, -0.532971),
    (0.784215, 0.602362, 0.456900),
    (-0.696015, 0.835322, 0.069546),
]
NAMED = {
    "a_1-n5": (5, 2, False, "A_1"),
    "a_2-n5": (5, 2, False, "A_2"),
    "a_3-n6": (6, 2, False, "A_3"),
    "opposite-heights-n6": (6, 2, False, "opposite heights"),
    "cones-3": (4, 2, False, "cones 3"),
    "cones-2-2": (5, 2, False, "cones 2 + 2"),
    "twofold-1-n5": (5, 2, False, "twofold 1"),
    "d-n4": (4, 2, False, "D"),
    "d-n6": (6, 2, False, "D"),
    "equal-triangles": (6, 2, False, "equal triangles"),
    "heptagon": (5, 3, False, "heptagon"),
    "rods": (6, 3, False, "rods"),
    "achiral-triples-pseudoscalars": (4, 3, True, "achiral triples"),
    "rings": (7, 3, False, "rings"),
    "rings-pseudoscalars": (7, 3, True, "rings"),
}
"""Members of strata whose certificates are written: N, ν, pseudoscalars, and the name of the stratum."""


def all_strata(sizes):
    """List ν, pseudoscalars, and every stratum of these numbers of neighbors."""
    return [(nu, chiral, s) for n in sizes for nu, chiral in ORDERS for s in jaxfeat.strata(n, nu, chiral).values()]


def scaled_member(stratum, seed):
    """Draw a member of random species, orientation and size. Strata have no length of their own."""
    rng = np.random.default_rng(seed)
    if stratum.name == "heptagon" and stratum.n_neighbors > 5:
        # Random starts hardly ever land here.
        rows = np.zeros((stratum.n_neighbors, 3))
        corners = np.asarray([0, 1, -1, 3]) * 2 * np.pi / 7
        rows[1:5, 0], rows[1:5, 1] = np.cos(corners), np.sin(corners)
        poles = [0, *range(5, len(rows))]
        rows[poles, 2] = np.linspace(-1, 1, 2 * len(poles))[::2] + rng.uniform(0.1, 0.2, len(poles))
        rows = rows @ np.linalg.qr(rng.normal(size=(3, 3)))[0]
        env = jaxfeat.Environment.from_neighbors(rows, stratum.random_species(seed))
    else:
        env = stratum.member(seed)
    return env.with_positions(env.positions * rng.uniform(0.7, 1.5))


def move_off(env, conditions, distance, rng):
    """Move an environment away from the set where the conditions hold, along a random normal."""
    positions = np.asarray(env.positions)
    slopes = np.reshape([condition.gradient(positions) for condition in conditions], (len(conditions), -1))
    normals = np.linalg.qr(slopes.T)[0]
    step = rng.normal(size=normals.shape[1])
    return env.with_positions(positions + (distance * normals @ step / np.linalg.norm(step)).reshape(-1, 3))


def prove_members(strata, n_members):
    """Prove random members of strata, verify the certificates, and try the same members moved off by 1e-6 Å. Return
    counts by family, and the CPU seconds of each proof."""
    counts, seconds, rng = {}, [], np.random.default_rng(0)
    for nu, chiral, stratum in strata:
        family = re.sub(r" [\d+, ]*$", "", re.sub("^A_.*", "A_k", stratum.name))
        family = {"D crossed": "D", "equal triangles": "equal angles"}.get(family, family)
        found = counts.setdefault(f"{family}, ν = {nu}{' *' if chiral else ''}", Counter())
        for seed in range(n_members):
            env = scaled_member(stratum, seed)
            start = time.process_time()
            answer = jaxfeat.prove(env, nu, chiral)
            seconds.append(time.process_time() - start)
            found["members"] += 1
            if not answer.proved:
                found["not proved"] += 1
                found["symmetric"] += stratum.name == "planar" and "hidden beyond symmetry" in answer.reason
                if stratum.name != "planar":
                    print(f"{stratum.name}, N = {stratum.n_neighbors}, seed {seed}: {answer.reason}")
                continue
            found["proved"] += 1
            found["as named"] += answer.stratum == stratum.name
            found["verified"] += jaxfeat.check_certificate(json.dumps(answer.data)) == answer.statement
            off = move_off(env, answer.conditions, MOVED, rng)
            found["moved, proved"] += jaxfeat.prove(off, nu, chiral, radius=MOVED / 10).proved
    return counts, seconds


def prove_near(strata, distances, seed=0):
    """Move one member of each stratum off by each distance. Return the proved radii, NaN if not proved: `(s, d)`."""
    rng, radii = np.random.default_rng(seed), np.full((len(strata), len(distances)), np.nan)
    for row, (nu, chiral, stratum) in enumerate(strata):
        env = scaled_member(stratum, seed)
        for column, distance in enumerate(distances):
            off = move_off(env, stratum.conditions, distance, rng)
            answer = jaxfeat.prove(off, nu, chiral, radius=max(2 * distance, 1e-12))
            radii[row, column] = answer.radius if answer.proved else np.nan
    return radii


def named_points():
    """List the points whose certificates are kept: name, environment, ν, pseudoscalars."""
    yield "parsaeifard-goedecker", jaxfeat.Environment.from_neighbors(np.asarray(SIX_DIGITS), ["H"] * 4, "C"), 2, False
    for name, (n, nu, chiral, stratum) in NAMED.items():
        yield name, jaxfeat.strata(n, nu, chiral)[stratum].member(1), nu, chiral


def zeros_of_the_sheet():
    """List the zeros of the published sheet of methanes that a sweep finds: name and environment. A curve is
    represented by one of its points."""
    sheet = jaxfeat.manifolds.prl_methane(1)
    f = jaxfeat.PowerSpectrum(("C", "H"), n_max=3, l_max=6)
    grid = {"F": np.pi * np.linspace(0.7, 1.0, 60), "L": np.pi * np.linspace(-0.1, 0.1, 60)}
    ds = jaxfeat.sweep(f, sheet, grid=grid)
    for zero, dimension in enumerate(ds["zero_dimension"].values):
        on_zero = ds["zero_point"].values[ds["zero_of_point"].values == zero]
        azimuth, elevation = on_zero[len(on_zero) // 2] if dimension else ds["zero_at"].values[zero]
        yield f"prl-{'curve' if dimension else 'point'}-{zero + 1}", sheet(azimuth, elevation)


def write_certificates(folder, points):
    """Prove the points, and write their certificates if there is a folder for them. Return rows of a table."""
    if folder is not None:
        folder.mkdir(exist_ok=True)
    rows = []
    for name, env, nu, chiral in points:
        answer = jaxfeat.prove(env, nu, chiral)
        if answer.proved:
            if folder is not None:
                answer.save(folder / f"{name}.json")
            radius, seen = answer.data["radius"], answer.seen_by
            rows.append((name, answer.stratum, len(answer.positions), f"{nu}{' *' if chiral else ''}", seen, radius))
        else:
            rows.append((name, f"not proved: {answer.reason}", "", nu, "", ""))
    return rows


def draw(radii, distances, counts, folder):
    figure = new_figure(8.6, 3.6)
    left, right = figure.subplots(1, 2, width_ratios=(1.1, 1))
    left.loglog(distances, distances, color=GREY, lw=0.8)
    for row in radii:
        left.loglog(distances, row, "o", ms=3, color=BLUE, alpha=0.5)
    left.set_xlabel("distance from the stratum (Å)", fontsize=9)
    left.set_ylabel("proved radius (Å)", fontsize=9)
    share = left.twinx()
    share.plot(distances, np.isfinite(radii).mean(0), color=VERMILION, lw=1)
    share.set_ylim(-0.05, 1.05)
    share.set_ylabel("share proved", fontsize=9, color=VERMILION)
    names = [name for name in counts if counts[name]["members"]]
    members, proved = ([counts[name][key] for name in names] for key in ("members", "proved"))
    right.barh(names, members, color=GREY, label="members")
    right.barh(names, proved, color=BLUE, height=0.5, label="proved and verified")
    right.set_xlabel("random members", fontsize=9)
    right.legend(fontsize=8, loc="center right")
    right.invert_yaxis()
    for axes in (left, share, right):
        axes.tick_params(labelsize=8)
    save(figure, folder)


def main(argv=None):
    arguments = parser(__doc__).parse_args(argv)
    folder = begin(arguments, __file__)
    strata = all_strata((4, 5) if arguments.smoke else range(4, 9))
    if arguments.smoke:
        strata = [s for s in strata if s[2].n_neighbors == 4 or s[0] == 3]
    counts, seconds = prove_members(strata, 1 if arguments.smoke else 12)
    columns = ("members", "proved", "as named", "verified", "moved, proved", "not proved", "symmetric")
    show("Random members", ("family", *columns), [(name, *(row[c] for c in columns)) for name, row in counts.items()])
    total = sum(counts.values(), Counter())
    print(f"members {total['members']}, proved {total['proved']}, as named {total['as named']}, ", end="")
    print(f"symmetric {total['symmetric']}, neither {total['not proved'] - total['symmetric']}")
    print(f"certificates wrong: {total['proved'] - total['verified']}; moved and proved: {total['moved, proved']}")
    print(f"CPU seconds of a proof: median {np.median(seconds):.3f}, at most {max(seconds):.2f}")

    distances = np.logspace(-9, -1, 3 if arguments.smoke else 17)
    chosen = [s for s in strata if s[2].name != "planar"]
    radii = prove_near(chosen[:3] if arguments.smoke else chosen[::3], distances)
    excess = radii / distances
    print(f"proved radius over distance: {np.nanmin(excess):.2f} to {np.nanmax(excess):.2f}; ", end="")
    print(f"share proved at 1e-3 Å: {np.isfinite(radii[:, np.searchsorted(distances, 0.9e-3)]).mean():.2f}")

    points = list(named_points())
    if not arguments.smoke:
        points += [(name, env, 2, False) for name, env in zeros_of_the_sheet()]
    rows = write_certificates(None if arguments.smoke else folder / "certificates", points)
    show("Certificates (*: with pseudoscalars)", ("name", "stratum", "N", "ν", "seen by", "radius (Å)"), rows)
    draw(radii, distances, counts, folder)


if __name__ == "__main__":
    main()
