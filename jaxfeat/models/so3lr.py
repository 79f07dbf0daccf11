"""SO3LR, whose trained weights come with its package, as a featurizer."""

from __future__ import annotations

from os import PathLike
from typing import Any

from jaxfeat.errors import ModelError
from jaxfeat.models.external import ExternalFeaturizer
from jaxfeat.models.torch import check_dtype, from_torch, hash_of, import_package, mace_graph


def from_so3lr(
    model: str | PathLike | Any = None, *, charge: float = 0.0, spin: float = 0.0, dtype: str = "float64"
) -> ExternalFeaturizer:
    """Make a featurizer of SO3LR, or of another So3krates model: the invariant features of atoms after the last layer.

    The features come from the local layers. The charges, the dispersion and the repulsion of SO3LR are computed from
    them, so no long range enters the features, and an atom's features depend on atoms within the number of layers times
    the cutoff. Trained SO3LR has three layers of 4.5 Å.

    **Arguments:**

    - `model`: A model, or the path of a file with one, or `None` for SO3LR as it was trained. A file is a pickle, which
        runs code when it is opened: open only files that you trust.
    - `charge`: The charge of the whole structure, in e. If it is not 0, then the features depend on how many atoms of
        each element the structure has.
    - `spin`: The total spin of the structure, S. The same holds for it.
    - `dtype`: "float64", or "float32" as the model was trained. The model is copied and converted.

    **Returns:** An `ExternalFeaturizer`, O(3)-invariant, without a body order. Its key is a hash of the weights.

    **Raises:** `ModelError` if `model` is no So3krates model. `BasisError` for another `dtype`. `ImportError` without
    so3krates-torch.

    **Source:** Kabylda et al., J. Am. Chem. Soc. 147, 33723 (2025); Frank et al., Nat. Commun. 15, 6539 (2024).
    """
    check_dtype(dtype)
    import_package("so3krates_torch", "so3krates-torch")
    import torch

    if model is None:
        from importlib.resources import as_file, files

        with as_file(files("so3krates_torch") / "pretrained" / "so3lr" / "so3lr.model") as path:
            model = torch.load(path, map_location="cpu", weights_only=False)
    elif isinstance(model, (str, PathLike)):
        model = torch.load(model, map_location="cpu", weights_only=False)
    if not hasattr(model, "get_representation"):
        raise ModelError(f"this is a {type(model).__name__}, not a So3krates model; give one, or the file of one.")
    # Equivariant features that do not start from zero already know the neighbors of neighbors in the first layer.
    layers = int(model.num_layers) + (not model.initialize_ev_to_zeros)
    about = (model.degrees, model.num_heads, model.cutoff_fn_name, model.cutoff_p, model.avg_num_neighbors)
    return from_torch(
        _invariants(model, charge, spin),
        reach=layers * float(model.r_max),
        group="O3",
        species=range(1, int(model.num_elements) + 1),
        key=f"So3krates {hash_of(model, about)}, charge {charge:g}, spin {spin:g}, {dtype}",
        dtype=dtype,
    )


def _invariants(model: Any, charge: float, spin: float) -> Any:
    """Make a module of the invariant features. Its class needs torch, which is imported late."""
    import torch
    from so3krates_torch.data.neighborhood import get_neighborhood

    class So3kratesInvariants(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, positions: Any, numbers: Any, cell: Any, pbc: Any) -> Any:
            like = {"dtype": positions.dtype, "device": positions.device}
            none = {"dtype": torch.int64, "device": positions.device}
            elements = torch.arange(1, self.model.num_elements + 1, device=positions.device)
            graph = mace_graph(get_neighborhood, float(self.model.r_max), elements, positions, numbers, cell, pbc) | {
                "atomic_numbers": numbers,
                "head": torch.zeros(1, **none),
                "total_charge": torch.full((1,), charge, **like),
                "total_spin": torch.full((1,), spin, **like),
                # Charges and dispersion, which need distant pairs, do not enter the features.
                "edge_index_lr": torch.zeros((2, 0), **none),
                "shifts_lr": torch.zeros((0, 3), **like),
                "unit_shifts_lr": torch.zeros((0, 3), **like),
            }
            return self.model.get_representation(graph)[0]

    return So3kratesInvariants()
