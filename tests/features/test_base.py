"""Contracts of every featurizer: invariance, equal numbers by any road, exact Jacobians, labels, shared programs."""

import dataclasses
from functools import partial
from itertools import product

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from cases import (
    BATCH,
    CASES,
    CUTOFFS,
    R_CUT,
    REPRESENTATIVES,
    ROOM,
    as_float32,
    environment,
    environments,
    moved,
    parametrized,
    parities,
    random_displacements,
)
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from references import richardson_derivative
from scipy.spatial.transform import Rotation

import jaxfeat
from jaxfeat import Environment
from jaxfeat.features.base import AbstractFeaturizer

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


@parametrized()
def test_features_are_invariant(case):
    f = case.build()
    signs = parities(f)
    assert (f.group == "SO3") == (signs < 0).any()

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
        expected = np.where(inverted, signs, 1) * values[0]
        assert np.abs(values - expected).max() <= 1e-12 * np.abs(values).max()

    check()


@parametrized([case for case in REPRESENTATIVES if case.cls in ("PowerSpectrum", "Correlations")])
def test_features_do_tell_environments_apart(case):
    # The tests above would pass for a constant.
    values = np.asarray(case.build()(environments(case.species)))
    assert len(values) == BATCH
    distances = np.linalg.norm(values[:, None] - values[None], axis=-1) + np.eye(BATCH)
    assert distances.min() > 1e-3


def test_moving_a_molecule_changes_nothing():
    f = jaxfeat.PowerSpectrum(("H", "C", "O"), R_CUT, n_max=2, l_max=2, sigma=0.5)
    atoms = Atoms("OHCHH", [[0.1, 0, 0.2], [0.7, 0.8, 0.1], [-0.9, 0.3, -0.8], [-1.5, -0.6, -1.1], [-0.2, 0.6, -1.7]])
    values = np.asarray(f(jaxfeat.environments(atoms, R_CUT)))
    atoms.translate([1.3, -7.1, 0.4])
    moved = np.asarray(f(jaxfeat.environments(atoms, R_CUT)))
    assert np.abs(moved - values).max() < 1e-13 * np.abs(values).max()


