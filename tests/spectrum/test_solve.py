"""Spectra of toy maps with known singular values, and the effects of padding, scaling and precision."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import null_space as scipy_null_space

import jaxfeat
from jaxfeat import Environment
from jaxfeat.spectrum.reduce import ReducedJacobian
from jaxfeat.spectrum.solve import decompose

from_neighbors = Environment.from_neighbors


def radial_map(positions, species, mask):
    """Compute w_j r_j² of each neighbor. The singular values are 2 w_j r_j, and all other directions are null."""
    weights = jnp.arange(1.0, positions.shape[0] + 1).astype(positions.dtype)
    return jnp.where(mask, weights * jnp.sum(positions**2, -1), 0)


def distances_map(positions, species, mask):
    """Compute all squared distances and radii, which are complete up to rotation and inversion."""
    n = positions.shape[0]
    first, second = np.triu_indices(n, 1)
    pairs = jnp.where(mask[first] & mask[second], jnp.sum((positions[first] - positions[second]) ** 2, -1), 0)
    return jnp.concatenate([jnp.where(mask, jnp.sum(positions**2, -1), 0), pairs])


RADIAL, DISTANCES = jaxfeat.function(radial_map, nu=1), jaxfeat.function(distances_map, nu=2)
POWER = jaxfeat.PowerSpectrum(("C", "H"), n_max=3, l_max=3)


def neighbors(seed, n):
    rng = np.random.default_rng(seed)
    directions = rng.normal(size=(n, 3))
    return directions / np.linalg.norm(directions, axis=1, keepdims=True) * rng.uniform(0.8, 1.6, size=(n, 1))


def hydrogens(seed, n):
    return from_neighbors(neighbors(seed, n), ["H"] * n, "C")


@pytest.mark.parametrize("equilibrated", [False, True])
def test_a_reduced_jacobian_has_the_spectrum_of_the_whole(equilibrated):
    env = hydrogens(0, 2)
    whole = np.random.default_rng(0).normal(size=(1000, 6)) * [1e-7, 1, 1, 1, 1, 1]
    triangle = np.linalg.qr(whole, mode="r")

    @eqx.filter_jit
    def of(rows, added, directions):
        how = {"equilibrated": equilibrated, "directions": directions}
        return decompose(ReducedJacobian(rows, added, 1000), env, **how)

    spectra = [
        of(rows, np.linalg.norm(rows.reshape(-1, 2, 3), axis=(0, 2)), directions)
        for rows, directions in ((whole, True), (triangle, False))
    ]
    np.testing.assert_allclose(spectra[1].values, spectra[0].values, rtol=1e-12)
    np.testing.assert_allclose(spectra[1].floor, spectra[0].floor, rtol=1e-12)
    assert spectra[1].directions.shape == (0, 2, 3) and spectra[0].directions.shape[1:] == (2, 3)
    assert str(spectra[1].status) == "ok"


@pytest.mark.parametrize("n", [2, 5])
def test_values_of_a_radial_map_are_known(n):
    positions = neighbors(n, n)
    spectrum = jaxfeat.singular_spectrum(RADIAL, from_neighbors(positions, ["H"] * n))
    expected = np.sort(2 * np.arange(1, n + 1) * np.linalg.norm(positions, axis=1))[::-1]
    assert spectrum.values.shape == (3 * n - 3,)
    np.testing.assert_allclose(spectrum.values[:n], expected, rtol=1e-13)
    assert np.all(np.asarray(spectrum.values[n:]) < spectrum.floor)
    assert spectrum.n_null == 2 * n - 3


@pytest.mark.parametrize(
    ("positions", "n_rigid", "equilibrated"),
    [
        (np.zeros((0, 3)), 0, False),
        (np.zeros((0, 3)), 0, True),
        ([[0.3, 1.0, -0.4]], 2, False),
        ([[0, 0, 1.0], [0, 0, -1.4]], 2, False),
        ([[0, 0, 1.0], [0, 0, -1.4]], 2, True),
        ([[0.3, 0.6, 0.9], [0.2, 0.4, 0.6], [-0.1, -0.2, -0.3]], 2, False),
        ([[0, 0, 1.0], [0, 0.1, -1.4]], 3, False),
        ([[0, 0, 1.0], [0, 0.1, -1.4]], 3, True),
        (neighbors(0, 6), 3, False),
    ],
)
def test_rigid_motions_are_counted_and_left_out(positions, n_rigid, equilibrated):
    n = len(positions)
    env = from_neighbors(np.asarray(positions, float), ["H"] * n)
    spectrum = jaxfeat.singular_spectrum(POWER, env, equilibrated=equilibrated)
    assert spectrum.n_rigid == n_rigid
    assert spectrum.n_values == spectrum.values.shape[0] == 3 * n - n_rigid
    directions = np.asarray(spectrum.directions).reshape(3 * n - n_rigid, 3 * n)
    np.testing.assert_allclose(directions @ directions.T, np.eye(3 * n - n_rigid), atol=1e-13)
    displacements = directions if not equilibrated else directions * np.repeat(np.asarray(spectrum.scale), 3)
    for axis in np.eye(3):
        turn = np.cross(axis, np.asarray(positions, float).reshape(n, 3)).ravel()
        np.testing.assert_allclose(displacements @ turn, 0, atol=1e-13 * max(float(spectrum.scale.max(initial=1)), 1))


@pytest.mark.as_shipped
def test_values_and_directions_are_those_of_numpy():
    env = hydrogens(3, 5)
    jacobian = np.asarray(jaxfeat.jacobian(POWER, env)).reshape(POWER.n_features, 15)
    spectrum = jaxfeat.singular_spectrum(POWER, env)
    turns = np.stack([np.cross(axis, env.positions).ravel() for axis in np.eye(3)])
    reference = np.linalg.svd(jacobian @ scipy_null_space(turns), compute_uv=False)
    np.testing.assert_allclose(spectrum.values, reference, rtol=1e-12)
    moved = np.linalg.norm(jacobian @ np.asarray(spectrum.directions).reshape(12, 15).T, axis=0)
    np.testing.assert_allclose(moved, spectrum.values, rtol=1e-11)


def test_equilibrating_divides_each_neighbor_by_its_norm_and_keeps_the_null_space():
    positions = neighbors(1, 4)
    positions[:, 2] = 0
    positions[3] *= 3.9 / np.linalg.norm(positions[3])
    env = from_neighbors(positions, ["H"] * 4, "C")
    jacobian = np.asarray(jaxfeat.jacobian(POWER, env))
    raw, equilibrated = (jaxfeat.singular_spectrum(POWER, env, equilibrated=scaled) for scaled in (False, True))
    norms = np.sqrt((jacobian**2).sum((0, 2)))
    np.testing.assert_allclose(equilibrated.scale, norms, rtol=1e-13)
    reference = np.linalg.svd((jacobian / norms[:, None]).reshape(-1, 12), compute_uv=False)
    np.testing.assert_allclose(equilibrated.values[:7], reference[:7], rtol=1e-11)
    # The atom in the tail of the cutoff has little weight but is seen: only its raw value is small.
    assert raw.values[6] / raw.values[0] < 1e-4 < 1e-3 < equilibrated.values[6] / equilibrated.values[0]
    assert raw.n_null == equilibrated.n_null == 2
    null_raw = np.asarray(raw.directions[7:]).reshape(2, 12)
    null_equilibrated = np.asarray(equilibrated.directions[7:] / equilibrated.scale[None, :, None]).reshape(2, 12)
    turns = np.stack([np.cross(axis, positions).ravel() for axis in np.eye(3)])
    joint = np.concatenate([null_raw, null_equilibrated / np.linalg.norm(null_equilibrated, axis=1)[:, None], turns])
    assert np.linalg.svd(joint, compute_uv=False)[5] < 1e-10 * np.linalg.svd(joint, compute_uv=False)[0]


@pytest.mark.parametrize("equilibrated", [False, True])
def test_padding_changes_nothing(equilibrated):
    single = hydrogens(5, 4)
    plain = jaxfeat.singular_spectrum(POWER, single, equilibrated=equilibrated)
    # XLA rounds differently at another shape, by far less than the floor.
    padded = jaxfeat.singular_spectrum(POWER, single.padded(7), equilibrated=equilibrated)
    assert (padded.n_values, padded.n_rigid) == (plain.n_values, plain.n_rigid)
    assert padded.directions.shape == (9, 7, 3) and padded.scale.shape == (7,)
    np.testing.assert_allclose(padded.values, plain.values, atol=0.1 * float(plain.floor), rtol=0)
    np.testing.assert_allclose(padded.floor, plain.floor, rtol=1e-13)
    along = np.einsum("kni,kni->k", plain.directions, padded.directions[:, :4])
    np.testing.assert_allclose(np.abs(along), 1, rtol=1e-13)
    assert not np.any(padded.directions[:, 4:])
    # Padding and trimming again restores every bit.
    again = jaxfeat.singular_spectrum(POWER, single.padded(7).trimmed(), equilibrated=equilibrated)
    for one, other in zip(jax.tree.leaves(plain), jax.tree.leaves(again), strict=True):
        np.testing.assert_array_equal(one, other)
    traced = jax.jit(lambda env: jaxfeat.singular_spectrum(POWER, env, equilibrated=equilibrated))(single.padded(7))
    assert traced.n_values == 9 and traced.status == "ok"
    np.testing.assert_allclose(traced.values[:9], plain.values, atol=float(plain.floor), rtol=0)
    assert np.isnan(traced.values[9:]).all() and not np.any(traced.directions[9:])
    assert not np.any(traced.directions[:, 4:])


def test_null_directions_of_padded_environments_stay_on_their_atoms():
    tetrahedron = 0.63 * np.asarray([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1.0]])
    env = from_neighbors(tetrahedron, ["H"] * 4, "C").padded(6)
    spectrum = eqx.filter_jit(jaxfeat.singular_spectrum)(POWER, env)
    assert spectrum.n_null == 8
    directions = np.asarray(spectrum.directions[:9]).reshape(9, 18)
    np.testing.assert_allclose(directions @ directions.T, np.eye(9), atol=1e-13)
    assert not np.any(directions[:, 12:])


def test_batches_equal_their_members():
    members = [hydrogens(k, n) for k, n in enumerate((4, 6, 1, 0, 2, 4))]
    members[4] = from_neighbors([[0, 0, 1.1], [0, 0, -0.9]], ["H", "H"], "C")
    batch = Environment.stack(members)
    spectrum = jaxfeat.singular_spectrum(POWER, batch)
    mapped = jax.vmap(lambda env: jaxfeat.singular_spectrum(POWER, env))(batch)
    assert spectrum.values.shape == (6, 15)
    assert spectrum.status.names.tolist() == ["ok", "ok", "ok", "empty", "ok", "ok"]
    for k, env in enumerate(members):
        alone = jaxfeat.singular_spectrum(POWER, env)
        count = int(alone.n_values)
        assert count == spectrum.n_values[k] == mapped.n_values[k]
        assert spectrum.n_rigid[k] == alone.n_rigid
        if count:
            np.testing.assert_allclose(spectrum.values[k, :count], alone.values, rtol=0, atol=float(alone.floor))
            np.testing.assert_allclose(mapped.values[k, :count], alone.values, rtol=0, atol=float(alone.floor))
            np.testing.assert_allclose(spectrum.ratio[k], alone.ratio, atol=float(alone.floor))
        assert np.isnan(np.asarray(spectrum.values[k, count:])).all()


def test_the_floor_is_honest_down_to_it():
    """σ_min of an environment falls in proportion to its distance from a plane, down to the floor."""
    positions = neighbors(8, 4)
    heights = np.asarray([1.0, -0.6, 0.4, -0.8])
    smallest, floors = [], []
    for tilt in (1e-3, 1e-5, 1e-7, 1e-9, 1e-11, 1e-17):
        positions[:, 2] = tilt * heights
        spectrum = jaxfeat.singular_spectrum(POWER, from_neighbors(positions, ["H"] * 4, "C"))
        smallest.append(float(spectrum.values[-1]))
        floors.append(float(spectrum.floor))
    slopes = np.asarray(smallest[:5]) / np.asarray([1e-3, 1e-5, 1e-7, 1e-9, 1e-11])
    np.testing.assert_allclose(slopes[:4] / slopes[1], 1, rtol=1e-3)
    assert smallest[4] > floors[4] and abs(slopes[4] / slopes[1] - 1) < floors[4] / smallest[4]
    assert smallest[5] < floors[5]


def test_nearly_collinear_atoms_raise_the_floor():
    floors = []
    for offset in (1e-1, 1e-4, 1e-7):
        env = from_neighbors([[0, 0, 1.0], [0, offset, -1.4]], ["H", "H"], "C")
        spectrum = jaxfeat.singular_spectrum(POWER, env)
        assert spectrum.n_rigid == 3
        floors.append(float(spectrum.floor / spectrum.values[0]))
    assert floors[1] > 300 * floors[0] and floors[2] > 300 * floors[1]


def test_float32_knows_less_and_says_so():
    planar = neighbors(2, 4)
    planar[:, 2] = 0
    for positions, status in ((neighbors(2, 4), "ok"), (planar, "float32-floor")):
        env = from_neighbors(positions.astype(np.float32), ["H"] * 4, "C")
        spectrum = jaxfeat.singular_spectrum(POWER, env)
        assert spectrum.values.dtype == spectrum.floor.dtype == np.float32
        assert 1e-6 < spectrum.floor / spectrum.values[0] < 1e-3
        assert str(spectrum.status) == status
        double = jaxfeat.singular_spectrum(POWER, from_neighbors(positions, ["H"] * 4, "C"))
        np.testing.assert_allclose(spectrum.values, double.values, atol=float(spectrum.floor), rtol=0)
        assert double.status == "ok"


def test_what_goes_wrong_inside_jit_has_a_status():
    good = hydrogens(0, 4)
    nan = good.with_positions(good.positions.at[2, 1].set(jnp.nan))
    twice = good.with_positions(good.positions.at[2].set(good.positions[0]))
    central = good.with_positions(good.positions.at[2].set(0.0))
    far = good.with_positions(5 * good.positions)
    unknown = eqx.tree_at(lambda env: env.species, good, good.species.at[1].set(8))
    center = eqx.tree_at(lambda env: env.center_species, good, jnp.asarray(8, good.center_species.dtype))
    empty = eqx.tree_at(lambda env: env.mask, good, jnp.zeros(4, bool))
    batch = jax.tree.map(lambda *leaves: jnp.stack(leaves), good, nan, twice, central, far, unknown, center, empty)
    spectrum = eqx.filter_jit(lambda batch: jax.vmap(lambda env: jaxfeat.singular_spectrum(POWER, env))(batch))(batch)
    expected = ["ok", "non-finite", "coincident", "coincident", "no-signal", "unknown-species", "unknown-species"]
    assert spectrum.status.names.tolist() == [*expected, "empty"]
    alone = jaxfeat.singular_spectrum(POWER, good)
    np.testing.assert_allclose(spectrum.values[0], alone.values, atol=float(alone.floor), rtol=0)
