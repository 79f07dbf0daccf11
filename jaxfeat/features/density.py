"""Coefficients c_{a n l m} of the neighbor density: Gaussians on atoms, in radial functions and spherical harmonics.
The coefficients stand in an array `(q, l, m)` with channels q = (a, n) of species a and radial function n, and with
m = -l_max ... l_max, zero where |m| > l. Because all l share one shape, sums over l and m are single contractions."""

from __future__ import annotations

from functools import partial
from inspect import cleandoc
from math import pi, sqrt
from types import NoneType
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, Int

from jaxfeat.basis.base import AbstractRadialBasis
from jaxfeat.basis.radial import RADIAL_BASES
from jaxfeat.basis.series import Series
from jaxfeat.cutoffs import AbstractCutoff, NoCutoff, Smoothstep, Willatt2018
from jaxfeat.errors import BasisError, SpeciesError
from jaxfeat.features.additive import AbstractAdditiveFeaturizer
from jaxfeat.features.atom_lanes import AtomLanes, place_in_channels
from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.species import SYMBOLS, distinct_atomic_numbers
from jaxfeat.linalg.arrays import array_namespace, as_quantity, cast_to_jax_precision, concrete_values
from jaxfeat.so3.harmonics import solid_harmonics

Y_00 = 1 / sqrt(4 * pi)  # the spherical harmonic of l = 0

ARGUMENTS = """
    - `species`: Symbols or atomic numbers, each of which gets channels of its own, in this order.
    - `r_cut`: Radius of the environment, Å.
    - `n_max`: Number of radial functions, n = 0 ... n_max - 1.
    - `l_max`: Largest angular momentum, inclusive.
    - `sigma`: Width of the Gaussian on each atom, Å. The Laplacian basis also takes 0, a density of delta functions.
    - `radial`: Radial basis: `"gto"` (as in DScribe), `"gto-rascal"` (as in featomic and librascal) or `"laplacian"`;
        or the basis for given environments that `jaxfeat.optimal_radial` returns, of at least `n_max` functions.
    - `cutoff`: A window from `jaxfeat.cutoffs`. By default `Smoothstep` over the last Å, which has four continuous
        derivatives.
    - `radial_scaling`: A `jaxfeat.cutoffs.Willatt2018` that weighs neighbors by distance, or `None`.
    - `include_center`: If True, the atom at the center adds to the density. A number is the weight of this atom.
    - `weights`: One factor per species, by which the densities of its atoms are multiplied. By default all are 1.
"""
"""Documentation of the arguments that all correlations of the density share."""


