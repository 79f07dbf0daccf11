"""Members of the known strata satisfy their conditions, and hide their displacement from their order alone."""

from fractions import Fraction

import numpy as np
import pytest

from jaxfeat import complete_kernel, strata
from jaxfeat.errors import BasisError, GeometryError, SizeError
from jaxfeat.singular.strata_closed import breathing

ENTRIES = [stratum for n in (4, 5, 6) for stratum in strata(n).values()]
ENTRIES += [strata(7)["twofold 2"], strata(7)["cones 3 + 3"], strata(7, nu=3, pseudoscalars=True)["rings"]]
ENTRIES += [strata(4, nu=3, pseudoscalars=True)["achiral triples"], strata(5, nu=3)["heptagon"]]
ENTRIES += [stratum for stratum in strata(6, nu=3).values() if stratum.name != "planar"]
SEEDS = (0, 1)


def name_of(stratum):
    return f"{stratum.name}, N = {stratum.n_neighbors}"


def outside(direction, space):
    """Measure the part of a displacement outside of the span of orthonormal ones, relative to its length."""
    rows = np.reshape(space, (-1, direction.size))
    rest = direction.reshape(-1) - rows.T @ (rows @ direction.reshape(-1))
    return np.linalg.norm(rest) / np.linalg.norm(direction)


def turns(x):
    """List three rotations of positions as displacements, `(3, 3 N)`."""
    return np.asarray([np.cross(axis, x).ravel() for axis in np.eye(3)])


@pytest.mark.parametrize("stratum", ENTRIES, ids=name_of)
def test_members_hide_the_displacement(stratum):
    for seed in SEEDS:
        env = stratum.member(seed)
        x = np.asarray(env.positions)
        assert stratum.residual(x) < 1e-13
        direction = stratum.direction(x)
        kernel = complete_kernel(env, stratum.nu, stratum.pseudoscalars)
        assert kernel.nullity == stratum.nullity, seed
        assert outside(direction, kernel.directions) < 1e-12
        assert outside(direction, np.linalg.qr(turns(x).T)[0].T) > 0.01
        # A mirror plane hides displacements from every order without pseudoscalars.
        higher = complete_kernel(env, stratum.nu + 1, stratum.pseudoscalars or stratum.name == "planar")
        assert outside(direction, higher.directions) > 0.01


@pytest.mark.parametrize("stratum", ENTRIES, ids=name_of)
def test_the_conditions_are_independent(stratum):
    found = stratum.codimension_at(stratum.member(2).positions)
    assert found.rank == stratum.codimension and found.gap[1] > 1e-3


@pytest.mark.parametrize("stratum", [s for s in ENTRIES if s.draw is not None], ids=name_of)
def test_rational_members_are_exact(stratum):
    rows = stratum.rational_member(3)
    assert all(isinstance(v, Fraction) for row in rows for v in row)
    assert [condition.value(rows) for condition in stratum.conditions] == [0] * stratum.codimension


def test_codimensions_are_those_of_theory():
    for n in (4, 5, 6):
        entries = strata(n)
        assert [entries[f"A_{k}"].codimension for k in range(1, n - 2)] == [n - 1] * (n - 3)
        assert entries["opposite heights"].codimension == n - 1
        assert entries["D"].codimension == entries["equal angles"].codimension == 2 * n - 4
        assert min(s.codimension for s in entries.values() if s.name != "planar") == n - 1
    assert strata(7, nu=3)["rings"].codimension == 13


def test_the_order_of_neighbors_does_not_matter():
    stratum, order = strata(5)["D crossed"], [3, 0, 4, 1, 2]
    moved = stratum.relabeled(order)
    x = np.asarray(stratum.member(1).positions)
    shuffled = np.empty_like(x)
    shuffled[order] = x
    assert moved.residual(shuffled) < 1e-14
    np.testing.assert_allclose(moved.direction(shuffled)[order], stratum.direction(x), atol=1e-14)
    rows = moved.rational_member(1)
    assert rows[3] == stratum.rational_member(1)[0] and len({moved.random_species(4)[i] for i in moved.like[0]}) == 1


def test_like_neighbors_share_a_species_and_others_do_not():
    stratum = strata(5)["A_1"]
    species = np.asarray([stratum.random_species(seed, ("H", "C", "O")) for seed in range(20)])
    assert (species[:, 0] == species[:, 1]).all() and (species[:, 0] != species[:, 2]).any()
    assert set(species.ravel()) == {"H", "C", "O"}


def test_landing_and_following_stay_on_the_stratum():
    stratum, rng = strata(5)["A_2"], np.random.default_rng(0)
    x = np.asarray(stratum.member(0).positions)
    landed = stratum.land(x + 0.02 * rng.normal(size=x.shape))
    assert 1e-3 < np.abs(landed - x).max() < 0.1 and stratum.residual(landed) < 1e-12
    path = stratum.follow(x, rng.normal(size=x.shape), 0.4, step=0.1)
    assert path.shape == (5, 5, 3) and max(map(stratum.residual, path)) < 1e-12
    lengths = np.linalg.norm(np.diff(path, axis=0).reshape(4, -1), axis=1)
    np.testing.assert_allclose(lengths, 0.1, rtol=0.05)
    with pytest.raises(GeometryError, match="leads off the stratum, or is a rotation"):
        stratum.follow(x, turns(x)[0], 0.1)


def test_impossible_requests_are_refused():
    with pytest.raises(SizeError, match="n_neighbors is 3"):
        strata(3)
    with pytest.raises(BasisError, match="nu is 4"):
        strata(5, nu=4)
    with pytest.raises(GeometryError, match="no rational parametrization"):
        strata(7)["cones 3 + 3"].rational_member()
    with pytest.raises(GeometryError, match="two groups of three"):
        breathing(7, size=3)
