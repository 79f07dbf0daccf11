"""A sample of strata stands for all data."""

import jax
import numpy as np
import pytest
from ase.build import molecule

import jaxfeat
from jaxfeat import PowerSpectrum
from jaxfeat.choose.sample import cut_data, draw_stratified, list_elements
from jaxfeat.choose.sensitivities import Sensitivities, lowest_level
from jaxfeat.errors import GeometryError, ReadError, SpeciesError

F = PowerSpectrum(("H", "O"), r_cut=2.5, n_max=2, l_max=1)


def waters(n, seed=0):
    rng = np.random.default_rng(seed)
    made = [molecule("H2O") for _ in range(n)]
    for atoms in made:
        atoms.positions += rng.normal(scale=0.1, size=(3, 3))
    return made


EVERY = jax.tree.map(np.asarray, jaxfeat.environments(waters(40), 2.5))
SETTINGS = {"share": 0.2, "equilibrated": True, "seed": 0, "progress": lambda done, total: None}


def test_a_sample_of_everything_has_the_level_of_everything():
    sample = draw_stratified(F, EVERY, most=1000, sample=0, **SETTINGS).sample
    values = sample.at(F, np.arange(len(sample.species)))
    np.testing.assert_array_equal(sample.weights(np.arange(120)), 1)
    whole = Sensitivities(EVERY, True)(F, np.arange(120))
    assert sample.level(values, 0.2) == pytest.approx(lowest_level(whole, np.ones(120), EVERY.center_species, 0.2))


def test_strata_hold_both_species_and_their_weights_add_up():
    drawn = draw_stratified(F, EVERY, most=6, sample=90, **SETTINGS)
    sample = drawn.sample
    assert sample.least.sum() == 6 and (~sample.least).sum() == 12
    assert sample.weights(np.arange(18)).sum() == pytest.approx(90)
    # Every beginning stands for all.
    assert sample.weights(np.arange(9)).sum() == pytest.approx(90)
    worst = sample.at(F, np.arange(18))
    for z in (1, 8):
        mine = sample.species == z
        assert worst[mine & sample.least].max() < worst[mine & ~sample.least].min()


def test_a_check_takes_environments_that_were_not_in_the_sample():
    drawn = draw_stratified(F, EVERY, most=5, sample=60, **SETTINGS)
    origins = lambda at: set(zip(at.batch.structure_index, at.batch.center_index, strict=True))  # noqa: E731
    assert drawn.apart and not origins(drawn.sample.at) & origins(drawn.check)
    assert not draw_stratified(F, EVERY, most=5, sample=0, **SETTINGS).apart


def test_data_are_structures_or_environments():
    atoms = waters(2)
    assert list_elements(atoms) == list_elements(atoms[0]) == list_elements(jaxfeat.environments(atoms, 2.5)) == [1, 8]
    assert len(cut_data(atoms, 2.5, "O", 0)) == 2
    methanes = jaxfeat.read("random-methane:3")
    assert len(cut_data(methanes, 2.5, None, 0)) == 3 and len(cut_data(methanes, 2.5, "H", 0)) == 12


def test_large_data_are_drawn_before_neighbors_are_searched(monkeypatch):
    monkeypatch.setattr("jaxfeat.choose.sample.MAX_ATOMS", 30)
    assert len(cut_data(waters(40), 2.5, None, 0)) == 30


def test_bad_data_are_refused():
    with pytest.raises(ReadError, match="is empty"):
        cut_data([], 2.5, None, 0)
    with pytest.raises(ReadError, match="of type str"):
        list_elements("water.xyz")
    with pytest.raises(GeometryError, match="one leading axis"):
        cut_data(EVERY[0], 2.5, None, 0)
    with pytest.raises(SpeciesError, match="species H"):
        draw_stratified(PowerSpectrum(("O",), r_cut=2.5), EVERY, most=5, sample=0, **SETTINGS)
