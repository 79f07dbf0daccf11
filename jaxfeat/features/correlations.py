"""Correlations of any number of neighbors by iterated coupling, and the bispectrum. A coupling of a few factors is
computed once, however many features use it. No array is larger than the Jacobian."""

from collections.abc import Callable, Iterable
from functools import partial
from math import ceil

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxfeat.basis.base import AbstractRadialBasis
from jaxfeat.cutoffs import AbstractCutoff, Willatt2018
from jaxfeat.errors import BasisError
from jaxfeat.features.base import Label
from jaxfeat.features.couplings import (
    CoupledFactors,
    CouplingScheme,
    count_features,
    coupling_schemes,
    single_factor_terms,
    two_sided_terms,
)
from jaxfeat.features.density import DensityFeaturizer
from jaxfeat.features.factorized_density import factorize_density, repeat_by_coordinate
from jaxfeat.features.power_spectrum.jacobian import contract_power_spectrum, power_spectrum_jacobian
from jaxfeat.geometry.environment import Environment
from jaxfeat.memory import check_memory
from jaxfeat.so3.coupling import coupling_tensor

ROWS_AT_A_TIME = 512  # Rows of a Jacobian that one step of a loop computes. Measured.
TABLE_BYTES = 80  # Bytes that tables hold for each factor of each feature while they are made and compiled. Measured.


