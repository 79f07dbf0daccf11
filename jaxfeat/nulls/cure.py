"""Cures of null directions, each of which has been tried, and sentences about them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from operator import attrgetter

import equinox as eqx
import jax
import numpy as np

from jaxfeat.errors import BasisError, GeometryError, SizeError
from jaxfeat.features.base import AbstractFeaturizer
from jaxfeat.features.structure_map import FeatureMap, resolve_map
from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.structure import Item
from jaxfeat.geometry.symmetry import SYMMETRY_TOLERANCE
from jaxfeat.nulls.behind_symmetry import explain_symmetry
from jaxfeat.nulls.causes import NullSpace
from jaxfeat.nulls.classify import POSITION_TOLERANCE, classify_item, item_null_space
from jaxfeat.nulls.exact_point import EXACT_TOLERANCE
from jaxfeat.nulls.jacobian_nulls import decompose_jacobian, decompose_jacobians
from jaxfeat.nulls.lift import find_order, find_sizes, write_sizes
from jaxfeat.nulls.near import NEAR_DISTANCE, QUICK, NearGroup, distances_to_edge
from jaxfeat.nulls.sites import list_sites

# A σ_min/σ_max below the first is small. The cutoff makes it small if the equilibrated one is so many times it.
SMALL_SENSITIVITY, CUTOFF_RATIO = 1e-5, 100.0
CHANGED_RADIUS, CHANGED_SIGMA, CHANGED_SIZE = 0.8, 0.75, 2  # factors, and a number, that are tried for the resolution
DENSE = "a neighbor is at the edge of r_cut; with a larger r_cut others are, because the structure is periodic"
FARTHER = "a larger cutoff or another layer lifts it"
WORTH_EXPLAINING = 1e-2  # The equilibrated σ_min/σ_max below which an environment gets a sentence in any case
OWN_SENSITIVITY = "its own: a generic {} of this descriptor"
LEAST_GAIN = 3.0  # of σ_min/σ_max, for a change that is worth naming


@dataclass(frozen=True)
class Cure:
    """How the null directions of one cause become visible, or why they do not.

    **Attributes:**

    - `cause`: "locality", "symmetry", "incompleteness", "truncation", "other" or "width"; "cutoff" if
        neighbors next to the cutoff make σ_min/σ_max small; "resolution" if it is small with all neighbors weighted
        alike, and no exact point is near; "ambiguous" if nothing can be told.
    - `directions`: The number of null directions of this cause. 0 for the last three.
    - `symbol`: The Schoenflies symbols of the symmetries ("T_d"), for "symmetry". Nothing lifts these directions to
        first order.
    - `order`: The smallest order ν at which none of the directions is left, for "incompleteness". `None` if no order up
        to 4 is known to lift them.
    - `sizes`: The smallest basis sizes at which none is left, for "truncation": `{"l_max": 7}`, or `{"n_max": 9}` if no
        larger l_max lifts them, or both; `{"n_features": 952}` for a selection. `None` if nothing that was tried does.
    - `gains`: For "resolution", the factors by which single changes of the featurizer raise the equilibrated
        σ_min/σ_max, the largest first: `{"r_cut = 4 Å": 1e4}`. Changes that gain less than 3 are left out. `None` for
        featurizers that have nothing to change, such as models.
    - `reason`: Other findings in words: the directions that lower orders leave, the reason why nothing can be told, the
        sensitivities, or, for "symmetry", the second-order responses that the order ν does not see either, if it does
        not see all (`jaxfeat.second_order`; up to 50 neighbors).
    """

    cause: str
    directions: int = 0
    symbol: str = ""
    order: int | None = None
    sizes: dict[str, int] | None = None
    gains: dict[str, float] | None = None
    reason: str = ""

    @property
    def _lifted_by(self) -> str:
        if self.order is not None:
            return f"ν = {self.order}"
        if self.gains:
            return ", ".join(f"{change} ({gain:.2g}x)" for change, gain in self.gains.items())
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
    is null and σ_min/σ_max is not small.

    **Raises:** `GeometryError` for a batch; otherwise the errors of `jaxfeat.null_space`.
    """
    f, at = resolve_map(f, at)
    if at.batch_shape:
        raise GeometryError(f"cure takes one item, and got a batch of {at.batch_shape[0]}; index it first.")
    null = null or item_null_space(f, at, tolerance)
    if null.status == "ambiguous":
        return {"ambiguous": Cure("ambiguous", reason=null.reason)}
    cures, near = [], null.find_near(QUICK)
    if null.locality:
        dense = isinstance(at, Environment) and np.any(at.neighbor_shift)
        farther = "" if f.environment_featurizer.sizes else FARTHER
        cures.append(Cure("locality", null.locality, reason=DENSE if dense else farther))
    if null.symmetry:
        # J may not see directions that belong to a point beyond the tolerance of the stabilizer.
        symbol = null.symbol or ", ".join(sorted({group.symbol for group in near if group.cause == "symmetry"}))
        behind = explain_symmetry(f, at, null.atoms, POSITION_TOLERANCE)
        cures.append(Cure("symmetry", null.symmetry, symbol=symbol, reason=behind))
    if null.incompleteness:
        cures.append(_cure_incompleteness(f, at, null))
    if null.truncation:
        cures.append(_cure_truncation(f, at, null))
    if null.other:
        cures.append(Cure("other", null.other, reason=_describe_other(f)))
    if null.width:
        cures.append(
            Cure("width", null.width, reason="there are fewer features than directions; more features lift it")
        )
    raw, equilibrated = null.sensitivity
    explained = any(group.cause != "locality" for group in near)
    if not explained and raw < SMALL_SENSITIVITY and equilibrated > CUTOFF_RATIO * raw:
        cures.append(Cure("cutoff", reason=_describe_cutoff(f, at, raw, equilibrated)))
    if not explained and equilibrated < SMALL_SENSITIVITY and not null.truncation:
        gains = _gains_of_changes(f, at, equilibrated)
        few = "basis" if f.environment_featurizer.sizes else "model"
        reason = f"{int(at.mask.sum())} {at.part_name}s are many for this {few}: σ_min/σ_max is {equilibrated:.0e}"
        cures.append(Cure("resolution", gains=gains, reason=reason))
    return {one.cause: one for one in cures}