# --- the same numbers by any road ---


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
def test_batches_jit_and_vmap_give_the_same_values(case):
    # For other shapes and inside other transformations the compiler makes other programs: a last digit may differ.
    f, batch = case.build(), environments(case.species)
    values, single = np.asarray(f(batch)), batch[0]
    roads = {
        "alone": f(single),
        "unpadded": f(environment("generic", case.species)),
        "jit": jax.jit(f)(single),
        "vmap": jax.vmap(f)(batch)[0],
        "two axes": f(jax.tree.map(lambda leaf: leaf.reshape(2, BATCH // 2, *leaf.shape[1:]), batch))[0, 0],
    }
    for name, found in roads.items():
        assert np.abs(np.asarray(found) - values[0]).max() < 4e-15 * np.abs(values[0]).max(), name


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


# --- Jacobians ---


UNIT = np.array([0.36, -0.48, 0.8])


GENERIC = [
    case
    for case in CASES
    if case.basis == "gto" and not case.smooth and case.cls in ("RadialSpectrum", "PowerSpectrum")
]
"""Cases whose Jacobian is compared with the generic one; one basis is enough. Higher orders: test_correlations."""


@parametrized()
def test_jacobians_are_finite_differences_of_features(case):
    f, batch = case.build(), environments(case.species)
    jacobian = np.asarray(jaxfeat.jacobian(f, batch))
    assert jacobian.shape == (BATCH, f.n_features, *batch.positions.shape[1:])
    assert not np.moveaxis(jacobian, 1, -1)[~np.asarray(batch.mask)].any()
    scale = np.abs(jacobian).max((1, 2, 3))
    assert scale.min() > 1e-3
    values = lambda positions: f(moved(batch, positions))  # noqa: E731
    for seed in (0, 1):
        u = random_displacements(batch, seed)
        exact = richardson_derivative(values, batch.positions, u, step=0.04)
        error = np.abs(np.einsum("bfnx,bnx->bf", jacobian, u) - exact).max(-1) / scale
        assert error.max() < 1e-9
    if case in GENERIC:
        # Three tangents a neighbor, or as many through the whole featurizer as there are coordinates.
        generic = np.asarray(eqx.filter_jit(jax.vmap(partial(AbstractFeaturizer.jacobian, f)))(batch))
        assert (np.abs(jacobian - generic).max((1, 2, 3)) < 1e-13 * scale).all()
    if case.smooth:
        _neighbors_at_the_cutoff_have_no_columns_and_change_nothing(f, case)


def _neighbors_at_the_cutoff_have_no_columns_and_change_nothing(f, case):
    inside = environment("planar", case.species)
    outside = jaxfeat.Environment.from_neighbors(
        np.vstack([inside.positions, R_CUT * UNIT]), [*inside.species.tolist(), case.species[-1]], case.species[0]
    )
    pair = jaxfeat.Environment.stack([inside, outside, *[inside] * (BATCH - 2)])
    values, jacobian = np.asarray(f(pair)), np.asarray(jaxfeat.jacobian(f, pair))
    assert not jacobian[1, :, -1].any()
    assert np.abs(values[1] - values[0]).max() < 1e-14 * np.abs(values).max()
    assert np.abs(jacobian[1] - jacobian[0]).max() < 1e-14 * np.abs(jacobian).max()


def test_a_large_batch_has_the_jacobians_of_its_parts():
    f = jaxfeat.PowerSpectrum(("H",), r_cut=5.0, n_max=8, l_max=6)
    # 19 MB, in portions that do not come out even; along two axes, and no environment at all.
    batch = jaxfeat.manifolds.random_environments(jax.random.key(0), 258, ["H"] * 12, (1.0, 4.5), 0.0, None)
    whole = np.asarray(jaxfeat.jacobian(f, batch))
    parts = np.concatenate([jaxfeat.jacobian(f, batch[k : k + 43]) for k in range(0, 258, 43)])
    folded = jax.tree.map(lambda x: x.reshape(6, 43, *x.shape[1:]), batch)
    for found in (whole, np.asarray(jaxfeat.jacobian(f, folded)).reshape(whole.shape)):
        np.testing.assert_allclose(found, parts, rtol=0, atol=1e-13 * np.abs(parts).max())
    assert jaxfeat.jacobian(f, batch[:0]).shape == (0, *whole.shape[1:])


# --- labels ---


@parametrized()
def test_there_is_one_label_for_each_feature_without_tracing(case, monkeypatch):
    f = case.build()

    def traced(*_):
        raise AssertionError("labels need no features")

    with monkeypatch.context() as patch:
        patch.setattr(type(f), "features", traced)
        patch.setattr(type(f), "contract", traced)
        labels, n_features = f.labels, f.n_features
    assert isinstance(labels, tuple)
    assert all(isinstance(label, tuple) for label in labels)
    assert len(set(labels)) == len(labels) == n_features
    assert {x for label in labels for x in label if isinstance(x, str)} == set(case.species)
    out = jax.eval_shape(type(f).features, f, environment("generic", case.species))
    assert out.shape == (n_features,)


def test_the_cases_cover_what_they_promise():
    assert len({case.id for case in CASES}) == len(CASES)
    bases = ("gto", "gto-rascal", "laplacian", "delta")
    assert {(case.basis, case.cutoff) for case in CASES} == set(product(bases, CUTOFFS))
    for cls in ("RadialSpectrum", "PowerSpectrum", "Bispectrum", "Correlations"):
        assert len({case.basis for case in CASES if case.cls == cls}) > 1
    assert len({case.cls for case in REPRESENTATIVES}) == len({case.basis for case in REPRESENTATIVES}) == 4


# --- one padded size, one program ---


def counted():
    """Make a featurizer, and the list of sizes at which it was traced."""
    sizes = []

    def squares(positions, species, mask):
        sizes.append(len(positions))
        return jnp.where(mask, jnp.sum(positions**2, 1), 0)

    return jaxfeat.function(squares), sizes


WORK = {
    "features": lambda f, env: f(env),
    "jacobian": jaxfeat.jacobian,
    "spectrum": lambda f, env: jaxfeat.singular_spectrum(f, env),
    "null space": jaxfeat.null_space,
}


@pytest.mark.parametrize("name", WORK)
def test_environments_padded_to_one_size_share_one_program(name):
    f, sizes = counted()
    rng = np.random.default_rng(0)
    few, more = (Environment.from_neighbors(rng.normal(size=(n, 3)), ["H"] * n, "C").padded(6) for n in (3, 5))
    WORK[name](f, few)
    assert set(sizes) == {6}
    sizes.clear()
    WORK[name](f, more)
    # And whatever the radius.
    WORK[name](f, eqx.tree_at(lambda env: env.r_cut, few, np.asarray(3.25)))
    assert not sizes


def test_members_of_a_batch_share_one_program():
    f, sizes = counted()
    batch = jaxfeat.environments([molecule("H2O"), molecule("CH4")], 3.0)
    structures = jaxfeat.structures([molecule("H2O"), molecule("CH4")], 3.0)
    f(batch[0]), jaxfeat.stacked(f)(structures[0])
    assert set(sizes) == {4}
    sizes.clear()
    f(batch[5]), jaxfeat.stacked(f)(structures[1])
    assert not sizes
