"""The changes of a descriptor that `tune` tries. A candidate is the spec of a descriptor. An axis is an argument of its
constructor, or ν, and a space lists plain values for each axis."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import equinox as eqx

from jaxfeat.cutoffs import AbstractCutoff
from jaxfeat.errors import BasisError
from jaxfeat.features.base import AbstractFeaturizer
from jaxfeat.features.density import DensityFeaturizer
from jaxfeat.features.spec import KINDS, from_spec, spec, write_value

Spec = dict[str, Any]
Space = dict[str, list[Any]]

AXES = ("n_max", "l_max", "sigma", "r_cut", "cutoff", "radial", "radial_scaling", "include_center", "weights", "nu")
"""The axes in the order of tables."""

SIZE_STEPS = {"n_max": (-4, -3, -2, -1, 1, 2, 4), "l_max": (-2, -1, 1, 2, 3, 5)}
LEAST_SIZES = {"n_max": 1, "l_max": 0}
SIGMA_FACTORS = (1 / 3, 2 / 3, 4 / 3, 5 / 3)
RADIUS_FACTORS = (0.75, 0.875, 1.125, 1.25)
WINDOW_WIDTHS = (0.5, 1.0, 2.0)  # Å
SCALINGS = ((2.0, 2.0), (2.0, 4.0))  # scale in Å and exponent of `Willatt2018`, with rate 1
WEIGHT_FACTORS = (0.5, 2.0)


def check_density(f: AbstractFeaturizer) -> DensityFeaturizer:
    """Return a descriptor that `tune` can vary. **Raises:** `BasisError` for any other featurizer."""
    if not isinstance(f, DensityFeaturizer):
        raise BasisError(
            f"{type(f).__name__} has no basis to vary; give a featurizer of the density, as PowerSpectrum."
        )
    return f


def build(candidate: Spec) -> DensityFeaturizer:
    """Make the featurizer of a candidate. Classes of the user's are loaded already, because their featurizer is."""
    made: DensityFeaturizer = from_spec(candidate, trust=True)
    return made


def key(candidate: Spec) -> str:
    """Write a candidate as a text that no other candidate has."""
    return json.dumps(candidate, sort_keys=True)


def count_features(f: DensityFeaturizer, candidate: Spec) -> int:
    """Count the features of a candidate of the same order, without radial functions; 0 if there is no such basis."""
    basis: Any = type(f.radial)
    try:
        sizes = basis(n_max=candidate["n_max"], l_max=candidate["l_max"])
    except BasisError:
        return 0
    return eqx.tree_at(lambda f: f.radial, f, sizes).n_features


def smoothness(candidate: Spec) -> int:
    """Count the continuous derivatives that the window of a candidate has at the cutoff; -1 if features jump there."""
    cutoff: Any = KINDS.get(candidate["cutoff"]["kind"])
    return cutoff.smoothness if isinstance(cutoff, type) and issubclass(cutoff, AbstractCutoff) else 1


def default_space(f: DensityFeaturizer, reach: float) -> Space:
    """List the default values of each axis around a descriptor, its own left out. No radius is above `reach` (Å)."""
    own, nu = spec(f), f.nu or 1
    steps = SIZE_STEPS if nu < 3 else dict.fromkeys(SIZE_STEPS, (-1, 1))
    space: Space = {"l_max": []}  # The radial spectrum does not depend on it.
    for name in f.sizes:
        space[name] = [own[name] + step for step in steps[name] if own[name] + step >= LEAST_SIZES[name]]
    widths = [width for width in WINDOW_WIDTHS if width <= own["r_cut"]]
    space["sigma"] = [round(own["sigma"] * factor, 3) for factor in SIGMA_FACTORS] if own["sigma"] else [0.1, 0.2, 0.3]
    radii = [round(own["r_cut"] * factor, 3) for factor in RADIUS_FACTORS]
    space["r_cut"] = [radius for radius in radii if radius <= reach]
    space["cutoff"] = [{"kind": kind, "width": width} for kind in ("Smoothstep", "ShiftedCosine") for width in widths]
    space["cutoff"].append({"kind": "NoCutoff"})
    space["radial"] = ["gto", "gto-rascal", "laplacian"]
    space["radial_scaling"] = [None] + [
        {"kind": "Willatt2018", "scale": scale, "rate": 1.0, "exponent": exponent} for scale, exponent in SCALINGS
    ]
    space["include_center"] = [True, 0.5, False]
    space["weights"] = list(_weights(own["weights"]))
    space["nu"] = [nu + 1]
    return _without_own(space, own)


def _weights(own: list[float]) -> Iterator[list[float]]:
    """Multiply the weight of one species at a time. A single species has no weight relative to others."""
    for k in range(len(own) if len(own) > 1 else 0):
        for factor in WEIGHT_FACTORS:
            yield [weight * (factor if i == k else 1) for i, weight in enumerate(own)]


def searched_space(space: Space, given: Iterable[str]) -> Space:
    """Restrict a space to the changes that a recommendation may make. Unless their axis is `given` by the user, ν and
    r_cut stay, because they decide which atoms and which angles a model sees at all; features must not jump at the
    cutoff; and the center stays visible, because it tells species of centers apart."""
    kept = {name: list(values) for name, values in space.items() if name != "nu"}
    if "r_cut" not in given:
        kept["r_cut"] = []
    if "cutoff" not in given:
        kept["cutoff"] = [value for value in kept["cutoff"] if value["kind"] != "NoCutoff"]
    if "include_center" not in given:
        kept["include_center"] = [value for value in kept["include_center"] if value]
    return kept


def restrict_space(space: Space, given: Mapping[str, Any], own: Spec) -> Space:
    """Replace the values of the axes that the user gives. **Raises:** `BasisError` for an unknown axis."""
    changed = dict(space)
    for name, values in given.items():
        if name not in AXES:
            raise BasisError(f"space has an axis {name!r}; choose among {', '.join(AXES)}.")
        if isinstance(values, (str, Mapping, eqx.Module)) or not hasattr(values, "__iter__"):
            raise BasisError(f"space[{name!r}] is {values!r}; give a list of values to try.")
        changed[name] = [value if isinstance(value, dict) else write_value(value, name) for value in values]
    return _without_own(changed, own)


def _without_own(space: Space, own: Spec) -> Space:
    # The order is a property of the class, so it has no value of its own in the spec.
    return {name: [v for v in space[name] if name == "nu" or v != own[name]] for name in AXES}


def format_change(name: str, value: Any) -> str:
    """Write a change in words."""
    symbols = {"sigma": "σ", "nu": "ν", "include_center": "weight of the center", "radial_scaling": "scaling"}
    if isinstance(value, dict):
        numbers = ", ".join(f"{v:g}" for k, v in value.items() if k != "kind")
        text = f"{value['kind']}({numbers})" if numbers else value["kind"]
    elif isinstance(value, list):
        text = " ".join(f"{v:g}" for v in value)
    elif isinstance(value, (bool, float)):
        text = f"{float(value):g}"
    else:
        text = str(value).replace("None", "none")
    return f"{symbols.get(name, name)} {text}" + (" Å" if name in ("sigma", "r_cut") else "")


def changes_between(own: Spec, other: Spec) -> dict[str, Any]:
    """List the arguments in which a candidate differs from a descriptor."""
    return {name: other[name] for name in AXES if name in other and other[name] != own.get(name)}