class DensityFeaturizer(AbstractAdditiveFeaturizer):
    """Base class of the correlations of the neighbor density.

    **Arguments:**

    {density}

    `r_cut`, `sigma`, the cutoff's width, the radial scaling, `include_center` and `weights` are quantities: they may be
    traced, differentiated, and replaced with `equinox.tree_at`, inside `jax.jit` too. If `r_cut` or `sigma` is traced,
    the compiled program computes the radial functions in its own dtype, and `sigma` / `r_cut` must exceed 1/64.

    **Raises:** `BasisError` if the arguments define no basis. `SpeciesError` if `species` names no element, or one
    twice, or if the number of `weights` differs.
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

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        _insert_arguments(cls)

    def __init__(
        self,
        species: tuple[str | int, ...] | list[str],
        r_cut: float = 4.0,
        n_max: int = 8,
        l_max: int = 6,
        sigma: float = 0.3,
        radial: str | AbstractRadialBasis = "gto",
        cutoff: AbstractCutoff | None = None,
        radial_scaling: Willatt2018 | None = None,
        include_center: bool | float = True,
        weights: tuple[float, ...] | list[float] | None = None,
    ) -> None:
        numbers = distinct_atomic_numbers(species)
        if not isinstance(radial, AbstractRadialBasis) and radial not in RADIAL_BASES:
            names = ", ".join(map(repr, RADIAL_BASES))
            raise BasisError(f"radial is {radial!r}; choose one of {names}, or a basis from jaxfeat.optimal_radial.")
        for name, count in (("n_max", n_max), ("l_max", l_max)):
            if not isinstance(count, (int, np.integer)):
                raise BasisError(f"{name} is {count!r}; it must be an integer.")
        if not isinstance(cutoff, (AbstractCutoff, NoneType)):
            raise BasisError(f"cutoff is {cutoff!r}; give a window such as jaxfeat.cutoffs.Smoothstep(1.0).")
        if not isinstance(radial_scaling, (Willatt2018, NoneType)):
            raise BasisError(f"radial_scaling is {radial_scaling!r}; give a jaxfeat.cutoffs.Willatt2018, or None.")
        self.species = numbers
        sizes = int(n_max), int(l_max)
        self.radial = RADIAL_BASES[radial](*sizes) if isinstance(radial, str) else radial.with_sizes(*sizes)
        self.r_cut, self.sigma = as_quantity(r_cut), as_quantity(sigma)
        self.cutoff = Smoothstep(array_namespace(self.r_cut).minimum(1.0, self.r_cut)) if cutoff is None else cutoff
        self.radial_scaling = radial_scaling
        self.center_weight = as_quantity(include_center)
        self.weights = as_quantity(np.ones(len(numbers)) if weights is None else weights)
        self.series = None
        if self.weights.shape != numbers.shape:
            raise SpeciesError(f"weights is {weights!r}; give one weight for each of the {len(numbers)} species.")
        radius, width = concrete_values(self.r_cut), concrete_values(self.sigma)
        if radius is not None:
            # Arguments that define no basis raise an error here, not when the featurizer is first used.
            if width is not None:
                self.radial.series(radius, width)
            self.cutoff.check(float(radius))

    def __repr__(self) -> str:
        arrays = self.species, self.r_cut, self.sigma
        values = [concrete_values(x) for x in arrays if isinstance(x, (np.ndarray, jax.Array))]
        if [None if x is None else x.ndim for x in values] != [1, 0, 0]:
            # Traced or stacked quantities have no single number.
            return super().__repr__()
        species, r_cut, sigma = map(np.asarray, values)
        symbols = " ".join(SYMBOLS[number] for number in species if number > 0)
        sizes = ", ".join(f"{name} = {size}" for name, size in self.sizes.items())
        order = f"ν = {self.nu}, " if "nu" in vars(self) else ""
        quantities = f"r_cut = {r_cut:g} Å, {sizes}, σ = {sigma:g} Å"
        return f"{type(self).__name__}({symbols}, {order}{quantities}, {self.radial.name})"

    def prepared(self) -> DensityFeaturizer:
        with_series = eqx.tree_at(lambda f: f.series, self, self.radial_series(), is_leaf=lambda x: x is None)
        return cast_to_jax_precision(with_series)

    def radial_series(self) -> Series:
        """Return the series of the radial functions; a prepared featurizer keeps it."""
        return self.radial.series(self.r_cut, self.sigma) if self.series is None else self.series

    def restricted_to_species(self, species: Int[Array, " k"] | np.ndarray) -> DensityFeaturizer:
        # Features of absent species are zero, with zero derivatives.
        among = species[:, None] == self.species[None]
        weights = (among.astype(self.weights.dtype) * self.weights[None]).sum(1)
        return eqx.tree_at(lambda f: (f.species, f.weights), self, (species, weights))

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
        larger = self.radial.with_sizes(**{"n_max": self.n_max, "l_max": self.l_max, **sizes})
        f = eqx.tree_at(lambda f: (f.radial, f.series), self, (larger, None), is_leaf=lambda x: x is None)
        f.radial_series()
        return f

    @property
    def n_channels(self) -> int:
        return len(self.species) * self.n_max

    @property
    def channels(self) -> list[tuple[str, int]]:
        """The species symbol and the radial index of each channel q = (a, n)."""
        return [(SYMBOLS[number], n) for number in self.species for n in range(self.n_max)]

    def neighbor_density(
        self, position: Float[Array, "3"], species: Int[Array, ""], mask: Bool[Array, ""]
    ) -> Float[Array, "q l m"]:
        radial = self.radial_factor(position @ position, mask)
        return self._place_atom(radial[:, :, None] * solid_harmonics(self.l_max, position)[None], species)

    def center_density(self, species: Int[Array, ""], dtype: jnp.dtype) -> Float[Array, "q l m"]:
        # At the origin all harmonics but that of l = 0 vanish.
        shape = self.n_max, self.l_max + 1, 2 * self.l_max + 1
        density = jnp.zeros(shape, dtype).at[:, 0, self.l_max].set(Y_00 * self._center_factor(dtype))
        return self._place_atom(density, species)

    def _place_atom(self, density: Float[Array, "n *rest"], species: Int[Array, ""]) -> Float[Array, "q *rest"]:
        """Copy the density of one atom into the channels of its species."""
        known, weights = jnp.asarray(self.species, species.dtype), jnp.asarray(self.weights, density.dtype)
        placed = jnp.tensordot(jnp.where(species == known, weights, 0), density, 0, precision="highest")
        return placed.reshape(self.n_channels, *density.shape[1:])

    def _center_factor(self, dtype: DTypeLike) -> Float[Array, " n"]:
        """Compute the share of the center in c_{n 0 0}, divided by Y_00."""
        return jnp.asarray(self.center_weight, dtype) * self.radial_series().at_origin(dtype)

    def radial_factor(self, s: Float[Array, "*batch"], mask: Bool[Array, "*batch"]) -> Float[Array, "n l *batch"]:
        """Compute the share of neighbors at squared distances `s` in c_{n l m}, over r^l Y_lm; zero for padding."""
        # The double where keeps the infinite slope of the root at zero out of every derivative.
        r = jnp.where(s > 0, jnp.sqrt(jnp.where(s > 0, s, 1)), 0)
        weight = self.cutoff(r, jnp.asarray(self.r_cut, s.dtype))
        if self.radial_scaling is not None:
            weight = weight * self.radial_scaling(jnp.where(s > 0, r, 1))
        of_distance = self.radial_series()(s / jnp.asarray(self.r_cut, s.dtype) ** 2)
        return _materialized(jnp.where(mask, weight, 0))[None, None] * of_distance

    def coefficients_by_l(self, density: Float[Array, "q l m"]) -> list[Float[Array, "q m"]]:
        """Return the coefficients of each l, `(n_channels, 2 l + 1)`, without the zeros of |m| > l."""
        return [density[:, l, self.l_max - l : self.l_max + l + 1] for l in range(self.l_max + 1)]

    def density(self, env: Environment) -> Float[Array, "q l m"]:
        # The product of radial and angular factors is summed over the neighbors without forming each term.
        radial = self.radial_factor(jnp.sum(env.positions**2, -1), env.mask)
        _, atoms = self.split_species(env)
        harmonics = jax.vmap(partial(solid_harmonics, self.l_max), out_axes=-1)(env.positions)
        neighbors = jnp.einsum("qln,lmn->qlm", place_in_channels(atoms, radial), harmonics, precision="highest")
        return self.center_density(env.center_species, radial.dtype) + neighbors

    def roundings(self, env: Environment) -> Float[Array, " n"]:
        xp = array_namespace(env.positions)
        s = (env.positions**2).sum(-1) / xp.asarray(self.r_cut, env.positions.dtype) ** 2
        return self.radial_series().roundings(s)

    def split_species(self, env: Environment) -> tuple[DensityFeaturizer, AtomLanes]:
        """Move the species from the featurizer to the atoms of one environment.

        A kernel in lanes shares the featurizer among its lanes, and each lane may then have species of its own.
        """
        known, dtype = jnp.asarray(self.species, env.species.dtype), env.positions.dtype
        weights = jnp.asarray(self.weights, dtype)
        neighbor_weights = jnp.where(env.species[:, None] == known[None], weights[None], 0)
        center_weights = jnp.where(env.center_species[None] == known, weights, 0)
        neutral = np.zeros(len(self.species), np.int32), np.ones(len(self.species))
        shared = eqx.tree_at(lambda f: (f.species, f.weights), self, neutral)
        return shared, AtomLanes(env.positions, env.mask, neighbor_weights, center_weights)

    def radial_factors(self, atoms: AtomLanes) -> tuple[Float[Array, "n_max l n *b"], Float[Array, "n_max l n *b"]]:
        """Compute `radial_factor` of every neighbor, and its derivative by the squared distance."""
        s = jnp.sum(atoms.positions**2, 1)
        return jax.jvp(lambda s: self.radial_factor(s, atoms.mask), (s,), (jnp.ones_like(s),))

    def center_factors(self, atoms: AtomLanes) -> Float[Array, "q *b"]:
        """Compute the share of the center in c_{q 0 0}, divided by Y_00."""
        batch = atoms.center_weights.shape[1:]
        radial = self._center_factor(atoms.positions.dtype).reshape(1, -1, *[1] * len(batch))
        return (atoms.center_weights[:, None] * radial).reshape(-1, *batch)


def _insert_arguments(cls: type) -> None:
    """Replace the line `{density}` of a class's docstring by the arguments that all correlations share."""
    if cls.__doc__:
        cls.__doc__ = cleandoc(cls.__doc__).replace("{density}", cleandoc(ARGUMENTS))


_insert_arguments(DensityFeaturizer)


@jax.custom_jvp
def _materialized(x: Array) -> Array:
    """Return `x` in memory, because XLA would otherwise recompute a window and its derivative for each (n, l)."""
    # XLA does not fuse a sum into its readers, and the barrier hides that this sum does nothing.
    return jnp.sum(jax.lax.optimization_barrier(jnp.stack([x / 2, x / 2])), 0)


@_materialized.defjvp
def _(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    return _materialized(*primals), _materialized(*tangents)
