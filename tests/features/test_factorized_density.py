"""Gradients of solid harmonics are combinations of harmonics."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxfeat.features.factorized_density import gradient_tensors
from jaxfeat.so3.harmonics import solid_harmonics


def test_gradients_of_harmonics_are_harmonics():
    l_max, r = 5, jnp.asarray([0.3, -0.5, 0.7])
    harmonics = lambda r: solid_harmonics(l_max, r)  # noqa: E731
    table, slopes = jax.jit(lambda r: (harmonics(r), jax.jacfwd(harmonics)(r)))(r)
    for l in range(1, l_max + 1):
        found = np.einsum("xmp,p->mx", gradient_tensors(l_max)[l - 1], table[l - 1])[: 2 * l + 1]
        np.testing.assert_allclose(found, slopes[l, l_max - l : l_max + l + 1], atol=1e-14)
