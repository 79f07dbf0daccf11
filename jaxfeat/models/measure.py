"""The response of a model to motions that must not change its features, and the errors of its Jacobian."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import numpy as np

from jaxfeat.errors import ModelError
from jaxfeat.geometry.structure import Structure

Evaluate = Callable[[Structure], tuple[np.ndarray, np.ndarray]]

MOTIONS = ("translation", "rotation", "reflection", "exchange")  # that must not change features

DEFECT = {"float64": 1e-4, "float32": 1e-3}
"""Responses to a motion, relative to the largest singular value, that are no rounding errors. Smaller ones raise the
floor instead."""

MIRROR_FACTOR, MIRROR = 100.0, {"float64": 1e-8, "float32": 1e-4}
"""A response to a reflection is no error if it is so many times as large as those to other motions, and larger than the
second number."""

DERIVATIVE = {"float64": 1e-8, "float32": 1e-3}  # relative errors up to which a derivative agrees with differences
STEPS = {"float64": (1e-3, 3e-4, 1e-2), "float32": (3e-2, 1e-1, 1e-2)}  # Å, of the differences, in the order of trial
NOISE_FACTOR = 8.0  # times the largest error that was measured, because other structures have others
LEAST_FLOOR = 32.0  # rounding errors of the model's own type
OWN_FLOOR = 256 * float(np.finfo(float).eps)  # of jaxfeat's own spectra, at least
WEAK_COLUMN = (
    0.1  # the norm of an atom's columns, relative to the largest, from which on downwards it has little weight
)
DIFFERENCE_ROUNDINGS = 30.0  # rounding errors of features in a difference, which no derivative can be told from


@dataclass(frozen=True)
class Probe:
    """The responses of a model's features to motions of one structure that must not change them.

    Responses are relative to the largest singular value of the Jacobian of all centers' features: the change of the
    Jacobian, turned back, or of the features per Å, whichever is larger.

    **Attributes:**

    - `translation`, `rotation`, `reflection`, `exchange`: The responses to a translation, a rotation, a reflection and
        exchanges of like atoms. NaN for crystals, which are only translated and permuted here, and if there are no like
        atoms.
    - `derivative`: The relative difference between the Jacobian along one random displacement and five-point
        differences of features.
    - `dtype`: "float64" or "float32", in which the model computes.
    - `floor`: The relative error of singular values: 8 times the largest response that is no defect, and at least 32
        rounding errors of float32. 0 if it is below that of float64 in jaxfeat's own decompositions.
    - `share`: The share of these errors that the columns of atoms of hardly any weight have too, from 0 to 1.
    - `group`: "O3", or "SO3" if the features change under reflections.
    - `defect`: A phrase that names the invariance that the features lack, with the response. Empty if there is none.
    """

    translation: float
    rotation: float
    reflection: float
    exchange: float
    derivative: float
    dtype: str
    floor: float
    share: float
    group: str
    defect: str

    @property
    def invariant(self) -> bool:
        """True if translations, rotations and exchanges of like atoms do not change the features."""
        return not self.defect

    def __repr__(self) -> str:
        parts = [f"{name} = {getattr(self, name):.0e}" for name in MOTIONS if np.isfinite(getattr(self, name))]
        parts.append(f"derivative = {self.derivative:.0e}")
        kind = f"{self.dtype}, {self.group}" if self.invariant else f"{self.dtype}, {self.defect}"
        return f"Probe({', '.join(parts)}; {kind}, floor = {self.floor:.1e})"


def measure(evaluate: Evaluate, structure: Structure, group: str | None = None, seed: int = 0) -> Probe:
    """Measure the responses of a model at one structure of NumPy arrays without padding.

    `group` is the declared one: "SO3" takes a response to reflections for granted.

    **Raises:** `ModelError` if the Jacobian disagrees with differences of features.
    """
    rng = np.random.default_rng(seed)
    features, jacobian = evaluate(structure)
    dtype = "float64" if features.dtype == jacobian.dtype == np.float64 else "float32"
    features, jacobian = features.astype(float), jacobian.astype(float)
    size = _largest(jacobian)
    if not size > 0:
        nothing = dict.fromkeys((*MOTIONS, "derivative"), np.nan)
        return Probe(**nothing, dtype=dtype, floor=0.0, share=0.0, group=group or "O3", defect="")
    eps = float(np.finfo(dtype).eps)
    errors: dict[str, np.ndarray] = {}
    responses = dict.fromkeys(MOTIONS, np.nan)
    for name, moved, turn, order in _motions(structure, rng):
        other, changed = evaluate(moved)
        changed = (changed[:, :, np.argsort(order)] if order is not None else changed) @ turn
        errors[name] = changed - jacobian
        responses[name] = max(_largest(errors[name]), float(np.abs(other - features).max())) / size
    others = max(eps, *(responses[name] for name in ("translation", "rotation") if np.isfinite(responses[name])))
    mirrored = responses["reflection"] > max(MIRROR_FACTOR * others, MIRROR[dtype])
    kept = [name for name, one in responses.items() if one < DEFECT[dtype] and not (name == "reflection" and mirrored)]
    noise = max([eps, *(responses[name] for name in kept)])
    derivative = _check_derivative(evaluate, structure, features, jacobian, dtype, rng)
    names = {"translation": "translations", "rotation": "rotations", "exchange": "exchanges of like atoms"}
    broken = [
        f"{phrase} change the features by {responses[name]:.1e} of the largest singular value"
        for name, phrase in names.items()
        if responses[name] >= DEFECT[dtype]
    ]
    found = group or ("SO3" if mirrored else "O3")
    if found == "O3" and mirrored:
        broken.append(f"reflections change the features by {responses['reflection']:.1e}, though O3 is declared")
    floor = NOISE_FACTOR * noise
    if dtype == "float32":
        floor = max(floor, LEAST_FLOOR * eps)
    share = _share_of_weak([errors[name] for name in kept], jacobian)
    if floor <= OWN_FLOOR:
        share = 0.0  # Rounding errors are in proportion to the columns, as those of jaxfeat's own features are.
    return Probe(
        **responses,
        derivative=derivative,
        dtype=dtype,
        floor=floor,
        share=share,
        group=found,
        defect="; ".join(broken),
    )


def _motions(structure: Structure, rng: Any) -> Any:
    """Yield names, moved structures, the matrix that turns derivatives back, and the order of atoms if it changed."""
    positions, n = structure.positions, len(structure.positions)
    origin, identity = positions.mean(0), np.eye(3)
    yield "translation", structure.with_positions(positions + rng.uniform(0.3, 0.7, 3)), identity, None
    if not structure.periodic:
        turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
        turn *= np.sign(np.linalg.det(turn))
        for name, matrix in (("rotation", turn), ("reflection", -turn)):
            yield name, structure.with_positions((positions - origin) @ matrix.T + origin), matrix, None
    order = np.arange(n)
    for species in np.unique(structure.species):
        like = np.flatnonzero(structure.species == species)
        order[like] = np.roll(like, 1)
    if (order != np.arange(n)).any():
        place = np.argsort(order)
        parts = positions[order], place[structure.center], place[structure.neighbor]
        exchanged = eqx.tree_at(lambda one: (one.positions, one.center, one.neighbor), structure, parts)
        yield "exchange", exchanged, identity, order


def _largest(jacobian: np.ndarray) -> float:
    whole = np.nan_to_num(jacobian.astype(float)).reshape(-1, jacobian.shape[2] * 3)
    return float(np.linalg.norm(whole, 2)) if whole.size else 0.0


def _share_of_weak(errors: list[np.ndarray], jacobian: np.ndarray) -> float:
    """Compare the errors of the columns of atoms of little weight with those of the others."""
    norms = np.sqrt((jacobian**2).sum((0, 1, 3)))
    weak = norms < WEAK_COLUMN * norms.max(initial=0)
    of_columns = np.max([np.sqrt((error**2).sum((0, 1, 3))) for error in errors], 0) if errors else 0 * norms
    largest = of_columns.max(initial=0)
    return float(of_columns[weak].max(initial=0) / largest) if weak.any() and largest > 0 else 1.0


def _check_derivative(
    evaluate: Evaluate,
    structure: Structure,
    features: np.ndarray,
    jacobian: np.ndarray,
    dtype: str,
    rng: Any,
) -> float:
    """Compare the Jacobian along a random displacement with five-point differences, in steps until they agree."""
    along: Any = rng.normal(size=structure.positions.shape)
    along /= np.linalg.norm(along, axis=1).max()
    expected = np.einsum("cdnx,nx->cd", jacobian, along)
    size: Any = np.linalg.norm(expected) or 1.0
    rounding = float(np.finfo(dtype).eps * np.linalg.norm(features)) / float(size)
    errors = []
    for step in STEPS[dtype]:
        values = [evaluate(structure.with_positions(structure.positions + k * step * along))[0] for k in (-2, -1, 1, 2)]
        below2, below, above, above2 = (value.astype(float) for value in values)
        found = (below2 - 8 * below + 8 * above - above2) / (12 * step)
        errors.append(float(np.linalg.norm(found - expected)) / float(size))
        if errors[-1] <= max(DERIVATIVE[dtype], DIFFERENCE_ROUNDINGS * rounding / step):
            return errors[-1]
    raise ModelError(
        f"the Jacobian along a random displacement differs from five-point differences of the features by "
        f"{min(errors):.1e} of its length, in {dtype}; mend the derivatives, return "
        "float32 if the model computes in it, or give values alone to jaxfeat.from_features."
    )
