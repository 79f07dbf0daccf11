"""Cures of null directions, each of which has been tried, and sentences about them."""

from collections.abc import Sequence
from dataclasses import dataclass

import jax
import numpy as np

from jaxfeat.errors import BasisError, GeometryError, SizeError
from jaxfeat.features.base import AbstractFeaturizer
from jaxfeat.features.structure_map import FeatureMap, check_compatible
from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.structure import Item
from jaxfeat.nulls.causes import NullSpace
from jaxfeat.nulls.classify import classify_item, item_null_space
from jaxfeat.nulls.exact_point import EXACT_TOLERANCE
from jaxfeat.nulls.jacobian_nulls import decompose_jacobian, decompose_jacobians
from jaxfeat.nulls.lift import find_order, find_sizes, write_sizes
from jaxfeat.nulls.near import NEAR_DISTANCE
from jaxfeat.nulls.sites import list_sites

# A raw σ_min/σ_max below the first is small. The cutoff makes it small if the equilibrated one is so many times it.
SMALL_SENSITIVITY, CUTOFF_RATIO = 1e-5, 100.0


@dataclass(frozen=True)
class Cure:
    """How the null directions of one cause become visible, or why they do not.

    **Attributes:**

    - `cause`: "locality", "symmetry", "incompleteness" or "truncation"; "cutoff" if nothing is null, but the cutoff
        makes σ_min/σ_max small; "ambiguous" if nothing can be told.
    - `directions`: The number of null directions of this cause. 0 for "cutoff" and "ambiguous".
    - `symbol`: The Schoenflies symbols of the symmetries ("T_d"), for "symmetry". Nothing lifts these directions.
    - `order`: The smallest order ν at which none of the directions is left, for "incompleteness". `None` if no order up
        to 4 is known to lift them.
    - `sizes`: The smallest basis sizes at which none is left, for "truncation": `{"l_max": 7}`, or `{"n_max": 9}` if no
        larger l_max lifts them, or both. `None` if no basis that was tried lifts them.
    - `reason`: Other findings in words: the directions that lower orders leave, the reason why nothing can be told, or
        the sensitivities.
    """

    cause: str
    directions: int = 0
    symbol: str = ""
    order: int | None = None
    sizes: dict[str, int] | None = None
    reason: str = ""

    @property
    def _lifted_by(self) -> str:
        if self.order is not None:
            return f"ν = {self.order}"
        return write_sizes(self.sizes or {})

    def __repr__(self) -> str:
        counted = f"{self.directions} direction{'s' if self.directions > 1 else ''}" if self.directions else ""
        lifted = f"lifted by {self._lifted_by}" if self._lifted_by else ""
        return f"Cure({', '.join(filter(None, (self.cause, counted, self.symbol, lifted, self.reason)))})"


def cure(f: FeatureMap, at: Item, null: NullSpace | None = None, tolerance: float = NEAR_DISTANCE) -> dict[str, Cure]:
    """Find out what lifts the null directions of one environment or structure.

    Orders ν up to 4, and n_max and l_max up to 6 above those of the featurizer, are tried one after the other.

    **Arguments:**

    - `f`: A featurizer, or a structure map.
    - `at`: One environment (for a featurizer) or structure (for a structure map), in float64.
    - `null`: The result of `jaxfeat.null_space(f, at, tolerance)`, if at hand. By default it is computed.
    - `tolerance`: Å, as for `jaxfeat.null_space`.

    **Returns:** a `Cure` for each cause of null directions other than rigid motions. The dictionary is empty if nothing
    is null and the cutoff does not make σ_min/σ_max small.

    **Raises:** `GeometryError` for a batch; otherwise the errors of `jaxfeat.null_space`.
    """
    check_compatible(f, at)
    if at.batch_shape:
        raise GeometryError(f"cure takes one item, and got a batch of {at.batch_shape[0]}; index it first.")
    null = null or item_null_space(f, at, tolerance)
    if null.status == "ambiguous":
        return {"ambiguous": Cure("ambiguous", reason=null.reason)}
    cures = []
    if null.locality:
        cures.append(Cure("locality", null.locality))
    if null.symmetry:
        cures.append(Cure("symmetry", null.symmetry, symbol=null.symbol))
    if null.incompleteness:
        cures.append(_cure_incompleteness(f, at, null))
    if null.truncation:
        cures.append(_cure_truncation(f, at, null))
    raw, equilibrated = null.sensitivity
    if raw < SMALL_SENSITIVITY and equilibrated > CUTOFF_RATIO * raw:
        reason = f"σ_min/σ_max is {raw:.0e}, and {equilibrated:.0e} if all neighbors weigh the same"
        cures.append(Cure("cutoff", reason=reason))
    return {one.cause: one for one in cures}


def _cure_incompleteness(f: FeatureMap, at: Item, null: NullSpace) -> Cure:
    count = null.incompleteness
    sites = list_sites(f, at, decompose_jacobian(f, at).reacting, EXACT_TOLERANCE)
    directions, n_complete = (
        null.directions["incompleteness"].reshape(count, -1),
        null.rigid + null.locality + null.symmetry,
    )
    nu = int(f.environment_featurizer.nu or 0)
    order, reason = find_order(sites, nu, directions, n_complete, null.floor["jacobian"])
    return Cure("incompleteness", count, order=order, reason=reason)


def _cure_truncation(f: FeatureMap, at: Item, null: NullSpace) -> Cure:
    sizes, reason = find_sizes(f, at, null.nullity - null.truncation)
    return Cure("truncation", null.truncation, sizes=sizes, reason=reason)


def describe_cure(found: Cure) -> str:
    """Describe one cure, as in "truncation: l_max >= 7 lifts it"."""
    if found.cause == "locality":
        return "locality: a larger r_cut lifts it"
    if found.cause == "symmetry":
        return f"symmetry ({found.symbol}): physics"
    if found._lifted_by:
        return f"{found.cause}: {found._lifted_by} lifts it" + (f" ({found.reason})" if found.reason else "")
    return f"{found.cause}: {found.reason}"


def describe_cures(found: dict[str, Cure]) -> str:
    """Describe all cures of one environment, joined by semicolons."""
    return "; ".join(map(describe_cure, found.values()))


def explain_null_space(f: AbstractFeaturizer, env: Environment, null: NullSpace | None = None) -> str:
    """Explain why one environment has null directions or little sensitivity, and what lifts that, as `cure` does."""
    try:
        return describe_cures(cure(f, env, null))
    except (BasisError, SizeError) as error:
        return f"unclassified: {error}"
    except GeometryError as error:
        return f"ambiguous: {error}"


def explain_environments(f: AbstractFeaturizer, batch: Environment, indices: Sequence[int]) -> list[str]:
    """Explain the null spaces of some environments of a batch."""
    if not len(indices):
        return []
    chosen = jax.tree.map(lambda leaf: np.asarray(leaf)[np.asarray(indices)], batch)
    found = []
    for env, decomposed in zip(chosen, decompose_jacobians(f, chosen), strict=True):
        try:
            null = classify_item(f, env, decomposed)
        except (BasisError, GeometryError, SizeError):
            null = None  # explained below
        found.append(explain_null_space(f, env, null))
    return found
