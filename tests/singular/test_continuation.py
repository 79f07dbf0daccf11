"""Starts and lengths that no path can be followed from."""

import jax.numpy as jnp
import numpy as np
import pytest
from toy_features import C, P, polynomials, two_neighbors

from jaxfeat import Environment, trace_quasi_constant, trace_singular_set
from jaxfeat.errors import GeometryError, PrecisionError, SpeciesError

RADIUS = 0.2
"""Radius (Å) of the ring and of the orbit."""

POLYNOMIAL = polynomials({"pp": 1.0, "qq": 1.0}, C, {"p": 1e-5})


def test_paths_that_cannot_be_followed_are_refused():
    start = two_neighbors(0.1, 0.2, 0.3)
    for trace in (trace_quasi_constant, trace_singular_set):
        f = POLYNOMIAL
        with pytest.raises(GeometryError, match="positive length"):
            trace(f, start, 0.0)
        with pytest.raises(GeometryError, match="positive length"):
            trace(f, start, np.nan)
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
