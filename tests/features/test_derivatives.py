"""Jacobians against finite differences, other packages and each other; higher derivatives where they could fail."""

from functools import partial
from math import sqrt

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import peers
import pytest
from ase import Atoms
from ase.data import atomic_numbers
from cases import (
    BATCH,
    CASES,
    CUTOFFS,
    R_CUT,
    environment,
    environments,
    moved,
    parametrized,
    random_displacements,
)
from references import random_cluster, richardson_derivative

import jaxfeat
from jaxfeat.basis.cutoff import NoCutoff, ShiftedCosine, Willatt2018
from jaxfeat.features.base import AbstractFeaturizer

UNIT = np.array([0.36, -0.48, 0.8])

GENERIC = [case for case in CASES if case.basis == "gto" and not case.smooth]
"""Where the two ways to a Jacobian are compared: the way does not depend on the basis."""


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


def test_a_function_takes_the_generic_way():
    def distances(positions, species, mask):
        s = jnp.sum(positions**2, -1)
        return jnp.stack([jnp.sum(jnp.where(mask, s, 0)), jnp.sum(jnp.where(mask & (species == 1), s**2, 0))])

    env = environment("generic", ("C", "H"))
    jacobian = np.asarray(jaxfeat.jacobian(jaxfeat.function(distances, labels=2), env))
    r = np.asarray(env.positions)
    fourth = 4 * np.sum(r**2, -1, keepdims=True) * r * (np.asarray(env.species) == 1)[:, None]
    assert np.abs(jacobian - [2 * r, fourth]).max() < 1e-13


# --- other packages --------------------------------------------------------------------------------------------------


def _pair(label):
    a, n, b, k, l = label
    return (*sorted([(atomic_numbers[a], n), (atomic_numbers[b], k)]), l)


def _from_peer(f, gradients, labels, amplitude):
    """A peer's gradients in the order and normalization of the featurizer's."""
    found = {_pair(label): gradient for label, gradient in zip(labels, gradients, strict=True)}
    weights = np.array([1 if label[:2] == label[2:4] else sqrt(2) for label in f.labels])
    values = np.array([found.get(_pair(label), np.zeros_like(gradients[0])) for label in f.labels])
    return amplitude**2 * weights[:, None, None] * values


def _clusters(species):
    for seed in range(3):
        positions, kinds = random_cluster(np.random.default_rng(seed), 6, len(species), 0.8, R_CUT - 0.1, 0.7)
        symbols = [species[k] for k in kinds]
        yield positions, symbols, jaxfeat.Environment.from_neighbors(positions, symbols, species[0])


def test_jacobians_are_dscribes():
    pytest.importorskip("dscribe")
    f = jaxfeat.PowerSpectrum("C H O".split(), R_CUT, n_max=4, l_max=3, sigma=0.5, cutoff=NoCutoff())
    for positions, symbols, env in _clusters("CHO"):
        gradients, labels = peers.dscribe_derivatives(positions, symbols, "C", "CHO", R_CUT, 4, 3, 0.5)
        expected = _from_peer(f, gradients, labels, (8 * np.pi**2) ** 0.25)
        error = np.abs(np.asarray(jaxfeat.jacobian(f, env)) - expected).max() / np.abs(expected).max()
        assert error < 1e-7


def test_jacobians_are_featomics():
    pytest.importorskip("featomic")
    f = jaxfeat.PowerSpectrum(
        ("C", "H"),
        R_CUT,
        n_max=4,
        l_max=3,
        sigma=0.4,
        radial="gto-rascal",
        cutoff=ShiftedCosine(1.2),
        radial_scaling=Willatt2018(2.0, 1.5, 3.0),
        include_center=0.5,
    )
    options = {"width": 1.2, "radial_scaling": (2.0, 1.5, 3), "center_weight": 0.5}
    for positions, symbols, env in _clusters("CH"):
        _, gradients, labels = peers.featomic_power_spectrum(positions, symbols, "C", R_CUT, 4, 3, 0.4, **options)
        expected = _from_peer(f, gradients, labels, (np.pi * 0.4**2) ** -0.75)
        error = np.abs(np.asarray(jaxfeat.jacobian(f, env)) - expected).max() / np.abs(expected).max()
        assert error < 1e-7


