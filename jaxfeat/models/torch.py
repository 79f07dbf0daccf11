"""Functions and modules of torch as featurizers."""

from __future__ import annotations

import copy
import hashlib
import importlib
import io
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from jaxfeat.errors import BasisError
from jaxfeat.geometry.structure import Structure
from jaxfeat.models.external import ExternalFeaturizer, external
from jaxfeat.models.torch_jacobian import features_and_jacobian, torch_state

DTYPES = ("float64", "float32")


class TorchModel:
    """A torch function, as `jaxfeat.external` calls it."""

    def __init__(self, function: Callable[..., Any], dtype: str, name: str) -> None:
        self.function = function
        self.dtype = dtype
        self.__name__ = name

    def __call__(self, structure: Structure) -> tuple[np.ndarray, np.ndarray]:
        import torch

        dtype, device = getattr(torch, self.dtype), _device_of(self.function)
        repeats = np.asarray(structure.cell).any(-1) & structure.periodic
        with torch_state(dtype):
            numbers = torch.tensor(np.asarray(structure.species), dtype=torch.int64, device=device)
            cell = torch.tensor(np.asarray(structure.cell), dtype=dtype, device=device)
            pbc = torch.tensor(repeats, device=device)
            positions = torch.tensor(np.asarray(structure.positions), dtype=dtype, device=device, requires_grad=True)
            return features_and_jacobian(
                lambda moved: self.function(moved, numbers, cell, pbc), positions, np.asarray(structure.center)
            )


def from_torch(
    function: Callable[..., Any],
    *,
    reach: float,
    nu: int | None = None,
    group: str | None = None,
    species: Sequence[str | int] | None = None,
    key: str | None = None,
    dtype: str = "float64",
) -> ExternalFeaturizer:
    """Make a featurizer of a torch function, or of a `torch.nn.Module`.

    The Jacobian comes from backward passes: one for each feature, or two for all and one for each coordinate if there
    are fewer coordinates. Operations that cannot be differentiated twice, or in batches, only make this slower. The
    default type of torch changes during a call, and nothing else of torch's state.

    **Arguments:**

    - `function`: It is called as `function(positions, numbers, cell, pbc)` for one structure: positions `(n, 3)` and
        cell `(3, 3)` in Å, in `dtype`; atomic numbers `(n,)`, int64; and `pbc`, `(3,)`, bool. Rows of the cell that do
        not repeat are zero. It returns the features of all atoms as a tensor `(n, d)`, and finds its own neighbors,
        from `positions.detach()`. A module is copied, set to `eval()`, and converted to `dtype`.
    - `reach`, `nu`, `group`, `species`, `key`: as in `jaxfeat.external`.
    - `dtype`: "float64" or "float32". Null directions are told from others at 1e-13 of the largest singular value in
        float64, and at 1e-5 or so in float32, so models that were trained in float32 are better looked at in float64.

    **Returns:** an `ExternalFeaturizer`.

    **Raises:** `BasisError` if `dtype` is another, or where `jaxfeat.external` raises it. `SpeciesError` if `species`
    names no element. When it is used, `ModelError` if the function returns another shape.
    """
    import torch

    check_dtype(dtype)
    name = getattr(function, "__name__", type(function).__name__)
    if isinstance(function, torch.nn.Module):
        function = own_copy(function, dtype)
    return external(TorchModel(function, dtype, name), reach=reach, nu=nu, group=group, species=species, key=key)


def check_dtype(dtype: str) -> None:
    """**Raises:** `BasisError` unless `dtype` is one in which models are evaluated."""
    if dtype not in DTYPES:
        raise BasisError(f"dtype is {dtype!r}; choose 'float64' or 'float32'.")


def own_copy(module: Any, dtype: str) -> Any:
    """Copy a module for evaluation in `dtype`, without derivatives by its parameters."""
    import torch

    try:
        copied = copy.deepcopy(module)
    except RuntimeError:
        # Some modules keep tensors of their last call, which only go through files.
        file = io.BytesIO()
        torch.save(module, file)
        file.seek(0)
        copied = torch.load(file, weights_only=False)
    return copied.to(getattr(torch, dtype)).eval().requires_grad_(False)


def hash_of(module: Any, *also: Any) -> str:
    """Hash the weights and the architecture of a module, and other facts, as 16 hexadecimal digits."""
    digest = hashlib.sha256(repr((module, *also)).encode())
    for name, tensor in sorted(module.state_dict().items()):
        values = tensor.detach().cpu().contiguous()
        digest.update(f"{name} {values.dtype} {tuple(values.shape)}".encode())
        digest.update(values.numpy().tobytes())
    return digest.hexdigest()[:16]


def import_package(name: str, distribution: str) -> Any:
    """Import a package that jaxfeat does without. **Raises:** `ImportError` that says how to install it."""
    try:
        return importlib.import_module(name)
    except ImportError as missing:
        raise ImportError(
            f"{name} cannot be imported ({missing}); install it with `pip install {distribution}`."
        ) from missing


def _device_of(function: Any) -> Any:
    """Return the device of a module's tensors, and the CPU for other functions."""
    import torch

    if isinstance(function, torch.nn.Module):
        for tensor in (*function.parameters(), *function.buffers()):
            return tensor.device
    return torch.device("cpu")


def mace_graph(
    get_neighborhood: Callable[..., Any],
    r_max: float,
    elements: Any,
    positions: Any,
    numbers: Any,
    cell: Any,
    pbc: Any,
) -> dict[str, Any]:
    """Make the graph of one structure as MACE and the packages built on it take it. `get_neighborhood` is the package's
    own list of edges up to `r_max` (Å), and `elements` are the atomic numbers that the model tells apart, in its order.
    """
    import torch

    edges, shifts, unit_shifts, cell_used, *_ = get_neighborhood(
        positions.detach().cpu().numpy().astype(float),
        r_max,
        pbc=tuple(pbc.tolist()),
        cell=cell.cpu().numpy().astype(float),
    )
    like = {"dtype": positions.dtype, "device": positions.device}
    return {
        "positions": positions,
        "node_attrs": (numbers[:, None] == elements).to(positions.dtype),
        "edge_index": torch.tensor(edges, dtype=torch.int64, device=positions.device),
        "shifts": torch.tensor(shifts, **like),
        "unit_shifts": torch.tensor(unit_shifts, **like),
        "cell": torch.tensor(cell_used, **like),
        "batch": torch.zeros_like(numbers),
        "ptr": torch.tensor([0, len(numbers)], device=positions.device),
    }
