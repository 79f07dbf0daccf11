"""Density coefficients c_{a n l m}: a sum of Gaussians on neighbors, in radial functions and spherical harmonics.

They stand in an array `(q, l, m)` of channels q = (a, n) and m = -l_max ... l_max, zero where |m| > l: with one shape
for all l, sums over l and m are single contractions.
"""

from __future__ import annotations

from functools import partial
from types import NoneType
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, Int

from jaxfeat.basis.base import AbstractRadialBasis
from jaxfeat.basis.cutoff import AbstractCutoff, NoCutoff, Smoothstep, Willatt2018
from jaxfeat.basis.radial import RADIAL_BASES
from jaxfeat.basis.series import Series
from jaxfeat.errors import BasisError, SpeciesError
from jaxfeat.features.additive import AbstractAdditiveFeaturizer
from jaxfeat.features.atoms import Y_00, Atoms, in_channels
from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.species import SYMBOLS, atomic_numbers
from jaxfeat.linalg.arrays import array_namespace, as_quantity, cast_to_jax_precision, concrete_values
from jaxfeat.so3.harmonics import solid_harmonics


class DensityFeaturizer(AbstractAdditiveFeaturizer):
    """What all correlations of the density share: its expansion, and how it is set up.

    **Arguments:**

    - `species`: symbols or atomic numbers that get a channel each, in this order.
    - `r_cut`: radius of the environment, Å.
    - `n_max`: number of radial functions. `l_max`: largest angular momentum, inclusive.
    - `sigma`: width of the Gaussian put on each atom, Å.
    - `radial`: `"gto"` (DScribe's), `"gto-rascal"` (featomic's and librascal's) or `"laplacian"`.
    - `cutoff`: a window from `jaxfeat.cutoffs`; by default four times differentiable over the last Å.
    - `radial_scaling`: a further weight of distance, or `None`.
    - `include_center`: whether the atom at the center adds to the density; a number is its weight.
    - `weights`: one factor for each species, which its atoms' densities are multiplied by; by default one.

    `r_cut`, `sigma`, the cutoff's width, the radial scaling, `include_center` and `weights` are quantities. They may be
    traced, differentiated, and replaced by `equinox.tree_at`, inside `jax.jit` too. Where `r_cut` or `sigma` is traced,
    the radial functions are worked out by the program, in its dtype, and `sigma` / `r_cut` has to be above 1/64.

    **Raises:** `BasisError` for parameters that define no basis, `SpeciesError` for what is no element.
    """

    radial: AbstractRadialBasis
    cutoff: AbstractCutoff
    radial_scaling: Willatt2018 | None
    r_cut: np.ndarray
    sigma: np.ndarray
    center_weight: np.ndarray
    weights: np.ndarray
    species: np.ndarray
    series: Series | None

    def __init__(
        self,
        species: tuple[str | int, ...] | list[str],
        r_cut: float = 4.0,
        n_max: int = 8,
        l_max: int = 6,
        sigma: float = 0.3,
        radial: str = "gto",
        cutoff: AbstractCutoff | None = None,
        radial_scaling: Willatt2018 | None = None,
        include_center: bool | float = True,
        weights: tuple[float, ...] | list[float] | None = None,
    ) -> None:
        numbers = atomic_numbers(species)
        if not len(numbers) or len(set(numbers.tolist())) != len(numbers):
            raise SpeciesError(f"species is {tuple(species)!r}; name each species that occurs once.")
        if radial not in RADIAL_BASES:
            raise BasisError(f"radial is {radial!r}; choose one of {', '.join(map(repr, RADIAL_BASES))}.")
        for name, count in (("n_max", n_max), ("l_max", l_max)):
            if not isinstance(count, (int, np.integer)):
                raise BasisError(f"{name} is {count!r}; it must be an integer.")
        self.species = numbers
        if not isinstance(cutoff, (AbstractCutoff, NoneType)):
            raise BasisError(f"cutoff is {cutoff!r}; give a window such as jaxfeat.cutoffs.Smoothstep(1.0).")
        if not isinstance(radial_scaling, (Willatt2018, NoneType)):
            raise BasisError(f"radial_scaling is {radial_scaling!r}; give a jaxfeat.cutoffs.Willatt2018, or None.")
        self.radial = RADIAL_BASES[radial](int(n_max), int(l_max))
        self.r_cut, self.sigma = as_quantity(r_cut), as_quantity(sigma)
        self.cutoff = Smoothstep(array_namespace(self.r_cut).minimum(1.0, self.r_cut)) if cutoff is None else cutoff
        self.radial_scaling = radial_scaling
        self.center_weight = as_quantity(include_center)
        self.weights = as_quantity(np.ones(len(numbers)) if weights is None else weights)
        self.series = None
        if self.weights.shape != numbers.shape:
            raise SpeciesError(f"weights is {weights!r}; give one weight for each of the {len(numbers)} species.")
        radius, width = concrete_values(self.r_cut), concrete_values(self.sigma)
        if radius is not None and width is not None:
            # Parameters that define no basis are refused here, and not when the featurizer is first used.
            self.radial.series(radius, width)
        if radius is not None:
            self.cutoff.check(float(radius))

    def prepared(self) -> DensityFeaturizer:
        if self.series is not None:
            return cast_to_jax_precision(self)
        return cast_to_jax_precision(
            eqx.tree_at(lambda f: f.series, self, self.radial_series(), is_leaf=lambda x: x is None)
        )

    def radial_series(self) -> Series:
        """The radial functions as series, for the quantities that the featurizer now has."""
        return self.radial.series(self.r_cut, self.sigma) if self.series is None else self.series

    def restricted_to_species(self, species: Int[Array, " k"] | np.ndarray) -> DensityFeaturizer:
        # Features of absent species are zero, with zero derivatives.
        among = species[:, None] == self.species[None]
        of_species = (among.astype(self.weights.dtype) * self.weights[None]).sum(1)
        return eqx.tree_at(lambda f: (f.species, f.weights), self, (species, of_species))

    @property
    def accepted_radii(self) -> tuple[Any, Any]:
        return self.r_cut, self.r_cut if isinstance(self.cutoff, NoCutoff) else np.inf

    @property
    def n_max(self) -> int:
        return self.radial.n_max

    @property
    def l_max(self) -> int:
        return self.radial.l_max

    @property
    def include_center(self) -> Any:
        weight = concrete_values(self.center_weight)
        if weight is None:
            return self.center_weight
        return bool(weight) if weight in (0, 1) else float(weight)

    @property
    def sizes(self) -> dict[str, int]:
        return {"n_max": self.n_max, "l_max": self.l_max}

    def with_sizes(self, **sizes: int) -> DensityFeaturizer:
        larger = {"n_max": self.n_max, "l_max": self.l_max, **sizes}
        basis: Any = type(self.radial)
        f = eqx.tree_at(lambda f: f.radial, self, basis(**larger))
        f = eqx.tree_at(lambda f: f.series, f, None, is_leaf=lambda x: x is None)
        f.radial_series()
        return f

    @property
    def n_channels(self) -> int:
        """Channels (a, n): species times radial functions."""
        return len(self.species) * self.radial.n_max

    def channel(self, q: int) -> tuple[str, int]:
        """Species symbol and radial index of channel `q`."""
        a, n = divmod(q, self.radial.n_max)
        return SYMBOLS[self.species[a]], n

    def neighbor_density(
        self, position: Float[Array, "3"], species: Int[Array, ""], mask: Bool[Array, ""]
    ) -> Float[Array, "q l m"]:
        radial = self.radial_factor(position @ position, mask)
        return self.in_channels(radial[:, :, None] * solid_harmonics(self.l_max, position)[None], species)

    def density(self, env: Environment) -> Float[Array, "q l m"]:
        # Products of radial and angular factors are summed over neighbors without being formed one by one.
        radial = self.radial_factor(jnp.sum(env.positions**2, -1), env.mask)
        _, at = atoms_of(self, env)
        harmonics = jax.vmap(partial(solid_harmonics, self.radial.l_max), out_axes=-1)(env.positions)
        neighbors = jnp.einsum("qln,lmn->qlm", in_channels(at, radial), harmonics, precision="highest")
        return self.center_density(env.center_species, radial.dtype) + neighbors

    def radial_factor(self, s: Float[Array, "*batch"], mask: Bool[Array, "*batch"]) -> Float[Array, "n l *batch"]:
        """What neighbors at squared distances `s` add to c_{n l m}, but for r^l Y_lm: with window and scaling, and
        zero for padding."""
        # The double where keeps the root's infinite slope at zero out of every derivative.
        r = jnp.where(s > 0, jnp.sqrt(jnp.where(s > 0, s, 1)), 0)
        weight = self.cutoff(r, jnp.asarray(self.r_cut, s.dtype))
        if self.radial_scaling is not None:
            weight = weight * self.radial_scaling(jnp.where(s > 0, r, 1))
        of_distance = self.radial_series()(s / jnp.asarray(self.r_cut, s.dtype) ** 2)
        return _kept(jnp.where(mask, weight, 0))[None, None] * of_distance

    def roundings(self, env: Environment) -> Float[Array, " n"]:
        s = jnp.sum(env.positions**2, -1) / jnp.asarray(self.r_cut, env.positions.dtype) ** 2
        return self.radial_series().roundings(s)

    def center_density(self, species: Int[Array, ""], dtype: jnp.dtype) -> Float[Array, "q l m"]:
        # At the origin only l = 0 is left.
        shape = self.n_max, self.l_max + 1, 2 * self.l_max + 1
        single = jnp.zeros(shape, dtype).at[:, 0, self.l_max].set(Y_00 * self.center_radial(dtype))
        return self.in_channels(single, species)

    def center_radial(self, dtype: DTypeLike) -> Float[Array, " n"]:
        """What the atom at the center adds to c_{n 0 0}, but for Y_00."""
        return jnp.asarray(self.center_weight, dtype) * self.radial_series().at_origin(dtype)

    def in_channels(self, single: Float[Array, "n *rest"], species: Int[Array, ""]) -> Float[Array, "q *rest"]:
        """What belongs to radial functions n, put where the channels of a species are, among zeros."""
        at = jnp.where(species == jnp.asarray(self.species, species.dtype), jnp.asarray(self.weights, single.dtype), 0)
        return jnp.tensordot(at, single, 0, precision="highest").reshape(self.n_channels, *single.shape[1:])

    def neighbor_factors(self, env: Environment) -> tuple[Array, ...]:
        """Radial factors of what neighbors add to the density, and their derivatives, `(l, q, k)`; angular factors and
        theirs, `(l, m, k)`; for all of the k coordinates, which stand last so that rows are long."""
        n, l_max = env.positions.shape[0], self.radial.l_max
        harmonics = partial(solid_harmonics, l_max)

        def factors(position: Array, species: Array, mask: Array) -> tuple[Array, Array, Array, Array]:
            def radial(position: Array) -> Array:
                return self.in_channels(self.radial_factor(position @ position, mask), species).T

            return radial(position), jax.jacfwd(radial)(position), harmonics(position), jax.jacfwd(harmonics)(position)

        def by_coordinate(of_neighbors: Array) -> Array:
            a, b = of_neighbors.shape[1:3]
            return jnp.broadcast_to(of_neighbors, (n, a, b, 3)).transpose(1, 2, 0, 3).reshape(a, b, 3 * n)

        g, dg, h, dh = jax.vmap(factors)(env.positions, env.species, env.mask)
        return tuple(map(by_coordinate, (g[..., None], dg, h[..., None], dh)))

    def by_l(self, density: Float[Array, "q l m"]) -> list[Float[Array, "q m"]]:
        """The coefficients of each l: `(n_channels, 2 l + 1)`."""
        l_max = self.radial.l_max
        return [density[:, l, l_max - l : l_max + l + 1] for l in range(l_max + 1)]


