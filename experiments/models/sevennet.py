"""SevenNet's checkpoints, probed: do reflections change their features? See README.md.

    python experiments/models/sevennet.py

SevenNet needs e3nn 0.5, and MACE 0.4, so SevenNet wants an environment of its own:
`pip install jaxfeat torch==2.13.0 sevenn==0.13.0`."""

from pathlib import Path
from typing import Any

import jax
import sevenn
import torch
from ase.build import molecule
from sevenn.util import model_from_checkpoint

import jaxfeat

CHECKPOINTS = "pretrained_potentials/*/checkpoint*.pth"  # in the package itself


class NodeFeatures(torch.nn.Module):
    """The features of SevenNet's nodes after the last layer, from which it reads energies."""

    def __init__(self, model: Any, config: dict[str, Any]) -> None:
        super().__init__()
        layers = list(model.named_children())
        before = next(k for k, (name, _) in enumerate(layers) if name.startswith("reduce"))
        self.layers = torch.nn.ModuleList(layer for _, layer in layers[:before])
        self.types, self.cutoff = config["_type_map"], config["cutoff"]

    def forward(self, positions: Any, numbers: Any, cell: Any, pbc: Any) -> Any:
        distances = torch.cdist(positions.detach(), positions.detach())
        first, second = torch.where((distances < self.cutoff) & (distances > 0))
        types = torch.tensor([self.types[int(z)] for z in numbers])
        data = {
            "edge_index": torch.stack([first, second]),
            "edge_vec": positions[second] - positions[first],
            "atom_type": types,
            "x": types,
            "num_atoms": torch.tensor(len(positions)),
            "batch": torch.zeros(len(positions), dtype=torch.long),
            "modal_type": torch.zeros(1, dtype=torch.long),  # the first of several levels of theory
        }
        for layer in self.layers:
            data = layer(data)
        return data["x"]


def main() -> None:
    jax.config.update("jax_enable_x64", True)
    ethanol = molecule("CH3CH2OH")
    ethanol.rattle(0.1, seed=1)
    for file in sorted(Path(sevenn.__file__).parent.glob(CHECKPOINTS)):
        model, config = model_from_checkpoint(str(file))
        reach = config["cutoff"] * config["num_convolution_layer"]
        # Some of SevenNet's operations are in float32 whatever its weights are in.
        m = jaxfeat.from_torch(NodeFeatures(model, config), reach=reach, dtype="float32")
        print(f"{file.parent.name}: {jaxfeat.probe(m, jaxfeat.structures(ethanol, m))}")


if __name__ == "__main__":
    main()
