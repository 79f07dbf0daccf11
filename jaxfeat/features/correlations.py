"""Invariant correlations of the density, of ν neighbors at a time.

ν = 1, 2, 3 have contractions of their own; `Correlations` couples step by step, to any order. All of them sit in the
order of `tuples.blocks` and carry its multiplicity weights, so that features of one order are isometric to the
rotation average of the density's ν-th tensor power.
"""

from __future__ import annotations

from functools import partial
from itertools import combinations_with_replacement
from math import sqrt
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxfeat.errors import BasisError
from jaxfeat.features.base import Label
from jaxfeat.features.condensed import condensed_power_spectrum
from jaxfeat.features.density import DensityFeaturizer
from jaxfeat.features.tuples import Block, blocks
from jaxfeat.geometry.environment import Environment
from jaxfeat.so3.coupling import coupling
from jaxfeat.so3.harmonics import solid_harmonics_table


class RadialSpectrum(DensityFeaturizer):
    """ν = 1: the spherical average c_{a n 0 0}. Of all l only l = 0 enters, whatever `l_max`.

    Labels are (species, n). Sees the distances alone.
    """

    nu: ClassVar[int] = 1  # type: ignore[misc]
    group: ClassVar[str] = "O3"  # type: ignore[misc]

    @property
    def sizes(self) -> dict[str, int]:
        return {"n_max": self.radial.n_max}

    @property
    def labels(self) -> tuple[Label, ...]:
        return tuple(self.channel(q) for q in range(self.n_channels))

    def contract(self, density: Float[Array, "q l m"]) -> Float[Array, " n_features"]:
        return density[:, 0, self.radial.l_max]


class PowerSpectrum(DensityFeaturizer):
    """ν = 2: Σ_m c_{a n l m} c_{a' n' l m} / √(2l+1), each unordered pair of channels once, those off the diagonal
    times √2 (SOAP: Bartók, Kondor, Csányi, Phys. Rev. B 87, 184115 (2013)).

    Labels are (species, n, species', n', l). Sees distances and the angles between two neighbors.
    """

    nu: ClassVar[int] = 2  # type: ignore[misc]
    group: ClassVar[str] = "O3"  # type: ignore[misc]

    @property
    def n_features(self) -> int:
        return self.n_channels * (self.n_channels + 1) // 2 * (self.radial.l_max + 1)

    @property
    def labels(self) -> tuple[Label, ...]:
        channels = [self.channel(q) for q in range(self.n_channels)]
        pairs = list(combinations_with_replacement(channels, 2))
        return tuple((*first, *second, l) for l in range(self.radial.l_max + 1) for first, second in pairs)

    def contract(self, density: Float[Array, "q l m"]) -> Float[Array, " n_features"]:
        first, second = np.triu_indices(self.n_channels)
        pairs = jnp.einsum("qlm,plm->lqp", density, density, precision="highest")
        return (pairs[:, first, second] * self._weights(density.dtype)).reshape(-1)

    def jacobian(self, env: Environment) -> Float[Array, "n_features n 3"]:
        # A neighbor adds radial times angular factors, g_n h_m, and so do its derivatives: with Σ_m c_m h_m and
        # Σ_m c_m ∂h_m at hand, no sum over m is left when pairs of channels are formed.
        density, l_max = self.density(env), self.radial.l_max
        harmonics = partial(solid_harmonics_table, l_max)

        def factors(position: Array, species: Array, mask: Array) -> tuple[Array, Array, Array, Array]:
            def radial(position: Array) -> Array:
                return self.in_channels(self.radial_factor(position @ position, mask), species)

            h = jnp.einsum("qlm,lm->ql", density, harmonics(position), precision="highest")
            dh = jnp.einsum("qlm,lmx->qlx", density, jax.jacfwd(harmonics)(position), precision="highest")
            return radial(position), jax.jacfwd(radial)(position), h, dh

        def by_coordinate(of_neighbors: Array) -> Array:
            """(n, q, l, x) as (l, q, 3 n): coordinates last, so that pairs of channels are gathered in long rows."""
            n, q, l = of_neighbors.shape[:3]
            every = jnp.broadcast_to(of_neighbors, (n, q, l, 3))
            return every.transpose(2, 1, 0, 3).reshape(l, q, 3 * n)

        g, dg, h, dh = jax.vmap(factors)(env.positions, env.species, env.mask)
        g, dg, h, dh = map(by_coordinate, (g[..., None], dg, h[..., None], dh))
        i, j = np.triu_indices(self.n_channels)

        def rows(of_l: tuple[Array, ...]) -> Array:
            g, dg, h, dh, weights = of_l
            return (dg[i] * h[j] + g[i] * dh[j] + dg[j] * h[i] + g[j] * dh[i]) * weights[:, None]

        # A loop, since its result is written out: XLA would fuse these products into whatever reads them, and work
        # them out again for each reader.
        found = jax.lax.map(rows, (g, dg, h, dh, self._weights(g.dtype)))
        return found.reshape(found.shape[0] * found.shape[1], *env.positions.shape)

    def condensed_jacobian(self, env: Environment) -> tuple[Float[Array, "k m"], int]:
        return condensed_power_spectrum(self, env), self.n_features

    def _weights(self, dtype: Any) -> Float[Array, "l pairs"]:
        first, second = np.triu_indices(self.n_channels)
        degree = np.sqrt(2 * np.arange(self.radial.l_max + 1) + 1)
        return jnp.asarray(np.where(first == second, 1, sqrt(2)) / degree[:, None], dtype)


