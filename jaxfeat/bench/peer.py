"""The seam of the packages that are timed beside jaxfeat."""

import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar

import numpy as np

from jaxfeat.bench.workloads import Neighborhood, Workload

STRUCTURES_PER_CALL = 20  # Structures in one call of a peer. All at once are no faster, and take gigabytes.
Stages = dict[str, Callable[[], Any]]  # the calls to time, by name


class AbstractPeer(ABC):
    """A package with a workload, which it computes by the fastest way that it documents.

    A class loads its package only when it is called. Matrices are stacks of transposed Jacobians, `(k, columns,
    features)`, as every package returns them. LAPACK gets them as `(features, columns)` without a copy. `title`,
    `module` and `distribution` name the package for people, for Python and for pip. `variant` is the key of
    `jaxfeat.bench.jaxfeat.VARIANTS` to time beside it; values are `comparable` if basis and window are the same.
    `batches` are the inputs of single calls for Jacobians.
    """

    title: ClassVar[str]
    module: ClassVar[str]
    distribution: ClassVar[str]
    variant: ClassVar[str]
    comparable: ClassVar[bool] = True
    batches: Sequence[Any]

    def __init__(self, workload: Workload) -> None:
        self.workload = workload
        self.environments: dict[int, list[tuple[int, Neighborhood]]] = {}
        for item, found in enumerate([] if workload.stacked else workload.neighborhoods()):
            self.environments.setdefault(found.structure, []).append((item, found))

    @classmethod
    def missing(cls) -> str:
        """Write the sentence for tables if the package is not installed; empty if it is."""
        if importlib.util.find_spec(cls.module) is not None:
            return ""
        return f"{cls.title} is not installed; pip install 'jaxfeat[peers]' adds it."

    @abstractmethod
    def features(self) -> Any:
        """Compute the features of all structures."""

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
            "values": lambda: self._svd(compute_uv=False),
            "vectors": lambda: self._svd(full_matrices=False),
        }

    def _jacobians(self) -> None:
        for batch in self.batches:
            self.jacobian(batch)

    def _stacks(self) -> Iterator[tuple[Sequence[int], np.ndarray]]:
        for batch in self.batches:
            yield from self.matrices(batch, self.jacobian(batch))

    def _svd(self, **options: Any) -> None:
        for _, stack in self._stacks():
            np.linalg.svd(stack.swapaxes(-1, -2), **options)

    def values(self) -> list[list[float]]:
        """Compute the singular values of every item, descending, in the normalization of jaxfeat."""
        found: list[list[float]] = [[] for _ in range(self.workload.n_items)]
        for items, stack in self._stacks():
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
