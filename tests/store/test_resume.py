"""A sweep goes on only where it is the same one: featurizer, versions and what the file system says of the store."""

import errno
import json
import shutil
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import zarr

import jaxfeat
from jaxfeat.errors import BasisError, ReadError
from jaxfeat.features.spec import identity
from jaxfeat.store import executor, schema
from jaxfeat.store.journal import Journal

BATCH = jaxfeat.environments(jaxfeat.read("random-methane:6:1").atoms, 4.0, "C")


@cache
def scaled(factor):
    """Functions that nothing but what they close over tells apart."""

    def products(positions, species, mask):
        return factor * (positions @ positions.T)[np.triu_indices(4)]

    return products


def swept(path, factor=1.0, **options):
    known = {name: options.pop(name) for name in ("key", "nu", "labels") if name in options}
    return jaxfeat.sweep(jaxfeat.function(scaled(factor), **known), BATCH, out=path, chunk=2, **options)


def attributes(path):
    return json.loads((path / "zarr.json").read_text())["attributes"]


def contents(path):
    """All that lies in a store, but for what is repeated in its metadata."""
    files = {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}
    return files | {path / "zarr.json": attributes(path) | {"complete": 1}}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A sweep of a function with a key."""
    path = tmp_path_factory.mktemp("whole") / "s.zarr"
    swept(path, key="products", command="the first command")
    return path


@pytest.fixture
def path(whole, tmp_path):
    """The same, but that one chunk of it is to be done again."""
    path = shutil.copytree(whole, tmp_path / "s.zarr")
    (path / "journal" / "00000001.json").unlink()
    return path


# The featurizer


def test_another_closure_of_the_same_name_does_not_get_the_first_ones_numbers(tmp_path):
    first = swept(tmp_path / "s.zarr").load()
    with pytest.raises(ReadError, match=r"nothing tells this featurizer from others; give jaxfeat\.function a key"):
        swept(tmp_path / "s.zarr", 6.0)
    again = swept(tmp_path / "s.zarr", 6.0, overwrite=True).load()
    np.testing.assert_allclose(again["sigma"], 6 * first["sigma"], rtol=1e-12)


def test_a_key_is_compared(path):
    done = swept(path, key="products").load()
    assert done["status"].values.tolist() == ["ok"] * 6
    for options, message in (
        ({"key": "squares"}, "a sweep with key products, not squares"),
        ({"key": "products", "nu": 1}, "a sweep with nu None, not 1"),
        ({"key": "products", "labels": 4}, "a sweep with labels None, not"),
        ({}, "nothing tells this featurizer from others"),
    ):
        with pytest.raises(ReadError, match=message):
            swept(path, **options)
    unknown = path.with_name("unknown.zarr")
    swept(unknown)
    with pytest.raises(ReadError, match="nothing tells the featurizer of the sweep in the store from others"):
        swept(unknown, key="products")


def test_an_interrupted_sweep_of_a_function_without_a_key_does_not_promise_to_go_on(tmp_path):
    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match=r"cannot be resumed, because nothing tells .*function a key"):
        swept(tmp_path / "s.zarr", progress=stop)


def test_an_identity_is_a_spec_or_a_key(tmp_path):
    f = jaxfeat.RadialSpectrum(("C", "H"), n_max=1)
    assert json.loads(identity(f)) == jaxfeat.spec(f)
    assert identity(jaxfeat.function(scaled(1.0))) is None
    keyed = json.loads(identity(jaxfeat.function(scaled(1.0), key="k", species=("C", "H"))))
    assert (keyed["kind"], keyed["key"], keyed["species"]) == ("function", "k", ["C", "H"])
    with pytest.raises(BasisError, match=r"a function, which no spec holds; make it again with jaxfeat\.function"):
        jaxfeat.from_spec(keyed)
    for wrong in ("", " ", 3):
        with pytest.raises(BasisError, match="give a text that stands for this function alone"):
            jaxfeat.function(scaled(1.0), key=wrong)


# Versions


@pytest.mark.parametrize("name", ["jax", "jaxlib", "jaxfeat", "numpy"])
def test_other_versions_do_not_add_to_a_store(path, monkeypatch, name):
    installed = schema.version
    monkeypatch.setattr(schema, "version", lambda package: "99.0" if package == name else installed(package))
    with pytest.raises(ReadError, match=rf"was begun with {name} {installed(name)}, and this is 99\.0"):
        swept(path, key="products")
    assert not (path / "journal" / "00000001.json").exists()


def test_a_complete_store_is_opened_by_any_version(whole, monkeypatch):
    monkeypatch.setattr(schema, "version", lambda package: "99.0")
    monkeypatch.setattr(executor, "compute_chunk", lambda *_: pytest.fail("something was computed"))
    assert swept(whole, key="products").attrs["jax"] != "99.0"


# The file system


@pytest.mark.parametrize("name", ["zarr.json", "sigma/zarr.json", "journal/settings.json", "journal/00000000.json"])
def test_an_error_in_reading_deletes_nothing(path, monkeypatch, name):
    before, read = contents(path), Path.read_bytes

    def failing(file):
        if file == path / name:
            raise OSError(errno.EIO, "Input/output error")
        return read(file)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", failing)
        with pytest.raises(OSError, match="Input/output error"):
            swept(path, key="products")
    assert contents(path) == before
    swept(path, key="products")
    assert attributes(path)["command"] == "the first command"


@pytest.mark.parametrize("damage", [lambda file: file.unlink(), lambda file: file.write_text("{")])
def test_provenance_outlives_its_file(path, damage):
    before = attributes(path)
    damage(path / "zarr.json")
    swept(path, key="products", command="another command")
    assert attributes(path) == before and before["command"] == "the first command"


def test_a_store_without_settings_and_without_sound_entries_is_not_emptied(path):
    for file in (path / "journal").glob("*.json"):
        if file.name != "zarr.json":
            file.write_text("damaged")
    with pytest.raises(ReadError, match="its settings cannot be read; overwrite it"):
        swept(path, key="products")
    assert (path / "sigma" / "c" / "0" / "0").exists()


def test_a_store_of_older_times_is_refused_in_a_sentence(path):
    settings = path / "journal" / "settings.json"
    kept = json.loads(settings.read_text())["content"]
    del kept["attributes"]
    Journal(path).write("settings", kept)
    with pytest.raises(ReadError, match="was begun by an older jaxfeat"):
        swept(path, key="products")


def test_a_store_of_format_2_is_not_unpickled(tmp_path):
    from jaxfeat.store.reader import StoreReader

    zarr.create_group(tmp_path / "s.zarr", zarr_format=2).create_array("sigma", shape=(1,), dtype=float)
    with pytest.raises(ReadError, match="is no store; give the folder"):
        StoreReader(tmp_path / "s.zarr")
