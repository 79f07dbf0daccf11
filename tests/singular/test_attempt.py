"""The descent before a landing."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from toy_features import COMPLETE, batch, pairs

from jaxfeat.singular.attempt import descend
from jaxfeat.singular.search_equations import search_equations
from jaxfeat.singular.search_space import Free
from jaxfeat.spectrum.jacobian import item_jacobian

SPACE = Free(radii=(0.3, 2.5), min_distance=0.3)
STARTS = jax.tree.map(np.asarray, batch(pairs(0.05)))
POINTS = STARTS.positions.reshape(2, 12)


@pytest.fixture(scope="module")
def equations():
    return search_equations(COMPLETE, SPACE, POINTS, STARTS, None, np.random.default_rng(0), lanes=2)


@eqx.filter_jit
def log_smallest(equations, point, start):
    env = equations.space.item(point, start)
    values, directions = equations.spectrum(item_jacobian(equations.f, env), env)
    return jnp.log(values[-1]), directions[-1]


def test_the_gradient_at_fixed_direction_is_that_of_the_smallest_singular_value(equations):
    start, point = STARTS[0], POINTS[0]
    value, direction = log_smallest(equations.whitened, point, start)
    both = eqx.filter_jit(lambda *at: jax.value_and_grad(equations.whitened.objective)(*at))
    objective, gradient = both(point, direction, start)
    np.testing.assert_allclose(objective, value, rtol=1e-10)
    step = 1e-5
    for axis in np.eye(12)[[0, 4, 11]]:
        up, down = (log_smallest(equations.whitened, point + sign * step * axis, start)[0] for sign in (1, -1))
        np.testing.assert_allclose(gradient @ axis, (up - down) / (2 * step), rtol=1e-6, atol=1e-6)


def test_a_descent_descends_with_any_optimizer(equations):
    before = log_smallest(equations.whitened, POINTS[0], STARTS[0])[0]
    optimizer = optax.chain(optax.scale_by_rms(), optax.scale(-0.005))
    point, value = eqx.filter_jit(descend)(equations.whitened, POINTS[0], STARTS[0], optimizer, 30)
    assert value < before - 1
    np.testing.assert_allclose(log_smallest(equations.whitened, point, STARTS[0])[0], value, rtol=1e-9)
