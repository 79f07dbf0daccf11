"""jaxfeat in the benchmark: its public functions on batches."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from jaxfeat.bench.peer import Stages
from jaxfeat.bench.workloads import METHANE, WINDOW_WIDTH, Workload, shrink_basis
from jaxfeat.cutoffs import AbstractCutoff, NoCutoff, ShiftedCosine
from jaxfeat.features.correlations import Bispectrum
from jaxfeat.features.power_spectrum.featurizer import PowerSpectrum
from jaxfeat.features.structure_map import stacked
from jaxfeat.geometry.neighbors import environments, structures
from jaxfeat.geometry.random import random_environments
from jaxfeat.geometry.structure import Item
from jaxfeat.spectrum.driver import singular_spectrum
from jaxfeat.spectrum.jacobian import jacobian

DSCRIBE_REACH = float(np.sqrt(-2 * np.log(1e-3)))  # DScribe takes atoms so many sigma beyond r_cut, to 1e-3

VARIANTS: dict[str, tuple[str, AbstractCutoff]] = {
    "gto": ("gto", NoCutoff()),
    "gto-rascal": ("gto-rascal", ShiftedCosine(np.asarray(WINDOW_WIDTH))),
    "gto, window": ("gto", ShiftedCosine(np.asarray(WINDOW_WIDTH))),
}
"""Radial bases and windows: those of DScribe, those of featomic, and for quippy the basis of DScribe with a window."""

ITEMS_PER_CALL = 1024  # items in one call for features or singular values, which divides them into blocks itself
N_REFERENCE = 4  # items whose singular values are also computed by the reference path
BLOCK_ITEMS_DRAWN = 10_000  # environments of the million that are drawn at a time
DECADES = np.arange(-16, 1)  # Limits of the decades of σ_min/σ_max. Of each of the million, only its decade is kept.


class Block(NamedTuple):
    """Items of one shape, with their indices in the workload."""

    items: np.ndarray
    batch: Item


class Jaxfeat:
    """jaxfeat with a workload. The constructor makes the lists of neighbors, before any clock runs."""

    def __init__(self, workload: Workload, variant: str) -> None:
        radial, cutoff = VARIANTS[variant]
        f = {2: PowerSpectrum, 3: Bispectrum}[workload.nu](**workload.settings, radial=radial, cutoff=cutoff)
        self.workload, self.f = workload, stacked(f) if workload.stacked else f
        padded = list(_structures(workload, variant) if workload.stacked else _environments(workload))
        self.blocks = [block for items in padded for block in _divide(items, workload.block_items)]
        # The inputs of single calls for features and singular values.
        self.large_blocks = [block for items in padded for block in _divide(items, ITEMS_PER_CALL)]

    def stages(self) -> Stages:
        def over(blocks: list[Block], call: Callable[[Any], Any]) -> Callable[[], None]:
            def compute() -> None:
                for block in blocks:
                    jax.block_until_ready(call(block.batch))

            return compute

        # jaxfeat computes no left singular vectors, so its "vectors" are S and V.
        return {
            # Inside jit, the dispatch of a call takes a tenth of a millisecond.
            "features": over(self.large_blocks, jax.jit(lambda batch: self.f(batch))),
            "jacobian": over(self.blocks, lambda batch: jacobian(self.f, batch)),
            "values": over(self.large_blocks, lambda batch: singular_spectrum(self.f, batch, directions=False)),
            "screened": over(self.large_blocks, lambda batch: singular_spectrum(self.f, batch, screened=True)),
            "vectors": over(self.large_blocks, lambda batch: singular_spectrum(self.f, batch)),
        }

    def values(self, **options: bool) -> list[list[float]]:
        """Compute the singular values of every item, descending, without those of rigid motions."""
        found: list[list[float]] = [[] for _ in range(self.workload.n_items)]
        for block in self.large_blocks:
            spectrum = singular_spectrum(self.f, block.batch, **options)
            every, counts = np.asarray(spectrum.values), np.asarray(spectrum.n_values)
            for item, values, n in zip(block.items, every, counts, strict=True):
                found[item] = values[:n].tolist()
        return found

    def reference_values(self) -> list[list[float]]:
        """Compute the singular values of the first items by forward mode through the features and LAPACK's SVD."""
        found: list[list[float]] = [[] for _ in range(self.workload.n_items)]
        first = self.blocks[0]
        for k, item in enumerate(first.items[:N_REFERENCE]):
            one: Any = first.batch[k]
            dense = jax.jit(jax.jacfwd(lambda x, one=one: self.f(one.with_positions(x))))(one.positions)
            columns = np.asarray(dense)[:, np.asarray(one.mask)].reshape(dense.shape[0], -1)
            found[item] = np.linalg.svd(columns, compute_uv=False).tolist()
        return found


def _structures(workload: Workload, variant: str) -> Iterator[Block]:
    reach = workload.settings["r_cut"] + (DSCRIBE_REACH * workload.settings["sigma"] if variant == "gto" else 0.0)
    for items in _group_by_room([len(atoms) for atoms in workload.atoms], workload.rooms):
        batch = structures([workload.atoms[item] for item in items], reach, workload.centers)
        if variant == "gto":
            # Without a window, features include all atoms of the lists, those beyond r_cut too.
            batch = eqx.tree_at(lambda one: one.r_cut, batch, jnp.full_like(batch.r_cut, jnp.inf))
        yield Block(items, batch)


def _environments(workload: Workload) -> Iterator[Block]:
    every = environments(workload.atoms, workload.settings["r_cut"], workload.centers)
    for items in _group_by_room(np.asarray(every.n_neighbors).tolist(), workload.rooms):
        yield Block(items, every[items].trimmed())


def _group_by_room(sizes: list[int], rooms: tuple[int, ...]) -> list[np.ndarray]:
    """Group items by the room that each needs, so that small items are not padded to the largest."""
    room = np.searchsorted(rooms, sizes)
    return [np.flatnonzero(room == k) for k in np.unique(room)]


def _divide(padded: Block, block_items: int) -> Iterator[Block]:
    """Divide items into blocks of equal size, which share a program. The last block may repeat earlier items."""
    items, batch = padded
    size = min(block_items, len(items))
    for start in range(0, len(items), size):
        rows = np.arange(size) + min(start, len(items) - size)
        yield Block(items[rows], jax.tree.map(lambda leaf, rows=rows: leaf[rows], batch))


def sizes_of_million(smoke: bool) -> tuple[int, ...]:
    """Return the numbers of environments to time. A smoke run takes as many as that of W1e, to share its program."""
    return (4,) if smoke else (10_000, 1_000_000)


def count_decades(n: int, smoke: bool) -> np.ndarray:
    """Count the environments in each decade of σ_min/σ_max, for `n` methanes that are drawn block by block."""
    f = PowerSpectrum(**shrink_basis(METHANE, smoke), cutoff=NoCutoff())
    counts: Any = np.zeros(len(DECADES) + 1, int)
    for block, start in enumerate(range(0, n, BLOCK_ITEMS_DRAWN)):
        size = min(BLOCK_ITEMS_DRAWN, n - start)
        # Hydrogens may come close to each other, as in W1.
        drawn = random_environments(jax.random.key(block), size, ["H"] * 4, min_distance=0.0)
        ratio = np.asarray(singular_spectrum(f, jax.tree.map(np.asarray, drawn), screened=True).ratio)
        counts += np.bincount(np.digitize(np.log10(ratio), DECADES), minlength=len(counts))
    return counts
