"""Changes of a featurizer that see null directions, each of which has been tried."""

from collections.abc import Iterator

import equinox as eqx
import numpy as np

from jaxfeat.errors import BasisError, SizeError
from jaxfeat.features.base import AbstractFeaturizer
from jaxfeat.features.structure_map import FeatureMap
from jaxfeat.geometry.structure import Item
from jaxfeat.nulls.exact_point import ExactPoint, split_contained
from jaxfeat.nulls.filtration import build_filtration
from jaxfeat.nulls.jacobian_nulls import decompose_jacobian
from jaxfeat.nulls.kernel import MAX_NU
from jaxfeat.nulls.sites import Sites
from jaxfeat.nulls.visibility import CLEAR_RATIO, least_visibility, visibility_rows
from jaxfeat.spectrum.blocks import restrict_species

MAX_STEPS = 6  # how far n_max and l_max are raised above those of the featurizer
MAX_CURE_ENTRIES = 20_000_000  # entries of the largest Jacobian that is tried: 160 MB


def find_order(sites: Sites, nu: int, directions: np.ndarray, floor: float) -> tuple[int | None, str]:
    """Find the smallest order above ν that sees all of some incomplete directions `(k, 3 n)`, or `None`, and other
    findings in words. `floor` is that of the spectrum of J."""
    count, tried = len(directions), nu
    partial: list[str] = []
    for order in range(nu + 1, MAX_NU + 1):
        try:
            kernel = build_filtration(sites, order).kernel
        except SizeError:
            break
        assert kernel is not None
        left, tried = len(split_contained(directions, kernel)[0]), order
        if left == 0:
            seen, known = least_visibility(visibility_rows(sites, order), directions)
            if seen > CLEAR_RATIO * max(floor, known):
                return order, ", ".join(partial)
            partial.append(f"ν = {order} sees {count} by {seen:.0e} only")
        elif left < count:
            partial.append(f"ν = {order} leaves {left} of {count}")
    if tried == nu:
        return None, "a higher ν could not be tried"
    return None, f"ν = {tried} does not lift it" + (f" ({', '.join(partial)})" if partial else "")


def find_sizes(f: FeatureMap, at: Item, n_left: int) -> tuple[dict[str, int] | None, str]:
    """Find the smallest basis sizes at which J has `n_left` null directions, or `None`, and why there are none."""
    featurizer = f.environment_featurizer
    if not featurizer.sizes:
        return None, "a larger basis of the same order lifts it"
    tried: dict[str, int] = {}
    for sizes in _larger_sizes(featurizer):
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
        if n_unclear + int(decomposed.spectrum.n_rigid) == n_left:
            return {name: size for name, size in sizes.items() if size != featurizer.sizes[name]}, ""
        tried = {name: max(size, tried.get(name, 0)) for name, size in sizes.items()}
    if not tried:
        return None, "no larger basis could be tried"
    return None, " and ".join(_write_size(name, "=", size) for name, size in tried.items()) + " do not lift it"


def _larger_sizes(featurizer: AbstractFeaturizer) -> Iterator[dict[str, int]]:
    """Raise one size at a time, angular ones first, then all together. A selection grows to all features at once."""
    if (n_all_features := getattr(featurizer, "n_all_features", None)) is not None:
        yield {"n_features": n_all_features}
        return
    sizes = featurizer.sizes
    names = sorted(sizes)
    for raised in [*([name] for name in names), *([names] if len(names) > 1 else [])]:
        for step in range(1, MAX_STEPS + 1):
            yield {name: size + step * (name in raised) for name, size in sizes.items()}


def write_sizes(sizes: dict[str, int]) -> str:
    """Write basis sizes as in "l_max >= 7"."""
    return " with ".join(_write_size(name, ">=", size) for name, size in sizes.items())


def _write_size(name: str, relation: str, size: int) -> str:
    return f"all {size} features" if name == "n_features" else f"{name} {relation} {size}"


def find_lift(point: ExactPoint, cause: str, directions: np.ndarray) -> str:
    """Say what lifts all directions of one cause, `(k, 3 n)`, at an exact point; empty if nothing is found."""
    if cause == "locality":
        return "a larger r_cut"
    if cause == "incompleteness":
        floor = point.decomposed.gap_and_floor()[1]
        order, _ = find_order(point.sites, point.nu or 0, directions, floor)
        return f"ν = {order}" if order else ""
    if cause == "truncation":
        others = (len(space) for name, space in point.causes().items() if name != cause)
        n_left = len(point.filtration.rigid) + sum(others)
        sizes, _ = find_sizes(point.f, point.at, n_left)
        return write_sizes(sizes) if sizes else ""
    return ""