def atoms_of(f: DensityFeaturizer, env: Environment) -> tuple[DensityFeaturizer, Atoms]:
    """What a function with `lanes` takes: the featurizer, from which the species are gone into the atoms, so that each
    item may have its own; and those, still without a batch."""
    known, dtype = jnp.asarray(f.species, env.species.dtype), env.positions.dtype
    weights = jnp.asarray(f.weights, dtype)
    of_neighbors = jnp.where(env.species[:, None] == known[None], weights[None], 0)
    of_center = jnp.where(env.center_species[None] == known, weights, 0)
    nothing = np.zeros(len(f.species), np.int32), np.ones(len(f.species))
    shared = eqx.tree_at(lambda f: (f.species, f.weights), f, nothing)
    return shared, Atoms(env.positions, env.mask, of_neighbors, of_center)


def radial_factors(
    f: DensityFeaturizer, at: Atoms
) -> tuple[Float[Array, "n_max l n *b"], Float[Array, "n_max l n *b"]]:
    """What neighbors add to c_{n l m} but for their solid harmonics, and its derivative by squared distance."""
    s = jnp.sum(at.positions**2, 1)
    return jax.jvp(lambda s: f.radial_factor(s, at.mask), (s,), (jnp.ones_like(s),))


def center_in_channels(f: DensityFeaturizer, at: Atoms) -> Float[Array, "q *b"]:
    """What the atom at the center adds to c_{q 0 0}, but for Y_00."""
    batch = at.of_center.shape[1:]
    radial = f.center_radial(at.positions.dtype).reshape(1, -1, *[1] * len(batch))
    return (at.of_center[:, None] * radial).reshape(-1, *batch)


@jax.custom_jvp
def _kept(x: Array) -> Array:
    """`x`, put into memory: XLA would work a window and its derivative out once more for each (n, l)."""
    # Sums are not fused into what uses them, and the barrier hides that this one does nothing.
    return jnp.sum(jax.lax.optimization_barrier(jnp.stack([x / 2, x / 2])), 0)


@_kept.defjvp
def _(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    return _kept(*primals), _kept(*tangents)
