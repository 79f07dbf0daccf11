"""The solver on the known singular sets of plain maps, within bounds, and at minima."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxfeat.singular.gauss_newton import SOLVED, STATIONARY, Bounds, Linearization, begin, proceed, solve
from jaxfeat.singular.singular_equations import function_velocity


def fold(x):
    """Singular where x[1] = 0, along (0, 1)."""
    return jnp.stack([x[0] + x[1] ** 2, x[1] ** 2, jnp.sin(x[0])])


def cusp(x):
    """Whitney's cusp: singular on the parabola x[0] = -3 x[1]², along (0, 1)."""
    return jnp.stack([x[0], x[1] ** 3 + x[0] * x[1]])


def immersion(x):
    """Singular nowhere."""
    return jnp.stack([x[0], x[1], jnp.sin(x[0] * x[1])])


def singular_point_of(fn):
    """The residual [J(x) v, (v·v - 1) / 2] of a map of the plane."""

    def linearize(unknowns):
        x, v = jnp.split(unknowns, 2)
        product = function_velocity(fn, x, v)
        value = jnp.append(product.value, (v @ v - 1) / 2)
        by_x = jnp.pad(product.by_position, ((0, 0), (0, 1)))
        return Linearization(value, jnp.concatenate([by_x, jnp.concatenate([product.by_direction, v[:, None]], 1)]))

    return linearize


def residual_of(fn):
    return lambda x: Linearization(fn(x), jax.jacfwd(fn)(x).T)


def start_at(x, v):
    return jnp.asarray([*x, *v])


@pytest.mark.parametrize(("fn", "equation"), [(fold, lambda x: x[1]), (cusp, lambda x: x[0] + 3 * x[1] ** 2)])
def test_plain_maps_are_landed_on_to_rounding(fn, equation):
    starts = jnp.stack([start_at(x, (0.3, 0.9)) for x in ((0.4, 0.5), (-0.7, 0.3), (0.2, -0.9))])
    found = jax.jit(jax.vmap(lambda start: solve(singular_point_of(fn), start)))(starts)
    assert (found.code == SOLVED).all()
    for x, v in zip(found.unknowns[:, :2], found.unknowns[:, 2:], strict=True):
        assert abs(equation(x)) <= 1e-14
        np.testing.assert_allclose(np.abs(v), (0, 1), atol=1e-14)
        assert np.linalg.norm(jax.jvp(fn, (x,), (v,))[1]) <= 1e-14
    assert found.iterations.max() <= 20
    # Each start alone goes where it goes in a batch.
    alone = solve(singular_point_of(fn), starts[1])
    np.testing.assert_allclose(alone.unknowns, found.unknowns[1], atol=1e-12)


def test_the_shortest_way_is_taken():
    """The singular set of the fold is a line: minimum-norm steps go straight to it."""
    found = solve(singular_point_of(fold), start_at((0.4, 0.1), (0, 1)))
    np.testing.assert_allclose(found.unknowns[:2], (0.4, 0), atol=1e-5)


def test_where_nothing_is_singular_nothing_is_landed_on():
    found = solve(singular_point_of(immersion), start_at((0.4, 0.1), (0, 1)))
    assert found.code != SOLVED and found.residual > 0.1
    lost = solve(singular_point_of(fold), start_at((np.nan, 0.1), (0, 1)))
    assert lost.code == STATIONARY and lost.iterations == 0


def test_a_halted_iteration_goes_on_where_it_was():
    residual, start = singular_point_of(cusp), start_at((-0.7, 0.3), (0.3, 0.9))
    whole, halted = solve(residual, start), proceed(residual, begin(start), 3)
    assert halted.iterations == 2 and whole.iterations > 4
    resumed = proceed(residual, halted, 100)
    for a, b in zip(whole, resumed, strict=True):
        np.testing.assert_array_equal(a, b)


def test_bounds_hold_what_would_leave_them():
    """The minimum of |x - (2, 2)| in a box is its corner; an unknown with equal bounds stays."""
    residual = residual_of(lambda x: x - 2.0)
    bounds = Bounds(jnp.asarray([0.0, 0.0, 0.3]), jnp.asarray([1.0, 3.0, 0.3]))
    found = proceed(residual, begin(jnp.asarray([0.2, 0.1, 0.3])), 100, bounds)
    assert found.code == STATIONARY
    np.testing.assert_allclose(found.unknowns, (1, 2, 0.3), atol=1e-12)
    assert found.unknowns[2] == 0.3 and found.unknowns[0] == 1


def test_the_iteration_ends_at_its_floor_or_after_a_short_step():
    def linearize(x):
        return residual_of(fold)(x)._replace(floor=1e-3, aux=x[0])

    start = jnp.asarray([0.3, 0.4])
    found = proceed(linearize, begin(start, jnp.zeros(())), 100)
    assert found.code == SOLVED and 1e-12 < found.residual <= 1e-3 and found.aux == found.unknowns[0]
    # At a minimum with a residual of 1 the last steps are slow.
    slow = residual_of(lambda x: jnp.stack([x[0] ** 2 + 1, x[0] - x[1]]))
    coarse, fine = (proceed(slow, begin(start), 100, shortest=shortest) for shortest in (1e-3, 1e-6))
    assert coarse.code == fine.code == STATIONARY and coarse.iterations < fine.iterations < 100
    np.testing.assert_allclose(fine.unknowns, 0, atol=1e-4)
