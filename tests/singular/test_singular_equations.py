"""The velocity of features along a displacement, and the slopes of the residual."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from toy_features import CC, C, P, polynomials, two_neighbors

from jaxfeat import PowerSpectrum
from jaxfeat.singular.search_space import Free
from jaxfeat.singular.singular_equations import SingularEquations, function_velocity, item_velocity

RNG = np.random.default_rng(0)
ENV = two_neighbors(0.1, 0.2, 0.3)


def test_velocities_of_densities_are_those_of_any_function():
    f, direction = PowerSpectrum(("H", "O"), n_max=1, l_max=1), RNG.normal(size=(2, 3))

    @eqx.filter_jit
    def both(env, direction):
        features = lambda x: f.features(env.with_positions(x.reshape(2, 3)))  # noqa: E731
        plain = function_velocity(features, env.positions.reshape(-1), direction.reshape(-1))
        return plain, item_velocity(f, env, direction)

    for plain, additive in zip(*both(ENV, direction), strict=True):
        np.testing.assert_allclose(additive, plain, atol=1e-12)
        assert np.abs(plain).max() > 1e-3


def test_the_slopes_of_the_residual_are_its_derivatives():
    """Also those of violated constraints: the second neighbor is too far away, and the two are too near."""
    space = Free((0.5, 1.15), 1.6)
    equations = SingularEquations(polynomials(P, C, CC), space, jnp.asarray(RNG.normal(size=(4, 5))), None)
    residual = equations.residual(ENV)
    unknowns = jnp.concatenate([ENV.positions.reshape(-1), jnp.asarray(RNG.normal(size=6))])
    slopes = jax.jit(jax.jacfwd(lambda unknowns: residual(unknowns).value))(unknowns)
    here = jax.jit(residual)(unknowns)
    np.testing.assert_allclose(here.slopes.T, slopes, atol=1e-12)
    # Features, turning, two bounds of each neighbor, one distance, and the length of v.
    assert here.value.shape == (4 + 3 + 4 + 1 + 1,)
    np.testing.assert_allclose(here.value[7:12], (0, 0, 0, 1.15 - 1.2, distance() - 1.6), atol=1e-12)


def distance():
    return np.linalg.norm(np.diff(np.asarray(ENV.positions), axis=0))
