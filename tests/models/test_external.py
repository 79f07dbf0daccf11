"""A model from outside of JAX has the features, spectra and causes of the featurizer that it computes."""

import equinox as eqx
import jax
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from model_cases import LITMUS, evaluate_with, model_of

import jaxfeat
from jaxfeat.errors import BasisError, GeometryError, ModelError, SpeciesError

POWER = jaxfeat.PowerSpectrum(("C", "H"), r_cut=4.0, n_max=6, l_max=6)
METHANE = Atoms("CH4", LITMUS)
SALT = jaxfeat.PowerSpectrum(("Na", "Cl"), r_cut=3.5, n_max=3, l_max=3, sigma=0.5)


def test_the_litmus_methane_has_the_nullities_of_the_complete_kernel():
    f = POWER
    structure, m = jaxfeat.structures(METHANE, f), model_of(f)
    for atom, n in enumerate([1, 0, 0, 0, 1]):
        found, native = (jaxfeat.null_space(one, structure, center=atom) for one in (m, f))
        assert found.status == "ok"
        assert found.counts == native.counts
        assert (found.rigid, found.incompleteness, found.nullity) == (6, n, 6 + n)
    for collected in (jaxfeat.stacked, jaxfeat.summed):
        assert jaxfeat.null_space(collected(m), structure).counts == jaxfeat.null_space(collected(f), structure).counts
    assert jaxfeat.null_space(m, structure).counts == jaxfeat.null_space(jaxfeat.stacked(f), structure).counts


def test_features_and_jacobians_are_those_of_the_model():
    m, structure, around = model_of(POWER), jaxfeat.structures(METHANE, POWER), jaxfeat.environments(METHANE, POWER)
    np.testing.assert_array_equal(jaxfeat.stacked(m)(structure), jaxfeat.stacked(POWER)(structure))
    np.testing.assert_array_equal(jaxfeat.jacobian(m, structure), jaxfeat.jacobian(jaxfeat.stacked(POWER), structure))
    np.testing.assert_allclose(m(around), POWER(around), atol=1e-14)
    np.testing.assert_allclose(jaxfeat.jacobian(m, around), jaxfeat.jacobian(POWER, around), atol=1e-14)
    one = jaxfeat.jacobian(m, structure, center=2)
    np.testing.assert_array_equal(one, jaxfeat.jacobian(POWER, structure, center=2))
    assert one.shape == (POWER.n_features, 5, 3)


def test_environments_have_the_spectra_of_the_featurizer():
    m = model_of(POWER)
    around = jaxfeat.environments([METHANE, molecule("C2H6")], m)
    for equilibrated in (False, True):
        ours, theirs = (jaxfeat.singular_spectrum(f, around, equilibrated) for f in (m, POWER))
        np.testing.assert_allclose(ours.values, theirs.values, atol=1e-13)
        np.testing.assert_array_equal(ours.n_null, theirs.n_null)
        np.testing.assert_allclose(ours.floor, theirs.floor, rtol=1e-12)
    found, native = (jaxfeat.null_space(f, around) for f in (m, POWER))
    assert [one.counts for one in found] == [one.counts for one in native]


def test_images_of_one_atom_are_told_apart_in_small_crystals():
    """The features of a primitive cell do not react at all, and its causes need the neighbors all the same."""
    rattled = bulk("NaCl", "rocksalt", a=5.6, cubic=True)
    rattled.rattle(0.05, seed=1)
    m = model_of(SALT)
    for atoms in (bulk("NaCl", "rocksalt", a=5.6), rattled):
        structure = jaxfeat.structures(atoms, SALT)
        ours, theirs = jaxfeat.null_space(m, structure), jaxfeat.null_space(jaxfeat.stacked(SALT), structure)
        assert (ours.counts, ours.status) == (theirs.counts, theirs.status)
        np.testing.assert_allclose(
            jaxfeat.jacobian(m, structure), jaxfeat.jacobian(jaxfeat.stacked(SALT), structure), atol=1e-13
        )
        np.testing.assert_allclose(jaxfeat.stacked(m)(structure), jaxfeat.stacked(SALT)(structure), atol=1e-13)


