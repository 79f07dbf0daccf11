"""What would lift a null direction: computed, not guessed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import equinox as eqx
import numpy as np

from jaxfeat.errors import BasisError, GeometryError, SizeError
from jaxfeat.features.base import AbstractFeaturizer
from jaxfeat.features.check import check_compatible
from jaxfeat.features.structure_map import AbstractStructureMap
from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.structure import Structure
from jaxfeat.nulls.ambiguity import CLEAR_RATIO
from jaxfeat.nulls.causes import NullSpace
from jaxfeat.nulls.classify import (
    POSITION_TOLERANCE,
    decompose_jacobian,
    kernel_dimension,
    null_space,
    restrict_species,
    wave_gradients_seen_by,
)
from jaxfeat.nulls.kernel import MAX_NU
from jaxfeat.nulls.visibility import least_visibility

MAX_STEPS = 6
"""How much larger than a featurizer's own l_max and n_max are tried."""

MAX_CURE_ENTRIES = 20_000_000
"""Entries of the largest Jacobian that is tried: 160 MB."""

SMALL_SENSITIVITY = 1e-5
"""A raw σ_min/σ_max below this is small. The cutoff makes it small if the equilibrated one is `CUTOFF_RATIO` larger."""

CUTOFF_RATIO = 100.0


def cure(
    f: AbstractFeaturizer | AbstractStructureMap,
    at: Environment | Structure,
    null: NullSpace | None = None,
    tolerance: float = POSITION_TOLERANCE,
) -> dict[str, str]:
    """A sentence for each class of null directions that one environment or structure has, rigid motions apart.

    - truncation: the smallest l_max, or else n_max, up to 6 more, at which no null direction of this cause is left;
      "truncation: l_max >= 7 lifts it".
    - incompleteness: the smallest order at which none is left, "incompleteness: ν = 3 lifts it".
    - symmetry: the point group, "symmetry (T_d): physics". locality: "locality: a larger r_cut lifts it".
    - cutoff: no null direction, but a small sensitivity of neighbors that are seen and hardly weighted.
    - ambiguous: why nothing can be said.

    **Arguments:** `null`: what `null_space(f, at, tolerance)` returned, if at hand.
    """
    check_compatible(f, at)
    if at.batch_shape:
        raise GeometryError(f"cure takes one item, and got a batch of {at.batch_shape[0]}; index it first.")
    null = null or null_space(f, at, tolerance)
    assert isinstance(null, NullSpace)
    if null.status == "ambiguous":
        return {"ambiguous": f"ambiguous: {null.reason}"}
    cures = {}
    if null.locality:
        cures["locality"] = "locality: a larger r_cut lifts it"
    if null.symmetry:
        cures["symmetry"] = f"symmetry ({', '.join(_symbols(null))}): physics"
    if null.incompleteness:
        cures["incompleteness"] = f"incompleteness: {_order(f, at, null, tolerance)}"
    if null.truncation:
        cures["truncation"] = f"truncation: {_basis(f, at, null)}"
    raw, equilibrated = null.sensitivity
    if raw < SMALL_SENSITIVITY and equilibrated > CUTOFF_RATIO * raw:
        cures["cutoff"] = f"cutoff: σ_min/σ_max is {raw:.0e}, and {equilibrated:.0e} with all neighbors weighted alike"
    return cures


def _symbols(null: NullSpace) -> list[str]:
    found = null.stabilizer if isinstance(null.stabilizer, tuple) else [null.stabilizer]
    symbols = [one.symbol for one in found if one is not None and one.order > 1]
    return sorted({f"{s[0]}_{s[1:]}".rstrip("_").replace("*", "∞") for s in symbols})


def _order(f: Any, at: Any, null: NullSpace, tolerance: float) -> str:
    """The order that lifts incompleteness."""
    featurizer = f.environment_featurizer
    nu = int(featurizer.nu or 0)
    complete = null.rigid + null.locality + null.symmetry
    directions = null.directions["incompleteness"].reshape(null.incompleteness, -1)
    found = decompose_jacobian(f, at)
    partial: list[str] = []
    tried = nu
    for order in range(nu + 1, MAX_NU + 1):
        try:
            left = kernel_dimension(f, at, found, order, tolerance) - complete
        except SizeError:
            break
        tried = order
        if left == 0:
            seen, known = least_visibility(wave_gradients_seen_by(f, at, found, order, tolerance), directions)
            if seen <= CLEAR_RATIO * max(null.floor["jacobian"], known):
                partial.append(f"ν = {order} sees {null.incompleteness} by {seen:.0e} only")
                continue
            return f"ν = {order} lifts it" + (f" ({', '.join(partial)})" if partial else "")
        if left < null.incompleteness:
            partial.append(f"ν = {order} leaves {left} of {null.incompleteness}")
    if tried == nu:
        return "a higher ν could not be tried"
    return f"ν = {tried} does not lift it" + (f" ({', '.join(partial)})" if partial else "")


def _basis(f: Any, at: Any, null: NullSpace) -> str:
    """The sizes that lift truncation."""
    featurizer = f.environment_featurizer
    wanted = null.nullity - null.truncation
    tried: dict[str, int] = {}
    for sizes in _larger(featurizer.sizes):
        try:
            larger = featurizer.with_sizes(**sizes)
        except BasisError:
            continue
        larger = larger if isinstance(f, AbstractFeaturizer) else eqx.tree_at(lambda f: f.featurizer, f, larger)
        if _entries(larger, at) > MAX_CURE_ENTRIES:
            continue
        if _null_or_doubtful(larger, at) == wanted:
            changed = [f"{name} >= {size}" for name, size in sizes.items() if size != featurizer.sizes[name]]
            return f"{' with '.join(changed)} lifts it"
        tried = {name: max(size, tried.get(name, 0)) for name, size in sizes.items()}
    if not tried:
        return "no larger basis could be tried"
    return f"{' and '.join(f'{name} = {size}' for name, size in tried.items())} do not lift it"


def _larger(sizes: dict[str, int]) -> Iterator[dict[str, int]]:
    """One size at a time, angular ones first, then all together."""
    names = sorted(sizes)
    for name in names:
        for step in range(1, MAX_STEPS + 1):
            yield {**sizes, name: sizes[name] + step}
    for step in range(1, MAX_STEPS + 1) if len(names) > 1 else ():
        yield {name: size + step for name, size in sizes.items()}


def _entries(f: Any, at: Any) -> int:
    return eqx.filter_eval_shape(restrict_species(f, at), at).shape[0] * int(np.prod(at.positions.shape))


def _null_or_doubtful(f: Any, at: Any) -> int:
    spectrum = decompose_jacobian(f, at).spectrum
    values = spectrum.values[: int(spectrum.n_values)]
    return int(spectrum.n_rigid) + int((values <= CLEAR_RATIO * spectrum.floor).sum())