# --- where derivatives could fail ------------------------------------------------------------------------------------

PLACES = {
    "up the z axis": [0, 0, 1.1],
    "down the z axis": [0, 0, -0.7],
    "at the origin": [0, 0, 0],
    "next to the origin": [1e-8, -2e-9, 3e-8],
    "near the origin": [0.02, 0.01, -0.03],
    "in the window": 2.6 * UNIT,
    "at r_cut": R_CUT * UNIT,
    "behind r_cut": 1.05 * R_CUT * UNIT,
}


def _three_derivatives(function, x, u):
    """Of function(x + t u) at t = 0, for rows of x and u."""

    def orders(x, u):
        line = lambda t: function(x + t * u)  # noqa: E731
        first = jax.jacfwd(line)
        second = jax.jacfwd(first)
        zero = jnp.zeros(())
        return first(zero), second(zero), jax.jacfwd(second)(zero)

    return [np.asarray(d) for d in jax.jit(jax.vmap(orders))(jnp.asarray(x), jnp.asarray(u))]


def _assert_right(function, tolerances):
    u = np.random.default_rng(5).normal(size=(len(PLACES), 3))
    u /= np.linalg.norm(u, axis=-1, keepdims=True)
    x = np.array(list(PLACES.values()), float)
    beyond = np.array([name in ("at r_cut", "behind r_cut") for name in PLACES])
    inside = ~beyond
    values = jax.jit(jax.vmap(function))
    everywhere = lambda y: values(jnp.asarray(y))  # noqa: E731
    for order, found in enumerate(_three_derivatives(function, x, u), start=1):
        assert np.isfinite(found).all()
        # Higher orders take longer steps against rounding; none so long that a point leaves its piece of the window.
        step = (0.05, 0.2, 0.3)[order - 1]
        exact = richardson_derivative(everywhere, x, u, order, step=step)[inside]
        scale = np.abs(exact).max()
        assert np.abs(found[inside] - exact).max() < tolerances[order - 1] * scale
        assert np.abs(found[beyond]).max() < 1e-12 * scale


@pytest.mark.parametrize("radial, sigma", [("laplacian", 0.5), ("laplacian", 0.0)])
def test_three_derivatives_of_the_density_are_finite_and_right_anywhere(radial, sigma):
    f = jaxfeat.RadialSpectrum(("H",), R_CUT, 2, 3, sigma, radial, CUTOFFS["smooth"])
    species, mask = jnp.asarray(1, jnp.int32), jnp.asarray(True)
    _assert_right(lambda position: f.neighbor_density(position, species, mask), (1e-9, 1e-8, 1e-6))


def test_three_derivatives_of_features_are_finite_and_right_anywhere():
    f = jaxfeat.PowerSpectrum(("C", "H"), R_CUT, 2, 2, 0.5, "gto", CUTOFFS["smooth"])
    base = environment("generic", ("C", "H"))
    place = lambda position: base.with_positions(base.positions.at[1].set(position))  # noqa: E731
    _assert_right(lambda position: f.features(place(position)), (1e-9, 1e-8, 1e-6))


def test_a_cosine_window_has_no_second_derivative_at_the_cutoff():
    # What the default window is for: with this one, curvature jumps as a neighbor leaves.
    f = jaxfeat.PowerSpectrum(("C", "H"), R_CUT, 2, 2, 0.5, "gto", CUTOFFS["cosine"])
    base = environment("generic", ("C", "H"))
    line = lambda r: f.features(base.with_positions(base.positions.at[0].set(r * jnp.asarray(UNIT))))  # noqa: E731
    curvature = jax.jit(jax.jacfwd(jax.jacfwd(line)))
    inside, outside = (np.abs(curvature(jnp.asarray(R_CUT + d))).max() for d in (-1e-6, 1e-6))
    assert outside == 0
    assert inside > 1e-4


# --- structures ------------------------------------------------------------------------------------------------------

