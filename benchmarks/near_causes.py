"""Do null directions keep their causes if coordinates are rounded or disturbed?

    python benchmarks/near_causes.py [--smoke] [--digits 3,4,5,6,8] [--every N]

Every environment of ASE's g2, of molecules and crystals of high symmetry, and of families with incomplete points is
turned at random and rounded, or moved at random. Its null directions and the nearly null ones of `NullSpace.near`
together must have the counts by cause of the exact geometry. The table counts the environments where they do not
("wrong"), and those whose status is "ambiguous".
"""

import argparse
from collections import Counter
from collections.abc import Iterator, Sequence

import ase.build
import jax
import numpy as np
from ase import Atoms
from ase.spacegroup import crystal

import jaxfeat
from jaxfeat import Environment, PowerSpectrum

R_CUT = 4.0
NOISE = 10.0 ** np.arange(-12, -2)  # Å


def count_causes(null: jaxfeat.NullSpace) -> Counter[str]:
    """Count exact and near directions by cause, without rigid motions."""
    counts = Counter({cause: n for cause, n in null.counts.items() if cause != "rigid"})
    for group in null.near:
        counts[group.cause] += len(group.directions)
    return +counts


def rotation(rng: np.random.Generator) -> np.ndarray:
    return np.linalg.qr(rng.normal(size=(3, 3)))[0]


def exact_molecules(atoms: Sequence[Atoms]) -> Iterator[Atoms]:
    for one in atoms:
        structure = jaxfeat.structures(one, R_CUT)
        structure = structure[0] if structure.batch_shape else structure
        exact = one.copy()
        exact.positions = np.asarray(jaxfeat.symmetrized(structure, jaxfeat.stabilizer(structure)).positions)[
            : len(one)
        ]
        yield exact


def molecules() -> dict[str, Atoms]:
    angles = 2 * np.pi * np.arange(5) / 5
    ring = lambda r, z: np.column_stack([r * np.cos(angles), r * np.sin(angles), np.full(5, z)])  # noqa: E731
    cube = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float)
    return {
        "C60": ase.build.molecule("C60"),
        "ferrocene": Atoms(
            "FeC10H10",
            np.concatenate([[(0, 0, 0)], ring(1.2, 1.65), ring(1.2, -1.65), ring(2.28, 1.63), ring(2.28, -1.63)]),
        ),
        "cubane": Atoms("C8H8", np.concatenate([0.785 * cube, 1.41 * cube])),
    }


def crystals() -> dict[str, Atoms]:
    return {
        "MoS2": ase.build.mx2("MoS2", kind="2H", a=3.18, thickness=3.19, vacuum=6.0),
        "GaSe": crystal(
            ["Ga", "Se"],
            [(1 / 3, 2 / 3, 0.174), (1 / 3, 2 / 3, 0.602)],
            spacegroup=194,
            cellpar=[3.755, 3.755, 15.95, 90, 90, 120],
        ),
        "wurtzite": ase.build.bulk("ZnS", "wurtzite", a=3.81, c=6.23, u=0.375),
    }


def families() -> dict[str, np.ndarray]:
    """Positions of like neighbors about a center."""

    def ring(n: int, height: float = 0.0) -> np.ndarray:
        angles = 2 * np.pi * np.arange(n) / n
        return 1.2 * np.column_stack([np.cos(angles), np.sin(angles), np.full(n, height)])

    line = lambda *heights: np.outer(heights, [0, 0, 1.0])  # noqa: E731
    tetrahedron = 0.63 * np.array([(1, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1.0)])
    pair = np.array([(-0.45, 0, 0.95), (0.6, 0.7, 0.5), (0.6, -0.7, -0.5), (-0.75, 0, 0)])
    rings = jaxfeat.manifolds.ring_pair(1.2, [0.0, 1.1, -1.1], 0.6, 0.7, 1.3, 1)
    return {
        "tetrahedron": tetrahedron,
        "octahedron": 1.3 * np.concatenate([np.eye(3), -np.eye(3)]),
        "square": ring(4),
        "hexagon": ring(6),
        "prism": np.concatenate([ring(3, 0.7), ring(3, -0.7)]),
        "pyramid": np.concatenate([ring(3, 0.4), line(1.4)]),
        "cube": 0.8 * np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float),
        "plane": np.array([(1.1, 0, 0), (-0.3, 1.4, 0), (-0.8, -0.9, 0), (0.5, -1.7, 0)]),
        "pair": pair,
        "rings": np.asarray(rings.positions)[np.asarray(rings.mask)],
        "line, 2 alike": line(1.1, -1.1),
        "line, 3": line(0.9, 1.7, -1.2),
        "line, 4 alike": line(0.9, 1.7, -0.9, -1.7),
    }


