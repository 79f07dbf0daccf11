"""Selected features are those of the whole featurizer, under every transformation and in every analysis."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import wobbling_methanols

import jaxfeat
from jaxfeat import SelectedFeatures
from jaxfeat.errors import BasisError, SpeciesError

R_CUT = 3.0
BATCH = jaxfeat.environments(wobbling_methanols(2, seed=0), R_CUT)
BASIS = {"r_cut": R_CUT, "n_max": 2, "l_max": 2}


def moments(positions, species, mask):
    s = jnp.sum(positions**2, -1)
    return jnp.stack([jnp.sum(jnp.where(mask, s**k * jnp.exp(-s), 0)) for k in range(6)])


WHOLE = {
    "power spectrum": lambda: jaxfeat.PowerSpectrum(("H", "N", "C", "O"), **BASIS),
    "bispectrum": lambda: jaxfeat.Bispectrum(("H", "C", "O"), R_CUT, 1, 2),
    "function": lambda: jaxfeat.function(moments, labels=6),
}


def some(f):
    """Half of the features, in no order."""
    return np.random.default_rng(0).permutation(f.n_features)[: f.n_features // 2]


def assert_close(found, wanted):
    np.testing.assert_allclose(found, wanted, atol=1e-13 * np.abs(wanted).max(), rtol=1e-11)


@pytest.mark.parametrize("name", WHOLE)
def test_features_and_jacobians_are_those_of_the_whole(name):
    f = WHOLE[name]()
    kept = some(f)
    selected = SelectedFeatures(f, kept.tolist())
    assert selected.n_features == len(kept) == len(selected.labels)
    assert selected.labels == tuple(f.labels[index] for index in kept)
    assert (selected.nu, selected.group) == (f.nu, f.group)
    features, jacobian = np.asarray(f(BATCH))[:, kept], np.asarray(jaxfeat.jacobian(f, BATCH))[:, kept]
    assert_close(selected(BATCH), features)
    assert_close(jaxfeat.jacobian(selected, BATCH), jacobian)


@pytest.mark.parametrize("way", ["one", "jit of vmap", "jacfwd", "jacrev"])
def test_a_selection_is_transformed_as_any_featurizer(way):
    f = WHOLE["power spectrum"]()
    kept, env = some(f), BATCH[0]
    selected = SelectedFeatures(f, kept.tolist())
    features, jacobian = np.asarray(f(BATCH))[:, kept], np.asarray(jaxfeat.jacobian(f, BATCH))[:, kept]
    if way == "one":
        assert_close(selected(env), features[0])
        assert_close(jaxfeat.jacobian(selected, env), jacobian[0])
    elif way == "jit of vmap":
        both = jax.jit(jax.vmap(lambda one: (selected.features(one), selected.jacobian(one))))(BATCH)
        assert_close(both[0], features)
        assert_close(both[1], jacobian)
    else:
        derive = {"jacfwd": jax.jacfwd, "jacrev": jax.jacrev}[way]
        slopes = jax.jit(derive(lambda positions: selected.features(env.with_positions(positions))))(env.positions)
        assert_close(slopes, jacobian[0])


def test_spectra_are_those_of_the_rows():
    f = WHOLE["power spectrum"]()
    kept = some(f)
    env = BATCH[0]
    rows = np.asarray(jaxfeat.jacobian(f, env))[kept]
    values = np.linalg.svd(rows.reshape(len(kept), -1), compute_uv=False)
    selected = SelectedFeatures(f, kept.tolist())
    for narrow in (selected, selected.restricted_to_species(np.asarray([1, 6, 8], np.int32))):
        found = np.asarray(jaxfeat.singular_spectrum(narrow, env).values)
        np.testing.assert_allclose(found, values[: len(found)], atol=1e-13 * values[0])
    compiled = jax.jit(lambda env: jaxfeat.singular_spectrum(selected, env, directions=False).values)(env)
    np.testing.assert_allclose(compiled, values[: len(compiled)], atol=1e-13 * values[0])


def test_a_spec_makes_the_same_selection():
    f = WHOLE["power spectrum"]()
    selected = SelectedFeatures(f, some(f))
    again = jaxfeat.from_spec(json.loads(json.dumps(jaxfeat.spec(selected))))
    assert again.kept == selected.kept
    np.testing.assert_array_equal(again(BATCH), selected(BATCH))
    assert repr(again).startswith(f"SelectedFeatures({len(selected.kept)} of {f.n_features} features of PowerSpectrum(")


def test_structures_scans_and_stores_take_a_selection(tmp_path):
    f = WHOLE["power spectrum"]()
    selected = SelectedFeatures(f, some(f))
    structure = jaxfeat.structures(wobbling_methanols(1, seed=0)[0], selected)
    whole = np.asarray(jaxfeat.jacobian(jaxfeat.summed(f), structure)).reshape(-1, f.n_features, 6, 3)
    found = np.asarray(jaxfeat.jacobian(jaxfeat.summed(selected), structure))
    np.testing.assert_allclose(found.reshape(-1, len(selected.kept), 6, 3), whole[:, list(selected.kept)], atol=1e-14)
    records = jaxfeat.scan(selected, BATCH)
    assert len(records) == len(BATCH)
    for _ in range(2):  # The second sweep resumes the store, because the spec is the same.
        stored = jaxfeat.sweep(selected, BATCH, out=tmp_path / "store.zarr")
    assert stored.sizes["environment"] == len(BATCH)
    np.testing.assert_allclose(stored["sigma"].values[0, 0], records[0]["sigma"][0], rtol=1e-12)


def test_what_a_selection_loses_is_truncated_and_all_features_lift_it():
    f, env = jaxfeat.PowerSpectrum(("H", "C", "O"), R_CUT, n_max=2, l_max=4), BATCH[0]
    assert jaxfeat.null_space(f, env).nullity == 3
    # No feature sees oxygen, which is within reach all the same.
    selected = SelectedFeatures(f, [k for k, label in enumerate(f.labels) if label[0] == label[2] == "H"])
    null = jaxfeat.null_space(selected, env)
    assert null.counts == {**dict.fromkeys(null.counts, 0), "rigid": 3, "truncation": 3}
    lifted = jaxfeat.cure(selected, env)["truncation"]
    assert lifted.sizes == {"n_features": f.n_features}
    assert f"lifted by all {f.n_features} features" in repr(lifted)


def test_only_selections_of_known_features_are_made():
    f = WHOLE["power spectrum"]()
    for kept, message in (
        ([], "0 indices"),
        ([1, 1], "each only once"),
        ([0, f.n_features], f"there are {f.n_features} features"),
        ([-1], "from -1"),
        ([0.5], "must be integers"),
    ):
        with pytest.raises(BasisError, match=message):
            SelectedFeatures(f, kept)
    with pytest.raises(BasisError, match="give a featurizer of environments"):
        SelectedFeatures(jaxfeat.stacked(f), [0])
    with pytest.raises(BasisError, match="4 features or all"):
        SelectedFeatures(f, [0, 1, 2, 3]).with_sizes(n_features=6)
    with pytest.raises(SpeciesError, match="species O not among"):
        SelectedFeatures(jaxfeat.PowerSpectrum(("C", "H"), **BASIS), [0])(BATCH)