class _ManyBody(DensityFeaturizer):
    """Orders whose features are listed block by block."""

    pseudoscalars: eqx.AbstractVar[bool]

    @property
    def blocks(self) -> tuple[Block, ...]:
        return blocks(self.nu or 1, self.n_channels, self.radial.l_max, self.pseudoscalars)

    @property
    def n_features(self) -> int:
        return sum(len(block.channels) for block in self.blocks)

    @property
    def labels(self) -> tuple[Label, ...]:
        names = [self.channel(q) for q in range(self.n_channels)]
        return tuple(
            (*(x for q, l in zip(channels, block.ls, strict=True) for x in (*names[q], l)), *block.couplings)
            for block in self.blocks
            for channels in block.channels.tolist()
        )

    def select(self, block: Block, products: Float[Array, ...]) -> Float[Array, " n"]:
        """The block's features from the products of all its channels, any shape of `n_channels ** nu` entries."""
        flat = np.ravel_multi_index(tuple(block.channels.T), (self.n_channels,) * len(block.ls))
        return products.reshape(-1)[flat] * jnp.asarray(block.weights, products.dtype)


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

    def contract(self, density: Float[Array, "q l m"]) -> Float[Array, " n_features"]:
        c = self.by_l(density)
        rows = []
        for block in self.blocks:
            l1, l2, l3 = block.ls
            tensor = jnp.asarray(coupling(l1, l2, l3), density.dtype)
            first = jnp.einsum("abc,ia->ibc", tensor, c[l1], precision="highest")
            pairs = jnp.einsum("ibc,jb->ijc", first, c[l2], precision="highest")
            rows.append(self.select(block, jnp.einsum("ijc,kc->ijk", pairs, c[l3], precision="highest")))
        return jnp.concatenate(rows) if rows else jnp.zeros(0, density.dtype)


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

    def contract(self, density: Float[Array, "q l m"]) -> Float[Array, " n_features"]:
        c = self.by_l(density)
        # Keyed by the l and the L of the coupled factors: blocks share their leading factors.
        partial: dict[tuple[tuple[int, ...], tuple[int, ...]], Array] = {((l,), (l,)): c[l] for l in range(len(c))}

        def coupled(ls: tuple[int, ...], path: tuple[int, ...]) -> Array:
            if (ls, path) not in partial:
                left = coupled(ls[:-1], path[:-1])
                tensor = jnp.asarray(coupling(path[-2], ls[-1], path[-1]) * sqrt(2 * path[-1] + 1), density.dtype)
                right = jnp.einsum("abc,jb->jac", tensor, c[ls[-1]], precision="highest")
                pairs = jnp.einsum("ia,jac->ijc", left, right, precision="highest")
                partial[ls, path] = pairs.reshape(-1, pairs.shape[-1])
            return partial[ls, path]

        rows = []
        for block in self.blocks:
            last = block.ls[-1]
            if self.nu == 1:
                rows.append(self.select(block, c[last]))
                continue
            path = (block.ls[0], *block.couplings, last)[: self.nu - 1]
            left = coupled(block.ls[:-1], path)
            products = jnp.einsum("ic,kc->ik", left, c[last], precision="highest") / sqrt(2 * last + 1)
            rows.append(self.select(block, products))
        return jnp.concatenate(rows) if rows else jnp.zeros(0, density.dtype)