class Correlations(DensityFeaturizer):
    """Correlations of ν neighbors by iterated coupling of ν density coefficients.

    All products are listed once, weighted so that the norm of the features is that of the full tensor. For ν <= 3 the
    features are those of `RadialSpectrum`, `PowerSpectrum` and `Bispectrum`. ν = 4 is the first order that sees the
    ring pairs. The number of features grows as (n_channels (l_max + 1))^ν.

    **Arguments:**

    {density}
    - `nu`: The order ν.
    - `pseudoscalars`: If True, keep features that change sign under inversion. They are invariant under SO(3)
        alone. There are none for ν <= 2.

    **Labels:** (species, n, l) of each factor, then the intermediate angular momenta.

    **Raises:** `BasisError` if the arguments define no basis, or if `nu` is below 1. `SpeciesError` if `species` names
    no element, or one twice, or if the number of `weights` differs.

    **Source:** Nigam, Pozdnyakov, Ceriotti, J. Chem. Phys. 153, 121101 (2020).
    """

    nu: int = eqx.field(static=True)
    group: str = eqx.field(static=True)
    pseudoscalars: bool = eqx.field(static=True)

    def __init__(
        self, species: tuple[str | int, ...] | list[str], r_cut: float = 4.0, n_max: int = 8, l_max: int = 6,
        sigma: float = 0.3, radial: str | AbstractRadialBasis = "gto", cutoff: AbstractCutoff | None = None,
        radial_scaling: Willatt2018 | None = None, include_center: bool | float = True,
        weights: tuple[float, ...] | list[float] | None = None, *, nu: int, pseudoscalars: bool = False,
    ) -> None:  # fmt: skip
        if not isinstance(nu, (int, np.integer)) or nu < 1:
            raise BasisError(f"nu is {nu!r}; the body order must be a whole number of at least 1.")
        super().__init__(species, r_cut, n_max, l_max, sigma, radial, cutoff, radial_scaling, include_center, weights)
        self.nu, self.pseudoscalars = int(nu), bool(pseudoscalars)
        # Two neighbors and the center lie in a plane, so that they have no handedness.
        self.group = "SO3" if self.pseudoscalars and self.nu >= 3 else "O3"

    @property
    def _basis(self) -> tuple[int, int, bool]:
        return self.n_channels, self.l_max, self.pseudoscalars

    @property
    def schemes(self) -> tuple[CouplingScheme, ...]:
        """The features in their order, grouped by their angular momenta."""
        self.check_table_memory()
        return coupling_schemes(self.nu, *self._basis)

    @property
    def n_features(self) -> int:
        return count_features(self.nu, *self._basis)

    @property
    def labels(self) -> tuple[Label, ...]:
        names = self.channels
        return tuple(
            (*(x for q, l in zip(channels, scheme.ls, strict=True) for x in (*names[q], l)), *scheme.couplings)
            for scheme in self.schemes
            for channels in scheme.channels.tolist()
        )

    def check_table_memory(self) -> None:
        cure = "lower ν, n_max, l_max or the number of species"
        # All tuples of channels are listed at first, also those that make no feature.
        tuples = f"the {self.n_channels} channels of each of ν = {self.nu} factors"
        check_memory(self.nu * 8.0 * self.n_channels**self.nu, tuples, cure)
        # Lower orders have fewer features and are counted faster.
        for order in range(min(3, self.nu), self.nu + 1):
            n = count_features(order, *self._basis)
            features = f"{'' if order == self.nu else 'more than '}{n:,} features of ν = {self.nu}"
            check_memory(TABLE_BYTES * self.nu * n, f"tables of the {features}", cure)

    def contract(self, density: Float[Array, "q l m"]) -> Float[Array, " n_features"]:
        if self.nu == 1:
            return density[:, 0, self.l_max]
        if self.nu == 2:
            return contract_power_spectrum(self.coefficients_by_l(density))
        schemes, found = self.schemes, []
        coupled = self._couple(self.coefficients_by_l(density), (side for s in schemes for side in (s.left, s.right)))
        for scheme in schemes:
            left, right = coupled[scheme.left], coupled[scheme.right]
            products = jnp.einsum("iM,jM->ij", left, right, precision="highest")
            i, j = scheme.rows_of_sides(self.n_channels)
            found.append(products.reshape(-1)[i * len(right) + j] * jnp.asarray(scheme.weights, density.dtype))
        return jnp.concatenate(found) if found else jnp.zeros(0, density.dtype)

    def _couple(
        self, c: list[Float[Array, "q m"]], wanted: Iterable[CoupledFactors]
    ) -> dict[CoupledFactors, Float[Array, "rows M"]]:
        """Compute the table of each of the `wanted` factors, `(rows, 2 L + 1)`, from the coefficients of each l."""
        ordered = sorted(set(wanted), key=lambda factors: (len(factors.ls), factors))
        found: dict[CoupledFactors, Array] = {CoupledFactors((l,), (l,)): of_l for l, of_l in enumerate(c)}
        # The first two factors are coupled to all L that are wanted by one product.
        totals: dict[tuple[int, ...], set[int]] = {}
        for factors in ordered:
            if len(factors.ls) > 1:
                totals.setdefault(factors.ls[:2], set()).add(factors.path[1])
        for (a, b), every in totals.items():
            couplings = sorted(every)
            tensors = np.concatenate([coupling_tensor(a, b, L) for L in couplings], -1)
            coupled = _couple_one_more(c[a], c[b], tensors)
            if a == b:
                i, j = np.triu_indices(self.n_channels)
                coupled = coupled[i * self.n_channels + j]
            ends = np.cumsum([2 * L + 1 for L in couplings])[:-1]
            for L, values in zip(couplings, jnp.split(coupled, ends, -1), strict=True):
                found[CoupledFactors.two(a, b, L)] = values

        def table(factors: CoupledFactors) -> Array:
            if factors not in found:
                *ls, l = factors.ls
                *path, L = factors.path
                before = table(CoupledFactors(tuple(ls), tuple(path)))
                found[factors] = _couple_one_more(before, c[l], coupling_tensor(path[-1], l, L))
            return found[factors]

        return {factors: table(factors) for factors in ordered}

    def n_compact_rows(self, n_neighbors: int) -> int:
        return self.n_features

    def jacobian(self, env: Environment) -> Float[Array, "n_features n 3"]:
        if self.nu == 2:
            return power_spectrum_jacobian(self, env)
        if self.nu == 1 or not self.n_features:
            return super().jacobian(env)
        if self.nu == 3:
            return self.jacobian_rows(env)
        return self._rows_by_sides(env).reshape(self.n_features, *env.positions.shape)

    def jacobian_rows(self, env: Environment, kept: Int[np.ndarray, " f"] | None = None) -> Float[Array, "f n 3"]:
        """Compute dF/dr for ν = 3, of the features `kept` or of all, as the derivative of each factor times B, the two
        others coupled to its l. A neighbor adds radial times angular factors g_n h_m to c, and so do its derivatives.
        Once Σ_m B_m h_m and Σ_m B_m ∂h_m are known, no sum over m is left for triples of channels."""
        terms, size, l_max = single_factor_terms(*self._basis), env.positions.size, self.l_max
        density = factorize_density(self, env, np.ones(l_max + 1))
        coupled = self._couple([density.coefficients[l, :, : 2 * l + 1] for l in range(l_max + 1)], terms.partners)
        by_channel = ((l_max + 1) * self.n_channels, size)
        g, dg = (x.reshape(by_channel) for x in density.radial_by_coordinate(env.positions))
        h = repeat_by_coordinate(density.harmonics)
        of_features = terms.factors, terms.others, terms.weights, terms.swapped
        factors, others, weights, swapped = of_features if kept is None else (x[kept] for x in of_features)
        needed, products, start = np.unique(others), [], 0
        for l in sorted({partner.L for partner in terms.partners}):
            both = jnp.concatenate([density.gradients[l, : 2 * l + 1], h[l, : 2 * l + 1]], -1)
            of_l = jnp.concatenate([coupled[partner] for partner in terms.partners if partner.L == l])
            end = start + len(of_l)
            if kept is not None:
                of_l = of_l[needed[(needed >= start) & (needed < end)] - start]
            start = end
            if l == 0:
                # XLA would turn this outer product into a fusion with the concatenation, entry by entry.
                both, of_l = jnp.pad(both, ((0, 1), (0, 0))), jnp.pad(of_l, ((0, 0), (0, 1)))
            products.append(jnp.einsum("pm,mk->pk", of_l, both, precision="highest"))
        table = jnp.concatenate(products)
        # Rows of Σ_m B_m ∂h_m and of Σ_m B_m h_m alternate.
        table = table.reshape(2 * table.shape[0], size)

        def rows(factors: Array, others: Array, weights: Array, swapped: Array) -> Array:
            by_factor = [
                _take(g, factors[:, k]) * _take(table, 2 * others[:, k])
                + _take(dg, factors[:, k]) * _take(table, 2 * others[:, k] + 1)
                for k in range(3)
            ]
            return (by_factor[0] + by_factor[2]) * weights[:, None] + by_factor[1] * swapped[:, None]

        others = others if kept is None else np.searchsorted(needed, others).astype(others.dtype)
        found = jnp.zeros_like(table, shape=(len(weights), size))
        found = _fill_rows(found, 0, rows, factors, others, weights, swapped)
        return found.reshape(len(weights), *env.positions.shape)

    def _rows_by_sides(self, env: Environment) -> Float[Array, "n_features k"]:
        """Compute dF/dr for ν > 3 by the product rule for the two sides, which are few."""
        groups, size = two_sided_terms(self.nu, *self._basis), env.positions.size

        def side_tables(density: Array) -> list[Array]:
            coupled = self._couple(self.coefficients_by_l(density), (side for group in groups for side in group.tables))
            return [jnp.concatenate([coupled[side] for side in group.tables]) for group in groups]

        values, push = jax.linearize(side_tables, self.density(env))
        neighbors = jax.vmap(jax.jacfwd(self.neighbor_density))(env.positions, env.species, env.mask)
        tangents = jnp.moveaxis(neighbors, 0, -2)
        slopes = jax.vmap(push, -1, -1)(tangents.reshape(*tangents.shape[:-2], size))
        found, start = jnp.zeros_like(env.positions, shape=(self.n_features, size)), 0
        for group, value, slope in zip(groups, values, slopes, strict=True):
            rows = partial(_product_rule, value.shape[1], value.reshape(-1), slope.reshape(value.size, size))
            found = _fill_rows(found, start, rows, group.left, group.right, group.weights)
            start += len(group.weights)
        return found[np.argsort(np.concatenate([group.features for group in groups]))]


