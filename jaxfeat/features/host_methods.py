"""The methods of featurizers that work in NumPy, on environments and on whole structures."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float, Int

from jaxfeat.features.host_work import (
    by_atoms_on_host,
    compute_on_host,
    is_small,
    jacobians_by_program,
    rows_by_program,
)
from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.structure import Item, Structure
from jaxfeat.linalg.lanes import inside_transformation


class HostMethods:
    """Methods of featurizers that work in NumPy. The defaults serve every featurizer that is a JAX function."""

    # A featurizer declares these. If this class were a Module, its fields would lead in the constructors.
    species: Any
    n_features_if_known: Any

    only_on_host: ClassVar[bool] = False
    """True if no program can be compiled for the features, because they come from outside of JAX."""

    describes_structures: ClassVar[bool] = False
    """True if the featurizer, given a structure, stands for the features of all its centers."""

    noise: ClassVar[Any] = (0.0, 0.0)
    """The errors of a Jacobian beyond those of float64: relative to its largest singular value, and the share of them
    that the columns of atoms of hardly any weight have too."""

    defect: ClassVar[Any] = ""
    """The invariance that the features lack, with a number, if they are known to lack one."""

    @property
    def identity(self) -> str | None:
        """A text that two featurizers share only if they compute the same features, for those without a spec."""
        return None

    @property
    def runs_on_host(self) -> bool:
        """True if the methods `..._on_host` are in NumPy: small work then needs no compiled program."""
        return False

    def takes_on_host(self, at: Item) -> bool:
        """Tell whether NumPy computes the features and Jacobians of a batch of environments or structures."""
        room, n_items = at.room_and_number()
        known = self.runs_on_host and at.positions.dtype == np.float64 and not inside_transformation()
        return known and n_items > 0 and is_small(room, n_items, "features" if isinstance(at, Environment) else "call")

    def features_on_host(self, batch: Environment, present: Int[np.ndarray, "b s"]) -> np.ndarray:
        """Compute features `(b, n_features)` in NumPy, for environments `(b,)` in float64 that have no padding. Row i
        of `present` lists the species that item i holds, as `species_present` does."""
        raise NotImplementedError

    def jacobian_on_host(self, batch: Environment, present: Int[np.ndarray, "b s"]) -> np.ndarray:
        """Compute Jacobians `(b, n_features, n, 3)` of such environments. By default a small program does."""
        return jacobians_by_program(self, batch, present)

    def rows_on_host(self, batch: Environment, present: Int[np.ndarray, "b s"], room: int) -> tuple[np.ndarray, int]:
        """Compute rows `(b, k, 3 n)` as `compact_jacobian` does, and count features, of the featurizer restricted to
        the species `present` in each item. By default a program does, in room for `room` neighbors at least."""
        return rows_by_program(self, batch, present, room)

    def compute_features_on_host(self, batch: Environment) -> Float[np.ndarray, "*batch d"]:
        """Compute the features of environments of any batch shape and sizes."""
        return compute_on_host(self.features_on_host, batch, self.species, (self.n_features_if_known,))

    def compute_jacobians_on_host(self, batch: Environment) -> Float[np.ndarray, "*batch d n 3"]:
        """Compute the Jacobians of environments of any batch shape and sizes."""
        shape = self.n_features_if_known, batch.max_neighbors, 3
        return compute_on_host(self.jacobian_on_host, batch, self.species, shape)

    def structure_features_on_host(self, structure: Structure) -> Float[np.ndarray, "c d"]:
        """Compute the features of the centers of one structure of NumPy arrays; anything for padded centers."""
        return self.compute_features_on_host(structure.environments())

    def structure_jacobian_on_host(
        self, structure: Structure
    ) -> tuple[Float[np.ndarray, "c d n 3"], Float[np.ndarray, "c k"]]:
        """Compute the derivatives of the centers' features by the positions of all atoms of one structure of NumPy
        arrays, and the norms of the columns of each center's neighbors."""
        environments = structure.environments()
        rows = self.compute_jacobians_on_host(environments)
        return by_atoms_on_host(rows, structure), np.sqrt((rows**2).sum((1, 3)))
