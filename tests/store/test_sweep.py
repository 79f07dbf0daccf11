"""Sweeps of batches and manifolds: labelled spectra, zeros that do not depend on the grid, and refusals."""

import jax.numpy as jnp
import numpy as np
import pytest
from ase.build import molecule
from stores import METHANES, F

import jaxfeat
from jaxfeat import PowerSpectrum, frames, manifolds, sweep
from jaxfeat.errors import GeometryError, ReadError

ENVIRONMENT = jaxfeat.Environment.from_neighbors(np.eye(3), ["H"] * 3, "C")
BATCH = jaxfeat.Environment.stack([ENVIRONMENT])
RADII = jaxfeat.function(lambda positions, species, mask: jnp.sum(positions**2, -1))
"""Depends on distances alone."""

PLANAR = manifolds.planar(2)


def test_batches_are_swept_in_their_order():
    radii = np.asarray([1.0, 1.3, 1.1])
    environments = [PLANAR(r, 1.5, 2.0, 0.0) for r in radii]
    ds = sweep(RADII, jaxfeat.Environment.stack(environments))
    assert ds["sigma"].dims == ("environment", "value")
    np.testing.assert_allclose(ds["sigma"].values[:, 0], 3.0, rtol=1e-14)
    np.testing.assert_allclose(ds["sigma"].values[:, 1], 2 * radii, rtol=1e-14)


ATOMS = molecule("H2O")


@pytest.mark.parametrize(
    "wrong, message",
    [
        (ATOMS, "not over Atoms; make them with jaxfeat.environments"),
        ([ATOMS], "not over Atoms; make them with jaxfeat.environments"),
        (jaxfeat.structures(ATOMS, F), r"not over structures; structure.environments\(\) has them"),
        (ENVIRONMENT, "this is one environment; Environment.stack makes a batch"),
        ([ENVIRONMENT], "this is one environment; Environment.stack makes a batch"),
        (iter([ATOMS]), "not over Atoms; make them|never held whole"),
        (3, "goes over environments, frames or a manifold, not over a int|never held whole"),
    ],
)
@pytest.mark.parametrize("out", [None, "s.zarr"])
def test_inputs_that_are_no_environments(tmp_path, wrong, out, message):
    with pytest.raises(ReadError, match=message):
        sweep(F, wrong, out=out and tmp_path / out)


@pytest.mark.parametrize(
    "at, options, error, message",
    [
        (BATCH, {"grid": {"F": [1.0, 2.0]}}, GeometryError, "grid goes over the parameters of a manifold"),
        (BATCH, {"grid": {}, "out": "s.zarr"}, GeometryError, "grid goes over the parameters of a manifold"),
        (BATCH, {"positions": False}, ReadError, "^positions: only for environments that are swept into a store"),
        (BATCH, {"chunk": 0}, ReadError, "^chunk: only"),
        (BATCH, {"chunk": 0, "out": "s.zarr"}, GeometryError, "chunk is 0; a chunk has at least one environment"),
        (BATCH, {"cluster": 0, "out": "s.nc"}, ReadError, r"^cluster: only .* an `out` that ends in \.zarr"),
        (manifolds.planar(2), {"overwrite": True, "command": "c", "out": "s.zarr"}, ReadError, "^overwrite, command: "),
        (frames(METHANES, 4.0), {}, ReadError, "never held whole; name a zarr store"),
        (frames(METHANES, 4.0), {"out": "s.nc"}, ReadError, "never held whole; name a zarr store"),
        (BATCH, {"out": "s.txt"}, ReadError, "s.txt names no data set; end it in .nc or .zarr"),
    ],
)
def test_arguments_that_do_not_apply(tmp_path, monkeypatch, at, options, error, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=message):
        sweep(F, at, **options)
    assert not any(tmp_path.glob("s.*"))


# Manifolds

PAIRS = PowerSpectrum(("C", "H"), n_max=2, l_max=4)


