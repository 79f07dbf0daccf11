"""One chunk of a sweep into a store, wherever it is worked on.

Any process that sees the store can do it, and do it again: a chunk has the same content whoever makes it, and its files
take their places as a whole.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np

from jaxfeat.errors import ReadError
from jaxfeat.features.spec import from_spec
from jaxfeat.geometry.environment import Environment
from jaxfeat.store.arrays import Chunked
from jaxfeat.store.journal import SETTINGS, Journal
from jaxfeat.store.schema import chunk_arrays, variables, versions
from jaxfeat.store.stream import content_hash

Entry = dict[str, Any]
"""What the journal keeps of a chunk."""

Keep = Callable[[Entry], None]


class Order(NamedTuple):
    """What all chunks of a sweep have in common, in plain values that go anywhere.

    - `store`: its absolute path.
    - `settings`: those that the store was begun with (`refusals.COMPARED`).
    - `widths`: of a chunk, along the axes that grow.
    - `versions`: of the packages that round.
    """

    store: str
    settings: dict[str, Any]
    widths: dict[str, int]
    versions: dict[str, str]

    @property
    def how(self) -> tuple[bool, int, bool]:
        """The settings of `chunk_arrays`."""
        return self.settings["screened"], self.settings["chunk"], self.settings["positions"]


class Crew(Protocol):
    """Those who work on chunks."""

    def hand(self, order: Order, k: int, environments: Environment, keep: Keep) -> None:
        """Have chunk `k` worked on; wait before that while too many are under way. When it is on disk its entry is
        kept, in this process."""

    def finish(self) -> None:
        """Wait for all that is under way."""

    def stop(self) -> None:
        """Keep what is finished, and leave the rest."""


def lay_out(order: Order, k: int, environments: Environment) -> None:
    """Have the environments of chunk `k` in the store, for another process that works on it."""
    place = _laid_out(order, k)
    place.parent.mkdir(exist_ok=True)
    partial = place.with_suffix(".part")
    with open(partial, "wb") as file:
        np.savez(file, **{field.name: getattr(environments, field.name) for field in fields(environments)})
    partial.replace(place)


def clear_away(order: Order, k: int) -> None:
    _laid_out(order, k).unlink(missing_ok=True)


def clear_all_away(order: Order) -> None:
    """What lies there of sweeps that were stopped, too."""
    shutil.rmtree(_laid_out(order, 0).parent, ignore_errors=True)


def _laid_out(order: Order, k: int) -> Path:
    return Journal(Path(order.store)).folder / "inputs" / f"{k:08d}.npz"


def work(order: Order, k: int) -> Entry:
    """Compute chunk `k`, whose environments have been laid out, and put it into the store.

    **Raises:** `ReadError` where this process does not see the store, or runs other versions.
    """
    found = versions()
    for name, theirs in order.versions.items():
        if found[name] != theirs:
            raise ReadError(f"a worker has {name} {found[name]}, and this process {theirs}; install the same on both.")
    settings = order.settings
    _check_seen(order)
    with np.load(_laid_out(order, k)) as laid_out:
        environments = Environment(**laid_out)
    with jax.enable_x64(settings["precision"] == "float64"):
        arrays = chunk_arrays(_featurizer(settings["featurizer"]), environments, *order.how)
    # Who gave the order may have gone meanwhile, and somebody else have begun another sweep here.
    _check_seen(order)
    path = Path(order.store)
    chunked = Chunked(path, variables(settings["positions"]), settings["chunk"], order.widths)
    chunked.open()
    return put(chunked, Journal(path), k, environments, arrays)


def put(
    chunked: Chunked, journal: Journal, k: int, environments: Environment, arrays: Mapping[str, np.ndarray]
) -> Entry:
    """Have chunk `k` on disk. Returns what is to be known of it, but for where its stream goes on."""
    return {
        "n": len(environments),
        "inputs": content_hash(environments),
        "value": arrays["sigma"].shape[1],
        "neighbor": environments.max_neighbors,
        "files": journal.seal(chunked.write(k, arrays)),
    }


def _check_seen(order: Order) -> None:
    path = Path(order.store)
    kept = Journal(path).read(SETTINGS)
    if kept is None:
        from platform import node

        raise ReadError(f"a worker on {node()} does not see {path}; put the store where all workers read and write.")
    if kept["compared"] != order.settings:
        raise ReadError(f"a worker sees another sweep at {path}; put the store where all workers read and write.")


@lru_cache(1)
def _featurizer(text: str) -> Any:
    # It is the order of whoever started this worker, who has the featurizer; a store alone has nothing worked on.
    return from_spec(json.loads(text), trust=True)
