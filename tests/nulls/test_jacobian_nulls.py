"""The decomposed Jacobian of one item: its rows, the neighbors that it reacts to, and its null space."""

import numpy as np
import pytest
from null_cases import TETRAHEDRON

import jaxfeat
from jaxfeat import Bispectrum, Environment, PowerSpectrum
from jaxfeat.nulls.jacobian_nulls import decompose_jacobian, restrict_species
from jaxfeat.nulls.sites import rigid_space

WIDE = [
    PowerSpectrum(("H", "F", "C"), n_max=2, l_max=2),
    Bispectrum(("H", "F", "C"), n_max=1, l_max=2, pseudoscalars=True),
]
"""Featurizers that know carbon, which no environment here holds."""


def environment(positions):
    return Environment.from_neighbors(positions, ["H"] * 4, "F")


@pytest.mark.parametrize("wide", WIDE, ids=["power", "chiral"])
def test_the_rows_are_those_of_all_features_that_are_not_zero(wide):
    env = environment(TETRAHEDRON)
    assert restrict_species(wide, env).species.tolist() == [1, 9]
    whole = np.asarray(jaxfeat.jacobian(wide, env)).reshape(-1, 12)
    decomposed = decompose_jacobian(wide, env)
    rows = decomposed.matrix.reshape(-1, 12)
    assert len(rows) < len(whole)
    np.testing.assert_allclose(rows.T @ rows, whole.T @ whole, rtol=0, atol=1e-13 * np.abs(whole.T @ whole).max())
    null = decomposed.null_space(rigid_space(env))
    assert len(null) == 3 + decomposed.null.sum() == 11
    assert np.abs(whole @ null.T).max() < 1e-9
    np.testing.assert_allclose(decomposed.raw_values(), np.linalg.svd(rows, compute_uv=False), atol=1e-13 * len(rows))


def test_neighbors_out_of_reach_get_no_reaction():
    found = decompose_jacobian(WIDE[0], environment([*TETRAHEDRON[:3], (0, 0, 4.2)]))
    assert found.reacting.tolist() == [True] * 3 + [False]
    assert found.weights_gap[0] <= found.rounding < found.weights_gap[1] <= 1
    assert not found.matrix[:, 3].any()
