"""Environments to look at: what a featurizer does not see of them, and what would lift that."""

from __future__ import annotations

from typing import NamedTuple

import jax
import numpy as np

from jaxfeat.errors import BasisError, GeometryError, SizeError
from jaxfeat.features.base import AbstractFeaturizer
from jaxfeat.geometry.environment import Environment
from jaxfeat.nulls.causes import CAUSES
from jaxfeat.nulls.classify import POSITION_TOLERANCE, null_space
from jaxfeat.nulls.scan import explain_null_space
from jaxfeat.spectrum.blocks import Progress
from jaxfeat.spectrum.driver import singular_spectrum

MAX_PER_CAUSE = 3
"""Directions of one cause that are listed."""


class ExampleDirection(NamedTuple):
    """A displacement that a featurizer does not see, or, where the cause is "least", the one that it sees least. A
    cause that ends in "within 1e-05 Å" is that of exact positions nearby; at these J sees a little of it.

    - `displacement`: `(n, 3)`, of unit norm.
    - `place`, `of`: which of how many directions of this cause, from 1.
    """

    cause: str
    place: int
    of: int
    displacement: np.ndarray


class NullExample(NamedTuple):
    """An environment to look at.

    - `positions`: `(n, 3)`, Å relative to the center; `species`: `(n,)` atomic numbers.
    - `directions`: null ones by cause, three of each at most; where there are none, the least sensitive one.
    - `cause`: why there are null directions or little sensitivity, and what would lift that.
    """

    positions: np.ndarray
    species: np.ndarray
    center_species: int
    directions: list[ExampleDirection]
    cause: str


def make_examples(f: AbstractFeaturizer, batch: Environment, progress: Progress | None = None) -> list[NullExample]:
    """What there is to see of each environment of a batch.

    **Raises:** `SpeciesError`, as the featurizer does; `PrecisionError` for positions that are not float64.
    """
    found = []
    host = jax.tree.map(np.asarray, batch)
    for i in range(len(batch)):
        # Not padded to the largest: the complete kernel goes over all tuples of the room that there is.
        env = jax.tree.map(np.asarray, host[i].trimmed())
        try:
            null = null_space(f, env)
        except (BasisError, GeometryError, SizeError):
            # The sentence below says which.
            null = None
        counted = [cause for cause in CAUSES if cause != CAUSES[0]]
        nearly = f" within {POSITION_TOLERANCE:g} Å" if null is not None and null.status == "ambiguous" else ""
        directions = [
            ExampleDirection(cause + nearly, k + 1, len(null.directions[cause]), direction)
            for cause in (counted if null is not None else ())
            for k, direction in enumerate(null.directions[cause][:MAX_PER_CAUSE])
        ]
        found.append(
            NullExample(
                env.positions[env.mask],
                env.species[env.mask],
                int(env.center_species),
                [one._replace(displacement=one.displacement[env.mask]) for one in directions or _least(f, env)],
                explain_null_space(f, env, null),
            )
        )
        if progress is not None:
            progress(i + 1, len(batch))
    return found


def _least(f: AbstractFeaturizer, env: Environment) -> list[ExampleDirection]:
    """The direction of the smallest equilibrated singular value, as a displacement."""
    spectrum = jax.tree.map(np.asarray, singular_spectrum(f, env, equilibrated=True))
    if str(spectrum.status) != "ok" or not spectrum.n_values:
        return []
    last = int(spectrum.n_values) - 1
    scaled = spectrum.directions[last] / np.where(spectrum.scale > 0, spectrum.scale, 1.0)[:, None]
    null = spectrum.values[last] <= spectrum.floor
    return [ExampleDirection("other" if null else "least", 1, 1, scaled / np.linalg.norm(scaled))]
