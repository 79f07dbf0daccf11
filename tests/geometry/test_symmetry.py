"""Stabilizers of environments and molecules with known point groups."""

import itertools
import math
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

import jaxfeat
from jaxfeat.errors import GeometryError
from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.symmetry import Stabilizer, nearby_stabilizers, point_stabilizer, stabilizer, symmetrized

Z = (0.0, 0.0, 1.0)
X = (1.0, 0.0, 0.0)
DIAGONAL = (1.0, 1.0, 1.0)
FIVEFOLD = (0.0, 1.0, (1 + math.sqrt(5)) / 2)


def turn(axis, n):
    """Rotation by 2 pi / n."""
    x, y, z = np.asarray(axis) / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    angle = 2 * np.pi / n
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def mirror(normal):
    return -turn(normal, 2)


def rotary_reflection(n):
    return mirror(Z) @ turn(Z, n)


def generated(*generators):
    """The finite group that these matrices generate, by brute force."""
    elements = [np.eye(3)]
    for element in elements:
        for generator in generators:
            product = generator @ element
            if np.abs(np.array(elements) - product).max((1, 2)).min() > 1e-9:
                elements.append(product)
    return np.array(elements)


I = -np.eye(3)
TETRAHEDRAL = (turn(Z, 2), turn(DIAGONAL, 3))
OCTAHEDRAL = (turn(Z, 4), turn(DIAGONAL, 3))
ICOSAHEDRAL = (turn(Z, 2), turn(DIAGONAL, 3), turn(FIVEFOLD, 5))

# Schoenflies symbol: (order, symbol of the proper part, generators)
POINT_GROUPS = {
    "C1": (1, "C1", ()),
    "Cs": (2, "C1", (mirror(Z),)),
    "Ci": (2, "C1", (I,)),
    "C2": (2, "C2", (turn(Z, 2),)),
    "C3": (3, "C3", (turn(Z, 3),)),
    "C7": (7, "C7", (turn(Z, 7),)),
    "C2v": (4, "C2", (turn(Z, 2), mirror(X))),
    "C3v": (6, "C3", (turn(Z, 3), mirror(X))),
    "C6v": (12, "C6", (turn(Z, 6), mirror(X))),
    "C2h": (4, "C2", (turn(Z, 2), mirror(Z))),
    "C3h": (6, "C3", (turn(Z, 3), mirror(Z))),
    "C4h": (8, "C4", (turn(Z, 4), mirror(Z))),
    "S4": (4, "C2", (rotary_reflection(4),)),
    "S6": (6, "C3", (rotary_reflection(6),)),
    "S8": (8, "C4", (rotary_reflection(8),)),
    "D2": (4, "D2", (turn(Z, 2), turn(X, 2))),
    "D3": (6, "D3", (turn(Z, 3), turn(X, 2))),
    "D5": (10, "D5", (turn(Z, 5), turn(X, 2))),
    "D2h": (8, "D2", (turn(Z, 2), turn(X, 2), I)),
    "D3h": (12, "D3", (turn(Z, 3), turn(X, 2), mirror(Z))),
    "D6h": (24, "D6", (turn(Z, 6), turn(X, 2), mirror(Z))),
    "D2d": (8, "D2", (rotary_reflection(4), turn(X, 2))),
    "D3d": (12, "D3", (turn(Z, 3), turn(X, 2), I)),
    "D4d": (16, "D4", (rotary_reflection(8), turn(X, 2))),
    "T": (12, "T", TETRAHEDRAL),
    "Th": (24, "T", (*TETRAHEDRAL, I)),
    "Td": (24, "T", (*TETRAHEDRAL, mirror((1, 1, 0)))),
    "O": (24, "O", OCTAHEDRAL),
    "Oh": (48, "O", (*OCTAHEDRAL, I)),
    "I": (60, "I", ICOSAHEDRAL),
    "Ih": (120, "I", (*ICOSAHEDRAL, I)),
}


def random_rotation(rng):
    q, r = np.linalg.qr(rng.normal(size=(3, 3)))
    q = q * np.sign(np.diag(r))
    return q * np.linalg.det(q)


