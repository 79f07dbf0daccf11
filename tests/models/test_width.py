"""Fewer features than directions leave null directions of the cause "width", beyond those of the exact classes."""

import numpy as np
import pytest
from ase import Atoms
from model_cases import LITMUS, evaluate_with

import jaxfeat
from jaxfeat.nulls.causes import CAUSES

POWER = jaxfeat.PowerSpectrum(("C", "H"), r_cut=4.0, n_max=6, l_max=6)
MIXED = np.random.default_rng(0).normal(size=(20, POWER.n_features))
METHANE = jaxfeat.structures(Atoms("CH4", LITMUS), POWER)


def narrow(rows, nu):
    """Make a model of few combinations of features."""
    evaluate = evaluate_with(
        POWER, lambda s, x, j: x @ rows.T, lambda s, x, j: np.einsum("kd,cdnx->cknx", rows, j, optimize=True)
    )
    return jaxfeat.external(evaluate, reach=4.0, nu=nu, species=("C", "H"))


@pytest.mark.parametrize("n", [1, 5, 8, 9])
def test_independent_features_explain_all_that_the_exact_classes_leave(n):
    """The carbon's neighbors have nine directions, and order 2 misses one of them in any basis."""
    declared, unknown = (jaxfeat.null_space(narrow(MIXED[:n], nu), METHANE, center=0) for nu in (2, None))
    left = max(8 - n, 0)
    assert declared.status == unknown.status == "ok"
    assert declared.counts == {**dict.fromkeys(CAUSES, 0), "rigid": 6, "incompleteness": 1, "width": left}
    # Without a declared order, the ninth feature shows that the last null direction is not due to the width.
    assert (unknown.width, unknown.other) == ((9 - n, 0) if n < 9 else (0, 1))
    for found in (declared, unknown):
        rows = np.concatenate([found.directions[cause] for cause in CAUSES]).reshape(-1, 15)
        np.testing.assert_allclose(rows @ rows.T, np.eye(len(rows)), atol=1e-9)
        assert len(rows) == found.nullity


def test_each_dependent_feature_leaves_one_direction_to_another_cause():
    rows = np.vstack([MIXED[:4], MIXED[:4].sum(0)])
    declared, unknown = (jaxfeat.null_space(narrow(rows, nu), METHANE, center=0) for nu in (2, None))
    assert (declared.incompleteness, declared.truncation, declared.width) == (1, 1, 3)
    assert (unknown.other, unknown.width) == (1, 4)


def test_stacked_and_summed_maps_count_their_own_features():
    m = narrow(MIXED[:1], 2)
    assert jaxfeat.null_space(m, METHANE).width == 9 - 5
    assert jaxfeat.null_space(jaxfeat.summed(m), METHANE).width == 9 - 2
    assert "more features" in jaxfeat.cure(m, METHANE)["width"].reason


def test_bases_are_truncated_instead():
    small = jaxfeat.PowerSpectrum(("C", "H"), r_cut=4.0, n_max=1, l_max=0)
    found = jaxfeat.null_space(small, METHANE, center=0)
    assert found.width == 0 and found.truncation > 0


def test_records_and_verdicts_name_the_width():
    from jaxfeat.report.verdict import judge_records

    record = jaxfeat.scan(narrow(MIXED[:1], 2), [METHANE])[0]
    assert record["null"] == {"rigid": 6, "symmetry": 0, "incompleteness": 0, "truncation": 0, "width": 4}
    named = {**record, "name": "CH4", "species": "", "n_neighbors": 0}
    assert "1 with fewer features than directions" in str(judge_records([named], "structure"))