def test_a_structure_is_evaluated_once_for_all_its_centers():
    calls, evaluate = [], evaluate_with(POWER)
    m = jaxfeat.external(lambda s: calls.append(len(s.center)) or evaluate(s), reach=4.0)
    structure = jaxfeat.structures(METHANE, m)
    jaxfeat.jacobian(m, structure)  # the first use probes the model
    calls.clear()
    jaxfeat.singular_spectrum(m, structure)
    assert calls == [5]
    jaxfeat.singular_spectrum(m, structure, center=3)
    assert calls == [5, 1]


def test_padding_reaches_no_model():
    seen = []

    def evaluate(structure):
        seen.append(structure)
        return evaluate_with(POWER)(structure)

    m, few = jaxfeat.external(evaluate, reach=4.0), molecule("C2H2")
    batch = jaxfeat.structures([METHANE, few], r_cut=4.0)
    jaxfeat.jacobian(m, batch)
    for one in seen:
        assert one.mask.all() and one.center_mask.all()
        assert one.positions.dtype == np.float64 and isinstance(one.positions, np.ndarray)
    m(jaxfeat.environments([METHANE, few], r_cut=4.0))
    assert all(one.mask.all() for one in seen)


def test_transformations_get_one_clear_error():
    m, env = model_of(POWER), jaxfeat.environments(METHANE, POWER)
    for call in (
        lambda: jax.jit(m)(env[0]),
        lambda: jax.vmap(m)(env),
        lambda: jax.jit(lambda env: jaxfeat.singular_spectrum(m, env).values)(env),
        lambda: jax.grad(lambda x: m(env[0].with_positions(x)).sum())(env[0].positions),
    ):
        with pytest.raises(ModelError, match="outside of JAX"):
            call()


def test_a_reach_that_is_too_short_is_told():
    whole = jax.tree.map(np.asarray, jaxfeat.structures(molecule("C2H6"), r_cut=6.0))

    def evaluate(structure):
        everything = eqx.tree_at(lambda s: s.positions, whole, structure.positions)
        chosen = [list(whole.center).index(c) for c in structure.center]
        return tuple(x[chosen] for x in evaluate_with(POWER)(everything))

    m = jaxfeat.external(evaluate, reach=2.0)
    with pytest.raises(ModelError, match=r"atom \d+ react to atom \d+.* reach of 2 Å"):
        jaxfeat.jacobian(m, jaxfeat.structures(molecule("C2H6"), r_cut=2.0))


def test_what_does_not_fit_is_refused():
    evaluate = evaluate_with(POWER)
    for wrong in ({"group": "C3"}, {"nu": 0}, {"reach": 0.0}, {"key": " "}):
        with pytest.raises(BasisError):
            jaxfeat.external(evaluate, **{"reach": 4.0, **wrong})
    boundless = jaxfeat.external(evaluate, reach=np.inf)
    assert "∞" in repr(boundless)
    with pytest.raises(BasisError, match="first use"):
        _ = boundless.labels
    assert boundless(jaxfeat.environments(METHANE, r_cut=1e6)).shape == (5, POWER.n_features)
    with pytest.raises(GeometryError, match="infinite reach"):
        jaxfeat.jacobian(boundless, jaxfeat.structures(bulk("NaCl", "rocksalt", a=5.6), r_cut=4.0))
    alone = jaxfeat.Environment.from_neighbors(LITMUS[1:], ["H"] * 4)
    with pytest.raises(SpeciesError, match="center"):
        boundless(alone)
    for bad in (lambda s: (np.zeros(3), np.zeros((1, 3))), lambda s: (evaluate(s)[0], evaluate(s)[1][:, :2])):
        with pytest.raises(ModelError, match="shape"):
            jaxfeat.external(bad, reach=4.0)(jaxfeat.environments(METHANE, r_cut=4.0))
    structure = jaxfeat.structures(METHANE, POWER)
    for center in (5, -1, "C"):
        with pytest.raises(GeometryError, match="not among the centers"):
            jaxfeat.jacobian(POWER, structure, center=center)
    with pytest.raises(GeometryError, match="leave it out"):
        jaxfeat.jacobian(POWER, jaxfeat.environments(METHANE, POWER), center=0)
