"""Featurizers that workers of a cluster can import: one that compiles fast, and one that ends its process."""

import os
from typing import ClassVar

import jax.numpy as jnp
import numpy as np

from jaxfeat.features.base import AbstractFeaturizer


class Products(AbstractFeaturizer):
    """All scalar products of the positions of four neighbors."""

    nu: ClassVar[int | None] = None
    group: ClassVar[str] = "O3"
    species: ClassVar[np.ndarray | None] = None

    @property
    def labels(self):
        return tuple(zip(*np.triu_indices(4), strict=True))

    def features(self, env):
        return jnp.stack([env.positions[i] @ env.positions[j] for i, j in self.labels])


class Deadly(Products):
    """Ends the process that computes with it."""

    def features(self, env):
        os._exit(1)
