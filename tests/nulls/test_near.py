"""Directions that exact points nearby hide, and that J still sees: their number, cause, distance and sensitivity."""

import jax.numpy as jnp
import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from null_cases import LOCI, OCTAHEDRON, TETRAHEDRON, on_locus, pair_positions, rotated
from null_checks import FAMILIES, NEAR_CAUSES, check_near, count_causes, counts_within

import jaxfeat
from jaxfeat import Bispectrum, Environment, PowerSpectrum, null_space
from jaxfeat.nulls.jacobian_nulls import decompose_jacobian
from jaxfeat.nulls.near import NEAR_DISTANCE

POWER = PowerSpectrum(("H",), n_max=6, l_max=6, radial="laplacian")
"""The featurizer of the benchmark. No program is compiled for it."""

RING = FAMILIES["rings"]
INCOMPLETE = pair_positions(*on_locus(LOCI["cy"]))


def around(positions, center="H"):
    positions = np.asarray(positions, float)
    return Environment.from_neighbors(positions, ["H"] * len(positions), center)


def disturbed(points, distance, rng):
    """Turn points, and move each by at most `distance` (Å) at random."""
    step = rng.normal(size=points.shape)
    return rotated(points, rng) + distance * step / np.linalg.norm(step, axis=1).max()


# --- how small it is ---


@pytest.mark.parametrize("name", ["tetrahedron", "octahedron", "pair", "rings"])
def test_what_a_point_within_d_hides_is_seen_by_the_order_of_d_at_most(name):
    """Over six decades of d, with one constant: σ <= 3 σ_max d / Å. The distance that is told is at most d."""
    rng = np.random.default_rng(1)
    exact = count_causes(null_space(POWER, around(FAMILIES[name])))
    for distance in 10.0 ** np.arange(-8, -1.5):
        at = around(disturbed(FAMILIES[name], distance, rng))
        found = check_near(null_space(POWER, at), POWER, at)
        assert count_causes(found) == exact, distance
        largest = decompose_jacobian(POWER, at).raw_values[0]
        for group in found.near:
            assert group.distance <= 1.5 * distance
            assert group.sigma[0] <= 3 * largest * group.distance, (distance, group)
        # Most of what is hidden is seen by the order of d, so the bound is no empty one.
        assert found.near[-1].sigma[0] >= 0.1 * largest * found.near[-1].distance


# --- the counts of the exact point ---


def test_g2_keeps_its_causes_when_coordinates_are_rounded():
    """Each molecule is turned at random. Counts of null and of nearly null directions are those of the exact one."""
    rng = np.random.default_rng(0)
    exact = list(NEAR_CAUSES.exact_molecules(jaxfeat.read("g2").atoms[::40]))
    species = sorted({symbol for one in exact for symbol in one.get_chemical_symbols()})
    f = PowerSpectrum(species, NEAR_CAUSES.R_CUT, n_max=4, l_max=4, sigma=0.3)
    nulls = null_space(f, jaxfeat.environments(exact, NEAR_CAUSES.R_CUT))
    expected = [(count_causes(null), counts_within(null, 0)) for null in nulls]
    assert sum(null.symmetry > 0 for null in nulls) > 10
    for digits in (3, 4, 5, 6, 8):
        molecules = [NEAR_CAUSES.rounded(one, digits, rng) for one in exact]
        batch = jaxfeat.environments(molecules, NEAR_CAUSES.R_CUT)
        nulls = null_space(f, batch)
        assert {str(null.status) for null in nulls} == {"ok"}, digits
        # Rounding moves atom and center by half a digit along each axis at most.
        assert [(count_causes(null), counts_within(null, 2 * 10.0**-digits)) for null in nulls] == expected, digits
        assert any(null.near for null in nulls)


