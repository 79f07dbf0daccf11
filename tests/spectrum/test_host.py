"""Spectra in NumPy are those of the compiled programs, with the same floors and statuses."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from cases import POSITIONS, R_CUT, environment, environments

import jaxfeat
from jaxfeat import Environment
from jaxfeat.features.host_work import HOST_SECONDS
from jaxfeat.geometry.structure import species_present
from jaxfeat.spectrum import plan
from jaxfeat.spectrum.host import spectra_on_host

F = jaxfeat.PowerSpectrum(("C", "H"), R_CUT, n_max=3, l_max=2, sigma=0.5)


BISPECTRUM = jaxfeat.Bispectrum(("C", "H"), R_CUT, n_max=1, l_max=2, sigma=0.5)


def summed_gaussians(positions, species, mask):
    """Smooth functions of distances and of dot products of two neighbors, for any room."""
    products = positions @ positions.T
    squares = jnp.diagonal(products)
    weights = jnp.where(mask & (squares < 36), jnp.exp(-squares / 4), 0.0) * (1 + species).astype(positions.dtype)
    pairs = jnp.exp(-((products[..., None] - jnp.linspace(-2.0, 4.0, 12)[None, None]) ** 2))
    return jnp.concatenate([jnp.einsum("i,j,ijk->k", weights, weights, pairs), weights.sum()[None]])


FUNCTION = jaxfeat.function(summed_gaussians, nu=2)


def faulty():
    """Stack an environment of each status that a spectrum in float64 can have."""
    good = environment("generic", ("C", "H"))
    positions = np.asarray(good.positions)
    found = [good, Environment.from_neighbors(np.zeros((0, 3)), []).padded(5)]
    found.append(good.with_positions(np.where(np.arange(5)[:, None] == 1, np.nan, positions)))
    found.append(good.with_positions(positions[[0, 0, 2, 3, 4]]))
    found.append(Environment.from_neighbors(positions, ["C", "O", "H", "H", "C"], "C"))
    found.append(Environment.from_neighbors(positions + 40 * positions, ["H"] * 5))
    batch = jax.tree.map(np.array, Environment.stack([*found, good, good]))
    batch.r_cut[-2:] = R_CUT / 2, 0
    return batch


STATUSES = ["ok", "empty", "non-finite", "coincident", "unknown-species", "no-signal", "wrong-radius", "unsearchable"]


@pytest.fixture(scope="module")
def batch():
    named = jax.tree.map(np.asarray, environments(("C", "H")))
    return jax.tree.map(lambda *x: np.concatenate(x), named, faulty())


@pytest.mark.parametrize("equilibrated", [False, True])
@pytest.mark.parametrize("F", [F, BISPECTRUM, FUNCTION], ids=["NumPy alone", "rows by a program", "function"])
def test_spectra_in_numpy_are_those_of_the_compiled_program(batch, F, equilibrated):
    f = F.prepared()
    (found,) = spectra_on_host(f, batch, species_present(f.species, batch), (equilibrated,), directions=True)
    compiled = jax.vmap(lambda env: jaxfeat.singular_spectrum(F, env, equilibrated))
    expected = jax.tree.map(np.asarray, jax.jit(compiled)(batch))
    assert found.status.names.tolist() == expected.status.names.tolist()
    if F.species is not None:
        assert found.status.names[len(POSITIONS) :].tolist() == STATUSES
    known = expected.status.names == "ok"
    np.testing.assert_array_equal(found.n_values[known], expected.n_values[known])
    np.testing.assert_array_equal(found.n_rigid[known], expected.n_rigid[known])
    assert (found.floor[known] <= expected.floor[known] * (1 + 1e-12)).all()
    k = expected.values.shape[1]
    error = np.abs(found.values[:, :k] - expected.values)[known]
    assert np.nanmax(error / expected.floor[known][:, None]) < 0.1
    moved = found.directions / found.scale[:, None, :, None]
    changes = np.einsum("bdnx,bknx->bkd", np.asarray(jaxfeat.jacobian(F, batch[known])), moved[known])
    lengths = np.linalg.norm(changes, axis=-1)
    assert np.nanmax(np.abs(lengths - found.values[known]) / found.floor[known][:, None]) < 1


MOLECULES = [molecule("CH3OH"), molecule("CO2"), molecule("CH4"), Atoms("H")]
CRYSTALS = [bulk("C", "diamond", 3.5), Atoms("CH", [[0, 0, 0], [0.4, 0.9, 1.1]], cell=[2.2, 2.4, 2.6], pbc=True)]


@pytest.mark.parametrize("equilibrated", [False, True])
@pytest.mark.parametrize("make", [jaxfeat.stacked, jaxfeat.summed])
@pytest.mark.parametrize("atoms", [MOLECULES, CRYSTALS], ids=["molecules", "crystals"])
def test_spectra_of_structures_in_numpy_are_those_of_the_compiled_program(atoms, make, equilibrated):
    f = make(jaxfeat.PowerSpectrum(("C", "H", "O"), R_CUT, n_max=3, l_max=2, sigma=0.5))
    batch = jaxfeat.structures(atoms, R_CUT)
    second = np.arange(batch.positions.shape[1])[:, None] == 1
    broken = batch[0].with_positions(np.where(second, np.nan, batch[0].positions))
    for structures in (batch, broken):
        found = jaxfeat.singular_spectrum(f, structures, equilibrated)
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(HOST_SECONDS, "call", 0.0)
            expected = jaxfeat.singular_spectrum(f, structures, equilibrated)
        np.testing.assert_array_equal(np.isnan(found.values), np.isnan(expected.values))
        for name in ("n_values", "n_rigid", "n_null"):
            np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
        np.testing.assert_array_equal(found.status.names, expected.status.names)
        # The compiled floor counts features of absent species, too.
        assert (np.nan_to_num(found.floor) <= np.nan_to_num(expected.floor) * (1 + 1e-12)).all()
        error = np.abs(np.asarray(found.values) - expected.values) / np.asarray(expected.floor)[..., None]
        assert not np.nan_to_num(error).max(initial=0) > 0.1
        moved = np.asarray(found.directions) / np.asarray(found.scale)[..., None, :, None]
        changes = np.einsum("...dnx,...knx->...kd", jaxfeat.jacobian(f, structures), moved)
        lengths = np.linalg.norm(changes, axis=-1)
        off = np.abs(lengths - np.asarray(found.values)) / np.asarray(found.floor)[..., None]
        assert not np.nan_to_num(off).max(initial=0) > 1


def test_small_work_compiles_nothing(batch):
    f = jaxfeat.PowerSpectrum(("C", "H"), R_CUT, n_max=2, l_max=5, sigma=0.4)
    with jax.log_compiles(True), pytest.MonkeyPatch.context() as patch:
        patch.setattr("jaxfeat.spectrum.driver.compute_spectra", None)
        spectrum = jaxfeat.singular_spectrum(f, batch[:8])
    assert isinstance(spectrum.values, jax.Array) and (spectrum.status.names == "ok").all()


def test_the_work_decides_between_numpy_and_a_compiled_program(batch):
    few, many = plan.runs_on_host(F, batch, 5, 10, "call"), plan.runs_on_host(F, batch, 5, 1000, "call")
    assert few and not many
    assert plan.runs_on_host(F, batch, 5, 1000, "job") and not plan.runs_on_host(F, batch, 5, 100_000, "job")
    assert plan.runs_on_host(F, batch, 64, 100_000, "chunk")
    assert plan.runs_on_host(BISPECTRUM, batch, 5, 10, "call")
    assert not plan.runs_on_host(BISPECTRUM, batch, 64, 100_000, "chunk")
    assert not plan.runs_on_host(F, batch.with_positions(batch.positions.astype(np.float32)), 5, 1, "call")