def compare(name: str, exact: list[Counter[str]], nulls: Sequence[jaxfeat.NullSpace]) -> tuple[int, int, int]:
    wrong = [i for i, null in enumerate(nulls) if null.status == "ok" and count_causes(null) != exact[i]]
    ambiguous = sum(null.status == "ambiguous" for null in nulls)
    print(f"{name:34s} {len(nulls):5d} {len(wrong):6d} {ambiguous:6d}", flush=True)
    for i in wrong[:5]:
        print(f"    {i}: {dict(exact[i])}, not {nulls[i]} {list(nulls[i].near)}")
    return len(nulls), len(wrong), ambiguous


def rounded(atoms: Atoms, digits: int, rng: np.random.Generator) -> Atoms:
    """Turn a molecule, or shift a crystal by nothing, and round its coordinates: fractional ones of a crystal."""
    found = atoms.copy()
    if atoms.pbc.any():
        found.set_scaled_positions(np.round(atoms.get_scaled_positions(), digits))
    else:
        found.positions = np.round(atoms.positions @ rotation(rng), digits)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--smoke", action="store_true", help="a few environments only")
    parser.add_argument("--digits", default="3,4,5,6,8")
    parser.add_argument("--every", type=int, default=1, help="take each Nth molecule of g2")
    arguments = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    rng = np.random.default_rng(0)
    every, digits = (40, [4]) if arguments.smoke else (arguments.every, [int(n) for n in arguments.digits.split(",")])
    g2 = list(exact_molecules(jaxfeat.read("g2").atoms[::every]))
    print(f"{'':34s} {'of':>5s} {'wrong':>6s} {'ambig.':>6s}")
    sets = (
        {"g2": g2}
        if arguments.smoke
        else {"g2": g2} | {name: [one] for name, one in (molecules() | crystals()).items()}
    )
    for name, atoms in sets.items():
        species = sorted({symbol for one in atoms for symbol in one.get_chemical_symbols()})
        f = PowerSpectrum(species, R_CUT, n_max=8, l_max=6, sigma=0.3)
        exact = [count_causes(null) for null in jaxfeat.null_space(f, jaxfeat.environments(atoms, R_CUT))]
        for n in digits:
            nulls = jaxfeat.null_space(f, jaxfeat.environments([rounded(one, n, rng) for one in atoms], R_CUT))
            compare(f"{name}, {n} decimals", exact, nulls)
    for name, points in families().items():
        f = PowerSpectrum(("H",), n_max=6, l_max=6, radial="laplacian")
        around = lambda x: Environment.from_neighbors(x, ["H"] * len(x), "H")  # noqa: E731
        exact = [count_causes(jaxfeat.null_space(f, around(points)))]
        tries = [
            points @ rotation(rng) + noise * rng.normal(size=points.shape)
            for noise in (NOISE[::4] if arguments.smoke else NOISE)
            for _ in range(1 if arguments.smoke else 8)
        ]
        compare(
            f"{name}, noise 1e-12 ... 1e-3 Å",
            exact * len(tries),
            jaxfeat.null_space(f, Environment.stack([*map(around, tries)])),
        )


if __name__ == "__main__":
    main()
