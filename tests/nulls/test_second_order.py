"""The second order behind symmetry: the table of theory, features beside complete bases, and what is missing."""

import jax.numpy as jnp
import numpy as np
import pytest
from ase.build import molecule
from null_cases import OCTAHEDRON, TETRAHEDRON, rotated, shell
from random_responses import random_functions

from jaxfeat import Environment, PowerSpectrum, function, second_order, structures, summed
from jaxfeat.errors import BasisError, GeometryError, PrecisionError
from jaxfeat.nulls.quadratic_responses import second_derivatives

TABLE = [
    ("fcc", 12, (2, 14, 19), 19), ("fcc", 18, (4, 34), 39), ("sc", 6, (2, 6, 6), 6), ("sc", 18, (4, 34), 39),
    ("bcc", 8, (2, 10), 10), ("bcc", 14, (4, 25), 25), ("bcc", 26, (6, 67), 76), ("hcp", 12, (2, 24, 50), 50),
    ("diamond", 4, (2, 4, 4), 4), ("diamond", 16, (4, 32, 49), 49), ("graphene", 9, (4, 27, 31), 31),
]  # fmt: skip
"""Lattice, number of neighbors, forms that orders 1, 2 and 3 see, and those that symmetry allows."""


def environment(positions, species="H"):
    return Environment.from_neighbors(positions, [species] * len(positions))


@pytest.mark.parametrize("lattice, n, seen, allowed", TABLE)
def test_the_table_of_theory(lattice, n, seen, allowed):
    """In a random orientation, at a random scale, for a random species."""
    rng = np.random.default_rng(n)
    for nu, expected in enumerate(seen, 1):
        env = environment(rng.uniform(0.5, 2) * rotated(shell(lattice, n), rng), rng.choice(["H", "Au"]))
        found = second_order(nu, env)
        assert (found.seen_by_order, found.allowed, found.seen) == (expected, allowed, None), found
        assert found.status == "ok" and found.gap[f"ν = {nu}"][0] < 1e-14
        assert found.complete == allowed and len(found.missing) == allowed - expected


def test_features_see_what_their_order_does_and_obey_the_sum_rules_of_the_rest():
    """ν = 2 sees 14 of 19 at a site of fcc, whatever the basis. Random functions of three neighbors see all."""
    rng = np.random.default_rng(11)
    turned = rotated(2.1 / 2**0.5 * shell("fcc", 12), rng)
    rough = turned + 4e-7 * rng.uniform(-1, 1, (12, 3))
    f = PowerSpectrum(("H", "O"), r_cut=3.5, n_max=2, l_max=8, sigma=0.35)
    env = environment(rough).padded(13)
    found = second_order(f, env)
    assert (found.allowed, found.seen_by_order, found.seen, found.orders) == (19, 14, 14, {2: 14, 3: 19})
    assert found.status == "ok" and found.symbol == "O_h" and found.n_directions == 32
    assert found.gap["features"][0] < 1e-14 and found.gap["features"][1] > 1e-4 and found.floor["features"] < 1e-11
    assert found.sentence == "5 of 19 second-order responses are invisible to ν = 2; ν = 3 sees all"
    assert np.abs(np.asarray(found.geometry.positions[:12]) - rough).max() < 1e-6
    assert len(found.missing) == 5 and {one.lifted_by for one in found.missing} == {"ν = 3"}
    moves = np.concatenate([one.displacements for one in found.missing])
    assert not moves[:, 12:].any()
    weights = np.zeros((5, len(moves)))
    for row, stop, one in zip(
        weights, np.cumsum([len(one.weights) for one in found.missing]), found.missing, strict=True
    ):
        row[stop - len(one.weights) : stop] = one.weights
        flat = one.displacements.reshape(len(one.weights), -1)
        np.testing.assert_allclose(flat @ flat.T, np.eye(len(flat)), atol=1e-12)
    bends = second_derivatives(f, found.geometry, moves)
    assert np.abs(weights @ bends).max() < 1e-12 * np.abs(bends).max()
    positions = np.asarray(found.geometry.positions[:12])
    _, slopes, bends = random_functions(positions, [0] * 12, moves[:, :12], 3, 12, 3)
    assert np.abs(slopes).max() < 1e-9 * np.abs(bends).max()
    assert np.linalg.svd(weights @ bends / np.abs(bends).max())[1].min() > 1e-3
    forms = found.forms()
    np.testing.assert_allclose(found.forms(2).shape, (14, 13, 3, 13, 3))
    sums = np.einsum("wk,kia,miajb,kjb->wm", weights, moves, forms, moves, optimize=True)
    assert forms.shape == (14, 13, 3, 13, 3) and np.abs(sums).max() < 1e-11


def radial_moments(positions, species, mask):
    squares = jnp.where(mask, (positions**2).sum(-1), 0)
    return jnp.stack([squares.sum(), (squares**2).sum(), (squares**3).sum()])


def test_a_small_basis_leaves_more_than_its_order_does():
    """Three moments of the distances of one shell all respond with r·r and with its squares: three features of order 1
    see two responses, as the order does. A basis of one feature sees one."""
    env = environment(rotated(OCTAHEDRON, np.random.default_rng(1)))
    both = second_order(function(radial_moments, nu=1), env)
    assert (both.seen, both.seen_by_order, both.allowed) == (2, 2, 6)
    one = second_order(function(lambda *at: radial_moments(*at)[:1], nu=1), env)
    assert (one.seen, one.seen_by_order) == (1, 2)
    assert [missing.lifted_by for missing in one.missing] == ["a larger basis", "ν = 2", "ν = 2", "ν = 2", "ν = 2"]
    undeclared = second_order(function(lambda *at: radial_moments(*at)[:1]), env)
    assert undeclared.seen_by_order is None and undeclared.orders == {} and len(undeclared.missing) == 5
    assert {missing.lifted_by for missing in undeclared.missing} == {""} and undeclared.sentence == ""


def test_atoms_on_a_line_and_without_symmetry():
    rng = np.random.default_rng(4)
    line = environment(rotated(np.outer([-1.1, -0.8, 0.9, 1.3], [1, 2, 2]) / 3, rng))
    assert [second_order(nu, line).seen_by_order for nu in (1, 2)] == [4, 6]
    chiral = second_order(2, line, pseudoscalars=True)
    # Triple products of two displacements and the axis are the three that mirror planes forbid.
    assert (chiral.allowed, chiral.orders, chiral.symbol) == (9, {2: 6, 3: 9}, "C_∞")
    for positions in (np.zeros((0, 3)), np.ones((1, 3)), rng.normal(size=(3, 3)) * [1, 1, 2]):
        found = second_order(2, environment(positions), pseudoscalars=True)
        assert (found.allowed, found.seen_by_order, found.missing) == (0, 0, ()), found


def test_bad_input_is_refused():
    env = environment(TETRAHEDRON)
    with pytest.raises(BasisError, match="body orders 1 to 4, got 5"):
        second_order(5, env)
    with pytest.raises(GeometryError, match=r"one item, and got a batch of \(2,\)"):
        second_order(2, Environment.stack([env, env]))
    with pytest.raises(GeometryError, match="this is a molecule"):
        second_order(2, structures(molecule("CH4"), 4.0))
    with pytest.raises(PrecisionError, match="float64"):
        second_order(2, environment(TETRAHEDRON.astype(np.float32)))
    with pytest.raises(BasisError, match="give the featurizer of the sites"):
        second_order(summed(PowerSpectrum(("H",), n_max=2, l_max=2)), env)
    with pytest.raises(BasisError, match="responses of features are not known; there are ν = 2"):
        second_order(2, env).forms()