def _describe_other(f: FeatureMap) -> str:
    if f.environment_featurizer.nu is None:
        return "the features declare no order ν; a higher order or another layer may see more"
    return "a sum over centers hides more than the symmetry of each site"


def _describe_cutoff(f: FeatureMap, at: Item, raw: float, equilibrated: float) -> str:
    reason = f"σ_min/σ_max is {raw:.0e}, and {equilibrated:.0e} if all neighbors weigh the same"
    gaps = distances_to_edge(f, at)
    if not (gaps < NEAR_DISTANCE).any():
        return reason
    n = int((gaps < NEAR_DISTANCE).sum())
    neighbors = f"{n} neighbors are" if n > 1 else "a neighbor is"
    return f"{neighbors} within {NEAR_DISTANCE:g} Å of r_cut, the farthest within {gaps.min():.0e} Å; {reason}"


def _gains_of_changes(f: FeatureMap, at: Item, ratio: float) -> dict[str, float] | None:
    """Compute the factors by which single changes of the featurizer raise the equilibrated σ_min/σ_max. `None` stands
    for a featurizer that has nothing to change."""
    changes = list(_changes(f))
    if not changes:
        return None
    gains = {}
    for change, changed in changes:
        found = decompose_jacobian(changed, at).sensitivity()[1] / ratio
        if found >= LEAST_GAIN:
            gains[change] = found
    return dict(sorted(gains.items(), key=lambda item: -item[1]))


def _changes(f: FeatureMap) -> Iterator[tuple[str, FeatureMap]]:
    featurizer = f.environment_featurizer
    # A model has a radius that follows from other facts, and is no field.
    own = {field.name for field in fields(featurizer)}
    for name, factor in (("r_cut", CHANGED_RADIUS), ("sigma", CHANGED_SIGMA)):
        if name in own and (value := getattr(featurizer, name)) is not None:
            smaller = factor * np.asarray(value)
            changed = eqx.tree_at(attrgetter(name), featurizer, smaller)
            yield f"{name} = {float(smaller):g} Å", f.with_environment_featurizer(changed)
    for name, size in featurizer.sizes.items():
        larger = getattr(featurizer, "n_all_features", None) or size + CHANGED_SIZE
        try:
            changed = featurizer.with_sizes(**{name: larger})
        except BasisError:
            continue
        yield f"{name} = {larger}", f.with_environment_featurizer(changed)


