"""Sweeps refuse inputs that are no environments, and arguments that do not apply."""

import numpy as np
import pytest
from ase.build import molecule
from stores import METHANES, F

import jaxfeat
from jaxfeat import frames, manifolds, sweep
from jaxfeat.errors import GeometryError, ReadError

ENVIRONMENT = jaxfeat.Environment.from_neighbors(np.eye(3), ["H"] * 3, "C")
BATCH = jaxfeat.Environment.stack([ENVIRONMENT])


def test_batches_are_swept_in_their_order():
    radii_only = jaxfeat.function(lambda positions, species, mask: (positions**2).sum(-1))
    radii = np.asarray([1.0, 1.3, 1.1])
    environments = [manifolds.planar(2)(r, 1.5, 2.0, 0.0) for r in radii]
    ds = sweep(radii_only, jaxfeat.Environment.stack(environments))
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
