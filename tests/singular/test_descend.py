"""The descent, and the landing with several directions at once."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from toy_features import COMPLETE, batch, pairs

from jaxfeat.singular.attempt import problems_of
from jaxfeat.singular.certify import newton_steps, seen_at
from jaxfeat.singular.descend import descend
from jaxfeat.singular.meet import meet
from jaxfeat.singular.search_space import Free
from jaxfeat.spectrum.jacobian import item_jacobian

SPACE = Free(radii=(0.3, 2.5), min_distance=0.3)
STARTS = jax.tree.map(np.asarray, batch(pairs(0.05)))
POINTS = STARTS.positions.reshape(2, 12)


@pytest.fixture(scope="module")
def problems():
    return problems_of(COMPLETE, SPACE, POINTS, STARTS, None, np.random.default_rng(0), lanes=2)


@eqx.filter_jit
def log_smallest(problem, point, start):
    env = problem.space.environment(point, start)
    values, directions = problem.spectrum(item_jacobian(problem.f, env), env)
    return jnp.log(values[-1]), directions[-1]


def test_the_gradient_at_fixed_direction_is_that_of_the_smallest_singular_value(problems):
    problem, start, point = problems.whitened, STARTS[0], POINTS[0]
    value, direction = log_smallest(problem, point, start)
    both = eqx.filter_jit(lambda problem, *at: jax.value_and_grad(problem.objective)(*at))
    objective, gradient = both(problem, point, direction, start)
    np.testing.assert_allclose(objective, value, rtol=1e-10)
    step = 1e-5
    for axis in np.eye(12)[[0, 4, 11]]:
        up, down = (log_smallest(problem, point + sign * step * axis, start)[0] for sign in (1, -1))
        np.testing.assert_allclose(gradient @ axis, (up - down) / (2 * step), rtol=1e-6, atol=1e-6)


def test_a_descent_descends_with_any_optimizer(problems):
    before = log_smallest(problems.whitened, POINTS[0], STARTS[0])[0]
    optimizer = optax.chain(optax.scale_by_rms(), optax.scale(-0.005))
    point, value = eqx.filter_jit(descend)(problems.whitened, POINTS[0], STARTS[0], optimizer, 30)
    assert value < before - 1
    np.testing.assert_allclose(log_smallest(problems.whitened, point, STARTS[0])[0], value, rtol=1e-9)


def test_directions_meet_where_landing_with_one_is_slow(problems):
    """Where two of the loci of the pair family cross, several directions are null."""
    starts = jax.tree.map(np.asarray, batch(pairs(1e-5, names=("az", "cy"))))
    points = starts.positions.reshape(2, 12)
    near = seen_at(problems.whitened, points, None, starts, 2)
    q = int((near.values[0] < 1e-3).sum())
    assert q > 1 and (near.values[:, -q] > 1e-8).all() and (near.values[:, -q - 1] > 1e-2).all()
    assert (newton_steps(problems.plain, points, near.directions[:, -1], starts, 2) > 1e-6).all()
    found, directions = meet(tuple(problems), points.copy(), near.directions[:, -q:].copy(), starts, 2)
    after = seen_at(problems.whitened, found, directions[:, -1], starts, 2)
    assert (after.values[:, -q] < 1e-12).all() and (after.ratio < 1e-14).all() and (after.residual < 1e-14).all()
    assert 1e-7 < np.abs(found - points).max() < 1e-4
    assert (newton_steps(problems.plain, found, directions[:, -1], starts, 2) < 1e-8).all()
