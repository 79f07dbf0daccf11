"""Derivatives of features by differences, for programs that give values only."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from jaxfeat.errors import ModelError
from jaxfeat.geometry.structure import Structure
from jaxfeat.models.ase_atoms import as_atoms
from jaxfeat.models.external import ExternalFeaturizer, make_model

STEPS = {"float64": 1e-3, "float32": 3e-2}  # Å. Errors of both kinds, h⁶ and rounding over h, are then about equal.

MULTIPLES = (1, 2, 4)  # of the step, on both sides


def differentiate(
    values: Callable[[Float[np.ndarray, "n 3"]], np.ndarray], positions: Float[np.ndarray, "n 3"], step: float | None
) -> tuple[np.ndarray, np.ndarray]:
    """Compute values `(c, d)` at positions and their derivatives `(c, d, n, 3)`, by five-point differences of two
    steps, extrapolated to the sixth order. Each coordinate takes six evaluations."""
    here = np.asarray(values(positions))
    dtype = "float32" if here.dtype == np.float32 else "float64"
    step = step or STEPS[dtype]
    slopes = np.zeros((*here.shape, *positions.shape))
    for atom, axis in np.ndindex(*positions.shape):
        odd = []
        for k in MULTIPLES:
            moved = np.repeat(positions[None], 2, 0)
            moved[:, atom, axis] += [k * step, -k * step]
            after, before = (np.asarray(values(one), float) for one in moved)
            odd.append((after - before) / (2 * k * step))
        fine, coarse = ((4 * odd[k] - odd[k + 1]) / 3 for k in (0, 1))
        slopes[..., atom, axis] = (16 * fine - coarse) / 15
    return here, slopes.astype(dtype)


def from_features(
    fn: Callable[[Any], Any],
    *,
    reach: float,
    nu: int | None = None,
    group: str | None = None,
    species: Sequence[str | int] | None = None,
    key: str | None = None,
    step: float | None = None,
) -> ExternalFeaturizer:
    """Make a featurizer of a function that gives values of features only, such as `get_descriptors` of a calculator.

    Derivatives are differences of the sixth order, for which the function is called 18 times for each atom. Their
    errors are measured as those of every model (`jaxfeat.probe`): differences along turned axes have other errors. The
    floor is about 3e-10 of the largest singular value in float64 for features as smooth as Gaussians of 0.3 Å, and
    2e-5 in float32.

    **Arguments:**

    - `fn`: A function of one `ase.Atoms` that returns the features of each atom, `(n_atoms, d)`, in float64 or float32.
    - `reach`, `nu`, `group`, `species`, `key`: See `jaxfeat.external`.
    - `step`: Å, the least displacement. By default 1e-3 in float64, and 3e-2 in float32.

    **Returns:** a featurizer as of `jaxfeat.external`.

    **Raises:** the errors of `jaxfeat.external`. When it is used, `ModelError` if the function returns no row for each
    atom.
    """

    def evaluate(structure: Structure) -> tuple[np.ndarray, np.ndarray]:
        def values(positions: np.ndarray) -> np.ndarray:
            rows = np.asarray(fn(as_atoms(structure.with_positions(positions))))  # type: ignore[arg-type]
            if rows.ndim != 2 or len(rows) != len(positions):
                fault = f"the function returned shape {rows.shape} for {len(positions)} atoms"
                raise ModelError(f"{fault}; it must return one row of features for each atom.")
            return rows[structure.center]

        return differentiate(values, np.asarray(structure.positions), step)

    name = getattr(fn, "__name__", type(fn).__name__)
    return make_model(evaluate, reach=reach, nu=nu, group=group, species=species, key=key, name=name)
