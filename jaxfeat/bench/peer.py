"""What a package is asked for at each stage."""

from __future__ import annotations

import importlib
import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxfeat.bench.works import Neighborhood, Work

CHUNK = 20
"""Structures in one call of a peer: all at once is no faster, and takes gigabytes."""

Stages = dict[str, Callable[[], Any]]


class AbstractPeer(ABC):
    """A package at a work, by the fastest way that it documents.

    Matrices are transposed Jacobians in stacks, `(k, columns, features)`: as they come out of every package. LAPACK
    gets them as `(features, columns)` without a copy.
    """

    def __init__(self, work: Work) -> None:
        self.work = work
        self.environments: dict[int, list[tuple[int, Neighborhood]]] = {}
        """Items of each structure, where each environment has a Jacobian of its own."""
        for item, found in enumerate([] if work.stacked else work.neighborhoods()):
            self.environments.setdefault(found.structure, []).append((item, found))

    @abstractmethod
    def features(self) -> Any:
        """Features of all structures."""

    @abstractmethod
    def chunks(self) -> Sequence[Any]:
        """The work in portions of one call."""

    @abstractmethod
    def jacobian(self, chunk: Any) -> Any:
        """What the package gives."""

    @abstractmethod
    def matrices(self, chunk: Any, jacobian: Any) -> Iterator[tuple[Sequence[int], np.ndarray]]:
        """The same as stacks of matrices, with the items that they belong to."""

    def weighed(self, stack: np.ndarray) -> np.ndarray:
        """Matrices that have the singular values of jaxfeat's."""
        return stack

    def stages(self) -> Stages:
        return {
            "features": self.features,
            "jacobian": self._jacobians,
            "values": lambda: self._svd(vectors=False),
            "vectors": lambda: self._svd(vectors=True),
        }

    def _jacobians(self) -> None:
        for chunk in self.chunks():
            self.jacobian(chunk)

    def _svd(self, vectors: bool) -> None:
        for chunk in self.chunks():
            for _, stack in self.matrices(chunk, self.jacobian(chunk)):
                matrices = stack.swapaxes(-1, -2)
                if vectors:
                    np.linalg.svd(matrices, full_matrices=False)
                else:
                    np.linalg.svd(matrices, compute_uv=False)

    def values(self) -> list[list[float]]:
        """Singular values of every item, descending, in jaxfeat's normalization."""
        found: list[list[float]] = [[] for _ in range(self.work.n_items)]
        for chunk in self.chunks():
            for items, stack in self.matrices(chunk, self.jacobian(chunk)):
                every = np.linalg.svd(self.weighed(stack).swapaxes(-1, -2), compute_uv=False)
                for item, values in zip(items, every, strict=True):
                    found[item] = values.tolist()
        return found


def alike(items: Sequence[int], key: Callable[[int], Any], size: int = CHUNK) -> list[list[int]]:
    """Items in lists of at most `size` that share a key."""
    groups: dict[Any, list[int]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return [group[k : k + size] for group in groups.values() for k in range(0, len(group), size)]


class Package(NamedTuple):
    """A peer by name, without importing it.

    - `title`, `module` and `distribution`: what people, Python and pip call it. `peer`: its class, in the module of the
      same name here.
    - `variant`: which of `ours.VARIANTS` stands beside it. `same`: whether that is the same basis and window, so that
      numbers can be compared.
    """

    title: str
    module: str
    distribution: str
    peer: str
    variant: str
    same: bool

    def beside(self, work: Work) -> str:
        # A window is worth a variant of its own, and minutes, only where it keeps neighbors out: in crystals DScribe's
        # reach beyond r_cut takes in half as many again.
        return "gto" if self.variant == "gto, window" and not work.periodic else self.variant

    @property
    def installed(self) -> bool:
        return importlib.util.find_spec(self.module) is not None

    @property
    def missing(self) -> str:
        return f"{self.title} is not installed; pip install 'jaxfeat[peers]' adds it."

    def at(self, work: Work) -> AbstractPeer:
        """The package, set up for a work."""
        return getattr(importlib.import_module(f"jaxfeat.bench.{self.module}"), self.peer)(work)


PEERS = {
    "dscribe": Package("DScribe", "dscribe", "dscribe", "DScribe", "gto", True),
    "featomic": Package("featomic", "featomic", "featomic", "Featomic", "gto-rascal", True),
    "quippy": Package("quippy", "quippy", "quippy-ase", "Quippy", "gto, window", False),
}
