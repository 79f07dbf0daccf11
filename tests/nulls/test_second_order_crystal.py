"""Force constants of crystals, against random functions of the sites and against counts by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ase.build import bulk, graphene, mx2
from random_responses import random_functions, rank

from jaxfeat import function, second_order, structures


def random_hessians(crystal, nu, moves, number, seed):
    """Compute second derivatives `(k, m)` of sums over the sites of random functions of random features of order ν,
    along displacements `(k, n, 3)` of all atoms. Sites of one species share their functions."""
    environments = jax.tree.map(np.asarray, crystal.environments())
    kinds = {z: k for k, z in enumerate(np.unique(crystal.species))}
    total = []
    for center in kinds:
        sums = np.zeros((len(moves), number))
        for row in np.flatnonzero(np.asarray(environments.center_species) == center):
            mask = environments.mask[row]
            neighbors = np.asarray(crystal.neighbor)[row][mask]
            local = moves[:, neighbors] - moves[:, np.asarray(crystal.center)[row]][:, None]
            species = [kinds[z] for z in environments.species[row][mask]]
            _, slopes, bends = random_functions(environments.positions[row][mask], species, local, nu, 2 * number, seed)
            # A random function of the features has any first and second derivatives.
            first, second = np.random.default_rng(seed + 1).normal(size=(2, 2 * number, number))
            sums += bends @ first + (slopes @ second) ** 2
        total.append(sums)
    return np.concatenate(total, 1)


@pytest.mark.parametrize("nu, expected", [(1, 4), (2, 20), (3, 22)])
def test_orders_have_the_force_constants_of_random_functions(nu, expected):
    atoms = mx2("MoS2", size=(3, 3, 1), vacuum=5)
    crystal = jax.tree.map(np.asarray, structures(atoms, 2.5))
    moves = np.random.default_rng(6).normal(size=(40, len(atoms), 3))
    bends = random_hessians(crystal, nu, moves, 30, 8)
    assert rank(bends) == expected
    found = second_order(nu, crystal)
    assert found.seen_by_order == expected
    # The forms of the order span the random ones.
    forms = found.forms(nu).reshape(expected, moves[0].size, moves[0].size)
    flat = moves.reshape(len(moves), -1)
    values = np.stack([((flat @ form) * flat).sum(1) for form in forms], 1)
    fitted = values @ np.linalg.lstsq(values, bends, rcond=None)[0]
    np.testing.assert_allclose(fitted, bends, atol=1e-9 * np.abs(bends).max())


def test_a_crystal_shares_out_what_its_sites_miss():
    """A site of fcc misses 5 of 19 responses at ν = 2. The crystal misses 2 of 12, and a shorter supercell none."""
    copper = structures(bulk("Cu") * (4, 4, 4), 2.7)
    found = second_order(2, copper)
    assert (found.allowed, found.complete, found.orders) == (12, 12, {2: 10, 3: 12})
    assert found.symbol == "Fm-3m (225)" and found.n_directions == 189 and found.status == "ok"
    assert [one.lifted_by for one in found.missing] == ["ν = 3", "ν = 3"]
    one, forms = found.missing[0], found.forms(2)
    flat = one.displacements.reshape(len(one.weights), -1)
    weighted = [one.weights @ ((flat @ form) * flat).sum(1) for form in forms.reshape(10, 192, 192)]
    assert np.abs(weighted).max() < 1e-12
    np.testing.assert_allclose(forms.sum(3), 0, atol=1e-12)
    short = second_order(2, structures(bulk("Cu") * (3, 3, 3), 2.7))
    assert (short.allowed, short.seen_by_order, short.missing) == (7, 7, ())


def test_rotations_leave_a_site_less_than_the_space_group_does():
    """Three bonds in a plane bend out of it in one way. Without rotations, the space group allows another."""
    layer = graphene(size=(4, 4, 1), vacuum=5)
    layer.pbc = (True, True, False)
    found = second_order(2, structures(layer, 1.5))
    assert (found.allowed, found.complete, found.orders) == (7, 6, {2: 6})
    assert [one.lifted_by for one in found.missing] == [""]


def test_features_of_a_crystal_see_what_their_order_does():
    """A function of the user's own, of order 1: the number of neighbors within a smooth distance, and its moments."""

    def density(positions, species, mask):
        squares = jnp.where(mask, (positions**2).sum(-1), 9.0)
        return jnp.stack([jnp.where(mask, jnp.exp(-squares / width), 0).sum() for width in (3.0, 5.0, 9.0)])

    rough = bulk("Cu") * (3, 3, 3)
    rough.positions += 1e-6 * np.random.default_rng(5).uniform(-1, 1, rough.positions.shape)
    found = second_order(function(density, nu=1), structures(rough, 2.7))
    assert (found.seen, found.seen_by_order, found.orders) == (3, 3, {1: 3, 2: 7})
    assert found.gap["features"][0] < 1e-12 and found.status == "ok"
