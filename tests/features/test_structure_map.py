"""Features and Jacobians of molecules and crystals."""

import jax.numpy as jnp
import numpy as np
from ase import Atoms
from cases import CUTOFFS, R_CUT
from references import richardson_derivative

import jaxfeat

MOLECULE = Atoms("OHCHH", [[0.1, 0.0, 0.2], [0.7, 0.8, 0.1], [-0.9, 0.3, -0.8], [-1.5, -0.6, -1.1], [-0.2, 0.6, -1.7]])


CRYSTAL = Atoms(
    "CO", [[0.1, 0.2, 0.0], [1.0, 0.9, 1.2]], cell=[[2.1, 0.1, 0.0], [0.0, 2.3, 0.2], [0.3, 0.0, 2.6]], pbc=True
)


F = jaxfeat.PowerSpectrum(("H", "C", "O"), R_CUT, n_max=2, l_max=2, sigma=0.5, cutoff=CUTOFFS["smooth"])


LISTED = R_CUT + 0.1
"""Radius of the neighbor lists, Å: a little above r_cut, so that they hold for small displacements."""


def _assert_structure_jacobian_right(f, structure, jacobian):
    """Compare with finite differences by displacements of all atoms, centers included."""
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