def orbits(group, rng):
    """General orbits, one to a species, as many as it takes for a stabilizer that is the group and no more."""
    positions, species = [], []
    for symbol, radius in (("H", 2.0), ("F", 2.5), ("Cl", 3.0))[: 3 if len(group) < 4 else 1 if len(group) > 24 else 2]:
        seed = rng.normal(size=3)
        positions.append(group @ (radius * seed / np.linalg.norm(seed)))
        species += [symbol] * len(group)
    return np.concatenate(positions), species


def environment(positions, species=None):
    return Environment.from_neighbors(positions, ["H"] * len(positions) if species is None else species)


def whole(positions, species):
    return jaxfeat.structures(Atoms(species, positions), 9.0)


def assert_is_stabilizer(found: Stabilizer, positions, atol):
    """Group axioms on matrices and permutations together, and the action on positions."""
    rotations, permutations = found.rotations, found.permutations
    np.testing.assert_allclose(rotations[0], np.eye(3), atol=1e-13)
    mismatch = np.linalg.norm(positions @ rotations.transpose(0, 2, 1) - positions[permutations], axis=-1)
    assert mismatch.max() <= atol
    assert mismatch.max() == pytest.approx(found.residual, abs=1e-12)
    names = {
        (np.linalg.det(r) > 0, *p): g for g, (r, p) in enumerate(zip(rotations, permutations.tolist(), strict=True))
    }
    assert len(names) == len(rotations)
    for rotation, permutation in zip(rotations, permutations, strict=True):
        products = rotation @ rotations
        named = zip((np.linalg.det(products) > 0).tolist(), permutation[permutations].tolist(), strict=True)
        found = [names[proper, *permuted] for proper, permuted in named]
        np.testing.assert_allclose(rotations[found], products, atol=1e-12)


def action(found: Stabilizer, g):
    """D(g), (3n, 3n), written out entry by entry."""
    n = found.permutations.shape[1]
    matrix = np.zeros((n, 3, n, 3))
    for j in range(n):
        matrix[found.permutations[g, j], :, j, :] = found.rotations[g]
    return matrix.reshape(3 * n, 3 * n)


@pytest.mark.parametrize("noise", [0.0, 1e-5])
@pytest.mark.parametrize("symbol", POINT_GROUPS)
def test_finite_groups(symbol, noise):
    order, proper_symbol, generators = POINT_GROUPS[symbol]
    group = generated(*generators)
    assert len(group) == order
    rng = np.random.default_rng(order)
    positions, species = orbits(group, rng)
    positions = positions @ random_rotation(rng).T + rng.uniform(-noise, noise, positions.shape)
    shuffle = rng.permutation(len(positions))
    env = environment(positions[shuffle], [species[i] for i in shuffle])

    found = stabilizer(env)
    assert (found.symbol, found.order) == (symbol, order)
    assert found.residual <= 4 * noise + 1e-12
    if order <= 24:
        assert_is_stabilizer(found, positions[shuffle], atol=4 * noise + 1e-12)

    proper = stabilizer(env, group="SO3")
    assert (proper.symbol, proper.order) == (proper_symbol, np.count_nonzero(np.linalg.det(group) > 0))
    assert (np.linalg.det(proper.rotations) > 0).all()


def test_matrices_are_the_groups_own():
    group = generated(*POINT_GROUPS["D3h"][2])
    positions, species = orbits(group, np.random.default_rng(1))
    found = stabilizer(environment(positions, species)).rotations
    assert all(np.isclose(found, element, atol=1e-12).all((1, 2)).any() for element in group)


TETRAHEDRON = 1.09 / math.sqrt(3) * np.array([(1, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1)])
OCTAHEDRON = 1.56 * np.concatenate([np.eye(3), -np.eye(3)])
ICOSAHEDRON = np.unique((generated(*ICOSAHEDRAL) @ FIVEFOLD).round(13), axis=0)


