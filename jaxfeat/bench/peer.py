"""The seam of the packages that are timed beside jaxfeat."""

from __future__ import annotations

import importlib
import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxfeat.bench.workloads import Neighborhood, Workload

STRUCTURES_PER_CALL = 20
"""Structures in one call of a peer. All at once are no faster, and take gigabytes."""

Stages = dict[str, Callable[[], Any]]
"""The calls to time, by name."""


class AbstractPeer(ABC):
    """A package with a workload, which it computes by the fastest way that it documents.

    Matrices are stacks of transposed Jacobians, `(k, columns, features)`, as every package returns them. LAPACK gets
    them as `(features, columns)` without a copy.
    """

    def __init__(self, workload: Workload) -> None:
        self.workload = workload
        self.environments: dict[int, list[tuple[int, Neighborhood]]] = {}
        """The items of each structure, if each environment has a Jacobian of its own."""
        for item, found in enumerate([] if workload.stacked else workload.neighborhoods()):
            self.environments.setdefault(found.structure, []).append((item, found))

    @abstractmethod
    def features(self) -> Any:
        """Compute the features of all structures."""

    @abstractmethod
    def batches(self) -> Sequence[Any]:
        """Divide the workload into the inputs of single calls."""

    @abstractmethod
    def jacobian(self, batch: Any) -> Any:
        """Compute Jacobians in the form that the package returns."""

    @abstractmethod
    def matrices(self, batch: Any, jacobian: Any) -> Iterator[tuple[Sequence[int], np.ndarray]]:
        """Convert Jacobians to stacks of matrices, each with the indices of its items."""

    def normalize(self, stack: np.ndarray) -> np.ndarray:
        """Weigh matrices so that they have the singular values of jaxfeat."""
        return stack

    def stages(self) -> Stages:
        return {
            "features": self.features,
            "jacobian": self._jacobians,
            "values": lambda: self._svd(vectors=False),
            "vectors": lambda: self._svd(vectors=True),
        }

    def _jacobians(self) -> None:
        for batch in self.batches():
            self.jacobian(batch)

    def _svd(self, vectors: bool) -> None:
        for batch in self.batches():
            for _, stack in self.matrices(batch, self.jacobian(batch)):
                matrices = stack.swapaxes(-1, -2)
                if vectors:
                    np.linalg.svd(matrices, full_matrices=False)
                else:
                    np.linalg.svd(matrices, compute_uv=False)

    def values(self) -> list[list[float]]:
        """Compute the singular values of every item, descending, in the normalization of jaxfeat."""
        found: list[list[float]] = [[] for _ in range(self.workload.n_items)]
        for batch in self.batches():
            for items, stack in self.matrices(batch, self.jacobian(batch)):
                every = np.linalg.svd(self.normalize(stack).swapaxes(-1, -2), compute_uv=False)
                for item, values in zip(items, every, strict=True):
                    found[item] = values.tolist()
        return found


def group_by_key(items: Sequence[int], key: Callable[[int], Any], size: int = STRUCTURES_PER_CALL) -> list[list[int]]:
    """Group items into lists of at most `size` that share a key."""
    groups: dict[Any, list[int]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return [group[k : k + size] for group in groups.values() for k in range(0, len(group), size)]


class Package(NamedTuple):
    """A peer that need not be imported yet.

    **Attributes:**

    - `title`, `module`, `distribution`: Its name for people, for Python and for pip.
    - `peer`: The name of its class, in the module of this folder with the name `module`.
    - `variant`: The key of `jaxfeat.bench.jaxfeat.VARIANTS` to time beside it.
    - `comparable`: True if the variant has the same basis and window, so that singular values can be compared.
    """

    title: str
    module: str
    distribution: str
    peer: str
    variant: str
    comparable: bool

    def variant_for(self, workload: Workload) -> str:
        """Return the variant of jaxfeat to time beside the peer."""
        # The variant with a window takes minutes. It is worth them only in crystals, where DScribe's reach beyond r_cut
        # includes half as many neighbors again.
        return "gto" if self.variant == "gto, window" and not workload.periodic else self.variant

    @property
    def installed(self) -> bool:
        return importlib.util.find_spec(self.module) is not None

    @property
    def missing(self) -> str:
        """The sentence for tables if the peer is not installed."""
        return f"{self.title} is not installed; pip install 'jaxfeat[peers]' adds it."

    def prepare(self, workload: Workload) -> AbstractPeer:
        """Import the peer and set it up for a workload."""
        return getattr(importlib.import_module(f"jaxfeat.bench.{self.module}"), self.peer)(workload)


PEERS = {
    "dscribe": Package("DScribe", "dscribe", "dscribe", "DScribe", "gto", True),
    "featomic": Package("featomic", "featomic", "featomic", "Featomic", "gto-rascal", True),
    "quippy": Package("quippy", "quippy", "quippy-ase", "Quippy", "gto, window", False),
}
