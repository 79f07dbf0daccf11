"""Bounds of higher derivatives, for features that are bilinear in the coefficients c of the neighbor density.

The radial functions and the harmonics are orthonormal. By Bessel's inequality c is no longer than the density in L²,
and the same holds for derivatives by the positions of the neighbors. The k-th derivative of a Gaussian of width σ along
one axis has the norm √(1 · 3 ⋯ (2k - 1)) / (√2 σ)^k, relative to the Gaussian's own. A symmetric multilinear map is as
large on equal arguments as on any (Banach), so mixed derivatives are no larger. The window and the radial scaling
multiply the Gaussian of a neighbor by a weight, and Leibniz' rule combines both.
"""

from math import comb, pi, sqrt
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxfeat.basis.gto import GTO
from jaxfeat.cutoffs import NoCutoff

if TYPE_CHECKING:
    from jaxfeat.features.density import DensityFeaturizer
    from jaxfeat.geometry.environment import Environment

N_RADII, N_COSINES = 201, 33  # points at which derivatives of a neighbor's weight are evaluated
GRID_SLACK = 1.05  # factor for what lies between these points
MAX_ORDER = 4


def bound_bilinear_derivative(f: "DensityFeaturizer", env: "Environment", order: int, radius: float) -> float | None:
    """Bound the norm of the derivative of an order from 1 to 4 (features per Å to that power) wherever the neighbors of
    one environment moved by at most `radius` (Å, norm of all displacements together). The features must be a bilinear
    form of c with a norm of at most one. Return `None` if no bound is known: where a neighbor may come near the center,
    for densities of delta functions, and for windows with fewer continuous derivatives."""
    smooth = isinstance(f.cutoff, NoCutoff) or f.cutoff.smoothness >= order - 1
    nearest = float(np.linalg.norm(np.asarray(env.positions), axis=1).min())
    if float(f.sigma) == 0 or radius >= 0.5 * nearest or not smooth:
        return None
    of_density = bound_density_derivatives(f, env, order, radius)
    return float(sum(comb(order, i) * of_density[i] * of_density[order - i] for i in range(order + 1)))


def bound_density_derivatives(f: "DensityFeaturizer", env: "Environment", order: int, radius: float) -> np.ndarray:
    """Bound the norms of c and of its derivatives up to an order, on the same ball, `(order + 1,)`."""
    sigma, positions = float(f.sigma), np.asarray(env.positions)
    radii = np.linalg.norm(positions, axis=1)[:, None] + radius * np.linspace(-1, 1, N_RADII)
    weights = _weight_derivatives(f, radii)[: order + 1] * _species_weights(f, env.species)
    k = np.arange(order + 1)
    gaussian = np.sqrt(np.cumprod(np.maximum(2 * k - 1, 1))) / (sqrt(2) * sigma) ** k
    of_neighbors = [sum(comb(i, j) * weights[j] * gaussian[i - j] for j in range(i + 1)) for i in range(order + 1)]
    found = np.asarray([np.max(norms) for norms in of_neighbors])
    # Displacements of several neighbors add up in the first derivative. No higher one mixes neighbors.
    found[1] *= sqrt(len(positions))
    found[0] = _density_norm(f, env, weights[0], sigma) + found[1] * radius
    return found * ((8 * pi**2) ** 0.25 * (pi * sigma**2) ** 0.75 if isinstance(f.radial, GTO) else 1.0)


def _species_weights(f: "DensityFeaturizer", species: Any) -> np.ndarray:
    same = np.asarray(species)[..., None] == np.asarray(f.species)
    return (same * np.abs(np.asarray(f.weights))).sum(-1)


def _density_norm(f: "DensityFeaturizer", env: "Environment", weights: np.ndarray, sigma: float) -> float:
    """Bound the L² norm of the density over that of one Gaussian: like Gaussians at a distance d overlap by
    exp(-d²/4σ²)."""
    points = np.concatenate([np.asarray(env.positions), np.zeros((1, 3))])
    kinds = np.append(np.asarray(env.species), np.asarray(env.center_species))
    factors = np.append(weights, abs(float(f.center_weight)) * _species_weights(f, env.center_species))
    squares = ((points[:, None] - points) ** 2).sum(-1)
    return float(np.sqrt(factors @ np.where(kinds[:, None] == kinds, np.exp(-squares / (4 * sigma**2)), 0) @ factors))


def _weight_derivatives(f: "DensityFeaturizer", radii: np.ndarray) -> np.ndarray:
    """Bound the derivatives of each neighbor's weight along any direction, of orders 0 to 4, at distances `(n, q)`."""
    flat = isinstance(f.cutoff, NoCutoff)
    if not flat and f.cutoff.has_slope:
        weight, slope = f.cutoff.with_slope(radii, float(f.r_cut))
        flat = bool((weight == 1).all() and (slope == 0).all())
    if flat and f.radial_scaling is None:
        return np.eye(MAX_ORDER + 1, 1) * np.ones(len(radii))
    found = _directional_derivatives(f.cutoff, f.radial_scaling, jnp.asarray(f.r_cut), jnp.asarray(radii))
    return GRID_SLACK * np.asarray(found)


@eqx.filter_jit
def _directional_derivatives(cutoff: Any, scaling: Any, r_cut: Array, radii: Array) -> Float[Array, "k n"]:
    cosines = np.linspace(0, 1, N_COSINES)[:, None, None]

    def weight(step: Array) -> Array:
        r = jnp.sqrt(radii[None] ** 2 + 2 * step * radii[None] * cosines + step**2)
        value = cutoff(r, r_cut)
        return value if scaling is None else value * scaling(r)

    def slope_of(function: Any) -> Any:
        return lambda step: jax.jvp(function, (step,), (jnp.ones_like(step),))[1]

    functions = [weight]
    for _ in range(MAX_ORDER):
        functions.append(slope_of(functions[-1]))
    nowhere = jnp.zeros((N_COSINES, *radii.shape), radii.dtype)
    return jnp.stack([jnp.abs(function(nowhere)).max((0, 2)) for function in functions])