def ring(n, radius, height=0.0, phase=0.0):
    angles = 2 * np.pi * np.arange(n) / n + phase
    return np.stack([radius * np.cos(angles), radius * np.sin(angles), np.full(n, height)], axis=1)


def ferrocene(twist):
    rings = [(1.2, 1.65, "C"), (2.3, 1.65, "H")]
    positions = np.concatenate([ring(5, r, s * h, twist * (s < 0)) for r, h, _ in rings for s in (1, -1)])
    return positions, ["C"] * 10 + ["H"] * 10


MOLECULES = {
    "methane": ((TETRAHEDRON, ["H"] * 4), "Td", 24, 1),
    "CH3D as CH3F": ((TETRAHEDRON, ["F", "H", "H", "H"]), "C3v", 6, 3),
    "CH2F2": ((TETRAHEDRON, ["F", "F", "H", "H"]), "C2v", 4, 4),
    "SF6": ((OCTAHEDRON, ["F"] * 6), "Oh", 48, 1),
    "icosahedron": ((ICOSAHEDRON, ["B"] * 12), "Ih", 120, 1),
    "ammonia": ((ring(3, 0.94, -0.38), ["H"] * 3), "C3v", 6, 2),
    "water": (([(0, 0.76, 0.59), (0, -0.76, 0.59)], ["H"] * 2), "C2v", 4, 2),
    "benzene, center": ((np.concatenate([ring(6, 1.4), ring(6, 2.49)]), ["C"] * 6 + ["H"] * 6), "D6h", 24, 2),
    "ferrocene, eclipsed": (ferrocene(0.0), "D5h", 20, 4),
    "ferrocene, staggered": (ferrocene(np.pi / 5), "D5d", 20, 4),
    "planar": (([(1, 0.2, 0), (-0.4, 1.3, 0), (-0.9, -1.2, 0), (0.7, -0.8, 0)], ["H"] * 4), "Cs", 2, 8),
    "one neighbor": (([(0.3, 0.2, 1.1)], ["H"]), "C*v", math.inf, 1),
    "carbon dioxide": (([(0.7, 0, 0.7), (-0.7, 0, -0.7)], ["O", "O"]), "D*h", math.inf, 1),
    "hydrogen cyanide": (([(0, 0, 1.06), (0, 0, -1.16)], ["H", "N"]), "C*v", math.inf, 2),
    "nothing": ((np.zeros((0, 3)), []), "Kh", math.inf, 0),
}


@pytest.mark.parametrize("name", MOLECULES)
def test_molecules(name):
    (positions, species), symbol, order, n_fixed = MOLECULES[name]
    positions = np.asarray(positions, float) @ random_rotation(np.random.default_rng(3)).T
    found = stabilizer(environment(positions, species))
    assert (found.symbol, found.order) == (symbol, order)
    if order < math.inf:
        assert_is_stabilizer(found, positions, atol=1e-12)
    projector = found.fixed_projector()
    assert projector.shape == (3 * len(species),) * 2
    assert np.trace(projector) == pytest.approx(n_fixed, abs=1e-10)


@pytest.mark.parametrize("name", MOLECULES)
def test_fixed_projector(name):
    (positions, species), *_ = MOLECULES[name]
    for group in ("O3", "SO3"):
        found = stabilizer(environment(np.asarray(positions, float), species), group=group)
        projector = found.fixed_projector()
        np.testing.assert_allclose(projector, projector.T, atol=0)
        np.testing.assert_allclose(projector @ projector, projector, atol=1e-14)
        for g in range(len(found.rotations)):
            np.testing.assert_allclose(action(found, g) @ projector, projector, atol=1e-13)


def test_methane_permutations_are_those_of_four_atoms():
    found = stabilizer(environment(TETRAHEDRON))
    assert sorted(map(tuple, found.permutations.tolist())) == sorted(itertools.permutations(range(4)))


