"""JᵀJ without J against inner products of the columns of J."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_condensed import CASES, SPECIES, environments

import jaxfeat


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("sizes", [(3, 3), (2, 0), (1, 2)], ids=str)
def test_products_are_those_of_the_columns(case, sizes):
    batch = CASES[case]
    f = jaxfeat.PowerSpectrum(SPECIES, n_max=sizes[0], l_max=sizes[1], sigma=0.4)
    whole = np.asarray(jaxfeat.jacobian(f, batch)).reshape(len(batch), f.n_features, -1)
    found, added, n_features = jax.jit(jax.vmap(f.jacobian_gram))(batch)
    wanted = whole.swapaxes(1, 2) @ whole
    assert (n_features == f.n_features).all()
    np.testing.assert_allclose(found, wanted, atol=4e-15 * np.square(added).sum(-1).max(initial=1))
    norms = np.sqrt(np.diagonal(wanted, axis1=1, axis2=2).reshape(*added.shape, 3).sum(-1))
    # Of two parts that mostly add up rather than cancel.
    assert (norms <= 1.42 * added).all() and (added <= 10 * norms).all()
    np.testing.assert_array_equal(added == 0, ~np.asarray(batch.mask))


def test_every_item_may_have_species_of_its_own():
    batch = environments(["H", "C", "H", "O"], "C")
    subsets = jnp.asarray([[1, 6, 8], [8, 1, 6]], jnp.int32)
    f = jaxfeat.PowerSpectrum(SPECIES, n_max=3, l_max=2)
    found = jax.vmap(lambda subset, env: f.restricted(subset).jacobian_gram(env)[0])(subsets, batch)
    whole = np.asarray(jaxfeat.jacobian(f, batch)).reshape(2, f.n_features, -1)
    np.testing.assert_allclose(found, whole.swapaxes(1, 2) @ whole, atol=1e-15)


def test_other_features_go_by_their_rows():
    batch = environments(["H", "C"], "C")
    f = jaxfeat.Bispectrum(SPECIES, n_max=2, l_max=1)
    found, added, _ = jax.vmap(f.jacobian_gram)(batch)
    whole = np.asarray(jaxfeat.jacobian(f, batch)).reshape(2, f.n_features, -1)
    np.testing.assert_allclose(found, whole.swapaxes(1, 2) @ whole, atol=1e-15)
    np.testing.assert_allclose(added**2, (whole**2).sum(1).reshape(2, 2, 3).sum(-1), rtol=1e-12)
