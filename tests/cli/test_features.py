"""jaxfeat features: what is read back is what jaxfeat computes, and Jacobians are derivatives of it."""

import json

import ase.io
import numpy as np
import pytest
import xarray
from ase import Atoms
from ase.build import bulk, molecule

import jaxfeat
from jaxfeat import memory
from jaxfeat.cli import main
from jaxfeat.features.host_work import HOST_SECONDS
from jaxfeat.spectrum import feature_rows
from jaxfeat.store import feature_file

SMALL = ["--n-max", "2", "--l-max", "1", "--r-cut", "3"]
STEP = 1e-4


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with two molecules of different sizes, which becomes the current one."""
    monkeypatch.chdir(tmp_path)
    methanol, water = molecule("CH3OH"), molecule("H2O")
    for k, atoms in enumerate((methanol, water)):
        atoms.rattle(0.05, seed=k)
    ase.io.write("two.xyz", [methanol, water])
    return tmp_path


def features(*words):
    return main(["features", *map(str, words), *SMALL])


def load(name):
    with np.load(name) as file:
        return {key: file[key] for key in file}


def dense_of(found, n_atoms):
    """Add the entries of a sparse Jacobian up, as the page on NumPy arrays does."""
    whole = np.zeros((len(found["features"]), n_atoms, found["features"].shape[1], 3))
    np.add.at(whole, (found["jacobian_row"], found["jacobian_atom"]), found["jacobian"])
    return np.moveaxis(whole, 1, 2)


def test_what_is_read_back_is_what_jaxfeat_computes(here, capsys):
    assert features("two.xyz", "--jacobian", "--out", "f.npz") == 0
    captured = capsys.readouterr()
    assert "2 structures, 9 environments of up to 5 neighbors." in captured.err and "wrote f.npz (" in captured.err
    assert "features" in captured.out and "9 × 42" in captured.out
    found = load("f.npz")
    about = json.loads(str(found["about"]))
    f = jaxfeat.from_spec(json.loads(about["featurizer"]))
    batch = jaxfeat.environments(jaxfeat.read("two.xyz").atoms, f)
    np.testing.assert_allclose(found["features"], f(batch), rtol=1e-12, atol=1e-14)
    assert [tuple(json.loads(label)) for label in found["labels"]] == list(f.labels)
    for name in ("structure_index", "center_index", "center_species"):
        stored = {"structure_index": "structure", "center_index": "center", "center_species": "species"}[name]
        np.testing.assert_array_equal(found[stored], getattr(batch, name))
    assert found["names"].tolist() == ["frame 0, CH4O", "frame 1, H2O"]
    assert about["command"].startswith("jaxfeat features two.xyz")
    # Neighbors come in the order of the environment, after the center.
    jacobian, mask = np.asarray(jaxfeat.jacobian(f, batch)), np.asarray(batch.mask)
    for k in range(len(batch)):
        own = found["jacobian"][found["jacobian_row"] == k]
        np.testing.assert_allclose(own[1:], np.moveaxis(jacobian[k], 1, 0)[mask[k]], rtol=1e-11, atol=1e-13)
        np.testing.assert_allclose(own.sum(0), 0, atol=1e-13)
        atoms = found["jacobian_atom"][found["jacobian_row"] == k].tolist()
        assert atoms == [batch.center_index[k], *np.asarray(batch.neighbor_index)[k][mask[k]].tolist()]


def test_all_ways_into_a_file_agree(here, monkeypatch):
    assert features("two.xyz", "--jacobian", "--out", "f.npz") == 0
    assert features("two.xyz", "--jacobian", "--dense", "--dtype", "float32", "--out", "d.npz") == 0
    # Parts of two environments.
    monkeypatch.setattr(feature_rows, "ROWS_BYTES", 24 * 42 * 12)
    assert features("two.xyz", "--jacobian", "--out", "f.zarr") == 0
    assert features("two.xyz", "--out", "f.extxyz") == 0
    found, dense = load("f.npz"), load("d.npz")
    assert dense["jacobian"].shape == (9, 42, 6, 3) and dense["jacobian"].dtype == np.float32
    np.testing.assert_allclose(dense["jacobian"], dense_of(found, 6), rtol=1e-6, atol=1e-6)
    with xarray.open_zarr("f.zarr", chunks=None) as ds:
        assert ds["jacobian"].attrs["units"] == "features/Å" and ds["jacobian"].dims == (
            "jacobian_entry",
            "feature",
            "xyz",
        )
        assert ds["names"].values.tolist() == ["frame 0", "frame 1"]
        for name in set(found) - {"about", "names"}:
            if found[name].dtype.kind == "f":
                np.testing.assert_allclose(ds[name].values, found[name], rtol=1e-11, atol=1e-13)
            else:
                np.testing.assert_array_equal(ds[name].values, found[name])
        assert json.loads(ds.attrs["featurizer"])["kind"] == "PowerSpectrum"
    read = ase.io.read("f.extxyz", ":")
    np.testing.assert_allclose(np.concatenate([a.arrays["features"] for a in read]), found["features"], rtol=1e-15)
    assert [str(a.symbols) for a in read] == [str(a.symbols) for a in ase.io.read("two.xyz", ":")]
    assert json.loads(read[0].info["featurizer"])["kind"] == "PowerSpectrum"
    assert sorted(path.name for path in here.iterdir()) == ["d.npz", "f.extxyz", "f.npz", "f.zarr", "two.xyz"]


@pytest.mark.parametrize("kind", [[], ["--summed"]])
def test_the_jacobian_agrees_with_differences_of_files(tmp_path, monkeypatch, kind):
    """Atoms of a crystal have several images, and its centers move too."""
    monkeypatch.chdir(tmp_path)
    salt = bulk("NaCl", "rocksalt", a=3.9)
    salt.rattle(0.1, seed=1)
    moved = []
    for atom in range(2):
        for axis in range(3):
            for sign in (1, -1):
                moved.append(salt.copy())
                moved[-1].positions[atom, axis] += sign * STEP
    ase.io.write("s.extxyz", [salt, *moved], write_results=False)
    assert features("s.extxyz@0", "--jacobian", *kind, "--out", "j.npz") == 0
    assert features("s.extxyz@1:", *kind, "--out", "x.npz") == 0
    found, values = load("j.npz"), load("x.npz")["features"]
    rows = len(found["features"])
    assert rows == (1 if kind else 2) and np.abs(found["jacobian_shift"]).max() == (0 if kind else 1)
    values = values.reshape(2, 3, 2, rows, -1)
    slopes = (values[:, :, 0] - values[:, :, 1]) / (2 * STEP)
    expected = np.transpose(slopes, (2, 3, 0, 1))
    assert np.abs(expected).max() > 0.01
    np.testing.assert_allclose(dense_of(found, 2), expected, atol=2e-6)


def test_a_compiled_program_writes_the_same(here, monkeypatch):
    words = ["two.xyz", "--nu", "1", "--centers", "H", "--jacobian", "--out"]
    assert features(*words, "n.npz") == 0
    for work in HOST_SECONDS:
        monkeypatch.setitem(HOST_SECONDS, work, 0.0)
    assert features(*words, "c.npz") == 0
    in_numpy, compiled = load("n.npz"), load("c.npz")
    assert len(compiled["features"]) == 6
    for name in set(compiled) - {"about", "labels", "names"}:
        np.testing.assert_allclose(compiled[name], in_numpy[name], rtol=1e-10, atol=1e-13)


def test_sums_are_those_of_summed_and_name_their_species(here):
    assert features("two.xyz", "--summed", "--jacobian", "--out", "s.npz") == 0
    assert features("two.xyz", "--summed", "--jacobian", "--out", "s.zarr") == 0
    found = load("s.npz")
    f = jaxfeat.from_spec(json.loads(json.loads(str(found["about"]))["featurizer"]))
    structures = jaxfeat.structures(jaxfeat.read("two.xyz").atoms, f)
    np.testing.assert_allclose(found["features"], jaxfeat.summed(f)(structures), rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(
        dense_of(found, 6), jaxfeat.jacobian(jaxfeat.summed(f), structures), rtol=1e-10, atol=1e-12
    )
    assert json.loads(found["labels"][42])[0] == "C" and len(found["labels"]) == 3 * 42
    with xarray.open_zarr("s.zarr", chunks=None) as ds:
        np.testing.assert_allclose(ds["jacobian"].values, found["jacobian"], rtol=1e-11, atol=1e-13)
        np.testing.assert_array_equal(ds["jacobian_row"].values, found["jacobian_row"])
        assert ds["features"].dims == ("structure", "feature")


def test_centers_are_chosen_and_other_atoms_have_no_numbers(here):
    assert features("two.xyz", "--centers", "O", "--out", "o.extxyz") == 0
    methanol, water = ase.io.read("o.extxyz", ":")
    for atoms in (methanol, water):
        assert np.isfinite(atoms.arrays["features"]).all(1).tolist() == (atoms.numbers == 8).tolist()


@pytest.mark.parametrize(
    "words, message",
    [
        (["two.xyz", "--out", "f.h5"], "f.h5 names no file of features; end it in .npz, .zarr, .extxyz."),
        (["two.xyz", "--out", "nowhere/f.npz"], "there is no folder nowhere"),
        (["two.xyz", "--jacobian", "--out", "f.extxyz"], "write Jacobians and sums into a .npz or .zarr"),
        (["two.xyz", "--dense", "--out", "f.npz"], "--dense is a form of --jacobian"),
        (["two.xyz", "--out", "old.zarr"], "old.zarr exists already; it is no zarr store"),
        (["two.xyz", "--out", "old.zarr", "--overwrite"], "old.zarr exists already; it is no zarr store"),
        (["far.xyz", "--out", "f.zarr"], "far.xyz: frame 1 has ghosts, atoms that coincide"),
        (["far.xyz", "--out", "f.npz"], "far.xyz: frame 1, H2: atoms 0 and 1 are at the same point"),
        (["two.xyz", "--species", "O", "--out", "f.zarr"], "species H, C not among"),
    ],
)
def test_what_cannot_be_written_is_refused(here, capsys, words, message):
    (here / "old.zarr").mkdir()
    (here / "old.zarr" / "precious").touch()
    ase.io.write("far.xyz", [molecule("H2"), Atoms("H2", np.zeros((2, 3)))])
    assert features(*words) == 2
    assert message in capsys.readouterr().err.splitlines()[-1]
    assert (here / "old.zarr" / "precious").exists() and not list(here.glob("*f.*")) and not list(here.glob(".*"))


def test_large_arrays_are_not_copied_on_their_way_into_a_file():
    rows = feature_rows.FeatureRows(*np.zeros((4, 1, 1)), np.zeros((1, 1, 3)), *np.zeros((3, 1, 1), int))
    found = feature_file.collect_arrays(rows, "float64")
    assert np.shares_memory(found["features"], rows.features) and np.shares_memory(found["jacobian"], rows.jacobian)


def test_a_store_is_replaced_only_if_asked_for(here, capsys):
    assert features("two.xyz@1", "--out", "f.zarr") == 0
    assert features("two.xyz", "--out", "f.zarr") == 2
    assert "f.zarr exists already; add --overwrite to replace it." in capsys.readouterr().err
    assert features("two.xyz", "--out", "f.zarr", "--overwrite") == 0
    with xarray.open_zarr("f.zarr", chunks=None) as ds:
        assert ds.sizes["environment"] == 9


@pytest.mark.parametrize("name", ["f.npz", "f.zarr"])
def test_what_does_not_fit_is_refused_before_it_is_computed(here, monkeypatch, capsys, name):
    monkeypatch.setattr(feature_rows, "compute_feature_rows", lambda *_: pytest.fail("something was computed"))
    if name == "f.npz":
        monkeypatch.setattr(memory, "UNCHECKED_BYTES", 0)
        monkeypatch.setattr(memory, "free_bytes", lambda: 10_000.0)
        message = "take about 6.05e-05 GB of memory, and 1e-05 GB are free; write a .zarr"
    else:
        usage = feature_file.shutil._ntuple_diskusage(10, 10, 10_000)
        monkeypatch.setattr(feature_file.shutil, "disk_usage", lambda _: usage)
        message = "GB on the disk of f.zarr, where 1e-05 GB are free; lower n_max"
    assert features("two.xyz", "--jacobian", "--out", name) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert "42 features of 9 environments and their Jacobians take" in said and message in said
    assert not (here / name).exists()
