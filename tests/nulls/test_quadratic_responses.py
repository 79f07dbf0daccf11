"""Quadratic responses of tuples and of features, against random functions of tuples and finite differences."""

import jax.numpy as jnp
import numpy as np
import pytest
from null_cases import rotated
from random_responses import random_functions, rank
from toy_features import COMPLETE

from jaxfeat.errors import SizeError
from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.symmetry import point_stabilizer
from jaxfeat.nulls.invariant_forms import finite_operations, invariant_forms
from jaxfeat.nulls.kernel import site_edges
from jaxfeat.nulls.quadratic_responses import Probes, make_probes, second_derivatives, span_responses, tuple_responses

PRISM = np.array([(np.cos(a), np.sin(a), z) for a in 2 * np.pi * np.arange(3) / 3 for z in (0.7, -0.7)])
SQUARE = np.array([(1, 0, 0.3), (-1, 0, 0.3), (0, 1, 0.3), (0, -1, 0.3), (0, 0, 1.2)])


def forms_of(positions, kinds, group="O3"):
    found = point_stabilizer(positions, kinds, group, 1e-6)
    whole = np.eye(positions.size)
    forms = invariant_forms(finite_operations(found), whole)
    return forms, make_probes(forms, whole)


@pytest.mark.parametrize(
    "positions, kinds, nu, pseudoscalars",
    [(PRISM, [0] * 6, 1, False), (PRISM, [0] * 6, 2, False), (PRISM, [0] * 6, 3, False),
     (SQUARE, [0, 0, 1, 1, 0], 2, False), (SQUARE, [0, 0, 1, 1, 0], 3, True)],
)  # fmt: skip
def test_tuples_respond_as_random_functions_do(positions, kinds, nu, pseudoscalars):
    """All displacements count here, not only those that symmetry hides, so first derivatives play no part."""
    positions = rotated(positions, np.random.default_rng(5))
    forms, probes = forms_of(positions, np.array(kinds), "SO3" if pseudoscalars else "O3")
    found = tuple_responses(site_edges(positions, np.array(kinds)), nu, pseudoscalars, 1e-6, probes)
    moves = probes.displacements.reshape(-1, len(positions), 3)
    _, _, bends = random_functions(positions, kinds, moves, nu, len(forms) + 20, 0, pseudoscalars)
    coordinates = probes.inverse @ bends
    np.testing.assert_allclose(probes.values @ coordinates, bends, atol=1e-9 * np.abs(bends).max())
    assert len(found.seen) == rank(coordinates.T)
    assert np.abs(found.missing @ coordinates).max(initial=0) < 1e-9 * np.abs(coordinates).max()


def test_second_derivatives_are_those_of_finite_differences():
    env = Environment.from_neighbors(np.random.default_rng(2).normal(size=(4, 3)), ["H"] * 4)
    moves = np.random.default_rng(3).normal(size=(3, 4, 3))
    found = second_derivatives(COMPLETE, env, moves)
    x, h = np.asarray(env.positions), 1e-3
    for u, bend in zip(moves, found, strict=True):
        ahead, here, behind = (np.asarray(COMPLETE(env.with_positions(jnp.asarray(x + t * u)))) for t in (h, 0, -h))
        ahead2, behind2 = (np.asarray(COMPLETE(env.with_positions(jnp.asarray(x + t * u)))) for t in (2 * h, -2 * h))
        differences = (16 * (ahead + behind) - ahead2 - behind2 - 30 * here) / (12 * h**2)
        np.testing.assert_allclose(bend, differences, atol=1e-7 * np.abs(found).max())


def test_spans_have_gaps_and_too_much_work_is_refused():
    found = span_responses(np.diag([2.0, 1e-3, 1e-14]), 1e-12)
    np.testing.assert_allclose(found.gap, (5e-15, 5e-4))
    assert found.seen.shape == (2, 3) and found.missing.shape == (1, 3)
    crowd = np.random.default_rng(1).normal(size=(12, 3))
    probes = Probes(np.zeros((5000, 36)), np.zeros((5000, 4000)), np.zeros((4000, 5000)))
    with pytest.raises(SizeError, match=r"12 neighbors and nu = 3 have .* responses in 4000 invariant forms"):
        tuple_responses(site_edges(crowd, np.zeros(12, int)), 3, False, 1e-6, probes)