class Bispectrum(Correlations):
    """The bispectrum, ν = 3: Σ_m (l_1 l_2 l_3; m_1 m_2 m_3) c_{q_1 l_1 m_1} c_{q_2 l_2 m_2} c_{q_3 l_3 m_3}.

    It sees three neighbors at a time. Every unordered triple of (species, n, l) is listed once, for all radial channels
    q = (species, n), weighted so that the norm of the features is that of the full tensor.

    **Arguments:**

    {density}
    - `pseudoscalars`: If True, keep odd l_1 + l_2 + l_3. These features change sign under inversion, so that they are
        invariant under SO(3) alone.

    **Labels:** (species, n, l) of each factor.

    **Raises:** `BasisError` if the arguments define no basis. `SpeciesError` if `species` names no element, or one
    twice, or if the number of `weights` differs.

    **Source:** Bartók, Payne, Kondor, Csányi, Phys. Rev. Lett. 104, 136403 (2010).
    """

    def __init__(
        self, species: tuple[str | int, ...] | list[str], r_cut: float = 4.0, n_max: int = 8, l_max: int = 6,
        sigma: float = 0.3, radial: str | AbstractRadialBasis = "gto", cutoff: AbstractCutoff | None = None,
        radial_scaling: Willatt2018 | None = None, include_center: bool | float = True,
        weights: tuple[float, ...] | list[float] | None = None, *, pseudoscalars: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(
            species, r_cut, n_max, l_max, sigma, radial, cutoff, radial_scaling, include_center, weights,
            nu=3, pseudoscalars=pseudoscalars,
        )  # fmt: skip


def _couple_one_more(
    table: Float[Array, "p m"], c: Float[Array, "q k"], tensor: Float[np.ndarray, "m k M"]
) -> Float[Array, "rows M"]:
    """Couple each row of a table of factors with each channel of one more factor."""
    half = jnp.einsum("abM,qb->qaM", jnp.asarray(tensor, c.dtype), c, precision="highest")
    return jnp.einsum("pa,qaM->pqM", table, half, precision="highest").reshape(len(table) * len(c), tensor.shape[-1])


def _product_rule(
    n_m: int, values: Float[Array, " p"], slopes: Float[Array, "p k"], left: Array, right: Array, weights: Array
) -> Float[Array, "r k"]:
    """Compute weighted derivatives of Σ_M left_M right_M for some rows of both sides."""
    total = jnp.zeros((len(weights), slopes.shape[1]), weights.dtype)
    for m in range(n_m):
        i, j = left * n_m + m, right * n_m + m
        total += _take(values, i)[:, None] * _take(slopes, j) + _take(slopes, i) * _take(values, j)[:, None]
    return total * weights[:, None]


def _fill_rows(
    found: Float[Array, "f k"], start: int, rows: Callable[..., Float[Array, "r k"]], *arguments: np.ndarray
) -> Float[Array, "f k"]:
    """Write `rows(*arguments)` into `found` from row `start` on, in place, some rows of the arguments at a time.
    Without a loop XLA would fuse the products of `rows` into every reader and repeat them there."""
    n = len(arguments[0])
    size = ceil(n / max(2, ceil(n / ROWS_AT_A_TIME)))
    arrays = [jnp.asarray(x, jnp.int32 if x.dtype.kind == "i" else found.dtype) for x in arguments]

    def step(i: Array, found: Array) -> Array:
        # The last step has as many rows as the others, so it may repeat some of the step before.
        first = jnp.minimum(i * size, n - size)
        slices = [jax.lax.dynamic_slice_in_dim(x, first, size) for x in arrays]
        return jax.lax.dynamic_update_slice_in_dim(found, rows(*slices), start + first, 0)

    return jax.lax.fori_loop(0, ceil(n / size), step, found)


def _take(table: Float[Array, "n *rest"], index: Array) -> Float[Array, "r *rest"]:
    return table.at[index].get(mode="promise_in_bounds")