@pytest.fixture(scope="module")
def crossing():
    """Two lines of coalescing pairs, on two grids of as many points, each finer in one parameter.

    Where the lines cross, the environment has a plane of symmetry.
    """
    pair, shapes = manifolds.pair(1), ((3, 4), (4, 3))
    return [sweep(PAIRS, pair, {"cy": np.linspace(-0.2, 0.25, n), "az": np.linspace(-0.25, 0.4, m)}) for n, m in shapes]


def test_spectra_are_those_of_the_environments(crossing):
    ds = crossing[0]
    assert ds["sigma"].dims == ("cy", "az", "value")
    assert ds["cy"].attrs["units"] == "Å"
    pair = manifolds.pair(1)
    at = ds.isel(cy=2, az=1)
    env = pair(*pair.values(cy=float(at["cy"]), az=float(at["az"])))
    jacobian = np.asarray(jaxfeat.jacobian(PAIRS, env)).reshape(-1, 12)
    # Without the three rotations.
    expected = np.linalg.svd(jacobian, compute_uv=False)[:9]
    np.testing.assert_allclose(at["sigma"][:9], expected, rtol=1e-10, atol=1e-12 * expected[0])
    assert np.isnan(at["sigma"][9:]).all()


def test_curves_and_their_crossing_are_found(crossing):
    for ds in crossing:
        assert ds["zero_dimension"].values.tolist() == [0, 1, 1]
        np.testing.assert_allclose(ds["zero_at"].values[0], [0, 0], atol=1e-10)
        lines = {tuple(np.round(np.stack([low, high]).ravel(), 9) + 0.0) for low, high in
                 zip(ds["zero_low"].values[1:], ds["zero_high"].values[1:], strict=True)}  # fmt: skip
        assert lines == {(0.0, -0.25, 0.0, 0.4), (-0.2, 0.0, 0.25, 0.0)}
        counts = ds["zero_null"].sel(cause=["symmetry", "incompleteness"]).values.tolist()
        assert counts == [[5, 0], [0, 1], [0, 1]]
        assert list(ds["zero_cause"].values) == ["symmetry (C_2v): physics", *["incompleteness: ν = 3 lifts it"] * 2]


def test_other_grids_give_the_same_list(crossing):
    for name in ("zero_low", "zero_high", "zero_at"):
        a, b = (sorted(np.round(ds[name].values, 10).tolist()) for ds in crossing)
        np.testing.assert_allclose(a, b, atol=1e-10)
    assert (crossing[0]["zero_error"] < 1e-10).all()


def test_null_directions_that_all_points_have_are_no_zeros():
    ds = sweep(RADII, PLANAR, {"r1": np.asarray([1.0, 1.05, 1.1]), "phi2": 2.0})
    assert ds.attrs["n_generic"] == 1
    assert (ds["null"].sel(cause="width") == 1).all()
    assert ds.sizes["zero"] == 0


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        ({"G": [1.0, 2.0]}, "no parameter 'G'; choose among F, L"),
        ({"F": [2.0, 1.0]}, "give finite, ascending values"),
        ({"F": [2.0, np.nan]}, "give finite, ascending values"),
        ({"F": 2.0}, "one or two parameters, not 0"),
        ({"L": [0.0, 3.0]}, "L runs from 0 to 0.954.* π; stay within its bounds, -0.5 to 0.5 π"),
    ],
)
def test_bad_grids(grid, message):
    with pytest.raises(GeometryError, match=message):
        sweep(PAIRS, manifolds.prl_methane(1), grid)


def test_too_many_parameters():
    with pytest.raises(GeometryError, match="one or two parameters, not 7"):
        sweep(PAIRS, manifolds.pair(1))


def test_coincident_atoms_have_a_status():
    ds = sweep(RADII, PLANAR, {"r1": np.asarray([1.0, 1.05, 1.1]), "r2": 1.05, "phi2": 0.0})
    assert ds["status"].values.tolist() == ["ok", "coincident", "ok"]
    assert np.isnan(ds["sigma"].values[1]).all()
    np.testing.assert_allclose(ds["sigma"].values[[0, 2], :2], [[2.1, 2.0], [2.2, 2.1]], rtol=1e-12)
