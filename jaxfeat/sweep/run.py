"""Spectra of many environments: in chunks of one compiled shape, with progress."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import equinox as eqx
import jax
import numpy as np

from jaxfeat.features.base import AbstractFeaturizer
from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.species import SYMBOLS
from jaxfeat.sensitivity.jacobian import single_jacobian
from jaxfeat.sensitivity.spectrum import Spectrum, jacobian_spectrum

CHUNK_BYTES = 8e6
"""Jacobians of one chunk, about: small enough for a core's cache, large enough to hide the dispatch of a call."""

Progress = Callable[[int, int], None]


class Pair(NamedTuple):
    """Raw and equilibrated spectrum of the same environments, as NumPy arrays, without directions."""

    raw: Spectrum
    equilibrated: Spectrum


def scan(f: AbstractFeaturizer, batch: Environment, progress: Progress | None = None) -> list[dict[str, Any]]:
    """One record per environment of `batch`, in its order.

    **Arguments:**

    - `f`: a featurizer.
    - `batch`: environments, `(b,)`.
    - `progress`: called with the number of environments done and their total.

    **Returns:** dictionaries of plain numbers: `structure` and `center` (where the environment came from), `species`,
    `n_neighbors`, `sigma` and `sigma_equilibrated` (descending, features per Å; empty unless the status is ok),
    `floor` and `floor_equilibrated`, `null` (`rigid`, and `non_rigid` by the equilibrated spectrum, which the cutoff
    does not cloud), `status`.

    **Raises:** `SpeciesError`, as the featurizer does.
    """
    f.check(batch)
    counts = np.asarray(batch.n_neighbors)
    records: list[dict[str, Any]] = [{} for _ in range(len(batch))]
    origin = {
        "structure": np.asarray(batch.structure_index),
        "center": np.asarray(batch.center_index),
        "species": np.asarray(batch.center_species),
    }
    done = 0
    for indices, spectra in chunks(f, batch):
        names = spectra.raw.status.names
        for row, i in enumerate(indices):
            known = names[row] == "ok"
            records[i] = {
                "structure": int(origin["structure"][i]),
                "center": int(origin["center"][i]),
                "species": SYMBOLS[origin["species"][i]],
                "n_neighbors": int(counts[i]),
                "sigma": _listed(spectra.raw, row) if known else [],
                "sigma_equilibrated": _listed(spectra.equilibrated, row) if known else [],
                "floor": float(spectra.raw.floor[row]) if known else None,
                "floor_equilibrated": float(spectra.equilibrated.floor[row]) if known else None,
                "null": {
                    "rigid": int(spectra.raw.n_rigid[row]),
                    "non_rigid": int(spectra.equilibrated.n_null[row]) if known else 0,
                },
                "status": str(names[row]),
            }
        done += len(indices)
        if progress is not None:
            progress(done, len(batch))
    return records


def chunks(f: AbstractFeaturizer, batch: Environment) -> Iterator[tuple[np.ndarray, Pair]]:
    """Indices into `batch` and their spectra, a chunk at a time, sizes of environment one after the other."""
    counts = np.asarray(batch.n_neighbors)
    rooms = np.asarray([room_for(int(n)) for n in counts])
    host = jax.tree.map(np.asarray, batch)
    for room in np.unique(rooms):
        members = np.flatnonzero(rooms == room)
        per_chunk = chunk_size(f.n_features, room)
        for start in range(0, len(members), per_chunk):
            indices = members[start : start + per_chunk]
            # The last chunk repeats its first member rather than be a shape of its own.
            filled = np.concatenate([indices, np.full(per_chunk - len(indices), indices[0])])
            spectra = _spectra(f, host[filled].padded(int(room)))
            yield indices, Pair(*(jax.tree.map(np.asarray, spectrum) for spectrum in spectra))


def room_for(n_neighbors: int) -> int:
    """The padded size for an environment: few sizes, so that a set of mixed sizes compiles a handful of programs, yet
    never a third more than needed."""
    for step in (1, 2, 4, 8, 16):
        if n_neighbors <= 6 * step:
            return max(-(-n_neighbors // step) * step, 1)
    return -(-n_neighbors // 32) * 32


def chunk_size(n_features: int, room: int) -> int:
    """Environments in a chunk."""
    return int(np.clip(2 ** round(np.log2(CHUNK_BYTES / (24 * max(n_features, 1) * room))), 1, 1024))


@eqx.filter_jit
def _spectra(f: AbstractFeaturizer, batch: Environment) -> tuple[Spectrum, Spectrum]:
    def both(env: Environment) -> tuple[Spectrum, Spectrum]:
        jacobian = single_jacobian(f, env)
        room = max(3 * env.max_neighbors - 2, 0)
        raw, equilibrated = (
            jacobian_spectrum(jacobian, f, env, equilibrated=scaled, k=room) for scaled in (False, True)
        )
        drop = lambda s: eqx.tree_at(lambda s: s.directions, s, s.directions[:0])  # noqa: E731
        return drop(raw), drop(equilibrated)

    return jax.vmap(both)(batch)


def _listed(spectrum: Spectrum, row: int) -> list[float]:
    return np.asarray(spectrum.values[row][: int(spectrum.n_values[row])], float).tolist()
