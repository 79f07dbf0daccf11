"""Exported models of the metatomic format."""

from typing import Dict, List, Optional  # noqa: UP035

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from model_cases import LITMUS
from torch_models import difference_error, evaluated, needs

import jaxfeat
from jaxfeat.errors import ModelError

needs("metatomic.torch", "torch")
import torch  # noqa: E402
from metatensor.torch import Labels, TensorBlock, TensorMap  # noqa: E402
from metatomic.torch import (  # noqa: E402
    AtomisticModel,
    ModelCapabilities,
    ModelMetadata,
    ModelOutput,
    NeighborListOptions,
    System,
)

ETHANOL = molecule("CH3CH2OH")
ETHANOL.rattle(0.05, seed=1)
SALT = bulk("NaCl", "rocksalt", a=5.6, cubic=True)
SALT.rattle(0.05, seed=1)


# TorchScript reads the annotations, and knows no others than these.
class Sums(torch.nn.Module):
    """Gaussians of distances to neighbors within 4 Å, weighted by atomic number; atoms come in reverse."""

    def requested_neighbor_lists(self) -> List[NeighborListOptions]:  # noqa: UP006
        return [NeighborListOptions(cutoff=4.0, full_list=True, strict=True)]

    def forward(
        self,
        systems: List[System],  # noqa: UP006
        outputs: Dict[str, ModelOutput],  # noqa: UP006
        selected_atoms: Optional[Labels] = None,  # noqa: UP045
    ) -> Dict[str, TensorMap]:  # noqa: UP006
        system = systems[0]
        neighbors = system.get_neighbor_list(self.requested_neighbor_lists()[0])
        apart = neighbors.values.squeeze(-1)
        distance = torch.sqrt((apart * apart).sum(1, keepdim=True))
        widths = torch.linspace(0.5, 3.0, 40, dtype=apart.dtype)
        numbers = system.types.to(apart.dtype)[neighbors.samples.column("second_atom").to(torch.int64)][:, None]
        each = numbers * torch.exp(-((distance - widths) ** 2)) * (1 + torch.cos(torch.pi * distance / 4.0))
        first = neighbors.samples.column("first_atom").to(torch.int64)
        sums = torch.zeros((len(system), 40), dtype=apart.dtype).index_add(0, first, each).flip(0)
        atoms = torch.arange(len(system) - 1, -1, -1)
        block = TensorBlock(
            sums,
            Labels(["system", "atom"], torch.stack([torch.zeros_like(atoms), atoms], 1).to(torch.int32)),
            torch.jit.annotate(List[Labels], []),  # noqa: UP006
            Labels(["k"], torch.arange(40).reshape(-1, 1)),
        )
        result: Dict[str, TensorMap] = {}  # noqa: UP006
        for name in outputs.keys():
            result[name] = TensorMap(Labels(["_"], torch.tensor([[0]])), [block])
        return result


def exported(name="feature", dtype="float64"):
    outputs = {name: ModelOutput(sample_kind="atom")}
    capabilities = ModelCapabilities(
        outputs=outputs,
        atomic_types=[1, 6, 8, 11, 17],
        interaction_range=4.0,
        length_unit="angstrom",
        supported_devices=["cpu"],
        dtype=dtype,
    )
    return AtomisticModel(Sums().eval(), ModelMetadata(name="sums"), capabilities)


def expected(atoms):
    from ase.neighborlist import neighbor_list

    first, second, distance = neighbor_list("ijd", atoms, 4.0)
    each = atoms.numbers[second, None] * np.exp(-((distance[:, None] - np.linspace(0.5, 3.0, 40)) ** 2))
    sums = np.zeros((len(atoms), 40))
    np.add.at(sums, first, each * (1 + np.cos(np.pi * distance / 4.0))[:, None])
    return sums


@pytest.mark.parametrize("atoms", [ETHANOL, SALT], ids=["molecule", "crystal"])
def test_a_file_and_an_object_have_the_features_of_the_model(atoms, tmp_path):
    model = exported()
    model.save(str(tmp_path / "sums.pt"))
    for m in (jaxfeat.from_metatomic(model), jaxfeat.from_metatomic(tmp_path / "sums.pt", nu=1)):
        assert (m.reach, m.species.tolist()) == (4.0, [1, 6, 8, 11, 17])
        np.testing.assert_allclose(evaluated(m, atoms)[0], expected(atoms), rtol=1e-12)
        assert difference_error(m, atoms) < 1e-8


def test_causes_follow_from_the_declared_order():
    m = jaxfeat.from_metatomic(exported(), nu=1)
    found = jaxfeat.null_space(m, jaxfeat.structures([Atoms("CH4", LITMUS)], m)[0], center=0)
    assert (found.rigid, found.incompleteness) == (6, 6)


def test_float32_has_a_floor_that_says_so():
    m = jaxfeat.from_metatomic(exported(dtype="float32"))
    assert evaluated(m, ETHANOL)[1].dtype == np.float32
    spectrum = jaxfeat.singular_spectrum(m, jaxfeat.structures([ETHANOL], m)[0])
    assert spectrum.floor > 1e-6 * spectrum.values[0]


def test_outputs_are_found_by_name():
    m = jaxfeat.from_metatomic(exported("mine::sums"), output="mine::sums")
    np.testing.assert_allclose(evaluated(m, ETHANOL)[0], expected(ETHANOL), rtol=1e-12)
    with pytest.raises(ModelError, match="no output feature or features; it has mine::sums"):
        jaxfeat.from_metatomic(exported("mine::sums"))
    with pytest.raises(ModelError, match="Linear, not an AtomisticModel"):
        jaxfeat.from_metatomic(torch.nn.Linear(2, 2))
