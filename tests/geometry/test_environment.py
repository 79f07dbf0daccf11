"""Environments and structures as sequences, their radius, and their `repr`."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ase.build import molecule

import jaxfeat
from jaxfeat import Environment, Structure
from jaxfeat.errors import GeometryError

MOLECULES = [molecule("H2O"), molecule("CH4"), molecule("NH3")]
ON_HOST = {
    "environments": jax.tree.map(np.asarray, jaxfeat.environments(MOLECULES, 3.0)),
    "structures": jax.tree.map(np.asarray, jaxfeat.structures(MOLECULES, 3.0)),
}
BATCHES = {**ON_HOST, **{f"{name} on a device": jax.device_put(batch) for name, batch in ON_HOST.items()}}
INDICES = (100, -13, np.int64(12), (0, 0), (slice(None), 1), np.asarray([0, 12]), np.ones(2, bool))


@pytest.mark.parametrize("name", BATCHES)
def test_a_loop_over_a_batch_ends(name):
    batch = BATCHES[name]
    n = 12 if "environments" in name else 3
    assert len(batch) == n
    # `zip` ends a loop that would go on for ever.
    members = [member for member, _ in zip(batch, range(2 * n), strict=False)]
    assert len(members) == n
    for i, member in enumerate(members):
        assert member.batch_shape == ()
        np.testing.assert_array_equal(member.positions, np.asarray(batch.positions)[i])


@pytest.mark.parametrize("name", BATCHES)
def test_indices_out_of_bounds_are_errors(name):
    for index in INDICES:
        with pytest.raises(IndexError, match=r"stay within the batch, whose shape is \((12|3),\)"):
            BATCHES[name][index]


@pytest.mark.parametrize("name", ON_HOST)
def test_an_index_reaches_no_further_than_the_batch(name):
    batch = ON_HOST[name]
    n = len(batch)
    np.testing.assert_array_equal(batch[-1].positions, batch.positions[n - 1])
    np.testing.assert_array_equal(batch[..., 1].positions, batch.positions[1])
    np.testing.assert_array_equal(batch[np.asarray([2, 0])].positions, batch.positions[[2, 0]])
    assert len(batch[:0]) == 0
    two = jax.tree.map(lambda leaf: leaf.reshape(n, 1, *leaf.shape[1:]), batch)
    for index in ((1, 0), (..., 1, 0), (1, ..., 0), (1, 0, ...), (1, np.asarray(0)), (..., np.arange(n)[:, None] == 1)):
        np.testing.assert_array_equal(np.squeeze(two[index].positions), batch.positions[1])
    assert two[1].batch_shape == (1,) and two[None].batch_shape == (1, n, 1)
    traced = jax.jit(lambda batch, i: batch[i].positions)(batch, 1)
    np.testing.assert_array_equal(traced, batch.positions[1])


def test_a_single_molecule_is_no_batch():
    single = jaxfeat.structures(MOLECULES[0], 3.0)
    for call in (len, iter, lambda one: one[0]):
        with pytest.raises(GeometryError, match="this is one molecule, not a batch"):
            list(call(single))


def test_environments_know_their_radius():
    batch = BATCHES["environments on a device"]
    np.testing.assert_array_equal(batch.r_cut, np.full(12, 3.0))
    given = Environment.from_neighbors(np.eye(3), ["H"] * 3, "C")
    assert np.isinf(given.r_cut)
    mixed = Environment.stack([batch[0], given, batch[1].padded(7).trimmed()])
    np.testing.assert_array_equal(mixed.r_cut, [3.0, np.inf, 3.0])
    copies = {
        "indexed": mixed[::2],
        "padded": mixed.padded(9)[::2],
        "moved": mixed.with_positions(2 * mixed.positions)[::2],
        "vmap": jax.vmap(lambda env: env.padded(9))(mixed)[::2],
        "jit": eqx.filter_jit(lambda env: env.padded(9))(mixed)[::2],
        "scan": jax.lax.scan(lambda c, env: (c, env), 0, mixed)[1][::2],
    }
    for name, found in copies.items():
        np.testing.assert_array_equal(found.r_cut, [3.0, 3.0], err_msg=name)
    # Environments from their fields are not cut, inside vmap either.
    made = jax.vmap(
        lambda env: Environment(
            env.positions, env.species, env.mask, env.center_species, env.structure_index, env.center_index
        )
    )(batch)
    assert made.r_cut.shape == (12,) and np.isinf(made.r_cut).all()
    assert made.r_cut.dtype == jnp.float64


def test_structures_know_their_radius():
    batch = ON_HOST["structures"]
    np.testing.assert_array_equal(batch.r_cut, np.full(3, 3.0))
    assert batch.environments().r_cut.shape == batch.center.shape
    np.testing.assert_array_equal(Structure.stack(list(batch)).r_cut, batch.r_cut)


def test_reprs_show_numbers():
    batch = BATCHES["environments"]
    assert repr(batch) == "Environment(12 environments, up to 4 neighbors, r_cut = 3 Å, species C H N O)"
    assert repr(batch[3]) == "Environment(1 environment, 4 neighbors, r_cut = 3 Å, species C H)"
    given = Environment.from_neighbors(np.eye(3)[:1], ["H"])
    assert repr(given) == "Environment(1 environment, 1 neighbor, r_cut = ∞ Å, species H)"
    assert "r_cut = 3 to ∞ Å" in repr(Environment.stack([batch[0], given]))
    assert repr(batch[:0]) == "Environment(0 environments, up to 0 neighbors, r_cut = none Å, species none)"
    structures = BATCHES["structures"]
    assert repr(structures) == "Structure(3 molecules, up to 5 atoms, r_cut = 3 Å, species C H N O)"
    assert repr(structures[0]) == "Structure(1 molecule, 3 atoms, r_cut = 3 Å, species H O)"
    seen = []
    jax.jit(lambda env: seen.append(repr(env)))(batch)
    assert seen == ["Environment(12 environments, traced)"]
    # Equinox shows modules that hold something else in error messages.
    assert "positions=" in repr(jax.tree.map(lambda leaf: leaf.dtype, batch))
