"""Cures of null directions, each of which has been tried, and sentences about them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import equinox as eqx
import jax
import numpy as np

from jaxfeat.errors import BasisError, GeometryError, SizeError
from jaxfeat.features.base import AbstractFeaturizer
from jaxfeat.features.structure_map import FeatureMap, check_compatible
from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.structure import Item
from jaxfeat.nulls.ambiguity import CLEAR_RATIO, least_visibility, visibility_rows
from jaxfeat.nulls.causes import NullSpace
from jaxfeat.nulls.classify import POSITION_TOLERANCE, classify_item, item_null_space
from jaxfeat.nulls.filtration import build_filtration
from jaxfeat.nulls.jacobian_nulls import decompose_jacobian, decompose_jacobians
from jaxfeat.nulls.kernel import MAX_NU
from jaxfeat.nulls.sites import list_sites
from jaxfeat.spectrum.blocks import restrict_species

MAX_STEPS = 6  # how far n_max and l_max are raised above those of the featurizer
MAX_CURE_ENTRIES = 20_000_000  # entries of the largest Jacobian that is tried: 160 MB
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
        return " with ".join(f"{name} >= {size}" for name, size in (self.sizes or {}).items())

    def __repr__(self) -> str:
        counted = f"{self.directions} direction{'s' if self.directions > 1 else ''}" if self.directions else ""
        lifted = f"lifted by {self._lifted_by}" if self._lifted_by else ""
        return f"Cure({', '.join(filter(None, (self.cause, counted, self.symbol, lifted, self.reason)))})"


def cure(
    f: FeatureMap, at: Item, null: NullSpace | None = None, tolerance: float = POSITION_TOLERANCE
) -> dict[str, Cure]:
    """Find out what lifts the null directions of one environment or structure.

    Orders ν up to 4, and n_max and l_max up to 6 above those of the featurizer, are tried one after the other.

    **Arguments:**

    - `f`: A featurizer, or a structure map.
    - `at`: One environment (for a featurizer) or structure (for a structure map), in float64.
    - `null`: The result of `jaxfeat.null_space(f, at, tolerance)`, if at hand. By default it is computed.
    - `tolerance`: Å. Positions are symmetric, and values of invariants equal, within this distance.

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
        cures.append(_cure_incompleteness(f, at, null, tolerance))
    if null.truncation:
        cures.append(_cure_truncation(f, at, null))
    raw, equilibrated = null.sensitivity
    if raw < SMALL_SENSITIVITY and equilibrated > CUTOFF_RATIO * raw:
        reason = f"σ_min/σ_max is {raw:.0e}, and {equilibrated:.0e} if all neighbors weigh the same"
        cures.append(Cure("cutoff", reason=reason))
    return {one.cause: one for one in cures}


def _cure_incompleteness(f: FeatureMap, at: Item, null: NullSpace, tolerance: float) -> Cure:
    count = null.incompleteness
    complete = null.rigid + null.locality + null.symmetry
    directions = null.directions["incompleteness"].reshape(count, -1)
    sites = list_sites(f, at, decompose_jacobian(f, at).reacting, tolerance)
    nu = tried = int(f.environment_featurizer.nu or 0)
    partial: list[str] = []
    for order in range(nu + 1, MAX_NU + 1):
        try:
            kernel = build_filtration(sites, order).kernel
        except SizeError:
            break
        assert kernel is not None
        left = len(kernel) - complete
        tried = order
        if left == 0:
            seen, known = least_visibility(visibility_rows(sites, order), directions)
            if seen > CLEAR_RATIO * max(null.floor["jacobian"], known):
                return Cure("incompleteness", count, order=order, reason=", ".join(partial))
            partial.append(f"ν = {order} sees {count} by {seen:.0e} only")
        elif left < count:
            partial.append(f"ν = {order} leaves {left} of {count}")
    if tried == nu:
        reason = "a higher ν could not be tried"
    else:
        reason = f"ν = {tried} does not lift it" + (f" ({', '.join(partial)})" if partial else "")
    return Cure("incompleteness", count, reason=reason)


def _cure_truncation(f: FeatureMap, at: Item, null: NullSpace) -> Cure:
    featurizer = f.environment_featurizer
    tried: dict[str, int] = {}
    for sizes in _larger_sizes(featurizer.sizes):
        try:
            larger = f.with_environment_featurizer(featurizer.with_sizes(**sizes))
        except BasisError:
            continue
        n_features = eqx.filter_eval_shape(restrict_species(larger, at), at).shape[0]
        if n_features * int(np.prod(at.positions.shape)) > MAX_CURE_ENTRIES:
            continue
        decomposed = decompose_jacobian(larger, at)
        # A value close to the floor may be null, so the basis must lift all of them clearly.
        n_unclear = int((decomposed.values <= CLEAR_RATIO * decomposed.spectrum.floor).sum())
        if n_unclear + int(decomposed.spectrum.n_rigid) == null.nullity - null.truncation:
            changed = {name: size for name, size in sizes.items() if size != featurizer.sizes[name]}
            return Cure("truncation", null.truncation, sizes=changed)
        tried = {name: max(size, tried.get(name, 0)) for name, size in sizes.items()}
    if not tried:
        return Cure("truncation", null.truncation, reason="no larger basis could be tried")
    largest = " and ".join(f"{name} = {size}" for name, size in tried.items())
    return Cure("truncation", null.truncation, reason=f"{largest} do not lift it")


def _larger_sizes(sizes: dict[str, int]) -> Iterator[dict[str, int]]:
    """Raise one size at a time, angular ones first, then all together."""
    names = sorted(sizes)
    for raised in [*([name] for name in names), *([names] if len(names) > 1 else [])]:
        for step in range(1, MAX_STEPS + 1):
            yield {name: size + step * (name in raised) for name, size in sizes.items()}


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
