"""What must not change features: rotations, inversion, the order of like neighbors, padding, batching, jit and vmap."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ase import Atoms
from cases import (
    BATCH,
    R_CUT,
    REPRESENTATIVES,
    ROOM,
    as_float32,
    environment,
    environments,
    parametrized,
)
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

import jaxfeat

# One atom: its distance (past the cutoff, too), its direction, and which of the featurizer's species it is.
ATOMS = st.lists(
    st.tuples(st.floats(0.3, 1.1 * R_CUT), st.floats(-1, 1), st.floats(0, 2 * np.pi), st.integers(0, 1)),
    min_size=1,
    max_size=ROOM,
    unique_by=lambda atom: atom[0],
)


def _positions(atoms):
    r, z, angle, _ = np.array(atoms).T
    across = np.sqrt(1 - z**2)
    return r[:, None] * np.stack([across * np.cos(angle), across * np.sin(angle), z], -1)


def _parities(f):
    """-1 for features that change sign under inversion."""
    if f.nu < 3:
        return np.ones(f.n_features)
    return np.array([(-1) ** sum(label[2 : 3 * f.nu : 3]) for label in f.labels])


@parametrized()
def test_features_are_invariant(case):
    f = case.build()
    parities = _parities(f)
    assert (f.group == "SO3") == (parities < 0).any()

    template = environments(case.species)
    # One shape, hence one program, whatever is drawn.
    features = jax.jit(f)

    @settings(derandomize=True, max_examples=6, deadline=None, database=None, phases=[Phase.generate, Phase.shrink])
    @given(ATOMS, st.integers(0, 2**32 - 1))
    def check(atoms, seed):
        rng = np.random.default_rng(seed)
        x, n = _positions(atoms), len(atoms)
        species = np.array([f.species[atom[-1] % len(f.species)] for atom in atoms])
        rotations = [rotation.as_matrix() for rotation in Rotation.random(2, rng=rng)]
        shuffles = [rng.permutation(n), np.arange(n)[::-1]]
        rows = [(x, species), (-x, species), (x * [1, 1, -1], species)]
        rows += [(x @ rotation.T, species) for rotation in rotations]
        rows += [(x[order], species[order]) for order in shuffles]
        rows += [(-x[shuffles[0]] @ rotations[0].T, species[shuffles[0]])]
        inverted = np.array([False, True, True, False, False, False, False, True])[:, None]
        positions, numbers = np.zeros((BATCH, ROOM, 3)), np.zeros((BATCH, ROOM), np.int32)
        for k, (r, z) in enumerate(rows):
            positions[k, :n], numbers[k, :n] = r, z
        batch = dataclasses.replace(
            template,
            positions=jnp.asarray(positions),
            species=jnp.asarray(numbers),
            mask=jnp.asarray(np.broadcast_to(np.arange(ROOM) < n, (BATCH, ROOM))),
        )
        values = np.asarray(features(batch))
        assert np.isfinite(values).all()
        expected = np.where(inverted, parities, 1) * values[0]
        assert np.abs(values - expected).max() <= 1e-12 * np.abs(values).max()

    check()


@parametrized([case for case in REPRESENTATIVES if case.cls in ("PowerSpectrum", "Correlations")])
def test_features_do_tell_environments_apart(case):
    # The tests above would pass for a constant.
    values = np.asarray(case.build()(environments(case.species)))
    assert len(values) == BATCH
    distances = np.linalg.norm(values[:, None] - values[None], axis=-1) + np.eye(BATCH)
    assert distances.min() > 1e-3


def test_pseudoscalars_do_change_sign_where_there_is_handedness():
    case = next(case for case in REPRESENTATIVES if case.options.get("pseudoscalars"))
    f = case.build()
    chiral = np.asarray(f(environments(case.species)))[:, _parities(f) < 0]
    names = ["generic", "on the z axis", "in the window", "near the center", "planar", "tetrahedron"]
    sizes = dict(zip(names, np.abs(chiral).max(-1), strict=False))
    assert sizes["generic"] > 1e-3
    assert sizes["planar"] < 1e-12
    assert sizes["near the center"] < 1e-12


def test_moving_a_molecule_changes_nothing():
    f = jaxfeat.PowerSpectrum(("H", "C", "O"), R_CUT, n_max=2, l_max=2, sigma=0.5)
    atoms = Atoms("OHCHH", [[0.1, 0, 0.2], [0.7, 0.8, 0.1], [-0.9, 0.3, -0.8], [-1.5, -0.6, -1.1], [-0.2, 0.6, -1.7]])
    values = np.asarray(f(jaxfeat.environments(atoms, R_CUT)))
    atoms.translate([1.3, -7.1, 0.4])
    moved = np.asarray(f(jaxfeat.environments(atoms, R_CUT)))
    assert np.abs(moved - values).max() < 1e-13 * np.abs(values).max()


# --- the same numbers by any road ------------------------------------------------------------------------------------


@parametrized(REPRESENTATIVES)
def test_padding_changes_no_bit(case):
    f, batch = case.build(), environments(case.species)
    mask = np.asarray(batch.mask)[..., None]
    assert not mask.all()
    other = np.asarray(batch.species).max()
    littered = dataclasses.replace(
        batch,
        positions=jnp.asarray(np.where(mask, batch.positions, 0.5)),
        species=jnp.asarray(np.where(batch.mask, batch.species, other)),
    )
    assert np.array_equal(np.asarray(f(littered)), np.asarray(f(batch)))


@parametrized(REPRESENTATIVES[:1])
def test_more_room_batches_jit_and_vmap_give_the_same_values(case):
    # Of other shapes and inside other transformations the compiler makes other programs: a last digit may differ.
    f, batch = case.build(), environments(case.species)
    values, jacobian = np.asarray(f(batch)), np.asarray(jaxfeat.jacobian(f, batch))
    single, n = batch[0], int(batch.n_neighbors[0])
    roads = {
        "alone": f(single),
        "unpadded": f(environment("generic", case.species)),
        "jit": jax.jit(f)(single),
        "vmap": jax.vmap(f)(batch)[0],
        "two axes": f(jax.tree.map(lambda leaf: leaf.reshape(2, BATCH // 2, *leaf.shape[1:]), batch))[0, 0],
    }
    for name, found in roads.items():
        assert np.abs(np.asarray(found) - values[0]).max() < 4e-15 * np.abs(values[0]).max(), name
    roomy = np.asarray(jaxfeat.jacobian(f, single.padded(ROOM + 2)))
    assert np.abs(roomy[:, :n] - jacobian[0, :, :n]).max() < 4e-15 * np.abs(jacobian[0]).max()
    assert not roomy[:, n:].any()


@parametrized(REPRESENTATIVES)
def test_more_room_changes_no_more_than_last_digits(case):
    # At another shape XLA rounds differently. What is trimmed again is what it was, in every bit.
    f, env = case.build(), environment("generic", case.species)
    roomy, n = env.padded(ROOM + 3), env.max_neighbors
    values, jacobian = np.asarray(f(env)), np.asarray(jaxfeat.jacobian(f, env))
    assert np.abs(np.asarray(f(roomy)) - values).max() < 4e-15 * np.abs(values).max()
    wider = np.asarray(jaxfeat.jacobian(f, roomy))
    assert np.abs(wider[:, :n] - jacobian).max() < 4e-15 * np.abs(jacobian).max()
    assert wider.shape[1] == ROOM + 3 and not wider[:, n:].any()
    assert np.array_equal(f(roomy.trimmed()), values)


@parametrized(REPRESENTATIVES)
def test_float32_stays_float32(case):
    f, batch = case.build(), environments(case.species)
    single = f(as_float32(batch))
    assert single.dtype == jnp.float32
    double = np.asarray(f(batch))
    assert double.dtype == np.float64
    assert np.abs(np.asarray(single) - double).max() < 1e-4 * np.abs(double).max()


def test_jacobians_of_float32_are_float32():
    case = REPRESENTATIVES[1]
    f, batch = case.build(), environments(case.species)
    single, double = jaxfeat.jacobian(f, as_float32(batch)), np.asarray(jaxfeat.jacobian(f, batch))
    assert single.dtype == jnp.float32
    assert np.abs(np.asarray(single) - double).max() < 1e-3 * np.abs(double).max()


@pytest.mark.parametrize("center", [True, False, 0.5])
def test_an_empty_environment_has_the_features_of_its_center(center):
    f = jaxfeat.PowerSpectrum(("C", "H"), R_CUT, n_max=1, l_max=1, sigma=0.5, include_center=center)
    nobody = jaxfeat.Environment.from_neighbors(np.zeros((0, 3)), [], "C").padded(1)
    full = float(jaxfeat.PowerSpectrum(("C", "H"), R_CUT, 1, 1, 0.5, include_center=True)(nobody)[0])
    values = dict(zip(f.labels, np.asarray(f(nobody)).tolist(), strict=True))
    own = ("C", 0, "C", 0, 0)
    assert full > 0
    assert values.pop(own) == pytest.approx(float(center) ** 2 * full, rel=1e-14)
    assert not any(values.values())