MOLECULE = Atoms("OHCHH", [[0.1, 0.0, 0.2], [0.7, 0.8, 0.1], [-0.9, 0.3, -0.8], [-1.5, -0.6, -1.1], [-0.2, 0.6, -1.7]])
CRYSTAL = Atoms(
    "CO", [[0.1, 0.2, 0.0], [1.0, 0.9, 1.2]], cell=[[2.1, 0.1, 0.0], [0.0, 2.3, 0.2], [0.3, 0.0, 2.6]], pbc=True
)


F = jaxfeat.PowerSpectrum(("H", "C", "O"), R_CUT, n_max=2, l_max=2, sigma=0.5, cutoff=CUTOFFS["smooth"])
LISTED = R_CUT + 0.1
"""Lists of neighbors a little longer than r_cut hold for small displacements: the window makes them harmless."""


def _assert_structure_jacobian_right(f, structure, jacobian):
    """Against finite differences: of all atoms, the center's own included."""
    u = np.random.default_rng(0).normal(size=structure.positions.shape) * np.asarray(structure.mask)[..., None]
    u /= np.linalg.norm(u, axis=(-2, -1), keepdims=True)
    values = lambda positions: f(structure.with_positions(jnp.asarray(positions)))  # noqa: E731
    exact = richardson_derivative(values, structure.positions, u, step=0.03)
    error = np.abs(np.einsum("...fnx,...nx->...f", jacobian, u) - exact).max()
    assert error < 1e-9 * np.abs(jacobian).max()


def test_stacked_molecules():
    f, molecules = jaxfeat.stacked(F), [MOLECULE, MOLECULE[:3]]
    batch = jaxfeat.structures(molecules, LISTED)
    values, jacobian = np.asarray(f(batch)), np.asarray(jaxfeat.jacobian(f, batch))
    assert values.shape == (2, 5 * F.n_features)
    assert jacobian.shape == (2, 5 * F.n_features, 5, 3)
    rows = np.asarray(F(jaxfeat.environments(molecules, R_CUT))).reshape(-1)
    scale = np.abs(jacobian).max()
    assert np.abs(values.reshape(-1)[: len(rows)] - rows).max() < 1e-13 * np.abs(rows).max()
    assert not values.reshape(-1)[len(rows) :].any()
    _assert_structure_jacobian_right(f, batch, jacobian)
    assert not jacobian[1, 3 * F.n_features :].any()
    assert not jacobian[1, :, 3:].any()
    # Translations and rotations change nothing.
    assert np.abs(jacobian.sum(2)).max() < 1e-13 * scale
    for axis in np.eye(3):
        turn = np.cross(axis, np.asarray(batch.positions)) * np.asarray(batch.mask)[..., None]
        assert np.abs(np.einsum("bfnx,bnx->bf", jacobian, turn)).max() < 1e-12 * scale


def test_summed_crystals():
    # Atoms are neighbors of their own images, and images of one atom add up.
    crystals = [CRYSTAL, CRYSTAL[1:]]
    f, batch = jaxfeat.summed(F), jaxfeat.structures(crystals, LISTED)
    values, jacobian = np.asarray(f(batch)), np.asarray(jaxfeat.jacobian(f, batch))
    environments = jaxfeat.environments(CRYSTAL, R_CUT)
    assert environments.max_neighbors > 10
    rows = np.asarray(F(environments))
    by_species = np.array([rows[CRYSTAL.numbers == z].sum(0) for z in (1, 6, 8)])
    assert np.abs(values[0] - by_species.reshape(-1)).max() < 1e-13 * np.abs(by_species).max()
    assert jacobian.shape == (2, 3 * F.n_features, 2, 3)
    _assert_structure_jacobian_right(f, batch, jacobian)
    assert np.abs(jacobian.sum(2)).max() < 1e-13 * np.abs(jacobian).max()
    assert not jacobian[1, :, 1].any()


def test_summed_molecules_add_centers_of_a_species():
    rows = np.random.default_rng(0).normal(size=(5, 4, 2))
    structure = jaxfeat.structures(MOLECULE, LISTED)
    found = np.asarray(jaxfeat.summed(F).collect(jnp.asarray(rows), structure)).reshape(3, 4, 2)
    expected = np.array([rows[MOLECULE.numbers == z].sum(0) for z in (1, 6, 8)])
    assert np.abs(found - expected).max() < 1e-14
