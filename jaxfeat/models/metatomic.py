"""Models of the metatomic format as featurizers."""

from __future__ import annotations

import hashlib
from os import PathLike
from pathlib import Path
from typing import Any

from jaxfeat.errors import ModelError
from jaxfeat.models.external import ExternalFeaturizer
from jaxfeat.models.torch import from_torch, hash_of, import_package


def from_metatomic(
    model: str | PathLike | Any, *, output: str | None = None, nu: int | None = None, group: str | None = None
) -> ExternalFeaturizer:
    """Make a featurizer of a metatomic model with an output of features for each atom.

    The model says for which elements it is, how far an atom's features reach, in which type it computes, and which
    neighbors it needs.

    **Arguments:**

    - `model`: The path of an exported model, or an `AtomisticModel`. Opening a file may load compiled extensions that
        its folder names: open only files that you trust.
    - `output`: The name of the output, such as "mtt::aux::energy_last_layer_features"; or `None` for the standard one,
        "feature", which older models call "features".
    - `nu`, `group`: as in `jaxfeat.external`, because the format does not state them.

    **Returns:** An `ExternalFeaturizer`. Its key is a hash of the file, or of the weights.

    **Raises:** `ModelError` if the model has no such output, or one whose values are no vectors of atoms. `ImportError`
    without metatomic-torch.
    """
    package = import_package("metatomic.torch", "metatomic-torch")
    if isinstance(model, (str, PathLike)):
        digest = hashlib.sha256(Path(model).read_bytes()).hexdigest()[:16]
        model = package.load_atomistic_model(str(model))
    elif hasattr(model, "state_dict"):
        digest = hash_of(model)
    if not hasattr(model, "capabilities"):
        raise ModelError(f"this is a {type(model).__name__}, not an AtomisticModel; export the model first.")
    known = model.capabilities()
    names = [output] if output else ["feature", "features"]
    output = next((name for name in names if name in known.outputs), None)
    if output is None:
        offered = ", ".join(sorted(known.outputs)) or "none"
        raise ModelError(f"the model has no output {' or '.join(names)}; it has {offered}. Name one by `output`.")
    return from_torch(
        _output(model, output),
        reach=float(known.engine_interaction_range("angstrom")),
        nu=nu,
        group=group,
        species=list(known.atomic_types),
        key=f"metatomic {digest}, {output}",
        dtype=known.dtype,
    )


def _output(model: Any, output: str) -> Any:
    """Make a function of the features of all atoms. Scripted models are neither copied nor converted."""
    import torch
    import vesin.metatomic
    from metatomic.torch import ModelEvaluationOptions, ModelOutput, System

    options = ModelEvaluationOptions(
        length_unit="angstrom", outputs={output: ModelOutput(sample_kind="atom")}, selected_atoms=None
    )

    def metatomic(positions: Any, numbers: Any, cell: Any, pbc: Any) -> Any:
        system = System(types=numbers.to(torch.int32), positions=positions, cell=cell, pbc=pbc)
        for neighbors in vesin.metatomic.neighbor_lists_for_model("angstrom", model):
            neighbors.add_neighbor_list(system)
        found = model([system], options, check_consistency=False)[output]
        if len(found) != 1 or found.block(0).components:
            raise ModelError(
                f"the output {output!r} has {len(found)} blocks, or components; features must be one block of scalars. "
                "Give jaxfeat.from_torch a function that joins them."
            )
        block = found.block(0)
        # Samples are pairs of structure and atom, in any order.
        order = torch.argsort(block.samples.column("atom"))
        if len(order) != len(positions):
            raise ModelError(f"the output {output!r} has {len(order)} rows for {len(positions)} atoms.")
        return block.values[order]

    return metatomic
