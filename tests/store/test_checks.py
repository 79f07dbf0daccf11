"""A sweep resumes only with the featurizer, the input, the settings and the versions that began it."""

import json
import os
import shutil
from functools import cache

import numpy as np
import pytest
import xarray
from stores import METHANES, F, copy_without, sweep_methanes

import jaxfeat
from jaxfeat import PowerSpectrum, frames, sweep
from jaxfeat.errors import BasisError, ReadError
from jaxfeat.features.spec import write_identity
from jaxfeat.store import schema
from jaxfeat.store.journal import Journal

BATCH = jaxfeat.environments(jaxfeat.read("random-methane:6:1").atoms, 4.0, "C")

# Featurizers


@cache
def scaled(factor):
    """Make functions that differ only in the variable that they close over."""

    def products(positions, species, mask):
        return factor * (positions @ positions.T)[np.triu_indices(4)]

    return products


def sweep_products(path, factor=1.0, **options):
    """Sweep six methanes by a function featurizer."""
    known = {name: options.pop(name) for name in ("key", "nu", "labels") if name in options}
    return jaxfeat.sweep(jaxfeat.function(scaled(factor), **known), BATCH, out=path, chunk=2, **options)


def test_another_closure_of_the_same_name_does_not_get_the_first_ones_numbers(tmp_path):
    first = sweep_products(tmp_path / "s.zarr").load()
    with pytest.raises(ReadError, match=r"nothing tells this featurizer from others; give jaxfeat\.function a key"):
        sweep_products(tmp_path / "s.zarr", 6.0)
    again = sweep_products(tmp_path / "s.zarr", 6.0, overwrite=True).load()
    np.testing.assert_allclose(again["sigma"], 6 * first["sigma"], rtol=1e-12)


def test_a_key_is_compared(tmp_path):
    path = tmp_path / "s.zarr"
    done = sweep_products(path, key="products").load()
    assert done["status"].values.tolist() == ["ok"] * 6
    for options, message in (
        ({"key": "squares"}, "a sweep with key products, not squares"),
        ({"key": "products", "nu": 1}, "a sweep with nu None, not 1"),
        ({"key": "products", "labels": 4}, "a sweep with labels None, not"),
        ({}, "nothing tells this featurizer from others"),
    ):
        with pytest.raises(ReadError, match=message):
            sweep_products(path, **options)
    unknown = path.with_name("unknown.zarr")
    sweep_products(unknown)
    with pytest.raises(ReadError, match="nothing tells the featurizer of the sweep in the store from others"):
        sweep_products(unknown, key="products")


def test_an_interrupted_sweep_of_a_function_without_a_key_promises_no_resumption(tmp_path):
    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match=r"cannot be resumed, because nothing tells .*function a key"):
        sweep_products(tmp_path / "s.zarr", progress=stop)


def test_an_identity_is_a_spec_or_a_key(tmp_path):
    f = jaxfeat.RadialSpectrum(("C", "H"), n_max=1)
    assert json.loads(write_identity(f)) == jaxfeat.spec(f)
    assert write_identity(jaxfeat.function(scaled(1.0))) is None
    keyed = json.loads(write_identity(jaxfeat.function(scaled(1.0), key="k", species=("C", "H"))))
    assert (keyed["kind"], keyed["key"], keyed["species"]) == ("function", "k", ["C", "H"])
    with pytest.raises(BasisError, match=r"a function, which no spec holds; make it again with jaxfeat\.function"):
        jaxfeat.from_spec(keyed)
    for wrong in ("", " ", 3):
        with pytest.raises(BasisError, match="give a text that stands for this function alone"):
            jaxfeat.function(scaled(1.0), key=wrong)


# Settings and versions


@pytest.mark.parametrize(
    "f, source, r_cut, options, message",
    [
        (PowerSpectrum(("H", "C", "O"), n_max=2, l_max=4), METHANES, 4.0, {}, "with l_max 3, not 4; overwrite it"),
        (PowerSpectrum(("H", "C"), n_max=2, l_max=3), METHANES, 4.0, {}, "a sweep with species"),
        (F, "random-methane:50:2", 4.0, {}, "a sweep of another input"),
        (F, METHANES, 4.5, {}, "a sweep with r_cut 4.0, not 4.5"),
        (F, METHANES, 4.0, {"screened": True}, "a sweep with screened False, not True"),
        (F, METHANES, 4.0, {"chunk": 16}, "a sweep with chunk 8, not 16"),
        (F, METHANES, 4.0, {"positions": False}, "a sweep with positions True, not False"),
    ],
)
def test_other_sweeps_are_refused(whole, never, f, source, r_cut, options, message):
    with pytest.raises(ReadError, match=message):
        sweep(f, frames(source, r_cut), out=whole, **{"chunk": 8, **options})


def test_overwriting_is_asked_for(whole, tmp_path):
    path = copy_without(whole, tmp_path)
    ds = sweep(F, frames("random-methane:9:2", 4.0), out=path, chunk=8, positions=False, overwrite=True)
    assert ds.sizes["environment"] == 9 and "positions" not in ds
    assert ds.attrs["input"] == "random-methane:9:2"


@pytest.mark.parametrize("name", ["jax", "jaxlib", "jaxfeat", "numpy"])
def test_other_versions_do_not_add_to_a_store(whole, tmp_path, monkeypatch, name):
    path = copy_without(whole, tmp_path, 1)
    installed = schema.version
    monkeypatch.setattr(schema, "version", lambda package: "99.0" if package == name else installed(package))
    with pytest.raises(ReadError, match=rf"was begun with {name} {installed(name)}, and this is 99\.0"):
        sweep_methanes(path)
    assert not (path / "journal" / "00000001.json").exists()


def test_a_store_without_attributes_in_its_journal_is_refused(whole, tmp_path):
    path = copy_without(whole, tmp_path)
    settings = path / "journal" / "settings.json"
    kept = json.loads(settings.read_text())["content"]
    del kept["attributes"]
    Journal(path).write("settings", kept)
    with pytest.raises(ReadError, match="was begun by an older jaxfeat"):
        sweep_methanes(path)


# Places


def test_places_where_no_store_can_be(tmp_path, never, monkeypatch):
    (tmp_path / "file.zarr").write_text("")
    (tmp_path / "folder.zarr").mkdir()
    (tmp_path / "folder.zarr" / "thesis.tex").write_text("")
    xarray.Dataset({"x": 1}).to_zarr(tmp_path / "other.zarr", consolidated=False)
    for name, options, message in (
        ("nowhere/s.zarr", {}, "there is no folder"),
        ("file.zarr", {}, "exists and is a file"),
        ("folder.zarr", {"overwrite": True}, "holds no sweep of environments to resume; name another store"),
        ("other.zarr", {}, "holds no sweep of environments to resume; overwrite it, or name another"),
    ):
        with pytest.raises(ReadError, match=message):
            sweep(F, frames(METHANES, 4.0), out=tmp_path / name, **options)
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(ReadError, match=r"will take about 0\.0 GB, and 0\.0 GB are free; make room"):
        sweep(F, frames(METHANES, 4.0), out=tmp_path / "s.zarr")
    # Modes of folders would not stop root.
    monkeypatch.setattr(os, "access", lambda path, mode: (path, mode) != (tmp_path, os.W_OK))
    with pytest.raises(ReadError, match="not yours to write to"):
        sweep(F, frames(METHANES, 4.0), out=tmp_path / "t.zarr")
