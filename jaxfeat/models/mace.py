"""MACE models as featurizers."""

from __future__ import annotations

from os import PathLike
from typing import Any

from jaxfeat.errors import BasisError, ModelError
from jaxfeat.models.external import ExternalFeaturizer
from jaxfeat.models.torch import check_dtype, from_torch, hash_of, import_package, mace_graph


def from_mace(model: str | PathLike | Any, *, layers: str | int = "all", dtype: str = "float64") -> ExternalFeaturizer:
    """Make a featurizer of a MACE model: the invariants of its nodes, from which it reads energies.

    Neighbors are those of MACE's own list. What is declared follows from the model: an atom's features depend on atoms
    within the number of layers times its cutoff; they are invariant under O(3); and those of the first layer have the
    body order of its correlation. Later layers multiply features of neighbors, so that no order is declared for them.

    **Arguments:**

    - `model`: A model, or the path of a file with one. Such a file is a pickle, which runs code when it is opened: open
        only files that you trust.
    - `layers`: `"all"` for the invariants of all layers, one after the other, or the index of one layer, from 0.
    - `dtype`: "float64", or "float32" as most models were trained. The model is copied and converted.

    **Returns:** An `ExternalFeaturizer` for the elements of the model. Its key is a hash of the weights.

    **Raises:** `BasisError` if there is no layer of this index, or for another `dtype`. `ModelError` if `model` is no
    MACE model, or one that is conditioned on more than positions and elements. `ImportError` without mace-torch.

    **Source:** Batatia, Kovács, Simm, Ortner, Csányi, NeurIPS 35, 11423 (2022).
    """
    check_dtype(dtype)
    # MACE allows torch to open the tables of e3nn, so it comes first.
    import_package("mace", "mace-torch")
    if isinstance(model, (str, PathLike)):
        import torch

        model = torch.load(model, map_location="cpu", weights_only=False)
    if not hasattr(model, "products") or not hasattr(model, "r_max"):
        raise ModelError(f"this is a {type(model).__name__}, not a MACE model; give one, or the file of one.")
    if hasattr(model, "joint_embedding"):
        names = ", ".join(model.embedding_specs)
        raise ModelError(f"this model takes {names} as well; give jaxfeat.from_torch a function that fixes them.")
    n_layers = len(model.products)
    if layers != "all" and not (isinstance(layers, int) and -n_layers <= layers < n_layers):
        raise BasisError(f"layers is {layers!r}; choose 'all', or an index from 0 to {n_layers - 1}.")
    chosen = list(range(n_layers)) if layers == "all" else [range(n_layers)[int(layers)]]
    about = [(type(one).__name__, getattr(one, "avg_num_neighbors", None)) for one in model.interactions]
    return from_torch(
        _nodes(model, chosen),
        reach=(chosen[-1] + 1) * float(model.r_max),
        nu=_correlation(model.products[0]) if chosen == [0] else None,
        group="SO3" if getattr(model, "use_so3", False) else "O3",
        species=model.atomic_numbers.tolist(),
        key=f"MACE {hash_of(model, about)}, layers {chosen}, {dtype}",
        dtype=dtype,
    )


def _correlation(product: Any) -> int | None:
    """Return the largest body order of a layer's products, or None where the layer does not tell."""
    contractions = getattr(getattr(product, "symmetric_contractions", None), "contractions", None)
    orders: list[Any] = [getattr(one, "correlation", None) for one in contractions or []]
    return max(orders) if orders and None not in orders else None


def _nodes(model: Any, chosen: list[int]) -> Any:
    """Make a module of the invariants of the chosen layers. Its class needs torch, which is imported late."""
    import torch
    from mace.data.neighborhood import get_neighborhood

    columns: list[int] = []
    start = 0
    for layer, product in enumerate(model.products):
        irreps = product.linear.irreps_out
        for (_, irrep), part in zip(irreps, irreps.slices(), strict=True):
            if layer in chosen and irrep.l == 0 and irrep.p == 1:
                columns += range(start + part.start, start + part.stop)
        start += irreps.dim

    class MaceNodes(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, positions: Any, numbers: Any, cell: Any, pbc: Any) -> Any:
            graph = mace_graph(
                get_neighborhood, float(self.model.r_max), self.model.atomic_numbers, positions, numbers, cell, pbc
            )
            return self.model(graph, compute_force=False)["node_feats"][:, columns]

    return MaceNodes()
