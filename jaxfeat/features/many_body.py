"""Invariant correlations of three and more neighbors, and their Jacobians.

Couplings of a few factors are worked out once, whatever number of features they enter, and derivatives with respect
to all coordinates stand in rows, so that nothing larger than the Jacobian is ever formed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import ceil
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxfeat.errors import BasisError
from jaxfeat.features.base import Label
from jaxfeat.features.couplings import Block, Chain, blocks, count, halves, pairs, triples
from jaxfeat.features.density import DensityFeaturizer
from jaxfeat.geometry.environment import Environment
from jaxfeat.memory import check_memory
from jaxfeat.so3.coupling import coupling_tensor

ROWS = 512
"""Rows of a Jacobian that are worked out at a time."""

TABLE_BYTES = 80
"""Bytes that tables hold for each factor of each feature, while they are made and compiled. Measured."""


class _ManyBody(DensityFeaturizer):
    """Orders whose features are listed block by block."""

    pseudoscalars: eqx.AbstractVar[bool]

    @property
    def blocks(self) -> tuple[Block, ...]:
        self.check_table_memory()
        return blocks(self.nu or 1, *self._basis)

    @property
    def _basis(self) -> tuple[int, int, bool]:
        return self.n_channels, self.radial.l_max, self.pseudoscalars

    @property
    def n_features(self) -> int:
        return count(self.nu or 1, *self._basis)

    def check_table_memory(self) -> None:
        nu = self.nu or 1
        cure = "lower ν, n_max, l_max or the number of species"
        # All tuples of channels are gone through, those that stand for no feature too.
        check_memory(
            nu * 8.0 * self.n_channels**nu, f"the {self.n_channels} channels of each of ν = {nu} factors", cure
        )
        # There are fewer features of lower orders, and counting them is faster.
        for order in range(min(3, nu), nu + 1):
            n = count(order, *self._basis)
            at_least = "" if order == nu else "more than "
            check_memory(TABLE_BYTES * nu * n, f"tables of the {at_least}{n:,} features of ν = {nu}", cure)

    @property
    def labels(self) -> tuple[Label, ...]:
        names = [self.channel(q) for q in range(self.n_channels)]
        return tuple(
            (*(x for q, l in zip(channels, block.ls, strict=True) for x in (*names[q], l)), *block.couplings)
            for block in self.blocks
            for channels in block.channels.tolist()
        )

    def contract(self, density: Float[Array, "q l m"]) -> Float[Array, " n_features"]:
        if self.nu == 1:
            return density[:, 0, self.radial.l_max]
        coupled = self._coupled(density, (side for block in self.blocks for side in (block.left, block.right)))
        found = []
        for block in self.blocks:
            left, right = coupled[block.left], coupled[block.right]
            products = jnp.einsum("iM,jM->ij", left, right, precision="highest")
            i, j = block.sides(self.n_channels)
            found.append(products.reshape(-1)[i * len(right) + j] * jnp.asarray(block.scale, density.dtype))
        return jnp.concatenate(found) if found else jnp.zeros(0, density.dtype)

    def _coupled(self, density: Float[Array, "q l m"], chains: Iterable[Chain]) -> dict[Chain, Float[Array, "rows M"]]:
        """Chains of factors: `(rows, 2 L + 1)`."""
        c, found = self.by_l(density), {}
        # Of every two factors at once to all L that are wanted.
        wanted: dict[tuple[int, ...], set[int]] = {}
        each = sorted(set(chains), key=lambda chain: (len(chain.ls), chain))
        for chain in each:
            if len(chain.ls) > 1:
                wanted.setdefault(chain.ls[:2], set()).add(chain.path[1])
        for (a, b), every in wanted.items():
            tensors = [coupling_tensor(a, b, L) for L in sorted(every)]
            tensor = jnp.asarray(np.concatenate(tensors, -1), density.dtype)
            half = jnp.einsum("abM,qb->qaM", tensor, c[b], precision="highest")
            to_all = jnp.einsum("pa,qaM->pqM", c[a], half, precision="highest").reshape(-1, tensor.shape[-1])
            if a == b:
                i, j = pairs(self.n_channels, True)
                to_all = to_all[i * self.n_channels + j]
            ends = np.cumsum([tensor.shape[-1] for tensor in tensors])[:-1]
            for L, values in zip(sorted(every), jnp.split(to_all, ends, -1), strict=True):
                found[Chain((a, b), (a, L))] = values

        def lengthened(chain: Chain) -> Array:
            if chain not in found:
                *_, before, L = chain.path
                tensor = jnp.asarray(coupling_tensor(before, chain.ls[-1], L), density.dtype)
                right = jnp.einsum("abM,qb->qaM", tensor, c[chain.ls[-1]], precision="highest")
                left = lengthened(Chain(chain.ls[:-1], chain.path[:-1]))
                values = jnp.einsum("pa,qaM->pqM", left, right, precision="highest")
                found[chain] = values.reshape(len(left) * len(right), 2 * L + 1)
            return found[chain]

        return {chain: c[chain.L] if len(chain.ls) == 1 else lengthened(chain) for chain in each}

    def n_compact_rows(self, n_neighbors: int) -> int:
        return self.n_features

    def jacobian(self, env: Environment) -> Float[Array, "n_features n 3"]:
        if self.nu in (1, 2) or not self.n_features:
            return super().jacobian(env)
        rows = self._by_factors(env) if self.nu == 3 else self._by_halves(env)
        return rows.reshape(self.n_features, *env.positions.shape)

    def _by_factors(self, env: Environment) -> Float[Array, "n_features k"]:
        """ν = 3: each factor's derivative, times the other two coupled to its l.

        A neighbor adds radial times angular factors, g_n h_m, and so do its derivatives: with Σ_m B_m h_m and
        Σ_m B_m ∂h_m at hand, where B are the other two, no sum over m is left when triples of channels are formed.
        """
        plan, size = triples(*self._basis), env.positions.size
        density = self.density(env)
        coupled = self._coupled(density, plan.partners)
        g, dg, h, dh = self.neighbor_factors(env)
        flat = ((self.radial.l_max + 1) * self.n_channels, size)
        g, dg = g.reshape(flat), dg.reshape(flat)
        seen = []
        for l in sorted({chain.L for chain in plan.partners}):
            own = slice(self.radial.l_max - l, self.radial.l_max + l + 1)
            both = jnp.concatenate([dh[l, own], h[l, own]], -1)
            of_l = jnp.concatenate([coupled[chain] for chain in plan.partners if chain.L == l])
            if l == 0:
                # XLA would make a product of it, and fuse it into the concatenation, entry by entry.
                both, of_l = jnp.pad(both, ((0, 1), (0, 0))), jnp.pad(of_l, ((0, 0), (0, 1)))
            seen.append(jnp.einsum("pm,mk->pk", of_l, both, precision="highest"))
        table = jnp.concatenate(seen)
        # Rows of Σ_m B_m ∂h_m and of Σ_m B_m h_m take turns.
        table = table.reshape(2 * table.shape[0], size)

        def rows(factors: Array, others: Array, weights: Array, swapped: Array) -> Array:
            terms = [
                _at(g, factors[:, k]) * _at(table, 2 * others[:, k])
                + _at(dg, factors[:, k]) * _at(table, 2 * others[:, k] + 1)
                for k in range(3)
            ]
            return (terms[0] + terms[2]) * weights[:, None] + terms[1] * swapped[:, None]

        found = jnp.zeros_like(density, shape=(self.n_features, size))
        return _filled(found, 0, rows, plan.factors, plan.others, plan.weights, plan.swapped)

    def _by_halves(self, env: Environment) -> Float[Array, "n_features k"]:
        """ν > 3: by the product rule for the two sides. They are few, so that tangents through them cost little."""
        groups, size = halves(self.nu or 0, *self._basis), env.positions.size

        def sides(density: Array) -> list[Array]:
            coupled = self._coupled(density, (chain for group in groups for chain in group.chains))
            return [jnp.concatenate([coupled[chain] for chain in group.chains]) for group in groups]

        values, push = jax.linearize(sides, self.density(env))
        neighbors = jax.vmap(jax.jacfwd(self.neighbor_density))(env.positions, env.species, env.mask)
        tangents = jnp.moveaxis(neighbors, 0, -2)
        slopes = jax.vmap(push, -1, -1)(tangents.reshape(*tangents.shape[:-2], size))
        found, start = jnp.zeros_like(env.positions, shape=(self.n_features, size)), 0
        for group, value, slope in zip(groups, values, slopes, strict=True):
            found = _filled(found, start, _product_rule(value, slope), group.left, group.right, group.weights)
            start += len(group.weights)
        order = np.concatenate([group.features for group in groups])
        return found[np.argsort(order)]


def _product_rule(
    value: Float[Array, "p M"], slope: Float[Array, "p M k"]
) -> Callable[[Array, Array, Array], Float[Array, "r k"]]:
    """Derivatives of Σ_M left_M right_M, times weights, for some rows on the left and right."""
    n_m, size = slope.shape[1:]
    flat, d_flat = value.reshape(-1), slope.reshape(slope.shape[0] * n_m, size)

    def rows(left: Array, right: Array, weights: Array) -> Array:
        total = jnp.zeros((len(weights), size), weights.dtype)
        for m in range(n_m):
            i, j = left * n_m + m, right * n_m + m
            total += _at(flat, i)[:, None] * _at(d_flat, j) + _at(d_flat, i) * _at(flat, j)[:, None]
        return total * weights[:, None]

    return rows


def _filled(
    found: Float[Array, "f k"], start: int, rows: Callable[..., Float[Array, "r k"]], *arguments: np.ndarray
) -> Float[Array, "f k"]:
    """Rows from `start` on, made of rows of the `arguments`, in place.

    In a loop, some at a time: XLA would fuse these products into whatever reads them, and work them out again for
    each reader.
    """
    n = len(arguments[0])
    size = ceil(n / max(2, ceil(n / ROWS)))
    dtypes = [jnp.int32 if np.issubdtype(x.dtype, np.integer) else found.dtype for x in arguments]
    arrays = [jnp.asarray(x, dtype) for x, dtype in zip(arguments, dtypes, strict=True)]

    def some(i: Array, found: Array) -> Array:
        # The last ones overlap with those before, rather than to be fewer.
        first = jnp.minimum(i * size, n - size)
        slices = [jax.lax.dynamic_slice_in_dim(x, first, size) for x in arrays]
        return jax.lax.dynamic_update_slice_in_dim(found, rows(*slices), start + first, 0)

    return jax.lax.fori_loop(0, ceil(n / size), some, found)


def _at(table: Float[Array, "n *rest"], index: Array) -> Float[Array, "r *rest"]:
    return table.at[index].get(mode="promise_in_bounds")


class Bispectrum(_ManyBody):
    """ν = 3: Σ_m (l_1 l_2 l_3; m_1 m_2 m_3) c_{q_1 l_1 m_1} c_{q_2 l_2 m_2} c_{q_3 l_3 m_3}, all unordered triples of
    (species, n, l) with their multiplicities (Bartók et al., Phys. Rev. Lett. 104, 136403 (2010), for all radial
    channels).

    `pseudoscalars` keeps odd l_1 + l_2 + l_3, which change sign under inversion: the invariance is then SO(3) alone.
    Labels are (species, n, l) of each factor. Sees three neighbors at a time. Other arguments as `PowerSpectrum`.
    """

    pseudoscalars: bool = eqx.field(static=True)
    group: str = eqx.field(static=True)
    nu: ClassVar[int] = 3  # type: ignore[misc]

    def __init__(self, *args: Any, pseudoscalars: bool = False, **density: Any) -> None:
        super().__init__(*args, **density)
        self.pseudoscalars = bool(pseudoscalars)
        self.group = "SO3" if self.pseudoscalars else "O3"


class Correlations(_ManyBody):
    """Order `nu` by iterated coupling (N-body iterative contraction: Nigam, Pozdnyakov, Ceriotti, J. Chem. Phys. 153,
    121101 (2020)), all products with their multiplicities.

    For ν = 4 this is the first order that sees the ring pairs. Labels are (species, n, l) of each factor, then the
    intermediate angular momenta; for ν <= 3 the features are those of the classes above. Other arguments as
    `PowerSpectrum` and `Bispectrum`. The number of features grows as (n_channels (l_max + 1))^ν.

    **Raises:** `BasisError` for `nu` below 1.
    """

    nu: int = eqx.field(static=True)
    group: str = eqx.field(static=True)
    pseudoscalars: bool = eqx.field(static=True)

    def __init__(self, *args: Any, nu: int, pseudoscalars: bool = False, **density: Any) -> None:
        if not isinstance(nu, (int, np.integer)) or nu < 1:
            raise BasisError(f"nu is {nu!r}; the body order must be a whole number of at least 1.")
        super().__init__(*args, **density)
        self.nu, self.pseudoscalars = int(nu), bool(pseudoscalars)
        # Below three neighbors there is no handedness to see.
        self.group = "SO3" if self.pseudoscalars and self.nu >= 3 else "O3"
