"""Compact Jacobians, and JᵀJ without a Jacobian, have the inner products of its columns."""

import equinox as eqx
import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

import jaxfeat
from jaxfeat import Environment
from jaxfeat.geometry.random import random_environments

SPECIES = ("H", "C", "O")


def environments(neighbors, center):
    return random_environments(jax.random.key(3), 2, neighbors, (0.9, 3.5), 0.5, center)


def up_to_four():
    """Environments of up to four neighbors, in one batch and hence in one program."""
    tetrahedron = 1.1 * np.asarray([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) / np.sqrt(3)
    without_a_channels_neighbor = environments(["H", "H"], "O")
    found = [
        *environments(["H", "C", "H", "O"], "C"),
        *without_a_channels_neighbor,
        Environment.from_neighbors(tetrahedron, ["H"] * 4, center_species="C"),
        Environment.from_neighbors([[0, 0, 1.0], [0, 0, -1.3]], ["H", "C"], center_species="C"),
    ]
    return Environment.stack(found)


BATCHES = {
    "up to four": up_to_four(),
    "sixteen": environments(["H", "C", "H", "O"] * 4, "C"),
    "one": environments(["H"], "C"),
    "none": environments([], "C"),
}


@eqx.filter_jit
def by_every_way(f, batch):
    """Compute the Jacobian, the compact Jacobian, and JᵀJ without a Jacobian."""
    return jax.vmap(lambda env: (f.jacobian(env), f.compact_jacobian(env), f.jacobian_gram(env)))(batch)


def inner_products(rows):
    rows = np.asarray(rows).reshape(*rows.shape[:2], np.prod(rows.shape[2:], dtype=int))
    return rows.swapaxes(1, 2) @ rows


COMBINED = [("up to four", (3, 3)), ("up to four", (2, 0)), ("up to four", (1, 2))]


COMBINED += [("sixteen", (3, 3)), ("sixteen", (2, 0)), ("one", (3, 3)), ("none", (3, 3))]
"""Batches with (n_max, l_max): fewer neighbors than channels and more, in lanes and one by one."""


@pytest.mark.parametrize(("neighbors", "sizes"), COMBINED, ids=str)
def test_inner_products_are_kept(neighbors, sizes):
    batch = BATCHES[neighbors]
    f = jaxfeat.PowerSpectrum(SPECIES, n_max=sizes[0], l_max=sizes[1], sigma=0.4)
    whole, (rows, n_rows), (gram, added, n_gram) = by_every_way(f, batch)
    assert whole.shape[1] == f.n_features > rows.shape[1]
    assert (n_rows == f.n_features).all() and (n_gram == f.n_features).all()
    wanted, condensed = inner_products(whole), inner_products(rows)
    norms = np.sqrt(np.diagonal(wanted, axis1=1, axis2=2).reshape(*added.shape, 3).sum(-1))
    for k, exact in enumerate(wanted):
        np.testing.assert_allclose(condensed[k], exact, atol=4e-15 * exact.max(initial=1))
        np.testing.assert_allclose(gram[k], exact, atol=4e-15 * max(np.square(added[k]).sum(), 1))
    # Of two parts that mostly add up rather than cancel.
    assert (norms <= 1.42 * added).all() and (added <= 10 * norms).all()
    np.testing.assert_array_equal(added == 0, ~np.asarray(batch.mask))


def test_the_second_rotation_pays_and_is_exact():
    batch = environments(["H", "C", "O"] * 5, "C")
    f = jaxfeat.PowerSpectrum(SPECIES, n_max=6, l_max=2, sigma=0.4)
    rows, _ = jax.jit(jax.vmap(f.compact_jacobian))(batch)
    # l = 1: 3 of 15 channels with all, l = 2: 5 of 15; and one row a neighbor for distances.
    assert rows.shape[1] == (3 * 15 - 3) + (5 * 15 - 10) + 15
    wanted = inner_products(jaxfeat.jacobian(f, batch))
    np.testing.assert_allclose(inner_products(rows), wanted, atol=4e-15 * wanted.max())


def test_every_item_may_have_species_of_its_own():
    batch = environments(["H", "C", "H", "O"], "C")
    subsets = jnp.asarray([[1, 6, 8], [8, 1, 6]], jnp.int32)
    f = jaxfeat.PowerSpectrum(SPECIES, n_max=2, l_max=1)

    def reduced(subset, env):
        narrow = f.restricted_to_species(subset)
        return narrow.compact_jacobian(env)[0], narrow.jacobian_gram(env)[0]

    rows, gram = jax.jit(jax.vmap(reduced))(subsets, batch)
    wanted = inner_products(jaxfeat.jacobian(f, batch))
    np.testing.assert_allclose(inner_products(rows), wanted, atol=1e-15)
    np.testing.assert_allclose(gram, wanted, atol=1e-15)


def test_other_features_go_by_their_rows():
    batch = environments(["H", "C"], "C")
    f = jaxfeat.Bispectrum(SPECIES, n_max=1, l_max=1)
    whole, (gram, added, _) = jax.jit(jax.vmap(lambda env: (f.jacobian(env), f.jacobian_gram(env))))(batch)
    np.testing.assert_allclose(gram, inner_products(whole), atol=1e-15)
    np.testing.assert_allclose(added**2, np.sum(np.asarray(whole) ** 2, 1).reshape(2, 2, 3).sum(-1), rtol=1e-12)


def test_singular_values_are_right_near_singular_points():
    """They agree with the explicit Jacobian in extended precision, from nearly singular to singular."""
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
