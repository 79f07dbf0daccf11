"""Every null direction has one cause, with real featurizers."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from null_cases import LOCI, OCTAHEDRON, PAIR, TETRAHEDRON, coincident, on_locus, rotated
from null_checks import check_near, count_causes
from reference_nulls import null_counts

import jaxfeat
from jaxfeat import (
    Bispectrum,
    Environment,
    PowerSpectrum,
    complete_kernel,
    manifolds,
    null_space,
    stabilizer,
    symmetrized,
)
from jaxfeat.errors import GeometryError, PrecisionError, SizeError, SpeciesError
from jaxfeat.geometry.structure import Structure
from jaxfeat.nulls.causes import CAUSES
from jaxfeat.nulls.jacobian_nulls import decompose_jacobian
from jaxfeat.nulls.sites import rigid_space
from jaxfeat.spectrum.blocks import restrict_species

ROOM = 7
"""Neighbors that environments are padded to, so that each featurizer is compiled once."""

POWER = PowerSpectrum(("C", "H", "F"), n_max=4, l_max=6)
SCALARS = Bispectrum(("C", "H"), n_max=3, l_max=3)
CHIRAL = Bispectrum(("C", "H"), n_max=3, l_max=3, pseudoscalars=True)

POLISHED = [
    (-0.48777063708425966, -0.04105166243624777, 0.9744197550325645),
    (0.7473924976272168, -0.5868212574809889, -0.5329918894148965),
    (0.7842148300051242, 0.6023607624770849, 0.4569020565003836),
    (-0.6960069131298824, 0.8353305226584423, 0.06951534157056456),
]
"""`reference_nulls.polished` of the six digits of theory, section 3, for a power spectrum of n_max = 2, l_max = 5."""


def environment(positions, species=None, room=ROOM, center="C"):
    positions = np.asarray(positions, float).reshape(-1, 3)
    species = ["H"] * len(positions) if species is None else species
    return Environment.from_neighbors(positions, species, center).padded(room)


def neighbors(rng, n):
    directions = rng.normal(size=(n, 3))
    return rng.uniform(0.8, 1.6, size=(n, 1)) * directions / np.linalg.norm(directions, axis=1, keepdims=True)


def counted(f, at, **options):
    """The counts that are not zero, after everything that must hold of any null space has been seen to hold."""
    found = null_space(f, at, **options)
    assert found.status == "ok", found.reason
    check(found, f, at)
    return {name: count for name, count in found.counts.items() if count}


def check(found, f, at):
    assert sum(found.counts.values()) == found.nullity
    assert found.counts == {name: getattr(found, name) for name in CAUSES}
    n = at.positions.shape[-2]
    rows = np.concatenate([found.directions[name] for name in CAUSES]).reshape(-1, 3 * n)
    np.testing.assert_allclose(rows @ rows.T, np.eye(found.nullity), atol=1e-9)
    assert not np.any(rows.reshape(-1, n, 3)[:, ~np.asarray(at.mask)])
    # That this is the Jacobian is a test of its own; another program for each featurizer would double what is compiled.
    jacobian = decompose_jacobian(f, at).matrix.reshape(-1, 3 * n)
    assert np.abs(jacobian @ rows.T).max(initial=0) < 1e-9 * max(np.abs(jacobian).max(), 1)
    for low, high in found.gap.values():
        assert high >= 100 * low
    if found.nullity < 3 * int(at.mask.sum()):
        assert found.gap["jacobian"][0] <= found.floor["jacobian"] < 1e-11 < found.gap["jacobian"][1]


# --- the table of theory.md ---


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize(("f", "chiral"), [(POWER, False), (SCALARS, False), (CHIRAL, True)])
def test_table(f, chiral, seed):
    rng = np.random.default_rng(seed)
    assert counted(f, environment(neighbors(rng, 4))) == {"rigid": 3}
    planar = environment(rotated(neighbors(rng, 4) * [1, 1, 0], rng))
    assert counted(f, planar) == ({"rigid": 3} if chiral else {"rigid": 3, "symmetry": 2})
    assert null_space(f, planar).stabilizer.symbol == ("C1" if chiral else "Cs")
    tetrahedron = environment(rotated(rng.uniform(0.5, 1) * TETRAHEDRON, rng))
    assert counted(f, tetrahedron) == {"rigid": 3, "symmetry": 8}
    assert null_space(f, tetrahedron).stabilizer.symbol == ("T" if chiral else "Td")
    octahedron = environment(rotated(rng.uniform(0.7, 1) * OCTAHEDRON, rng))
    assert counted(f, octahedron) == {"rigid": 3, "symmetry": 14}
    line = environment(rotated(np.outer([rng.uniform(0.7, 1), -rng.uniform(1.1, 1.5)], [0, 0, 1]), rng))
    assert counted(f, line) == {"rigid": 2, "symmetry": 2}


def test_radial_spectra_see_distances_alone():
    f = jaxfeat.RadialSpectrum(("C", "H"), n_max=4)
    rng = np.random.default_rng(0)
    assert counted(f, environment(neighbors(rng, 4))) == {"rigid": 3, "incompleteness": 5}
    equal = 1.1 * np.array([(1, 0, 0), (0.28, 0.96, 0), (0, 0.6, 0.8), (-0.6, 0.64, 0.48)])
    # Only the sum of the four distances is visible, and no symmetry hides the others.
    assert counted(f, environment(equal)) == {"rigid": 3, "incompleteness": 8}
    assert counted(f, environment(TETRAHEDRON)) == {"rigid": 3, "symmetry": 8}


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("locus", LOCI)
def test_pair_family_is_incomplete_where_it_coalesces(locus, seed):
    rng = np.random.default_rng(seed)
    parameters = np.array(PAIR) if seed == 0 else rng.uniform(0.4, 1.0, 7) * rng.choice([-1, 1], 7)
    assert counted(POWER, manifolds.pair_family(*parameters.tolist(), 1).padded(ROOM)) == {"rigid": 3}
    parameters[LOCI[locus]] = 0
    env = manifolds.pair_family(*parameters.tolist(), 1).padded(ROOM)
    assert counted(POWER, env) == {"rigid": 3, "incompleteness": 1}
    assert counted(SCALARS, env) == counted(CHIRAL, env) == {"rigid": 3}


def test_different_species_lift_directions_of_like_atoms():
    on = on_locus(LOCI["cy"])
    env = manifolds.pair_family(*on, 1, species=("F", "H", "H", "F")).padded(ROOM)
    assert counted(POWER, env) == {"rigid": 3, "incompleteness": 1}
    env = manifolds.pair_family(*on, 1, species=("H", "H", "H", "F")).padded(ROOM)
    expected = complete_kernel(env, 2).nullity - 3
    assert counted(POWER, env).get("incompleteness", 0) == expected
    assert counted(POWER, environment(TETRAHEDRON, ["F", "H", "H", "H"])) == {"rigid": 3, "symmetry": 6}


def ring(seed):
    r, a, psi, z1, z2 = (1.2, 1.1, 0.6, 0.7, 1.3)
    if seed:
        r, a, psi, z1, z2 = np.random.default_rng(seed).uniform((1, 0.9, 0.4, 0.5, 1.1), (1.3, 1.3, 0.8, 0.8, 1.4))
    return manifolds.ring_pair(r, [0.0, a, -a], psi, z1, z2, 1, center_species=None)


def waves(nu):
    """Sum random waves in the invariants of ν-tuples: a basis of order ν."""
    tuples = np.array(list(itertools.product(range(ROOM), repeat=nu)))
    pairs = list(itertools.combinations_with_replacement(range(nu), 2))
    rng = np.random.default_rng(0)
    numbers, phases = rng.normal(size=(len(pairs), 80)), rng.uniform(0, 2 * np.pi, (1, 80))

    def features(positions, species, mask):
        values = jnp.stack([jnp.sum(positions[tuples[:, a]] * positions[tuples[:, b]], -1) for a, b in pairs], -1)
        return jnp.cos(values @ numbers + phases).sum(0)

    return jaxfeat.function(features, nu=nu)


@pytest.mark.parametrize("seed", [0, 1])
def test_isosceles_rings(seed):
    env = ring(seed)
    assert counted(POWER, env) == {"rigid": 3, "incompleteness": 6}
    for pseudoscalars in (False, True):
        f = Bispectrum(("H",), n_max=2, l_max=4, pseudoscalars=pseudoscalars)
        assert counted(f, env) == {"rigid": 3, "incompleteness": 1}
    assert counted(waves(4), env) == {"rigid": 3}


def test_fourth_order_correlations_see_all_but_symmetry():
    f = jaxfeat.Correlations(("H",), n_max=2, l_max=2, nu=4)
    on = on_locus(LOCI["bz"])
    assert counted(f, manifolds.pair_family(*on, 1, center_species=None)) == {"rigid": 3}
    assert counted(f, environment(TETRAHEDRON, room=4, center=None)) == {"rigid": 3, "symmetry": 8}


def test_the_exact_point_next_to_the_quasi_constant_manifold_is_incomplete_in_every_basis():
    printed = [(-0.487769, -0.041057, 0.974419), (0.747395, -0.586838, -0.532971)]
    printed += [(0.784215, 0.602362, 0.456900), (-0.696015, 0.835322, 0.069546)]
    rough = environment(printed, room=4)
    assert np.abs(np.asarray(POLISHED) - printed).max() < 1e-4
    exact = environment(POLISHED, room=4)
    for l_max in (5, 12):
        f = PowerSpectrum(("C", "H"), n_max=2, l_max=l_max)
        assert counted(f, exact) == {"rigid": 3, "incompleteness": 1}
        # J tells six digits from an exact point, and the nearest one is closer than the last digit.
        found = check_near(null_space(f, rough), f, rough)
        assert {name for name, count in found.counts.items() if count} == {"rigid"}
        (group,) = found.near
        assert (group.cause, group.order, group.lifted_by) == ("incompleteness", 2, "ν = 3")
        assert group.distance < 1e-6 and counted(f, group.geometry) == {"rigid": 3, "incompleteness": 1}


# --- against an independent answer ---


def coincident_environment(seed):
    # With this center every environment holds both species, and one program does for all.
    positions, species = coincident(seed, most=4)
    return environment(positions, species, room=4, center="F")


REFERENCED = [
    PowerSpectrum(("H", "F"), n_max=2, l_max=2),
    Bispectrum(("H", "F"), n_max=1, l_max=2, pseudoscalars=True),
]


@pytest.mark.parametrize("f", REFERENCED, ids=["power", "chiral"])
def test_counts_are_those_of_a_slow_independent_implementation(f):
    seen = set()
    for seed in range(12):
        env = coincident_environment(seed)
        found = {"rigid": 0, "symmetry": 0, "incompleteness": 0, "truncation": 0, **counted(f, env)}
        assert found == null_counts(f, env), seed
        seen |= {name for name, count in found.items() if count}
    assert seen >= ({"rigid", "truncation"} if f.group == "SO3" else {"rigid", "symmetry", "incompleteness"})
    assert f is not REFERENCED[0] or "truncation" in seen


WIDE = [
    PowerSpectrum(("H", "F", "C"), n_max=2, l_max=2),
    Bispectrum(("H", "F", "C"), n_max=1, l_max=2, pseudoscalars=True),
]
"""Featurizers that know carbon, which no environment here holds."""


def hydrogens(positions):
    return Environment.from_neighbors(positions, ["H"] * 4, "F")


@pytest.mark.parametrize("wide", WIDE, ids=["power", "chiral"])
def test_the_rows_are_those_of_all_features_that_are_not_zero(wide):
    env = hydrogens(TETRAHEDRON)
    assert restrict_species(wide, env).species.tolist() == [1, 9]
    whole = np.asarray(jaxfeat.jacobian(wide, env)).reshape(-1, 12)
    decomposed = decompose_jacobian(wide, env)
    rows = decomposed.matrix.reshape(-1, 12)
    assert len(rows) < len(whole)
    np.testing.assert_allclose(rows.T @ rows, whole.T @ whole, rtol=0, atol=1e-13 * np.abs(whole.T @ whole).max())
    null = decomposed.null_space(rigid_space(env))
    assert len(null) == 3 + decomposed.null.sum() == 11
    assert np.abs(whole @ null.T).max() < 1e-9
    np.testing.assert_allclose(decomposed.raw_values, np.linalg.svd(rows, compute_uv=False), atol=1e-13 * len(rows))


def test_neighbors_out_of_reach_get_no_reaction():
    found = decompose_jacobian(WIDE[0], hydrogens([*TETRAHEDRON[:3], (0, 0, 4.2)]))
    assert found.reacting.tolist() == [True] * 3 + [False]
    assert found.weights_gap[0] <= found.rounding < found.weights_gap[1] <= 1
    assert not found.matrix[:, 3].any()


@pytest.mark.parametrize("seed", range(4))
def test_classes_are_the_quotients_of_the_filtration(seed):
    env = coincident_environment(seed)
    n = int(env.mask.sum())
    found = null_space(POWER, env.padded(ROOM))
    upto = {}
    rows = np.zeros((0, 3 * n))
    for name in CAUSES:
        rows = np.concatenate([rows, found.directions[name][:, :n].reshape(-1, 3 * n)])
        upto[name] = rows
    for nu in (1, 2, 3, 4):
        kernel = complete_kernel(env, nu).directions.reshape(-1, 3 * n)
        spaces = [upto["symmetry"]] if nu > 2 else [upto["symmetry"], upto["incompleteness"]]
        for space in spaces:
            assert np.abs(space - space @ kernel.T @ kernel).max(initial=0) < 1e-9
    fixed = found.stabilizer.fixed_projector()
    hidden = np.eye(3 * n) - fixed
    assert np.abs(hidden - hidden @ upto["symmetry"].T @ upto["symmetry"]).max() < 1e-9


# --- what is not seen at all, what is hardly seen, what cannot be known ---


def test_neighbors_out_of_reach_are_a_matter_of_locality():
    near = neighbors(np.random.default_rng(3), 3)
    assert counted(POWER, environment([*near, (0, 0, 4.2)])) == {"rigid": 3, "locality": 3}
    # The neighbor out of reach must turn with the others in a rigid rotation.
    assert counted(POWER, environment([*TETRAHEDRON, (0, 0, 4.2)])) == {"rigid": 3, "locality": 3, "symmetry": 8}
    away = null_space(POWER, environment([(0, 0, 4.2), (5, 0, 0)]))
    assert away.status == "no-signal" and (away.rigid, away.locality) == (3, 3)
    # A neighbor in the tail of the window has a small weight, and is seen.
    tail = null_space(POWER, environment([*near, (0, 0, 3.97)]))
    assert tail.status == "ok" and tail.counts["locality"] == 0
    assert tail.sensitivity[0] < 1e-7 < 1e-5 < tail.sensitivity[1]


def test_near_a_symmetric_point_null_directions_are_due_to_it():
    rng = np.random.default_rng(5)
    for noise in (1e-6, 1e-8, 1e-3):
        step = rng.normal(size=(4, 3))
        near = environment(TETRAHEDRON + noise * step / np.linalg.norm(step, axis=1, keepdims=True))
        found = check_near(null_space(POWER, near), POWER, near)
        assert count_causes(found) == {"symmetry": 8} and found.nullity == 3 + found.symmetry
        assert [group.symbol for group in found.near] == ["T_d"] and found.near[0].distance < 2 * noise
        # J sees only what is larger than its rounding: displacements by their square, or by a higher power.
        assert found.symmetry == {1e-6: 1, 1e-8: 4, 1e-3: 0}[noise]
        assert found.stabilizer.symbol == ("Td" if noise < 1e-5 else "C1")
        assert counted(POWER, found.near[0].geometry) == {"rigid": 3, "symmetry": 8}
        if noise < 1e-5:
            assert counted(POWER, symmetrized(near, found.stabilizer)) == {"rigid": 3, "symmetry": 8}


def test_nearly_singular_points_are_no_singular_points():
    env = manifolds.pair_family(*on_locus(LOCI["cy"], 1e-7), 1).padded(ROOM)
    found = check_near(null_space(POWER, env), POWER, env)
    assert found.nullity == found.rigid == 3
    (group,) = found.near
    assert (group.cause, len(group.directions)) == ("incompleteness", 1) and group.distance < 1e-7
    assert counted(POWER, group.geometry) == {"rigid": 3, "incompleteness": 1}
    assert null_space(POWER, env, tolerance=1e-9).near == ()
    assert counted(POWER, env, tolerance=1e-9) == {"rigid": 3}


def test_values_next_to_the_floor_are_ambiguous_unless_a_point_explains_them():
    env = manifolds.pair_family(*on_locus(LOCI["cy"], 1e-12), 1).padded(ROOM)
    found = null_space(POWER, env, tolerance=1e-14)
    assert found.status == "ambiguous" and found.incompleteness == 0
    assert found.reason.startswith("the smallest non-null singular value of J is ") and "1e-14 Å" in found.reason
    assert count_causes(null_space(POWER, env)) == {"incompleteness": 1} and null_space(POWER, env).status == "ok"


def test_few_neighbors():
    empty = null_space(POWER, environment(np.zeros((0, 3))))
    assert (empty.status, empty.nullity) == ("empty", 0) and not any(empty.counts.values())
    assert counted(POWER, environment([(0.3, 0.4, 1.2)])) == {"rigid": 2}


def test_statuses_and_refusals():
    env = environment(TETRAHEDRON)
    broken = null_space(POWER, env.with_positions(env.positions.at[1, 2].set(jnp.nan)))
    assert broken.status == "non-finite" and broken.nullity == 0
    steep = jaxfeat.function(lambda x, species, mask: jnp.sqrt(jnp.sum(x[:, :1] * 0, -1)), nu=1)
    assert null_space(steep, env).status == "non-finite"
    with pytest.raises(PrecisionError, match="float64"):
        null_space(POWER, env.with_positions(env.positions.astype(jnp.float32)))
    with pytest.raises(SpeciesError, match="O not among"):
        null_space(POWER, environment(TETRAHEDRON, ["O", "H", "H", "H"]))


def cosines(positions, species, mask):
    """Sum functions of the dot products of pairs. They have order 2, but not the distances."""
    products = positions @ positions.T
    return jnp.stack([jnp.sin(k * products).sum() for k in range(1, 40)])


def test_functions_of_declared_and_undeclared_order():
    tetrahedron = environment(TETRAHEDRON, room=4)
    on = manifolds.pair_family(*on_locus(LOCI["az"]), 1)
    declared, undeclared = (jaxfeat.function(cosines, nu=nu, labels=39) for nu in (2, None))
    assert counted(declared, tetrahedron) == counted(undeclared, tetrahedron) == {"rigid": 3, "symmetry": 8}
    # Order 2 sees distances too, so the missing direction is due to truncation.
    assert counted(declared, on) == {"rigid": 3, "incompleteness": 1, "truncation": 1}
    assert counted(undeclared, on) == {"rigid": 3, "other": 2}


def test_orders_beyond_the_kernel_are_squeezed_from_below_or_refused(monkeypatch):
    monkeypatch.setattr("jaxfeat.nulls.kernel.MAX_TUPLES", 50)
    generic = environment(neighbors(np.random.default_rng(0), 4))
    coalesced = manifolds.pair_family(*on_locus(LOCI["cy"]), 1).padded(ROOM)
    # 64 tuples are too many for order 3, and it sees no less than these features do.
    assert counted(SCALARS, coalesced) == {"rigid": 3}
    # Order 2 sees all that there is to see of the generic positions, and so does order 3.
    small = Bispectrum(("H", "C"), n_max=1, l_max=0)
    assert set(counted(small, generic)) == {"rigid", "truncation"}
    # The geometry is sound, so a handler of GeometryError must not catch this.
    assert not issubclass(SizeError, GeometryError)
    with pytest.raises(SizeError, match="item 1: 4 neighbors and nu = 3 make 64 tuples"):
        null_space(small, Environment.stack([generic, coalesced]))


def test_batches_are_lists_of_their_members():
    generic = neighbors(np.random.default_rng(1), 4)
    members = [environment(x) for x in (TETRAHEDRON, generic, [(0, 0, 1.0)])]
    together = null_space(POWER, Environment.stack(members))
    assert [n.counts for n in together] == [null_space(POWER, env).counts for env in members]


@pytest.mark.as_shipped
def test_hydrocarbons_of_g2_hide_symmetry_alone():
    """Six digits leave some of them short of their symmetry, and then what is missing is near."""
    atoms = [a for a in jaxfeat.read("g2").atoms if set(a.get_chemical_symbols()) == {"C", "H"}]
    batch = jax.tree.map(np.asarray, jaxfeat.environments(atoms, 4.0))[::5]
    f = PowerSpectrum(("C", "H"), n_max=4, l_max=4)
    short = 0
    for env, found in zip(batch, null_space(f, batch), strict=True):
        check_near(found, f, env)
        exact = symmetrized(env, found.stabilizer) if found.stabilizer.order > 1 else env
        assert set(counted(f, exact)) <= {"rigid", "symmetry"}
        assert count_causes(found) == count_causes(null_space(f, exact))
        short += any(group.cause == "symmetry" and group.distance < 1e-5 for group in found.near)
    assert 0 < short < len(batch) / 3


# --- structures ---


WATER = [(0, 0, 0.12), (0, 0.76, -0.48), (0, -0.76, -0.48)]
MOLECULES = {
    "H2O": (WATER, ["O", "H", "H"], {"rigid": 6}, {"rigid": 6, "symmetry": 1}, "C2v"),
    "CH4": (
        [(0, 0, 0), *TETRAHEDRON],
        ["C", "H", "H", "H", "H"],
        {"rigid": 6, "symmetry": 2},
        {"rigid": 6, "symmetry": 8},
        "Td",
    ),
    "CO2": (
        [(0, 0, 0), (0, 0, 1.17), (0, 0, -1.17)],
        ["C", "O", "O"],
        {"rigid": 5, "symmetry": 2},
        {"rigid": 5, "symmetry": 3},
        "D*h",
    ),
}
SMALL = PowerSpectrum(("C", "H", "O"), n_max=2, l_max=2)


def structure(positions, r_cut=4.0, centers=None):
    positions = np.asarray(positions, float)
    n = len(positions)
    centers = list(range(n)) if centers is None else centers
    near = (np.linalg.norm(positions[:, None] - positions, axis=-1) < r_cut) & ~np.eye(n, dtype=bool)
    k = max(n - 1, 1)
    neighbor, mask = np.zeros((len(centers), k), int), np.zeros((len(centers), k), bool)
    for row, center in enumerate(centers):
        found = np.flatnonzero(near[center])
        neighbor[row, : len(found)], mask[row, : len(found)] = found, True
    return n, centers, neighbor, mask


def molecule(positions, species, r_cut=4.0, centers=None):
    """A molecular `Structure`, without the help of ASE."""
    from jaxfeat.geometry.species import atomic_numbers

    n, centers, neighbor, mask = structure(positions, r_cut, centers)
    return Structure(
        positions=jnp.asarray(positions, float),
        cell=jnp.zeros((3, 3)),
        species=jnp.asarray(atomic_numbers(species)),
        mask=jnp.ones(n, bool),
        center=jnp.asarray(centers, jnp.int32),
        center_mask=jnp.ones(len(centers), bool),
        neighbor=jnp.asarray(neighbor, jnp.int32),
        shift=jnp.zeros((*neighbor.shape, 3)),
        neighbor_mask=jnp.asarray(mask),
        periodic=False,
    )


@pytest.fixture(scope="module")
def molecules():
    """Padded to one shape, so that each lift is compiled once."""
    rng = np.random.default_rng(0)
    singles = [molecule(rotated(np.asarray(x, float), rng) + 3, species) for x, species, *_ in MOLECULES.values()]
    bend = np.array([(1.0, -0.6, 0), (0, 0, 0), (0.2, 1.3, 0), (-0.9, 1.8, 0.6)])
    singles.append(molecule(rotated(bend, rng), ["C", "H", "H", "C"], r_cut=1.6))
    apart = np.concatenate([WATER, rotated(np.asarray(WATER), rng) + 20])
    singles.append(molecule(apart, ["O", "H", "H"] * 2, r_cut=1.6))
    batch = Structure.stack(singles)
    return {name: batch[i] for i, name in enumerate([*MOLECULES, "chain", "two waters"])}


@pytest.mark.parametrize("name", MOLECULES)
def test_molecules(name, molecules):
    _, _, apart, together, symbol = MOLECULES[name]
    assert counted(jaxfeat.stacked(SMALL), molecules[name]) == apart
    assert counted(jaxfeat.summed(SMALL), molecules[name]) == together
    summed = null_space(jaxfeat.summed(SMALL), molecules[name])
    assert summed.stabilizer.symbol == symbol
    # Sums of features see no more than stacked features.
    n = 3 * molecules[name].positions.shape[0]
    sites = null_space(jaxfeat.stacked(SMALL), molecules[name])
    some, all_ = (np.concatenate([x.directions[c] for c in CAUSES]).reshape(-1, n) for x in (sites, summed))
    assert np.abs(some - some @ all_.T @ all_).max() < 1e-9


def test_batches_of_structures(molecules):
    batch = jax.tree.map(lambda *leaves: jnp.stack(leaves), *(molecules[name] for name in MOLECULES))
    found = null_space(jaxfeat.stacked(SMALL), batch)
    assert [{k: v for k, v in n.counts.items() if v} for n in found] == [entry[2] for entry in MOLECULES.values()]


def test_hinges_and_parts_out_of_reach_are_a_matter_of_locality(molecules):
    f = PowerSpectrum(("C", "H", "O"), r_cut=1.6, n_max=2, l_max=2)
    # Each center of the chain sees only the next ones, so none sees the torsion.
    chain = molecules["chain"]
    assert counted(jaxfeat.stacked(f), chain) == {"rigid": 6, "locality": 1}
    (torsion,) = null_space(jaxfeat.stacked(f), chain).directions["locality"]
    distances_ = lambda x: np.linalg.norm(x[:, None] - x, axis=-1)[np.triu_indices(4, 1)]  # noqa: E731
    x, torsion = np.asarray(chain.positions)[:4], torsion[:4]
    slopes = (distances_(x + 1e-6 * torsion) - distances_(x - 1e-6 * torsion)) / 2e-6
    assert np.abs(slopes[[0, 1, 3, 4, 5]]).max() < 1e-8 < 1e-2 < abs(slopes[2])
    # Two waters that do not see each other move on their own. Each is symmetric, and the sums hide the difference
    # between them, but the stabilizer of both together knows nothing of that.
    apart = null_space(jaxfeat.summed(f), molecules["two waters"])
    assert apart.counts == {**dict.fromkeys(CAUSES, 0), "rigid": 6, "locality": 6, "other": 4}


def test_centers_of_some_atoms_only(molecules):
    one = eqx.tree_at(lambda s: s.center_mask, molecules["CH4"], jnp.arange(6) == 0)
    assert counted(jaxfeat.stacked(SMALL), one) == counted(jaxfeat.summed(SMALL), one) == {"rigid": 6, "symmetry": 8}


def rounded(at):
    return at.with_positions(jnp.round(at.positions, 6))


def test_symmetrized_molecules(molecules):
    rough = rounded(molecules["CH4"])
    found = null_space(jaxfeat.summed(SMALL), rough)
    assert count_causes(check_near(found, jaxfeat.summed(SMALL), rough)) == {"symmetry": 8} and found.symmetry < 8
    exact = symmetrized(rough, stabilizer(rough))
    np.testing.assert_allclose(found.near[-1].geometry.positions, exact.positions, atol=1e-12)
    assert np.abs(exact.positions - rough.positions).max() < 1e-6
    assert counted(jaxfeat.summed(SMALL), exact) == {"rigid": 6, "symmetry": 8}
    with pytest.raises(GeometryError, match="of 5 atoms, and here are 4"):
        symmetrized(environment(TETRAHEDRON), stabilizer(rough))


def test_symmetrized_takes_what_null_space_returns(molecules):
    rough = np.round(rotated(np.array(TETRAHEDRON), np.random.default_rng(4)), 6)
    # The last neighbor is out of reach, so it belongs neither to the features nor to the tetrahedron.
    env = environment([*rough, (0.3, 0.2, 4.5)])
    found = null_space(POWER, env)
    assert found.atoms.tolist() == [True] * 4 + [False] * 3
    assert count_causes(check_near(found, POWER, env)) == {"locality": 3, "symmetry": 8} and found.symmetry < 8
    exact = symmetrized(env, found)
    moved = np.linalg.norm(exact.positions - env.positions, axis=-1)
    assert 0 < moved[:4].max() <= found.stabilizer.residual and not moved[4:].any()
    assert counted(POWER, exact) == {"rigid": 3, "locality": 3, "symmetry": 8}
    methane = rounded(molecules["CH4"])
    whole = symmetrized(methane, null_space(jaxfeat.summed(SMALL), methane))
    assert counted(jaxfeat.summed(SMALL), whole) == {"rigid": 6, "symmetry": 8}
    for f, at, message in (
        (jaxfeat.stacked(SMALL), methane, "has a stabilizer for each center"),
        (POWER, env.with_positions(env.positions.at[0].set(jnp.nan)), "no stabilizer to go by: .*not finite"),
    ):
        with pytest.raises(GeometryError, match=message):
            symmetrized(at, null_space(f, at))
    with pytest.raises(GeometryError, match="this null space is of 7 atoms, and here are 5"):
        symmetrized(env.trimmed(), found)


def test_crystals_keep_translations_and_what_is_not_told_apart():
    from ase import Atoms

    crystal = Atoms("CsCl", positions=[(0, 0, 0), (1.6, 1.6, 1.6)], cell=[3.2] * 3, pbc=True)
    f = PowerSpectrum(("Cs", "Cl"), r_cut=3.0, n_max=2, l_max=2)
    s = jaxfeat.structures(crystal, 3.0)
    s = s[0] if s.batch_shape else s
    for lift in (jaxfeat.stacked, jaxfeat.summed):
        found = null_space(lift(f), s)
        assert (found.rigid, found.symmetry, found.nullity) == (3, 3, 6)