def test_fullerene_cage():
    vertices = generated(*ICOSAHEDRAL, I) @ np.array([0.0, 1.0, 3 * FIVEFOLD[2]])
    cage = 0.7 * np.unique(vertices.round(9), axis=0)
    assert len(cage) == 60
    for noise in (0.0, 1e-4):
        found = stabilizer(environment(cage + np.random.default_rng(0).uniform(-noise, noise, cage.shape)))
        assert (found.symbol, found.order) == ("Ih", 120)
        np.testing.assert_allclose(np.trace(found.fixed_projector()), 2, atol=1e-10)


def test_noise_does_not_leak_into_the_representation():
    rng = np.random.default_rng(5)
    positions = TETRAHEDRON + rng.uniform(-2e-4, 2e-4, (4, 3))
    found = stabilizer(environment(positions))
    assert found.symbol == "Td"
    assert_is_stabilizer(found, positions, atol=1e-3)
    projector = found.fixed_projector()
    np.testing.assert_allclose(projector @ projector, projector, atol=1e-14)


@pytest.mark.parametrize("seed", range(30))
def test_always_a_group_within_its_tolerance(seed):
    """Noise of the size of the tolerance: which operations pass is then no group by itself."""
    rng = np.random.default_rng(seed)
    positions = [OCTAHEDRON, TETRAHEDRON, ring(6, 1.4)][seed % 3]
    positions = positions + rng.normal(scale=4e-3, size=positions.shape)
    found = stabilizer(environment(positions), tolerance=1e-2)
    assert found.residual <= 1e-2
    assert_is_stabilizer(found, positions, atol=1e-2)


def test_smooth_invariants_do_not_see_the_complement():
    """Sums of a smooth function of radii and angles: invariant, and no more is known of it."""

    def invariants(positions):
        gram = positions @ positions.T
        return jnp.stack([jnp.sum(jnp.cos(k * gram) @ jnp.cos(jnp.diag(gram))) for k in (0.3, 0.7, 1.1)])

    for symbol in ("C2v", "S4", "D3d"):
        positions = generated(*POINT_GROUPS[symbol][2]) @ np.array([0.5, 0.8, 1.3])
        jacobian = np.asarray(jax.jit(jax.jacfwd(invariants))(positions)).reshape(3, -1)
        projector = stabilizer(environment(positions)).fixed_projector()
        np.testing.assert_allclose(jacobian @ projector, jacobian, atol=1e-12)
        assert np.abs(jacobian).max() > 0.1


def test_planar_environment_keeps_its_normal_in_SO3():
    positions = np.array([(1, 0.2, 0), (-0.4, 1.3, 0), (-0.9, -1.2, 0), (0.7, -0.8, 0)])
    found = stabilizer(environment(positions), group="SO3")
    assert (found.symbol, found.order) == ("C1", 1)
    np.testing.assert_allclose(found.fixed_projector(), np.eye(12), atol=1e-15)


def test_collinear_groups():
    axis = np.array([0.6, 0.0, 0.8])
    ends = np.outer([1.2, -1.2, 2.0, -2.0], axis)
    found = stabilizer(environment(ends, ["O", "O", "H", "H"]))
    assert (found.symbol, found.order, len(found.rotations)) == ("D*h", math.inf, 4)
    np.testing.assert_allclose(abs(found.axis @ axis), 1)
    # The two symmetric stretches.
    stretches = np.kron(np.array([[1, -1, 0, 0], [0, 0, 1, -1]]) / math.sqrt(2), axis)
    np.testing.assert_allclose(found.fixed_projector(), stretches.T @ stretches, atol=1e-14)
    for g in range(4):
        np.testing.assert_allclose(found.rotations[g] @ ends.T, ends[found.permutations[g]].T, atol=1e-12)
    assert stabilizer(environment(ends, ["O", "O", "H", "H"]), group="SO3").symbol == "D*"
    assert stabilizer(environment(ends, ["O", "N", "H", "H"])).symbol == "C*v"
    assert stabilizer(environment(ends, ["O", "N", "H", "H"]), group="SO3").symbol == "C*"
    assert stabilizer(environment(np.zeros((0, 3)), []), group="SO3").symbol == "K"


