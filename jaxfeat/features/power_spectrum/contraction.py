"""The power spectrum of a density."""

from __future__ import annotations

from math import sqrt

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


def contract_power_spectrum(coefficients: list[Float[Array, "q m"]]) -> Float[Array, " n_features"]:
    """Compute F = Σ_m c_{q l m} c_{q' l m} / √(2l+1) of each l and each pair of channels q <= q', √2 times for q < q'.

    `coefficients` holds c of each l. One product for each l takes up to 2.5 times less than one for all l together,
    which multiplies the zeros of |m| > l.
    """
    i, j = np.triu_indices(len(coefficients[0]))
    found = []
    for l, c in enumerate(coefficients):
        products = jnp.matmul(c, c.T, precision="highest")[i, j]
        found.append(products * jnp.asarray(pair_weights(i, j) / sqrt(2 * l + 1), c.dtype))
    return jnp.concatenate(found)


def pair_weights(i: np.ndarray, j: np.ndarray) -> Float[np.ndarray, " pairs"]:
    """Return √2 for pairs of different channels, which stand for two entries of the tensor, and 1 for equal ones."""
    return np.where(i == j, 1, sqrt(2))


def harmonics_scale(l_max: int) -> Float[np.ndarray, " l"]:
    """Return (2l+1)^(-1/4) for each l, the factor of harmonics with which products of two have weight 1/√(2l+1)."""
    return (2 * np.arange(l_max + 1) + 1) ** -0.25
