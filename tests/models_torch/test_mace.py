"""MACE models see as much as a complete basis of the order of their correlation."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from model_cases import LITMUS
from torch_models import difference_error, evaluated, needs, random_mace

import jaxfeat
from jaxfeat.errors import BasisError, ModelError, SpeciesError

needs("mace", "torch")  # mace first: it allows torch to open the tables of e3nn
import torch  # noqa: E402

METHANE = Atoms("CH4", LITMUS)
DIAMOND = bulk("C", "diamond", a=3.6, cubic=True)
DIAMOND.rattle(0.05, seed=1)


@pytest.mark.parametrize(
    "correlation, layers, missed",
    [(1, 1, [6, 5, 5, 5, 6]), (2, 1, [1, 0, 0, 0, 1]), (3, 1, [0] * 5), (1, 2, [1, 0, 0, 0, 1]), (2, 2, [0] * 5)],
)
def test_the_litmus_methane_has_the_nullities_of_the_theory(correlation, layers, missed):
    m = jaxfeat.from_mace(random_mace(correlation, layers))
    assert (m.reach, m.nu) == (4.0 * layers, correlation if layers == 1 else None)
    structure = jaxfeat.structures([METHANE], m)[0]
    for atom, n in enumerate(missed):
        found = jaxfeat.null_space(m, structure, center=atom)
        assert (found.status, found.rigid, found.nullity) == ("ok", 6, 6 + n)
        # A model of one layer is as blind as its order; no order is known of more layers.
        assert found.incompleteness == (n if layers == 1 else 0)


def test_the_models_own_forces_lie_in_the_row_space_of_its_jacobian():
    from ase.calculators.calculator import all_changes
    from mace.calculators import MACECalculator

    model = random_mace(2, 2)
    calculator = MACECalculator(models=[model], device="cpu", default_dtype="float64")
    calculator.calculate(METHANE.copy(), ["forces"], all_changes)
    forces = calculator.results["forces"].ravel()
    rows = evaluated(jaxfeat.from_mace(model), METHANE)[1].reshape(-1, 15)
    _, values, directions = np.linalg.svd(rows, full_matrices=False)
    seen = directions[values > 1e-12 * values[0]]
    assert len(seen) == 9
    missed = forces - seen.T @ (seen @ forces)
    assert np.linalg.norm(missed) < 1e-12 * np.linalg.norm(forces)


@pytest.mark.parametrize("atoms", [METHANE, DIAMOND], ids=["molecule", "crystal"])
def test_the_jacobian_agrees_with_differences(atoms):
    assert difference_error(jaxfeat.from_mace(random_mace(2, 2)), atoms) < 1e-8


def test_features_are_what_mace_reads_energies_from():
    from mace.calculators import MACECalculator

    model = random_mace(2, 2)
    calculator = MACECalculator(models=[model], device="cpu", default_dtype="float64")
    for atoms in (METHANE, DIAMOND):
        ours = evaluated(jaxfeat.from_mace(model), atoms)[0]
        np.testing.assert_allclose(ours, calculator.get_descriptors(atoms.copy()), rtol=1e-12, atol=1e-13)
        for layer in (0, 1):
            one = jaxfeat.from_mace(model, layers=layer)
            assert (one.reach, one.nu) == (4.0 * (layer + 1), [2, None][layer])
            np.testing.assert_array_equal(evaluated(one, atoms)[0], ours[:, 16 * layer : 16 * (layer + 1)])


def test_float32_has_a_floor_that_says_so():
    model = random_mace(2, dtype="float32")
    structure = jaxfeat.structures([METHANE], 4.0)[0]
    single, double = (jaxfeat.from_mace(model, dtype=dtype) for dtype in ("float32", "float64"))
    coarse, fine = (jaxfeat.singular_spectrum(m, structure, center=0) for m in (single, double))
    assert jaxfeat.probe(single, structure).dtype == "float32"
    assert np.all(coarse.floor > 1e-6 * coarse.values[0])
    assert np.all(fine.floor < 1e-12 * fine.values[0])
    assert next(model.parameters()).dtype == torch.float32


def test_a_file_is_the_model(tmp_path):
    model = random_mace(1)
    torch.save(model, tmp_path / "random.model")
    m, same = jaxfeat.from_mace(tmp_path / "random.model"), jaxfeat.from_mace(model)
    np.testing.assert_array_equal(evaluated(m, METHANE)[0], evaluated(same, METHANE)[0])
    assert m.key == same.key
    assert (
        len({m.key, jaxfeat.from_mace(random_mace(1, seed=1)).key, jaxfeat.from_mace(model, dtype="float32").key}) == 3
    )


def test_bad_input_is_refused():
    model = random_mace(1)
    with pytest.raises(BasisError, match="'all', or an index from 0 to 0"):
        jaxfeat.from_mace(model, layers=1)
    with pytest.raises(BasisError, match="float16"):
        jaxfeat.from_mace(model, dtype="float16")
    with pytest.raises(ModelError, match="Linear, not a MACE model"):
        jaxfeat.from_mace(torch.nn.Linear(2, 2))
    with pytest.raises(SpeciesError):
        m = jaxfeat.from_mace(model)
        jaxfeat.singular_spectrum(m, jaxfeat.structures([Atoms("NH3", LITMUS[:4])], m)[0])