def test_nearly_collinear_and_nearly_planar():
    bent = np.array([(0, 0, 1.0), (0, 3e-4, -1.3)])
    assert stabilizer(environment(bent)).symbol == "C*v"
    assert stabilizer(environment(bent), tolerance=1e-5).symbol == "Cs"
    puckered = np.array([(1, 0.2, 1e-4), (-0.4, 1.3, -1e-4), (-0.9, -1.2, 2e-4), (0.7, -0.8, 0)])
    found = stabilizer(environment(puckered))
    assert found.symbol == "Cs"
    assert 0 < found.residual < 1e-3
    assert stabilizer(environment(puckered), tolerance=1e-5).symbol == "C1"


def test_the_point_group_depends_on_the_tolerance():
    positions = TETRAHEDRON.copy()
    positions[0] *= 1.005
    tolerances = [1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1]
    scan = [stabilizer(environment(positions), tolerance) for tolerance in tolerances]
    assert [s.tolerance for s in scan] == tolerances
    assert [(s.symbol, s.order) for s in scan] == [("C3v", 6)] * 4 + [("Td", 24)] * 2
    assert all(s.residual <= s.tolerance for s in scan)


def test_padding_is_left_out():
    env = environment(TETRAHEDRON)
    padded = stabilizer(env.padded(9))
    assert padded.permutations.shape == (24, 4)
    np.testing.assert_array_equal(padded.fixed_projector(), stabilizer(env).fixed_projector())


def test_whole_molecules():
    cage = np.vstack([np.zeros(3), TETRAHEDRON]) + np.array([3.0, -1.0, 0.5])
    methane = stabilizer(whole(cage, ["C", "H", "H", "H", "H"]))
    assert (methane.symbol, methane.order, methane.permutations.shape) == ("Td", 24, (24, 5))
    assert (methane.permutations[:, 0] == 0).all()
    assert np.trace(methane.fixed_projector()) == pytest.approx(1)
    # The centroid is no atom, and the atoms' environments have less symmetry than the whole.
    ethene = np.array([(0, 0, 0.67), (0, 0, -0.67), *[(0, y, z) for y in (0.92, -0.92) for z in (1.24, -1.24)]])
    assert stabilizer(whole(ethene, ["C", "C", "H", "H", "H", "H"])).symbol == "D2h"
    assert stabilizer(whole(ethene, [6, 6, 1, 1, 1, 9]), group="SO3").symbol == "C1"
    assert stabilizer(whole([(1.0, 2.0, 3.0)], ["He"])).symbol == "Kh"
    assert stabilizer(whole([(1.0, 2.0, 3.0), (1.0, 2.0, 4.1)], ["H", "H"])).symbol == "D*h"


def test_padding_of_molecules_is_left_out():
    batch = jaxfeat.structures([Atoms("H2", [(0, 0, 0), (0, 0, 0.8)]), Atoms("H4", 9 * TETRAHEDRON)], 9.0)
    assert [stabilizer(one).symbol for one in batch] == ["D*h", "Td"]


def test_reprs_show_the_symbol_and_the_order():
    assert re.fullmatch(
        r"Stabilizer\(Td, order 24, 4 atoms, residual \de-1\d Å, group O3\)", repr(stabilizer(environment(TETRAHEDRON)))
    )
    assert repr(stabilizer(environment([(0.0, 0, 1)]))).startswith("Stabilizer(C*v, order ∞, 1 atom, residual ")


@pytest.mark.parametrize(
    ("positions", "options", "message"),
    [
        ([(np.nan, 0, 0), (1, 0, 0)], {}, "not finite"),
        (TETRAHEDRON, {"tolerance": 0.0}, "positive length"),
        (TETRAHEDRON, {"tolerance": 1.0}, "cannot tell apart"),
        (TETRAHEDRON, {"group": "O(3)"}, '"O3" or "SO3"'),
    ],
)
def test_refusals(positions, options, message):
    start = TETRAHEDRON[: len(positions)]
    for at in (environment(start), whole(start, ["H"] * len(start))):
        with pytest.raises(GeometryError, match=message):
            stabilizer(at.with_positions(jnp.asarray(positions)), **options)