def _cure_incompleteness(f: FeatureMap, at: Item, null: NullSpace) -> Cure:
    count = null.incompleteness
    sites = list_sites(f, at, decompose_jacobian(f, at).reacting, EXACT_TOLERANCE)
    directions = null.directions["incompleteness"].reshape(count, -1)
    nu = int(f.environment_featurizer.nu or 0)
    order, reason = find_order(sites, nu, directions, null.floor["jacobian"])
    return Cure("incompleteness", count, order=order, reason=reason)


def _cure_truncation(f: FeatureMap, at: Item, null: NullSpace) -> Cure:
    sizes, reason = find_sizes(f, at, null.nullity - null.truncation)
    return Cure("truncation", null.truncation, sizes=sizes, reason=reason)


def describe_cure(found: Cure) -> str:
    """Describe one cure, as in "truncation: l_max >= 7 lifts it"."""
    if found.cause == "locality":
        return f"locality: {found.reason or 'a larger r_cut lifts it'}"
    if found.cause == "symmetry":
        return f"symmetry{f' ({found.symbol})' if found.symbol else ''}: {found.reason or 'physics'}"
    if found.cause == "resolution" and found.gains is None:
        return f"resolution: {found.reason}"
    if found.cause == "resolution":
        return f"resolution: {found.reason}; {found._lifted_by or 'no single change that was tried'} lifts it"
    if found._lifted_by:
        return f"{found.cause}: {found._lifted_by} lifts it" + (f" ({found.reason})" if found.reason else "")
    return f"{found.cause}: {found.reason}"


def describe_cures(found: dict[str, Cure]) -> str:
    """Describe all cures of one environment, joined by semicolons."""
    return "; ".join(map(describe_cure, found.values()))


def describe_near(group: NearGroup, said: str = "") -> str:
    """Describe one group of nearly null directions, as in "nearly D_6h, within 5e-05 Å: physics". Second-order
    responses that were `said` to be invisible are not counted again."""
    where = f"within {group.distance:.0e} Å"
    if group.cause == "symmetry":
        behind = ""
        if group.distance < SYMMETRY_TOLERANCE:
            point = group._point
            behind = explain_symmetry(point.f, point.at, point.decomposed.reacting, EXACT_TOLERANCE)
        behind = "the same" if behind and behind in said else behind
        return f"nearly {group.symbol}, {where}: {behind or 'physics'}"
    what = {"incompleteness": f"incomplete at ν = {group.order}", "truncation": "truncated"}.get(
        group.cause, group.cause
    )
    lifted = f"{group.lifted_by} lifts it" if group.lifted_by else "nothing that was tried lifts it"
    return f"nearly {what}, {where}: {lifted}"


def explain_null_space(f: FeatureMap, at: Item, null: NullSpace | None = None, tolerance: float = NEAR_DISTANCE) -> str:
    """Explain why one environment or structure has null directions or little sensitivity, and what lifts that, as
    `cure` does."""
    try:
        null = null or item_null_space(f, at, tolerance)
        sentences = [describe_cure(one) for one in cure(f, at, null, tolerance).values()]
        # Neighbors next to the cutoff are worth a word only if they make the environment insensitive.
        said = "; ".join(sentences)
        near = [describe_near(group, said) for group in null.find_near(QUICK) if group.cause != "locality"]
        small = null.sensitivity[1] < WORTH_EXPLAINING
        return "; ".join([*sentences, *near]) or (OWN_SENSITIVITY.format(at.item_name) if small else "")
    except (BasisError, SizeError) as error:
        return f"unclassified: {error}"
    except GeometryError as error:
        return f"ambiguous: {error}"


def explain_environments(
    f: AbstractFeaturizer, batch: Environment, indices: Sequence[int], tolerance: float = NEAR_DISTANCE
) -> list[str]:
    """Explain the null spaces of some environments of a batch."""
    if not len(indices):
        return []
    chosen = jax.tree.map(lambda leaf: np.asarray(leaf)[np.asarray(indices)], batch)
    found = []
    for env, decomposed in zip(chosen, decompose_jacobians(f, chosen), strict=True):
        try:
            null = classify_item(f, env, decomposed, tolerance)
        except (BasisError, GeometryError, SizeError):
            null = None  # explained below
        found.append(explain_null_space(f, env, null, tolerance))
    return found
