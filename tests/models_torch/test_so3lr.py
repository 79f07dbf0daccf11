"""SO3LR's features are local, and see everything."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from model_cases import LITMUS
from torch_models import difference_error, evaluated, needs

import jaxfeat
from jaxfeat.errors import ModelError

needs("so3krates_torch", "torch")
import torch  # noqa: E402

ETHANOL = molecule("CH3CH2OH")
ETHANOL.rattle(0.05, seed=1)


@pytest.fixture(scope="module")
def so3lr():
    return jaxfeat.from_so3lr()


def test_the_litmus_methane_has_no_nulls(so3lr):
    structure = jaxfeat.structures([Atoms("CH4", LITMUS)], so3lr)[0]
    assert [jaxfeat.null_space(so3lr, structure, center=atom).nullity for atom in range(5)] == [6] * 5


def test_features_are_those_of_the_calculator_with_its_long_range(so3lr):
    from so3krates_torch.calculator.so3 import SO3LRCalculator

    before = torch.get_default_dtype()
    try:
        calculator = SO3LRCalculator(r_max_lr=12.0, default_dtype="float64")
        for atoms in (ETHANOL, bulk("NaCl", "rocksalt", a=5.6, cubic=True)):
            theirs = calculator.get_descriptors(atoms.copy())["invariant_features"][0]
            np.testing.assert_allclose(evaluated(so3lr, atoms)[0], theirs, rtol=1e-10, atol=1e-12)
    finally:
        torch.set_default_dtype(before)


def test_the_jacobian_agrees_with_differences(so3lr):
    assert difference_error(so3lr, ETHANOL) < 1e-8


def test_the_reach_is_three_cutoffs_and_no_less(so3lr):
    """The features of the first atom of a chain react to atoms beyond two cutoffs."""
    assert so3lr.reach == 13.5
    chain = Atoms("C8", [(2.2 * k, 0.3 * (k % 2), 0) for k in range(8)])
    reaction = np.linalg.norm(evaluated(so3lr, chain, [0])[1][0], axis=(0, 2))
    distance = np.linalg.norm(chain.positions - chain.positions[0], axis=1)
    assert reaction[(distance > 12) & (distance < 13.5)].min() > 1e-12 * reaction.max()
    np.testing.assert_array_equal(reaction[distance > 13.5], 0)


def test_a_charge_is_another_model(so3lr):
    charged = jaxfeat.from_so3lr(charge=1)
    assert charged.key != so3lr.key
    assert np.abs(evaluated(charged, ETHANOL)[0] - evaluated(so3lr, ETHANOL)[0]).max() > 1e-3


def test_bad_input_is_refused():
    with pytest.raises(ModelError, match="Linear, not a So3krates model"):
        jaxfeat.from_so3lr(torch.nn.Linear(2, 2))