def test_batches_and_crystals_are_refused():
    found = stabilizer(environment(TETRAHEDRON))
    for at, message in [
        (Environment.stack([environment(TETRAHEDRON)] * 2), "batch of shape"),
        (jaxfeat.structures(bulk("Cu"), 3.0), "crystal"),
    ]:
        with pytest.raises(GeometryError, match=message):
            stabilizer(at)
        with pytest.raises(GeometryError, match=message):
            symmetrized(at, found)


@pytest.mark.parametrize("distance", [1e-9, 5e-9, 1e-8, 1e-7])
def test_atoms_nearly_in_line_have_the_identity_at_any_tolerance(distance):
    """Rounding leaves their turn about the line open, and with it where a fitted rotation sends them."""
    rng = np.random.default_rng(0)
    points = np.outer([0.9, 1.7, -1.2], [0.6, 0.0, 0.8]) + distance * rng.normal(size=(3, 3))
    found = point_stabilizer(points, np.ones(3, int), "O3", 1e-10)
    assert found.symbol == "C1" and found.residual < 1e-12
    np.testing.assert_array_equal(found.rotations, np.eye(3)[None])


def operations(found):
    """The operations of a stabilizer, as permutations with the sign of the determinant."""
    signs = np.sign(np.linalg.det(found.rotations)).astype(int)
    return {(sign, *permutation) for sign, permutation in zip(signs.tolist(), found.permutations.tolist(), strict=True)}


@pytest.mark.parametrize("group", ["O3", "SO3"])
@pytest.mark.parametrize("seed", range(6))
def test_chains_are_nested_and_ascend_from_the_identity(seed, group):
    """Octahedra and hexagons, deformed by lengths that are far apart, and disturbed."""
    rng = np.random.default_rng(seed)
    points = np.array([*OCTAHEDRON]) if seed % 2 else ring(6, 1.4)
    points = points * [1, 1 + 10.0 ** rng.uniform(-4, -2), 1] + 1e-6 * rng.normal(size=(len(points), 3))
    chain = nearby_stabilizers(points, np.ones(len(points), int), group, 0.1)
    assert (
        len(chain) >= 3
        and chain[0].symbol == "C1"
        and chain[-1].order == ((48 if seed % 2 else 24) // (1 if group == "O3" else 2))
    )
    for smaller, larger in itertools.pairwise(chain):
        assert operations(smaller) < operations(larger) and larger.order % smaller.order == 0
        assert smaller.residual <= larger.residual <= 0.1
    for found in chain:
        assert_is_stabilizer(found, points, atol=max(found.residual, 1e-12) * (1 + 1e-6))
        # With a tolerance of its own residual, the same group is found alone.
        if found.order > 1:
            alone = point_stabilizer(points, np.ones(len(points), int), group, 1.01 * found.residual)
            assert operations(alone) >= operations(found)


def test_chains_of_lines_lead_to_both_ends():
    axis = np.array([0.6, 0.0, 0.8])
    points = np.outer([1.2, -1.2 + 1e-2, 2.0], axis) + 1e-6 * np.random.default_rng(0).normal(size=(3, 3))
    species = np.array([1, 1, 8])
    assert [found.symbol for found in nearby_stabilizers(points[:2], species[:2], "O3", 0.1)][-2:] == ["C*v", "D*h"]
    chain = nearby_stabilizers(points, species, "O3", 0.1)
    assert chain[-1].symbol == "C*v" and chain[0].order == 1
    # Atoms that are in line to rounding have no smaller group.
    exact = nearby_stabilizers(np.outer([1.2, -1.3], axis), species[:2], "O3", 1e-3)
    assert [found.symbol for found in exact] == ["C*v"]


def test_chains_end_where_like_atoms_could_be_exchanged_at_will():
    points = np.array([(0, 0, 1.0), (0, 1e-3, 1.0), (1.1, 0.2, 0.1)])
    assert all(found.residual < 5e-4 for found in nearby_stabilizers(points, np.ones(3, int), "O3", 0.1))