@pytest.mark.parametrize("name", FAMILIES)
def test_families_keep_their_causes_under_noise(name):
    """From 1e-12 to 1e-3 Å. Never is a cause wrong, and next to the floor of J at most one of 20 is open."""
    rng = np.random.default_rng(0)
    points = FAMILIES[name]
    exact = count_causes(null_space(POWER, around(points)))
    noise = [distance for distance in NEAR_CAUSES.NOISE for _ in range(2)]
    batch = Environment.stack([around(rotated(points, rng) + d * rng.normal(size=points.shape)) for d in noise])
    nulls = null_space(POWER, batch)
    open_ = [d for d, null in zip(noise, nulls, strict=True) if null.status == "ambiguous"]
    assert len(open_) <= 1 and max(open_, default=0) < 1e-8, open_
    for d, null, at in zip(noise, nulls, batch, strict=True):
        if d not in open_:
            assert count_causes(null) == exact, (d, null, null.near)
        if d in (1e-6, 1e-4):
            check_near(null, POWER, at)


def test_counts_up_to_a_point_are_those_at_that_point():
    """An octahedron that is stretched by 1e-2 Å, and disturbed by 1e-5 Å: two points, one beyond the other."""
    rng = np.random.default_rng(3)
    at = around(disturbed(OCTAHEDRON * [1, 1, 1 + 1e-2], 1e-5, rng))
    found = check_near(null_space(POWER, at), POWER, at)
    assert [group.symbol for group in found.near] == ["D_4h", "O_h"]
    assert found.near[0].distance < 2e-5 < 5e-3 < found.near[1].distance < 2e-2
    for group, size in zip(found.near, (13, 14), strict=True):
        there = null_space(POWER, group.geometry)
        assert there.symbol == group.symbol and there.symmetry == size
        assert counts_within(found, group.distance) == {"symmetry": size}
    # Each direction belongs to the nearest point that hides it.
    assert [len(group.directions) for group in found.near] == [13 - found.symmetry, 1]


def test_symmetric_and_incomplete_points_are_told_apart():
    """A mirror plane and an incomplete direction have points of their own."""
    at = around(disturbed(INCOMPLETE, 1e-4, np.random.default_rng(0)))
    (group,) = check_near(null_space(POWER, at), POWER, at).near
    assert (group.cause, group.symbol, group.order, len(group.directions)) == ("incompleteness", "", 2, 1)
    assert null_space(POWER, group.geometry).incompleteness == 1 and group.distance <= 1.5e-4
    assert repr(group) == f"NearGroup(1 incompleteness, within {group.distance:.1e} Å)"
    at = around(disturbed(TETRAHEDRON, 1e-4, np.random.default_rng(0)))
    (group,) = null_space(POWER, at).near
    assert repr(group) == f"NearGroup(8 symmetry, T_d within {group.distance:.1e} Å)"


# --- how far is near ---


def test_points_beyond_the_tolerance_belong_to_no_group():
    at = around(disturbed(TETRAHEDRON, 3e-3, np.random.default_rng(1)))
    (group,) = null_space(POWER, at).near
    for factor in (2.1, 0.99):  # operations of a group within d move atoms by up to 2 d
        found = null_space(POWER, at, factor * group.distance)
        assert ("T_d" in [one.symbol for one in found.near]) == (factor > 1)
        assert all(one.distance <= factor * group.distance for one in found.near)
    assert null_space(POWER, around(disturbed(TETRAHEDRON, 0.3, np.random.default_rng(1)))).near == ()
    assert NEAR_DISTANCE == 0.1


@pytest.mark.parametrize("name", ["tetrahedron", "octahedron", "pair", "line, 2 alike", "line, 3"])
@pytest.mark.parametrize("distance", [1e-9, 5e-9, 1e-7, 1e-6])
def test_the_tolerance_changes_no_count(name, distance):
    """Not even one below the distance: what J does not see next to a line is still due to the line."""
    at = around(disturbed(FAMILIES[name], distance, np.random.default_rng(0)))
    wide, narrow = (null_space(POWER, at, tolerance) for tolerance in (NEAR_DISTANCE, distance / 10))
    assert (narrow.status, narrow.counts) == ("ok", wide.counts)
    assert all(group.distance <= distance / 10 for group in narrow.near)


