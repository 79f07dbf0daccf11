"""jaxfeat at a work, through its public functions on batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from jaxfeat.basis.cutoff import AbstractCutoff, NoCutoff, ShiftedCosine
from jaxfeat.bench.peer import Stages
from jaxfeat.bench.works import WIDTH, Work
from jaxfeat.features.base import AbstractFeaturizer
from jaxfeat.features.many_body import Bispectrum
from jaxfeat.features.power_spectrum.featurizer import PowerSpectrum
from jaxfeat.features.structure_map import AbstractStructureMap, stacked
from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.neighbors import environments, structures
from jaxfeat.geometry.structure import Structure
from jaxfeat.spectrum.driver import singular_spectrum
from jaxfeat.spectrum.jacobian import jacobian

BEYOND = float(np.sqrt(-2 * np.log(1e-3)))
"""DScribe's reach beyond r_cut, in units of sigma: where a Gaussian has fallen to a thousandth."""

VARIANTS: dict[str, tuple[str, AbstractCutoff]] = {
    "gto": ("gto", NoCutoff()),
    "gto-rascal": ("gto-rascal", ShiftedCosine(np.asarray(WIDTH))),
    "gto, window": ("gto", ShiftedCosine(np.asarray(WIDTH))),
}
"""Radial basis and window: DScribe's; featomic's; and the first with a window, as quippy has one."""

LARGE = 1024
"""Items whose spectra are asked for in a call."""

CHECKED = 4
"""Items whose Jacobian is worked out by the reference path as well."""


def featurizer(work: Work, variant: str) -> AbstractFeaturizer | AbstractStructureMap:
    radial, cutoff = VARIANTS[variant]
    order = {2: PowerSpectrum, 3: Bispectrum}[work.nu]
    f = order(**work.settings, radial=radial, cutoff=cutoff)
    return stacked(f) if work.stacked else f


class Portion(NamedTuple):
    """Items of one shape, and which of the work they are."""

    items: np.ndarray
    batch: Environment | Structure


class Jaxfeat:
    """The stages of a work. Lists of neighbors are made here, before any clock runs."""

    def __init__(self, work: Work, variant: str) -> None:
        self.work, self.f = work, featurizer(work, variant)
        rooms = list(_structures(work, variant) if work.stacked else _environments(work))
        self.portions = [portion for room in rooms for portion in _portions(room, work.chunk)]
        # Spectra make portions of their own.
        self.large = [portion for room in rooms for portion in _portions(room, LARGE)]

    def stages(self) -> Stages:
        def over(call: Callable[[Any], Any], portions: list[Portion]) -> Callable[[], None]:
            def run() -> None:
                for portion in portions:
                    jax.block_until_ready(call(portion.batch))

            return run

        # Of U, S, V the left vectors are not offered.
        return {
            "features": over(self.f, self.portions),
            "jacobian": over(lambda batch: jacobian(self.f, batch), self.portions),
            "values": over(lambda batch: singular_spectrum(self.f, batch, directions=False), self.large),
            "screened": over(lambda batch: singular_spectrum(self.f, batch, screened=True), self.large),
            "vectors": over(lambda batch: singular_spectrum(self.f, batch), self.large),
        }

    def values(self, **options: bool) -> list[list[float]]:
        """Singular values of every item, descending, those of rigid motions left out."""
        found: list[list[float]] = [[] for _ in range(self.work.n_items)]
        for portion in self.large:
            spectrum = singular_spectrum(self.f, portion.batch, **options)
            every, counts = np.asarray(spectrum.values), np.asarray(spectrum.n_values)
            for item, values, n in zip(portion.items, every, counts, strict=True):
                found[item] = values[:n].tolist()
        return found

    def reference(self) -> list[list[float]]:
        """Singular values of the first items by the plain way: forward mode through the features, LAPACK's SVD."""
        found: list[list[float]] = [[] for _ in range(self.work.n_items)]
        first = self.portions[0]
        for item, at in zip(first.items[:CHECKED], range(CHECKED), strict=False):
            one: Any = first.batch[at]
            dense = jax.jit(jax.jacfwd(lambda x, one=one: self.f(one.with_positions(x))))(one.positions)
            columns = np.asarray(dense)[:, np.asarray(one.mask)].reshape(dense.shape[0], -1)
            found[item] = np.linalg.svd(columns, compute_uv=False).tolist()
        return found


def _structures(work: Work, variant: str) -> Iterator[Portion]:
    reach = work.settings["r_cut"] + (BEYOND * work.settings["sigma"] if variant == "gto" else 0.0)
    for items in _rooms([len(atoms) for atoms in work.atoms], work.rooms):
        batch = structures([work.atoms[item] for item in items], reach, work.centers)
        if variant == "gto":
            # Without a window, atoms beyond r_cut are meant to be seen: all that are listed.
            batch = eqx.tree_at(lambda one: one.r_cut, batch, jnp.full_like(batch.r_cut, jnp.inf))
        yield Portion(items, batch)


def _environments(work: Work) -> Iterator[Portion]:
    every = environments(work.atoms, work.settings["r_cut"], work.centers)
    for items in _rooms(np.asarray(every.n_neighbors).tolist(), work.rooms):
        yield Portion(items, every[items].trimmed())


def _rooms(sizes: list[int], rooms: tuple[int, ...]) -> list[np.ndarray]:
    """Items by the room that each needs, so that small ones are not padded to the largest."""
    room = np.searchsorted(rooms, sizes)
    return [np.flatnonzero(room == k) for k in np.unique(room)]


def _portions(room: Portion, chunk: int) -> Iterator[Portion]:
    """Chunks of one size: the last one begins early where it would be short, and does some items twice."""
    items, batch = room
    size = min(chunk, len(items))
    for start in range(0, len(items), size):
        rows = np.arange(size) + min(start, len(items) - size)
        yield Portion(items[rows], jax.tree.map(lambda leaf, rows=rows: leaf[rows], batch))
