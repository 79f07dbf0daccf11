"""The symmetry functions of ANI as a featurizer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxfeat.errors import ModelError, SpeciesError
from jaxfeat.geometry.species import atomic_numbers
from jaxfeat.models.external import ExternalFeaturizer
from jaxfeat.models.torch import check_dtype, from_torch, hash_of, import_package

PUBLISHED = {"ANI-1x": ("like_1x", "SYMBOLS_1X"), "ANI-2x": ("like_2x", "SYMBOLS_2X")}
"""Names of published parameters: the constructor in torchani, and the name of its list of elements."""


def from_torchani(
    model: str | Any = "ANI-2x", *, species: Sequence[str | int] | None = None, dtype: str = "float64"
) -> ExternalFeaturizer:
    """Make a featurizer of ANI's atomic environment vectors, which are symmetry functions and need no weights.

    The vectors are all that the networks of an ANI model see. They are sums over neighbors and pairs of neighbors, so
    that their body order is 2. Pairs count within a shorter cutoff than single neighbors.

    **Arguments:**

    - `model`: "ANI-1x" or "ANI-2x" for the published parameters; or a model of torchani; or its `AEVComputer`.
    - `species`: For an `AEVComputer`, the elements in its order, as symbols or atomic numbers.
    - `dtype`: "float64" or "float32". The vectors are copied and converted.

    **Returns:** An `ExternalFeaturizer` with ν = 2 for the elements of the model. Its key is a hash of the parameters.

    **Raises:** `ModelError` for another `model`. `SpeciesError` if an `AEVComputer` comes without as many `species`.
    `BasisError` for another `dtype`. `ImportError` without torchani.

    **Source:** Smith, Isayev, Roitberg, Chem. Sci. 8, 3192 (2017); Gao et al., J. Chem. Inf. Model. 60, 3408 (2020).
    """
    check_dtype(dtype)
    aev = import_package("torchani.aev", "--no-deps torchani")
    if isinstance(model, str):
        if model not in PUBLISHED:
            raise ModelError(f"model is {model!r}; choose 'ANI-1x', 'ANI-2x', a model of torchani or an AEVComputer.")
        make, listed = PUBLISHED[model]
        computer, numbers = getattr(aev.AEVComputer, make)(), getattr(import_package("torchani.utils", ""), listed)
    elif isinstance(model, aev.AEVComputer):
        computer, numbers = model, species or []
    elif hasattr(model, "aev_computer") and hasattr(model, "atomic_numbers"):
        computer, numbers = model.aev_computer, model.atomic_numbers.tolist()
    else:
        raise ModelError(f"this is a {type(model).__name__}; give a model of torchani, its AEVComputer or a name.")
    numbers = atomic_numbers(list(numbers)).tolist()
    if len(numbers) != computer.num_species:
        raise SpeciesError(f"these vectors tell {computer.num_species} elements apart; give `species` in their order.")
    about = [numbers, computer.radial.cutoff, computer.angular.cutoff, type(computer.radial.cutoff_fn).__name__]
    return from_torch(
        _vectors(computer, numbers),
        reach=float(computer.radial.cutoff),
        nu=2,
        group="O3",
        species=numbers,
        key=f"AEV {hash_of(computer, about)}, {dtype}",
        dtype=dtype,
    )


def _vectors(computer: Any, numbers: list[int]) -> Any:
    """Make a module of the vectors. Its class needs torch, which is imported late."""
    import torch

    class AtomicEnvironmentVectors(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.computer = computer
            places = torch.full((max(numbers) + 1,), -1)
            places[torch.tensor(numbers)] = torch.arange(len(numbers))
            self.register_buffer("places", places)

        def forward(self, positions: Any, numbers: Any, cell: Any, pbc: Any) -> Any:
            elements = self.places[numbers][None]
            if not pbc.any():
                return self.computer(elements, positions[None])[0]
            # Torchani wraps atoms along Cartesian axes if a direction does not repeat. That is right for few cells.
            gap = 2 * float(self.computer.radial.cutoff)
            whole = torch.as_tensor(_filled(positions.detach().cpu().numpy(), cell.cpu().numpy(), gap)).to(cell)
            return self.computer(elements, positions[None], whole, torch.ones_like(pbc))[0]

    return AtomicEnvironmentVectors()


def _filled(positions: np.ndarray, cell: np.ndarray, gap: float) -> np.ndarray:
    """Give directions that do not repeat a period at which images are farther away than `gap`, in Å."""
    missing = ~cell.any(-1)
    if not missing.any():
        return cell
    normals = np.linalg.svd(cell)[2][3 - missing.sum() :]
    whole = cell.copy()
    whole[missing] = normals * (np.ptp(positions @ normals.T, axis=0) + gap + 1)[:, None]
    return whole
