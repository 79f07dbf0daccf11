"""A bound of third derivatives, for features that are powers of the neighbor density.

The radial functions and the harmonics are orthonormal, so by Bessel's inequality no coefficient vector c is longer than
the density itself, in L². The same holds for their derivatives by the positions of the neighbors. The k-th derivative
of a Gaussian of width σ along one axis has the norm √(1 · 3 ⋯ (2k - 1)) / (√2 σ)^k, relative to the Gaussian's own. A
symmetric multilinear map is as large as on equal arguments (Banach), and derivatives along different axes are no
larger. The window and the radial scaling multiply the Gaussian of each neighbor by s(r), and Leibniz' rule combines
both.
"""

from math import pi, sqrt
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

N_RADII = 301  # at which the derivatives of the radial weight are evaluated, for each neighbor
GRID_SLACK = 1.02  # Factor for what the grid misses. Between two radii a window's third derivative changes by less.


def bound_third_derivative(f: "DensityFeaturizer", env: "Environment", radius: float) -> float | None:
    """Bound the norm of D³F (features per Å³) wherever the neighbors of one environment moved by at most `radius` (Å,
    norm of all displacements together). F must be a ν-linear form of the density's coefficients with a norm of at most
    one. Return `None` if the bound is infinite or unknown: where atoms may reach the center, for densities of delta
    functions, and for windows whose second derivative jumps."""
    sigma, n = float(f.sigma), env.max_neighbors
    r = np.linalg.norm(np.asarray(env.positions), axis=1)
    if sigma == 0 or radius >= 0.5 * r.min() or not (isinstance(f.cutoff, NoCutoff) or f.cutoff.smoothness >= 2):
        return None
    size = (8 * pi**2) ** 0.25 * (pi * sigma**2) ** 0.75 if isinstance(f.radial, GTO) else 1.0
    gaussian = size * np.sqrt([1, 1, 3, 15]) / (sqrt(2) * sigma) ** np.arange(4)
    radii = r[:, None] + radius * np.linspace(-1, 1, N_RADII)
    s, s1, s2, s3 = (np.asarray(x) for x in _weight_and_slopes(f.cutoff, f.radial_scaling, jnp.asarray(f.r_cut), radii))
    # Derivatives of s(|r|) along a direction at the cosine t to r: s'' t² + s'/r (1 - t²) is the second one, and
    # s''' t³ + 3 (s''/r - s'/r²) t (1 - t²) the third; t (1 - t²) is at most 0.385.
    weight = [s, np.abs(s1), np.maximum(np.abs(s2), np.abs(s1) / radii)]
    weight.append(np.abs(s3) + 1.155 * np.abs(s2 - s1 / radii) / radii)
    a = GRID_SLACK * np.asarray(weight).max(-1) * _species_weights(f, env.species)
    m1 = float((a[0] * gaussian[1] + a[1] * gaussian[0]).max())
    m2 = float((a[0] * gaussian[2] + 2 * a[1] * gaussian[1] + a[2] * gaussian[0]).max())
    m3 = float((a[0] * gaussian[3] + 3 * a[1] * gaussian[2] + 3 * a[2] * gaussian[1] + a[3] * gaussian[0]).max())
    center = float(f.center_weight) * float(_species_weights(f, np.asarray(env.center_species)))
    c = _density_norm(np.asarray(env.positions), np.asarray(env.species), a[0], center, int(env.center_species), sigma)
    c, slope = size * c + sqrt(n) * m1 * radius, sqrt(n) * m1
    nu: Any = f.nu
    first, second, third = nu, nu * (nu - 1), nu * (nu - 1) * (nu - 2)
    bound = first * c ** (nu - 1) * m3
    if second:
        bound += 3 * second * c ** (nu - 2) * m2 * slope
    if third:
        bound += third * c ** (nu - 3) * slope**3
    return bound if np.isfinite(bound) else None


def _species_weights(f: "DensityFeaturizer", species: Any) -> np.ndarray:
    same = np.asarray(species)[..., None] == np.asarray(f.species)
    return (same * np.abs(np.asarray(f.weights))).sum(-1)


def _density_norm(
    positions: np.ndarray, species: np.ndarray, weights: np.ndarray, center: float, kind: int, sigma: float
) -> float:
    """Bound the L² norm of the density over that of one Gaussian: like Gaussians at a distance d overlap by
    exp(-d²/4σ²)."""
    points, kinds = np.concatenate([positions, np.zeros((1, 3))]), np.append(species, kind)
    factors = np.append(weights, abs(center))
    squares = ((points[:, None] - points) ** 2).sum(-1)
    overlaps = np.where(kinds[:, None] == kinds, np.exp(-squares / (4 * sigma**2)), 0)
    return float(np.sqrt(factors @ overlaps @ factors))


@eqx.filter_jit
def _weight_and_slopes(cutoff: Any, scaling: Any, r_cut: Array, radii: Any) -> tuple[Float[Array, "n q"], ...]:
    """Compute the radial weight of neighbors and its first three derivatives."""

    def weight(r: Array) -> Array:
        value = cutoff(r, r_cut)
        return value if scaling is None else value * scaling(r)

    def slope_of(function: Any) -> Any:
        return lambda r: jax.jvp(function, (r,), (jnp.ones_like(r),))[1]

    functions = [weight]
    for _ in range(3):
        functions.append(slope_of(functions[-1]))
    return tuple(function(radii) for function in functions)
