"""Environments to look at, with the displacements that a featurizer does not see."""

from typing import NamedTuple

import jax
import numpy as np

from jaxfeat.errors import BasisError, GeometryError, SizeError
from jaxfeat.features.base import AbstractFeaturizer
from jaxfeat.features.structure_map import check_compatible
from jaxfeat.geometry.environment import Environment
from jaxfeat.nulls.classify import item_null_space
from jaxfeat.nulls.cure import explain_null_space
from jaxfeat.nulls.near import QUICK, NearGroup
from jaxfeat.progress import Progress
from jaxfeat.spectrum.driver import singular_spectrum

MAX_PER_CAUSE = 3  # directions of one cause that are listed


class ExampleDirection(NamedTuple):
    """A displacement `(n, 3)`, of norm 1, that a featurizer does not see, or sees least: `number`, from 1, `of` all of
    one `cause`. This is one of `CAUSES`, or "least". `distance` (Å) is not 0 if only an exact point nearby hides the
    displacement, and the featurizer sees a little of it here."""

    cause: str
    number: int
    of: int
    displacement: np.ndarray
    distance: float = 0.0


class NullExample(NamedTuple):
    """An environment to look at, positions in Å. `directions` are up to three null ones of each cause, then
    those that exact points nearby hide, and the one that is seen least if none is null. `cause` says why they are null
    or hardly seen, and what lifts that, in a sentence."""

    positions: np.ndarray
    species: np.ndarray
    center_species: int
    directions: list[ExampleDirection]
    cause: str


def make_examples(f: AbstractFeaturizer, batch: Environment, progress: Progress | None = None) -> list[NullExample]:
    """Make an example of each environment of a batch in float64, whose species `f` must know."""
    check_compatible(f, batch)
    found = []
    host = jax.tree.map(np.asarray, batch)
    for i in range(len(batch)):
        # Without the padding of the batch, because the complete kernel has a tuple for each slot.
        env = jax.tree.map(np.asarray, host[i].trimmed())
        try:
            null = item_null_space(f, env)
        except (BasisError, GeometryError, SizeError):
            null = None  # explained below
        groups = {} if null is None else null.directions
        own = [one for cause, rows in groups.items() if cause != "rigid" for one in _list_directions(cause, rows)]
        near = [] if null is None else null.find_near(QUICK)
        # Neighbors next to the cutoff tell little, unlike other exact points nearby.
        telling, edge = (
            [one for g in near if (g.cause == "locality") == at_edge for one in _list_group(g)]
            for at_edge in (False, True)
        )
        directions = [*own, *telling, *([] if own else _least_seen(f, env)), *edge]
        sentence = explain_null_space(f, env, null)
        found.append(NullExample(env.positions, env.species, int(env.center_species), directions, sentence))
        if progress is not None:
            progress(i + 1, len(batch))
    return found


def _list_directions(cause: str, members: np.ndarray, distance: float = 0.0) -> list[ExampleDirection]:
    listed = enumerate(members[:MAX_PER_CAUSE], 1)
    return [ExampleDirection(cause, k, len(members), direction, distance) for k, direction in listed]


def _list_group(group: NearGroup) -> list[ExampleDirection]:
    return _list_directions(group.cause, group.directions, group.distance)


def _least_seen(f: AbstractFeaturizer, env: Environment) -> list[ExampleDirection]:
    """Find the displacement of the smallest equilibrated singular value; an empty list if there is none."""
    spectrum = jax.tree.map(np.asarray, singular_spectrum(f, env, equilibrated=True))
    if str(spectrum.status) != "ok" or not spectrum.n_values:
        return []
    last = int(spectrum.n_values) - 1
    scaled = spectrum.directions[last] / np.where(spectrum.scale > 0, spectrum.scale, 1.0)[:, None]
    null = spectrum.values[last] <= spectrum.floor
    return [ExampleDirection("other" if null else "least", 1, 1, scaled / np.linalg.norm(scaled))]
