"""The public function: screening, batches, and the way from the call to the first array operation."""

import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule

import jaxfeat
from jaxfeat import Environment
from jaxfeat.geometry.random import random_environments
from jaxfeat.nulls.scan import scan

F = jaxfeat.PowerSpectrum(("H", "C"), n_max=2, l_max=3, sigma=0.3, r_cut=3.0)


def squeezed(height):
    """Make a carbon with four neighbors, one of which is `height` (Å) out of its plane."""
    positions = [[1.0, 0.2, 0], [-0.7, 0.9, 0], [-0.2, -1.1, 0], [0.8, -0.9, height]]
    return Environment.from_neighbors(positions, ["H"] * 4, center_species="C")


@pytest.fixture(scope="module")
def batch():
    heights = [squeezed(h) for h in (1e-1, 1e-2, 1e-4, 1e-6, 1e-8, 1e-12, 0.0)]
    random = random_environments(jax.random.key(0), 6, ["H"] * 4, (0.8, 1.6), 0.6, "C")
    return jax.tree.map(lambda *x: np.concatenate([x[0], np.stack(x[1:])]), random, *heights)


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("equilibrated", [pytest.param(False, marks=pytest.mark.as_shipped), True])
def test_no_value_is_worse_than_its_floor(batch, equilibrated):
    certified = jaxfeat.singular_spectrum(F, batch, equilibrated, directions=False)
    screened = jaxfeat.singular_spectrum(F, batch, equilibrated, screened=True)
    error = np.abs(np.asarray(screened.values) - np.asarray(certified.values)).max(-1)
    assert (error <= np.asarray(screened.floor)).all()
    assert np.asarray(certified.certified).all()
    known = np.asarray(screened.certified)
    # Items from JᵀJ have no value below their floor, and all others have the floor of QR.
    assert 0 < known.sum() < len(known)
    assert (np.asarray(screened.values).min(-1) > np.asarray(screened.floor))[~known].all()
    np.testing.assert_allclose(np.asarray(screened.floor)[known], np.asarray(certified.floor)[known], rtol=1e-12)
    np.testing.assert_array_equal(screened.n_null, certified.n_null)
    assert screened.directions.shape[1] == 0


def test_inside_jit_nothing_is_certified_and_floors_say_so(batch):
    screened = jax.jit(jax.vmap(lambda env: jaxfeat.singular_spectrum(F, env, screened=True)))(batch)
    certified = jaxfeat.singular_spectrum(F, batch, directions=False)
    assert not np.asarray(screened.certified).any()
    n = screened.values.shape[-1]
    error = np.abs(np.asarray(screened.values) - np.asarray(certified.values)[:, :n]).max(-1)
    assert (error <= np.asarray(screened.floor)).all() and (np.asarray(screened.n_null)[-1:] > 0).all()


@pytest.mark.usefixtures("compiled")
def test_structures_are_screened_center_by_center():
    molecules = [molecule(name) for name in ("CH3OH", "CH3CH2OH")]
    structures = jaxfeat.structures(molecules, 3.0)
    f = jaxfeat.stacked(jaxfeat.PowerSpectrum(("H", "C", "O"), n_max=2, l_max=3, r_cut=3.0))
    certified = jaxfeat.singular_spectrum(f, structures, directions=False)
    screened = jaxfeat.singular_spectrum(f, structures, screened=True)
    assert not np.asarray(screened.certified).any()
    jacobian = np.asarray(jaxfeat.jacobian(f, structures))
    for k, atoms in enumerate(molecules):
        n = 3 * len(atoms) - 6
        values, others = (np.asarray(spectrum.values)[k, :n] for spectrum in (certified, screened))
        assert np.abs(others - values).max() <= screened.floor[k]
        exact = np.linalg.svd(jacobian[k].reshape(len(jacobian[k]), -1), compute_uv=False)[:n]
        np.testing.assert_allclose(values, exact, rtol=0, atol=1e-13)
        assert certified.n_values[k] == screened.n_values[k] == n


def test_an_atom_alone_is_no_error():
    f = jaxfeat.stacked(F)
    for screened in (False, True):
        spectrum = jaxfeat.singular_spectrum(f, jaxfeat.structures(Atoms("H"), 3.0), screened=screened)
        assert np.asarray(spectrum.status.names).ravel().tolist() == ["empty"] and spectrum.values.shape[-1] == 0


@pytest.mark.usefixtures("compiled")
def test_scans_certify_what_is_doubtful_and_find_the_same_causes(batch):
    records, screened = scan(F, batch), scan(F, batch, screened=True)
    assert [r["null"] for r in screened] == [r["null"] for r in records]
    assert [r["status"] for r in screened] == [r["status"] for r in records]
    assert {r["certified"] for r in screened} == {True, False} and "certified" not in records[0]
    for one, other in zip(screened, records, strict=True):
        assert np.abs(np.subtract(one["sigma"], other["sigma"])).max() <= one["floor"]
        assert one["certified"] == (one["floor"] < 1.001 * other["floor"])


def test_directions_of_a_screened_spectrum_are_refused():
    assert jaxfeat.singular_spectrum(F, squeezed(0.1), screened=True).directions.shape[0] == 0
    with pytest.raises(ValueError, match="a screened spectrum has values alone; leave out screened or directions"):
        jaxfeat.singular_spectrum(F, squeezed(0.1), directions=True, screened=True)


JAX_ARRAYS = [Path(jax.__file__).parent / "_src" / part for part in ("numpy", "lax")]


def functions_on_the_way(call, *folders):
    """List our functions on the stack when a call first runs a function of some folders, by default of JAX's arrays."""
    ours = str(Path(jaxfeat.__file__).parent)
    arrays = tuple(map(str, folders or JAX_ARRAYS))
    found = []

    def profile(frame, event, _):
        if event == "call" and not found and frame.f_code.co_filename.startswith(arrays):
            while frame is not None:
                if frame.f_code.co_filename.startswith(ours):
                    found.append(f"{Path(frame.f_code.co_filename).stem}.{frame.f_code.co_name}")
                frame = frame.f_back

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        call()
    finally:
        sys.setprofile(before)
    return found[::-1]


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("batched", [False, True])
@pytest.mark.parametrize("how", [{}, {"directions": False}, {"screened": True}], ids=str)
@pytest.mark.parametrize("n", [4, 7], ids=["by rows", "by JᵀJ"])
def test_at_most_eight_functions_before_the_first_array_operation(n, how, batched):
    # Sizes of this test alone, because only a call that compiles goes this way.
    f = jaxfeat.PowerSpectrum(("C", "H"), n_max=1, l_max=1, r_cut=2.9)
    positions = np.random.default_rng(0).normal(size=(n, 3))
    at = Environment.from_neighbors(positions, ["H"] * n, "C")
    if batched:
        at = Environment.stack([at] * 11)
    way = functions_on_the_way(lambda: jaxfeat.singular_spectrum(f, at, **how))
    assert way[0] == "driver.singular_spectrum", way
    assert len(way) - 1 <= 8, way


def test_at_most_eight_functions_before_the_first_decomposition_in_numpy():
    env = squeezed(0.3)
    way = functions_on_the_way(lambda: jaxfeat.singular_spectrum(F, env), Path(np.__file__).parent / "linalg")
    assert way[0] == "driver.singular_spectrum" and "host.reduce_on_host" in way, way
    assert len(way) - 1 <= 8, way
