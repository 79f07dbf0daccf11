"""Proofs: near which points there are exact singular ones, and near which nothing is proved."""

import json
import sys

import jax
import numpy as np
import pytest
from null_cases import LOCI, PARSAEIFARD_GOEDECKER, TETRAHEDRON, on_locus, pair_positions, rotated

import jaxfeat
from jaxfeat import Environment, check_certificate, complete_kernel, prove
from jaxfeat.cli import main
from jaxfeat.errors import BasisError, GeometryError, PrecisionError
from jaxfeat.singular.strata import strata


def hydrogens(positions):
    return Environment.from_neighbors(np.asarray(positions, float), ["H"] * len(positions), "C")


def outside_of_kernel(direction, env, nu):
    """Measure the part of a displacement of norm one that the complete features of order ν see."""
    rows, flat = complete_kernel(env, nu, tolerance=1e-6).rows, direction.ravel()
    return np.linalg.norm(flat - rows.T @ (rows @ flat))


@pytest.mark.parametrize("locus", LOCI)
def test_coalescing_pairs_are_proved(locus):
    """The four loci of docs/theory, in a random orientation. The kernel confirms the displacement without algebra."""
    env = hydrogens(rotated(pair_positions(*on_locus(LOCI[locus])), np.random.default_rng(0)))
    answer = prove(env, 2)
    assert answer.proved and answer.radius < 1e-14 and answer.seen_by == 3
    assert answer.stratum == {"cy": "opposite heights", "az": "opposite heights", "by": "A_1", "bz": "A_1"}[locus]
    assert outside_of_kernel(answer.displacement, env, 2) < 1e-9
    assert outside_of_kernel(answer.displacement, env, 3) > 1e-3
    assert check_certificate(json.dumps(answer.data)) == answer.check() == answer.statement


def test_a_pair_that_does_not_coalesce_is_not_proved():
    answer = prove(hydrogens(pair_positions(*on_locus(LOCI["cy"], 0.8))), 2)
    assert not answer.proved and "no displacement is hidden beyond symmetry" in answer.reason


def test_the_published_methanes_are_proved():
    """All four hydrogens are at one distance. The isolated point F = π, L = 0, and a point of a curve: on it the angle
    of two hydrogens equals that of the other two."""
    sheet = jaxfeat.manifolds.prl_methane(1)
    answer = prove(sheet(np.pi, 0.0), 2)
    assert answer.stratum == "opposite heights" and answer.radius < 1e-14
    fixed = np.asarray(sheet(np.pi, 0.0).positions)[:3] / 1.09
    # A direction h with h · fixed[0] = fixed[1] · fixed[2].
    height, across = fixed[1] @ fixed[2], np.linalg.svd(fixed[:1])[2][1]
    fourth = height * fixed[0] + np.sqrt(1 - height**2) * across
    answer = prove(hydrogens(1.09 * np.concatenate([fixed, fourth[None]])), 2)
    assert answer.stratum == "equal angles" and answer.radius < 1e-14
    assert prove(hydrogens(1.09 * np.concatenate([fixed, fourth[None]])), 3).proved is False


def test_six_digits_are_enough():
    env = hydrogens(PARSAEIFARD_GOEDECKER)
    answer = prove(env, 2)
    assert answer.stratum == "A_1" and 1e-7 < answer.radius < 1e-6
    assert [str(condition) for condition in answer.conditions] and len(answer.conditions) == 3
    np.testing.assert_array_equal(answer.positions, env.positions)
    assert np.linalg.norm(answer.displacement) == pytest.approx(1)
    assert "A_1, 4 neighbors, null for ν = 2, seen by ν = 3, within 5.43e-7 Å" in repr(answer)
    near = prove(env, 2, radius=1e-7)
    assert not near.proved and "is 5.43e-7 Å away, more than the radius" in near.reason


@pytest.mark.parametrize(("n", "nu", "name"), [(4, 2, "A_1"), (4, 2, "D"), (5, 2, "twofold 1"), (7, 3, "rings")])
def test_points_off_the_stratum_are_not_proved_within_less(n, nu, name):
    """A member that moves by 1e-6 Å along a normal is proved within 1e-5 Å, and not within 1e-7 Å."""
    stratum = strata(n, nu)[name]
    env = stratum.member(4)
    normals = np.reshape([c.gradient(np.asarray(env.positions)) for c in stratum.conditions], (-1, 3 * n))
    step = np.linalg.qr(normals.T)[0] @ np.random.default_rng(0).normal(size=len(normals))
    off = env.with_positions(env.positions + 1e-6 * (step / np.linalg.norm(step)).reshape(n, 3))
    assert not prove(off, nu, radius=1e-7).proved
    assert 0.99e-6 < prove(off, nu).radius < 1.02e-6


def test_an_exact_member_comes_before_strata_nearby():
    """This member is 5e-5 Å away from the family "cones 3 + 2 + 2", which explains the same displacement."""
    answer = prove(strata(8)["cones 5 + 2"].member(7), 2)
    assert answer.stratum == "cones 5 + 2" and answer.radius < 1e-14


def test_symmetry_is_no_incompleteness():
    for positions in (TETRAHEDRON, pair_positions(*on_locus(2, 0.3)) * [1, 1, 0]):
        answer = prove(hydrogens(positions), 2)
        assert not answer.proved and "no displacement is hidden beyond symmetry" in answer.reason


def test_pseudoscalars_count():
    """The rings hide their displacement from mirror-blind and from chiral features."""
    env = strata(7, 3)["rings"].member(2)
    plain, chiral = prove(env, 3), prove(env, 3, pseudoscalars=True)
    assert plain.proved and "invariant under rotations and reflections" in plain.statement
    assert chiral.proved and "invariant under rotations," in chiral.statement
    assert len(chiral.data["lemmas"]) > len(plain.data["lemmas"]) > 0


def test_bad_input_is_named():
    env = hydrogens(PARSAEIFARD_GOEDECKER)
    with pytest.raises(GeometryError, match="one environment, got a batch"):
        prove(Environment.stack([env, env]), 2)
    with pytest.raises(GeometryError, match="got ndarray"):
        prove(np.zeros((4, 3)), 2)
    with pytest.raises(BasisError, match="got nu = 5"):
        prove(env, 5)
    with pytest.raises(GeometryError, match="radius is 0"):
        prove(env, 2, radius=0)
    with pytest.raises(PrecisionError, match="float64"):
        prove(jax.tree.map(lambda x: x.astype(np.float32) if x.dtype == np.float64 else x, env), 2)
    assert not prove(hydrogens(PARSAEIFARD_GOEDECKER[:2]), 2).proved
    assert not prove(env, 4).proved


def test_without_flint_the_package_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "flint", None)
    with pytest.raises(ImportError, match=r"pip install 'jaxfeat\[proof\]'"):
        prove(hydrogens(PARSAEIFARD_GOEDECKER), 2)
    assert main(["prove", "prl-methane"]) == 2
    assert "pip install 'jaxfeat[proof]'" in " ".join(capsys.readouterr().err.split())