def test_generic_positions_have_nothing_near():
    rng = np.random.default_rng(0)
    for n in (3, 4, 5):
        positions = rng.normal(size=(n, 3))
        at = around(1.5 * positions / np.linalg.norm(positions, axis=1).mean())
        assert null_space(POWER, at, 1e-3).near == ()


def test_neighbors_next_to_the_cutoff_are_nearly_out_of_reach():
    f = PowerSpectrum(("C", "H"), n_max=4, l_max=4)
    inside = np.random.default_rng(3).normal(size=(3, 3))
    outwards = np.array([(0, 0, 1.0), (0.6, 0.8, 0)])
    at = around([*inside, *(outwards * [[3.98], [3.95]])], "C").padded(7)
    found = check_near(null_space(f, at), f, at)
    assert [(group.cause, len(group.directions)) for group in found.near] == [("locality", 3)] * 2
    np.testing.assert_allclose([group.distance for group in found.near], [0.02, 0.05], rtol=1e-9)
    for group, neighbor, lost in zip(found.near, (3, 4), (3, 6), strict=True):
        assert null_space(f, group.geometry).locality == lost and group.lifted_by == "a larger r_cut"
        # Rigid rotations take the neighbor with them, so its displacements have a part on the others.
        weight = np.linalg.norm(group.directions, axis=(0, 2))
        assert weight.argmax() == neighbor and group.sigma[0] < 1e-3
    assert null_space(f, at, 0.03).near[0].distance < 0.03 and len(null_space(f, at, 0.03).near) == 1
    assert not null_space(f, around([*inside, (0, 0, 3.85)], "C")).near


# --- lines ---


@pytest.mark.parametrize("formula", ["C2H2", "HCN", "CO2"])
def test_linear_molecules_stay_linear_when_they_are_rounded(formula):
    rng = np.random.default_rng(0)
    atoms = molecule(formula)
    f = PowerSpectrum(tuple(sorted(set(atoms.get_chemical_symbols()))), n_max=4, l_max=4)
    exact = null_space(f, jaxfeat.environments(atoms, 4.0))
    assert {null.rigid for null in exact} == {2}
    for digits in (3, 4, 6, 8):
        rough = Atoms(atoms.numbers, np.round(rotated(atoms.positions, rng), digits))
        batch = jaxfeat.environments(rough, 4.0)
        for null, expected, at in zip(null_space(f, batch), exact, batch, strict=True):
            check_near(null, f, at)
            assert count_causes(null) == count_causes(expected), digits
            assert {group.symbol for group in null.near} <= {"C_∞v", "D_∞h", "C_s"}
            assert max((group.distance for group in null.near), default=0) < 3 * 10.0**-digits
            assert digits > 4 or null.rigid == 3 or expected.near == null.near == ()


# --- other features ---


def cosines(positions, species, mask):
    """Sum functions of the dot products of pairs."""
    products = positions @ positions.T
    return jnp.stack([jnp.sin(k * products).sum() for k in range(1, 40)])


def test_features_without_an_order_name_symmetry_alone():
    f = jaxfeat.function(cosines, nu=None)
    rng = np.random.default_rng(0)
    for points in (TETRAHEDRON, INCOMPLETE):
        exact = null_space(f, around(points))
        at = around(disturbed(points, 1e-5, rng))
        found = check_near(null_space(f, at), f, at)
        assert count_causes(found) == count_causes(exact), found.near
        assert {group.cause for group in found.near} == ({"symmetry"} if points is TETRAHEDRON else {"other"})
        assert all(group.order is None and group.lifted_by == "" for group in found.near)


def test_pseudoscalars_see_through_mirror_planes():
    """Proper rotations alone are symmetries: a nearly planar environment has nothing near."""
    f = Bispectrum(("H",), n_max=3, l_max=3, pseudoscalars=True)
    rng = np.random.default_rng(0)
    at = around(disturbed(TETRAHEDRON, 1e-4, rng))
    (group,) = check_near(null_space(f, at), f, at).near
    assert (group.cause, group.symbol, len(group.directions)) == ("symmetry", "T", 8)
    at = around(disturbed(FAMILIES["plane"], 1e-4, rng))
    assert null_space(f, at, 1e-2).near == ()
    (group,) = null_space(POWER, at).near
    assert (group.symbol, len(group.directions)) == ("C_s", 2)


