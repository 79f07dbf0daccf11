"""Singular points are assigned to their strata, in any order of neighbors, or are described as new ones."""

import numpy as np
import pytest

from jaxfeat import Environment, complete_kernel, manifolds, propose_stratum, strata
from jaxfeat.errors import GeometryError

PARSAEIFARD_GOEDECKER = [
    [-0.487769, -0.041057, 0.974419],
    [0.747395, -0.586838, -0.532971],
    [0.784215, 0.602362, 0.456900],
    [-0.696015, 0.835322, 0.069546],
]
NEW = [
    [-0.9178985519868, -0.0557021266073, -1.282180783958],
    [0.618393471771, 1.2176794737324, -0.2342395389281],
    [-0.3403227460957, 0.1917033924666, 1.5287440201701],
    [1.5674366772794, -0.1479335749381, -0.1043358113235],
    [0.3879574578862, -1.3394946871251, 0.7317899507998],
]


def shuffled(env, seed):
    order = np.random.default_rng(seed).permutation(len(env.species))
    return Environment.from_neighbors(np.asarray(env.positions)[order], np.asarray(env.species)[order])


@pytest.mark.parametrize("n, nu", [(4, 2), (5, 2), (6, 2), (7, 3)])
def test_members_are_assigned_to_their_stratum(n, nu):
    for stratum in strata(n, nu, nu == 3).values():
        if stratum.name == "planar":
            continue
        env = shuffled(stratum.member(5), 5)
        found = propose_stratum(env, nu, nu == 3)
        assert found.known and found.explained == found.hidden == stratum.nullity - 3, stratum.name
        assert found.codimension == stratum.codimension or found.hidden > 1, stratum.name
        assert stratum.name in [each.name for each in found.strata], stratum.name
        assert found.residual < 1e-12 and found.distance < 1e-10
        direction = found.stratum.direction(found.positions).reshape(-1)
        rows = complete_kernel(env, nu, nu == 3).rows
        assert np.linalg.norm(direction - rows.T @ (rows @ direction)) < 1e-7


def test_a_rounded_point_is_moved_to_the_exact_one():
    env = Environment.from_neighbors(np.asarray(PARSAEIFARD_GOEDECKER), ["H"] * 4)
    found = propose_stratum(env, 2)
    assert str(found) == "A_1, codimension 3" and found.coincidences == "radii 2, angles 2v"
    assert 1e-9 < found.distance < 1e-6 and found.stratum.residual(found.positions) < 1e-13
    assert not propose_stratum(env, 2, tolerance=1e-8).hidden


def test_symmetry_is_not_incompleteness():
    tetrahedron = np.asarray([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) * 0.6
    found = propose_stratum(Environment.from_neighbors(tetrahedron, ["H"] * 4), 2)
    assert found.hidden == 0 and found.stratum is None and str(found) == "nothing hidden beyond symmetry"
    # A mirror plane hides displacements from every order without pseudoscalars.
    assert propose_stratum(strata(4)["planar"].member(0), 2).hidden == 0


def test_the_loci_of_the_pair_family_are_known():
    coordinates = {"ax": -0.45, "az": 0.95, "bx": 0.6, "by": 0.7, "bz": 0.5, "cx": -0.75, "cy": 0.8}
    names = {}
    for zero in ("cy", "az", "by", "bz"):
        env = manifolds.pair_family(**coordinates | {zero: 0.0}, sign=1)
        names[zero] = propose_stratum(env, 2).stratum.name
    assert names == {"cy": "opposite heights", "az": "opposite heights", "by": "A_1", "bz": "A_1"}
    assert propose_stratum(manifolds.pair_family(**coordinates, sign=1), 2).hidden == 0


def test_a_point_of_no_known_stratum_gets_one_from_its_coincidences():
    """Neighbors 0, 2 and 3 have one radius, 1 is at equal angles with 0 and 2, and 4 with 2 and 3. There are two more
    relations."""
    x = np.asarray(NEW)
    found = propose_stratum(Environment.from_neighbors(x, ["H"] * 5), 2)
    assert not found.known and found.hidden == 1 and found.explained == 0 and found.codimension == 6
    assert str(found) == "new, codimension 6: radii 3, angles 2v + 2v"
    assert found.stratum.codimension == 6 and found.stratum.nu == 2
    moved = found.stratum.follow(found.positions, np.random.default_rng(0).normal(size=(5, 3)), 0.2, step=0.1)[-1]
    env = Environment.from_neighbors(moved, ["H"] * 5)
    kernel = complete_kernel(env, 2)
    direction = found.stratum.direction(moved).reshape(-1)
    assert kernel.nullity == 4 and np.linalg.norm(direction - kernel.rows.T @ (kernel.rows @ direction)) < 1e-10


def test_what_cannot_be_proposed_is_refused():
    env = strata(4)["A_1"].member(0)
    with pytest.raises(GeometryError, match="got a batch of shape"):
        propose_stratum(Environment.stack([env, env]), 2)
