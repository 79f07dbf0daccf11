"""Bounds of derivatives hold, and are nearly attained by one neighbor in a large basis."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxfeat import Environment, PowerSpectrum, cutoffs
from jaxfeat.features.derivative_bounds import bound_density_derivatives


def largest_derivatives(function, positions, radius, n=60):
    """Sample the norms of a function and of its derivatives up to order 4 along directions, within a radius."""
    rng = np.random.default_rng(0)

    @jax.jit
    def norms(shift, along):
        functions = [lambda t: function(positions + shift + t * along)]
        for _ in range(4):
            functions.append(lambda t, before=functions[-1]: jax.jvp(before, (t,), (1.0,))[1])
        return jnp.stack([jnp.linalg.norm(one(0.0)) for one in functions])

    found = []
    for i in range(n):
        shift, along = rng.normal(size=(2, *positions.shape))
        # Derivatives of a high order are largest along one neighbor's displacement, and often towards the center.
        along *= np.eye(len(positions))[i % len(positions)][:, None] if i % 2 else 1
        along = positions * along[:, :1] if i % 4 == 1 else along
        found.append(norms(radius * shift / np.linalg.norm(shift), along / np.linalg.norm(along)))
    return np.max(found, axis=0)


PLAIN = PowerSpectrum(("H",), n_max=12, l_max=10, sigma=0.4, include_center=False)
WINDOW = PowerSpectrum(("H",), 4.0, 12, 10, 0.4, "laplacian", cutoffs.Smoothstep(2.0), weights=[2.0])


@pytest.mark.parametrize(("f", "distance", "share"), [(PLAIN, 1.0, 0.9), (WINDOW, 2.6, 0.25)])
def test_one_neighbor_attains_the_bounds_of_the_density(f, distance, share):
    env = Environment.from_neighbors([[0.6 * distance, 0, 0.8 * distance]], ["H"])
    f = f.prepared()
    largest = largest_derivatives(lambda x: f.density(env.with_positions(x)).ravel(), env.positions, 0.0)
    bounds = bound_density_derivatives(f, env, 4, 0.0)
    assert (largest <= bounds).all() and (largest > share * bounds).all(), largest / bounds


def test_derivatives_of_features_are_within_their_bounds():
    """One hydrogen is in the tail of the window, where the weight changes most."""
    env = Environment.from_neighbors([[1.0, 0, 0.2], [0.1, -1.2, 0.3], [-1, 1, 1.1], [0.3, 2.5, -2.4]], ["H"] * 4, "C")
    f = PowerSpectrum(("C", "H"), n_max=3, l_max=3, sigma=0.4).prepared()
    largest = largest_derivatives(lambda x: f.features(env.with_positions(x)), env.positions, 0.2)[1:]
    bounds = [f.derivative_bound(env, order, 0.2) for order in (1, 2, 3, 4)]
    assert (largest < bounds).all(), (largest, bounds)
    assert f.derivative_bound(env, 3, 0.6) is None  # a neighbor may come near the center
    rough = PowerSpectrum(("C", "H"), cutoff=cutoffs.ShiftedCosine(1.0))
    assert rough.derivative_bound(env, 2, 0.1) is not None and rough.derivative_bound(env, 3, 0.1) is None
