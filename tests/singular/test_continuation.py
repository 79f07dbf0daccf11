"""Starts and lengths that no path can be followed from, and the ends of paths."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
import pytest
from toy_features import C, P, polynomials, two_neighbors

from jaxfeat import Environment, trace_quasi_constant, trace_singular_set
from jaxfeat.errors import GeometryError, PrecisionError, SpeciesError
from jaxfeat.singular.continuation import follow

POLYNOMIAL = polynomials({"pp": 1.0, "qq": 1.0}, C, {"p": 1e-5})


@pytest.mark.parametrize("trace", [trace_quasi_constant, trace_singular_set])
def test_paths_that_cannot_be_followed_are_refused(trace):
    f, start = POLYNOMIAL, two_neighbors(0.1, 0.2, 0.3)
    for length in (0.0, np.nan):
        with pytest.raises(GeometryError, match="positive length"):
            trace(f, start, length)
    with pytest.raises(GeometryError, match="one environment"):
        trace(f, Environment.stack([start]), 0.1)
    with pytest.raises(PrecisionError, match="float64"):
        trace(f, start.with_positions(start.positions.astype(jnp.float32)), 0.1)
    with pytest.raises(GeometryError, match="not finite"):
        trace(f, start.with_positions(start.positions.at[0, 1].set(jnp.nan)), 0.1)
    with pytest.raises(GeometryError, match="at the same point"):
        trace(f, start.with_positions(start.positions.at[1].set(start.positions[0])), 0.1)
    with pytest.raises(GeometryError, match="no neighbors"):
        trace(f, Environment.from_neighbors(np.zeros((0, 3)), [], "C"), 0.1)
    with pytest.raises(SpeciesError):
        trace(polynomials(P, species=("H", "C")), start, 0.1)


class Point(NamedTuple):
    """Point of a circle of radius 1 in the plane of x and y."""

    positions: np.ndarray
    tangent: np.ndarray
    easy: bool = True


def at_angle(angle):
    place, tangent = (np.asarray([[np.cos(a), np.sin(a), 0.0]]) for a in (angle, angle + np.pi / 2))
    return Point(np.concatenate([place, [[0, 0, 2.0]]]), np.concatenate([tangent, np.zeros((1, 3))]))


def advance(here, step):
    return at_angle(np.arctan2(here.positions[0, 1], here.positions[0, 0]) + step)


def test_a_path_ends_at_its_length_or_where_no_step_leads_on():
    start = Environment.from_neighbors(np.asarray([[1.0, 0, 0], [0, 0, 2.0]]), ["H", "O"])
    f = polynomials(P)
    path = follow(f, start, start, at_angle(0.0), advance, 0.5, 0.1, 1e-6)
    assert path.status == "length" and path.environments.batch_shape == (len(path.points),)
    np.testing.assert_allclose(path.path[-1], 0.5, rtol=2e-3)
    np.testing.assert_array_equal(path.environments.positions, path.stack("positions"))
    ends = lambda here, step: "stalled" if step > 1e-5 else "lost"  # noqa: E731
    stopped = follow(f, start, start, at_angle(0.0), ends, 0.5, 0.1, 1e-6)
    assert (stopped.status, len(stopped.points)) == ("lost", 1)