def test_batches_have_the_groups_of_their_members():
    rng = np.random.default_rng(0)
    members = [around(disturbed(points, 1e-4, rng)) for points in (TETRAHEDRON, INCOMPLETE, FAMILIES["plane"])]
    for null, at in zip(null_space(POWER, Environment.stack(members)), members, strict=True):
        alone = null_space(POWER, at).near
        assert [(g.cause, g.symbol, len(g.directions)) for g in null.near] == [
            (g.cause, g.symbol, len(g.directions)) for g in alone
        ]
        np.testing.assert_allclose([g.distance for g in null.near], [g.distance for g in alone], rtol=1e-9)


# --- structures ---


def structure(atoms):
    found = jaxfeat.structures(atoms, 4.0)
    return found[0] if found.batch_shape else found


@pytest.mark.parametrize("lift", [jaxfeat.stacked, jaxfeat.summed])
@pytest.mark.parametrize(("formula", "symbol"), [("CH4", "T_d"), ("H2O", "C_2v"), ("CO2", "D_∞h")])
def test_molecules_keep_their_causes_when_they_are_rounded(formula, symbol, lift):
    f = lift(PowerSpectrum(("C", "H", "O"), n_max=2, l_max=2))
    (atoms,) = NEAR_CAUSES.exact_molecules([molecule(formula)])
    exact = null_space(f, structure(atoms))
    rng = np.random.default_rng(0)
    for digits in (6, 4):
        at = structure(NEAR_CAUSES.rounded(atoms, digits, rng))
        found = check_near(null_space(f, at), f, at)
        assert count_causes(found) == count_causes(exact), (digits, found.near)
        for group in found.near:
            assert (group.cause, group.symbol) == ("symmetry", symbol) and group.distance < 2 * 10.0**-digits
            assert counts_within(found, group.distance) == {"symmetry": null_space(f, group.geometry).symmetry}
        assert bool(found.near) == (exact.symmetry > 0 and formula != "CO2")


def test_near_is_found_once_and_only_when_it_is_asked_for(monkeypatch):
    found = null_space(POWER, around(disturbed(TETRAHEDRON, 1e-3, np.random.default_rng(0))))
    assert found.near is found.near
    calls = []
    monkeypatch.setattr("jaxfeat.nulls.near.NearPoints.groups", lambda *_: calls.append(1) or ())
    other = null_space(POWER, around(disturbed(TETRAHEDRON, 1e-3, np.random.default_rng(0))))
    assert not calls and other.near == () and calls == [1]


def test_padding_has_no_part_in_anything():
    at = around(disturbed(INCOMPLETE, 1e-4, np.random.default_rng(0)))
    small, large = (check_near(null_space(POWER, env), POWER, env) for env in (at, at.padded(7)))
    np.testing.assert_allclose(large.near[0].distance, small.near[0].distance, rtol=1e-6)
    assert large.near[0].directions.shape == (1, 7, 3)


def test_a_scan_names_the_cause_of_a_rounded_methane_of_equal_distances():
    """Two singular sets meet at the end of the published sheet of methanes."""
    exact = np.asarray(jaxfeat.manifolds.prl_methane(1)(np.pi, 0.0).positions)
    rng = np.random.default_rng(0)
    for _ in range(4):
        rounded = (exact @ np.linalg.qr(rng.normal(size=(3, 3)))[0]).round(4)
        at = Environment.from_neighbors(rounded, ["H"] * 4, "C")
        [group] = jaxfeat.scan(PowerSpectrum(("C", "H")), Environment.stack([at]))[0]["near"]
        assert group["cause"] == "incompleteness" and group["distance"] < 2e-4, (rounded, group)
