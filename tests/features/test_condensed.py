"""Condensed Jacobians have the inner products of whole ones, column by column."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

import jaxfeat
from jaxfeat import Environment
from jaxfeat.features.condensed import _gradients
from jaxfeat.manifolds import random_environments
from jaxfeat.so3.harmonics import solid_harmonics_table

SPECIES = ("H", "C", "O")


def environments(neighbors, center):
    return random_environments(jax.random.key(3), 2, neighbors, (0.9, 3.5), 0.5, center)


TETRAHEDRON = 1.1 * np.asarray([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) / np.sqrt(3)
CASES = {
    "fewer neighbors than channels": environments(["H", "C", "H", "O"], "C"),
    "more neighbors than channels": environments(["H", "C", "H", "O"] * 4, "C"),
    "a center without a channel's neighbor": environments(["H", "H"], "O"),
    "one neighbor": environments(["H"], "C"),
    "none": environments([], "C"),
    "tetrahedron": jax.tree.map(
        lambda x: jnp.asarray(x)[None], Environment.from_neighbors(TETRAHEDRON, ["H"] * 4, center_species="C")
    ),
    "collinear, padded": jax.tree.map(
        lambda x: jnp.asarray(x)[None],
        Environment.from_neighbors([[0, 0, 1.0], [0, 0, -1.3]], ["H", "C"], center_species="C").padded(4),
    ),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("sizes", [(3, 3), (2, 0)], ids=str)
def test_inner_products_are_kept(case, sizes):
    batch = CASES[case]
    f = jaxfeat.PowerSpectrum(SPECIES, n_max=sizes[0], l_max=sizes[1], sigma=0.4)
    whole = np.asarray(jaxfeat.jacobian(f, batch)).reshape(len(batch), f.n_features, -1)
    rows, n_features = jax.jit(jax.vmap(f.condensed_jacobian))(batch)
    assert (n_features == f.n_features).all() and rows.shape[1] < f.n_features
    wanted = whole.swapaxes(1, 2) @ whole
    np.testing.assert_allclose(jnp.swapaxes(rows, 1, 2) @ rows, wanted, atol=4e-15 * wanted.max(initial=1))


def test_the_second_rotation_pays_and_is_exact():
    batch = environments(["H", "C", "O"] * 5, "C")
    f = jaxfeat.PowerSpectrum(SPECIES, n_max=6, l_max=2, sigma=0.4)
    rows, _ = jax.jit(jax.vmap(f.condensed_jacobian))(batch)
    # l = 1: 3 of 15 channels with all, l = 2: 5 of 15; and one row a neighbor for distances.
    assert rows.shape[1] == (3 * 15 - 3) + (5 * 15 - 10) + 15
    whole = np.asarray(jaxfeat.jacobian(f, batch)).reshape(2, f.n_features, -1)
    wanted = whole.swapaxes(1, 2) @ whole
    np.testing.assert_allclose(jnp.swapaxes(rows, 1, 2) @ rows, wanted, atol=4e-15 * wanted.max())


def test_every_item_may_have_species_of_its_own():
    batch = environments(["H", "C", "H", "O"], "C")
    subsets = jnp.asarray([[1, 6, 8], [8, 1, 6]], jnp.int32)
    f = jaxfeat.PowerSpectrum(SPECIES, n_max=3, l_max=2)
    rows = jax.vmap(lambda subset, env: f.restricted(subset).condensed_jacobian(env)[0])(subsets, batch)
    whole = np.asarray(jaxfeat.jacobian(f, batch)).reshape(2, f.n_features, -1)
    np.testing.assert_allclose(jnp.swapaxes(rows, 1, 2) @ rows, whole.swapaxes(1, 2) @ whole, atol=1e-15)


def test_gradients_of_harmonics_are_harmonics():
    l_max, r = 5, jnp.asarray([0.3, -0.5, 0.7])
    table, slopes = (
        g(r) for g in (lambda r: solid_harmonics_table(l_max, r), jax.jacfwd(lambda r: solid_harmonics_table(l_max, r)))
    )
    for l in range(1, l_max + 1):
        found = np.einsum("xmp,p->mx", _gradients(l_max)[l - 1], table[l - 1])[: 2 * l + 1]
        np.testing.assert_allclose(found, slopes[l, l_max - l : l_max + l + 1], atol=1e-14)


def test_singular_values_are_right_near_singular_points():
    """Against singular values of the explicit Jacobian in 40 digits, from nearly singular to singular."""
    f = jaxfeat.PowerSpectrum(("H",), n_max=2, l_max=2, sigma=0.5, r_cut=3.0)
    for height in (1e-3, 1e-6, 1e-9, 1e-12, 0.0):
        # Three neighbors and the center in one plane: up and down is unseen.
        positions = np.asarray([[1.0, 0.2, 0], [-0.7, 0.9, 0], [-0.2, -1.1, height]])
        env = Environment.from_neighbors(positions, ["H"] * 3, center_species="H")
        spectrum = jaxfeat.singular_spectrum(f, env)
        exact = mpmath.svd_r(
            mpmath.matrix(np.asarray(jaxfeat.jacobian(f, env)).reshape(-1, 9).tolist()), compute_uv=False
        )
        exact = np.asarray([float(x) for x in exact])[:6]
        assert np.abs(spectrum.values - exact).max() < 0.05 * spectrum.floor
