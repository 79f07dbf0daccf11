"""ANI's symmetry functions have body order 2."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from model_cases import LITMUS
from torch_models import difference_error, evaluated, needs

import jaxfeat
from jaxfeat.errors import ModelError, SpeciesError

needs("torchani.aev", "torch")
import torch  # noqa: E402
from torchani.aev import AEVComputer  # noqa: E402

ETHANOL = molecule("CH3CH2OH")
ETHANOL.rattle(0.05, seed=1)
DIAMOND = bulk("C", "diamond", a=3.6, cubic=True)
DIAMOND.rattle(0.05, seed=1)


@pytest.mark.parametrize("name, reach, elements", [("ANI-1x", 5.2, 4), ("ANI-2x", 5.1, 7)])
def test_the_litmus_methane_has_the_nullities_of_order_two(name, reach, elements):
    m = jaxfeat.from_torchani(name)
    assert (m.reach, m.nu, len(m.species)) == (pytest.approx(reach), 2, elements)
    structure = jaxfeat.structures([Atoms("CH4", LITMUS)], m)[0]
    for atom, n in enumerate([1, 0, 0, 0, 1]):
        found = jaxfeat.null_space(m, structure, center=atom)
        assert (found.status, found.incompleteness, found.nullity) == ("ok", n, 6 + n)


@pytest.mark.parametrize("atoms", [ETHANOL, DIAMOND], ids=["molecule", "crystal"])
def test_the_jacobian_agrees_with_differences(atoms):
    assert difference_error(jaxfeat.from_torchani("ANI-1x"), atoms) < 1e-8


def test_vectors_are_those_of_torchani():
    computer = AEVComputer.like_2x().double()
    places = torch.tensor([("H", "C", "N", "O", "S", "F", "Cl").index(s) for s in ETHANOL.symbols])[None]
    expected = computer(places, torch.tensor(ETHANOL.positions)[None])[0].numpy()
    np.testing.assert_allclose(evaluated(jaxfeat.from_torchani("ANI-2x"), ETHANOL)[0], expected, rtol=1e-13)


def test_elements_come_in_the_order_of_the_computer():
    computer = AEVComputer.like_1x(num_species=3)
    one = jaxfeat.from_torchani(computer, species=["H", "C", "O"])
    other = jaxfeat.from_torchani(computer, species=["O", "C", "H"])
    assert one.key != other.key
    first, second = (evaluated(m, ETHANOL)[0] for m in (one, other))
    np.testing.assert_array_equal(first[:, :16], second[:, 32:48])
    assert np.abs(first - second).max() > 0.1


def test_a_slab_is_a_crystal_with_a_wide_gap():
    """Also where the directions that repeat are no axes."""
    m = jaxfeat.from_torchani("ANI-1x")
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    slab, wide = DIAMOND.copy(), DIAMOND.copy()
    wide.set_cell(wide.cell[:] * [[1], [1], [5]])
    slab.pbc = (True, True, False)
    slab.positions[:] = slab.positions @ turn.T
    slab.set_cell(slab.cell[:] @ turn.T)
    np.testing.assert_allclose(evaluated(m, slab)[0], evaluated(m, wide)[0], atol=1e-12)


def test_bad_input_is_refused():
    with pytest.raises(ModelError, match="choose 'ANI-1x'"):
        jaxfeat.from_torchani("ANI-3x")
    with pytest.raises(ModelError, match="Linear"):
        jaxfeat.from_torchani(torch.nn.Linear(2, 2))
    with pytest.raises(SpeciesError, match="tell 4 elements apart"):
        jaxfeat.from_torchani(AEVComputer.like_1x(), species=["H", "C"])
