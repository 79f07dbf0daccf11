"""Landing on the known singular sets of plain maps."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxfeat.singular.land import SOLVED, STATIONARY, land, plain_residual


def fold(x):
    """Singular where x[1] = 0, along (0, 1)."""
    return jnp.stack([x[0] + x[1] ** 2, x[1] ** 2, jnp.sin(x[0])])


def cusp(x):
    """Whitney's cusp: singular on the parabola x[0] = -3 x[1]², along (0, 1)."""
    return jnp.stack([x[0], x[1] ** 3 + x[0] * x[1]])


def immersion(x):
    """Singular nowhere."""
    return jnp.stack([x[0], x[1], jnp.sin(x[0] * x[1])])


@pytest.mark.parametrize(("fn", "equation"), [(fold, lambda x: x[1]), (cusp, lambda x: x[0] + 3 * x[1] ** 2)])
def test_plain_maps_are_landed_on_to_rounding(fn, equation):
    starts = jnp.asarray([(0.4, 0.5), (-0.7, 0.3), (0.2, -0.9)])
    direction = jnp.asarray([0.3, 0.9])
    found = jax.jit(jax.vmap(lambda x: land(plain_residual(fn), x, direction)))(starts)
    assert (found.code == SOLVED).all()
    for x, v in zip(found.point, found.direction, strict=True):
        assert abs(equation(x)) <= 1e-14
        np.testing.assert_allclose(np.abs(v), (0, 1), atol=1e-14)
        assert np.linalg.norm(jax.jvp(fn, (x,), (v,))[1]) <= 1e-14
    assert found.iterations.max() <= 20
    # Each on its own goes where it goes in a batch.
    alone = land(plain_residual(fn), starts[1], direction)
    np.testing.assert_allclose(alone.point, found.point[1], atol=1e-12)


def test_the_shortest_way_is_taken():
    """The singular set of the fold is a line: minimum-norm steps go straight to it."""
    found = land(plain_residual(fold), jnp.asarray([0.4, 0.1]), jnp.asarray([0.0, 1.0]))
    np.testing.assert_allclose(found.point, (0.4, 0), atol=1e-5)


def test_where_nothing_is_singular_nothing_is_landed_on():
    found = land(plain_residual(immersion), jnp.asarray([0.4, 0.1]), jnp.asarray([0.0, 1.0]))
    assert found.code != SOLVED and found.residual > 0.1
    lost = land(plain_residual(fold), jnp.asarray([np.nan, 0.1]), jnp.asarray([0.0, 1.0]))
    assert lost.code == STATIONARY and lost.iterations == 0
