"""Sweeps into stores: finished chunks stay, damaged ones are computed again, and nothing else changes."""

import errno
import json
import os
import signal
import subprocess
import sys
import time

import ase.io
import numpy as np
import pytest
import zarr
from ase import Atoms
from ase.build import molecule
from stores import METHANES, F, assert_same, copy_without, load, sweep_methanes

import jaxfeat
from jaxfeat import frames, sweep
from jaxfeat.errors import ReadError
from jaxfeat.geometry.random import draw_evenly
from jaxfeat.store import schema, zarr_arrays


def test_a_store_holds_what_a_batch_gives(whole):
    batch = jaxfeat.environments(jaxfeat.read(METHANES).atoms, 4.0, "C")
    ds = load(whole)
    # As many environments as a chunk, because another program would round differently.
    assert_same(ds.isel(environment=slice(16, 24)), sweep(F, batch[16:24]))
    assert ds["sigma"].dims == ("environment", "value") and ds["positions"].dims == ("environment", "neighbor", "xyz")
    assert ds.attrs["complete"] == 1 and ds.attrs["input"] == METHANES
    assert json.loads(ds.attrs["featurizer"]) == jaxfeat.spec(F)
    np.testing.assert_array_equal(ds["positions"].values, batch.positions)


@pytest.mark.parametrize("kind", ["batch", "iterable"])
def test_batches_and_streams_of_any_sizes_make_the_same_store(whole, tmp_path, kind, computed):
    batch = jaxfeat.environments(jaxfeat.read(METHANES).atoms, 4.0, "C")
    pieces = [batch[:3].padded(9), batch[3:20], batch[20:21], batch[21:]]

    def at():
        return batch if kind == "batch" else iter(pieces)

    assert_same(sweep(F, at(), out=tmp_path / "s.zarr", chunk=8).load(), load(whole))
    (tmp_path / "s.zarr" / "journal" / "00000003.json").unlink()
    computed.clear()
    assert_same(sweep(F, at(), out=tmp_path / "s.zarr", chunk=8).load(), load(whole))
    assert computed == [24]
    if kind == "iterable":
        (tmp_path / "s.zarr" / "journal" / "00000003.json").unlink()
        pieces[0] = pieces[0].with_positions(-pieces[0].positions)
        with pytest.raises(ReadError, match="a sweep of other environments"):
            sweep(F, at(), out=tmp_path / "s.zarr", chunk=8)


def test_frames_of_many_shapes_make_what_a_batch_gives(tmp_path):
    """Axes grow when a later chunk needs them to; frames are cut where a chunk is full."""
    molecules = [molecule(name) for name in ("H2O", "H2O", "H2O", "H2", "CH4")]
    for k, atoms in enumerate(molecules):
        atoms.rattle(0.2, seed=k)
    ase.io.write(tmp_path / "m.xyz", molecules)
    ds = sweep(F, frames(tmp_path / "m.xyz", 4.0), out=tmp_path / "s.zarr", chunk=8).load()
    assert dict(ds.sizes) == {"environment": 16, "value": 9, "neighbor": 4, "xyz": 3, "cause": 7}
    batch = jaxfeat.environments(jaxfeat.read(tmp_path / "m.xyz").atoms, 4.0)
    np.testing.assert_array_equal(ds["positions"], np.where(batch.mask[..., None], batch.positions, np.nan))
    for start in (0, 8):
        expected = sweep(F, batch[start : start + 8].trimmed())
        found = ds.isel(environment=slice(start, start + 8))
        assert np.isnan(found["sigma"][:, expected.sizes["value"] :]).all()
        assert_same(
            found.isel(value=slice(expected.sizes["value"]), neighbor=slice(expected.sizes["neighbor"])), expected
        )


def test_a_store_with_fewer_causes_is_read_and_not_resumed(tmp_path, monkeypatch):
    """Former versions knew six causes. The counts of the seventh have no place in their stores."""
    batch, path = jaxfeat.environments(jaxfeat.read(METHANES).atoms, 4.0, "C")[:16], tmp_path / "s.zarr"
    former = np.asarray(schema.CAUSES[:6])
    monkeypatch.setattr(zarr_arrays, "CAUSE_NAMES", former)
    monkeypatch.setitem(zarr_arrays.FIXED, "cause", 6)
    with monkeypatch.context() as before:
        before.setattr(
            "jaxfeat.store.chunk.spectrum_arrays", lambda f: schema.spectrum_arrays(f._replace(null=f.null[:, :6]))
        )
        sweep(F, batch, out=path, chunk=8)
    monkeypatch.undo()
    ds = sweep(F, batch, out=path, chunk=8)  # It is complete, so that nothing is computed.
    assert ds["null"].shape == (16, 6) and ds["cause"].values.tolist() == former.tolist()
    (path / "journal" / "00000001.json").unlink()
    with pytest.raises(ReadError, match="fewer causes of null directions; overwrite it"):
        sweep(F, batch, out=path, chunk=8)
    assert sweep(F, batch, out=path, chunk=8, overwrite=True)["null"].shape == (16, 7)


# Chunks and samples


def test_chunks_are_as_long_as_planned_or_as_in_the_store(whole, tmp_path, monkeypatch, computed):
    """No environment is lost when the first batch of an iterable is looked at."""
    batch = jaxfeat.environments(jaxfeat.read(METHANES).atoms, 4.0, "C")
    monkeypatch.setattr("jaxfeat.spectrum.plan.CHUNK_SECONDS", 1.2e-3)
    expected = sweep(F, batch, out=tmp_path / "expected.zarr", chunk=16).load()
    for k, at in enumerate((frames(METHANES, 4.0), iter([batch[:3], batch[3:]]))):
        computed.clear()
        assert_same(sweep(F, at, out=tmp_path / f"{k}.zarr").load(), expected)
        assert computed == [0, 16, 32, 48]
    path = copy_without(whole, tmp_path, 2, 5)
    computed.clear()
    assert_same(sweep(F, frames(METHANES, 4.0), out=path).load(), load(whole))
    assert computed == [16, 40]


def test_a_sample_is_a_setting_of_the_store(tmp_path, computed):
    batch, path = jaxfeat.environments(jaxfeat.read(METHANES).atoms, 4.0), tmp_path / "s.zarr"
    source = frames(METHANES, 4.0, ["C", "H"])

    def sweep_sample(**options):
        return sweep(F, source, out=path, **{"chunk": 8, "sample": 20, "seed": 3, **options}).load()

    ds = sweep_sample()
    drawn = draw_evenly(250, 20, 3)
    assert ds.attrs["sample"] == 20 and ds.attrs["sample_seed"] == 3
    for name in ("structure_index", "center_index"):
        np.testing.assert_array_equal(ds[name], getattr(batch, name)[drawn])
    np.testing.assert_array_equal(ds["positions"].fillna(0), batch.positions[drawn])
    (path / "journal" / "00000001.json").unlink()
    computed.clear()
    assert_same(sweep_sample(), ds)
    assert computed == [int(batch.structure_index[drawn[8]])]
    for options, words in (({"seed": 4}, r"sample \[20, 3\], not \[20, 4\]"), ({"sample": None}, "not None")):
        with pytest.raises(ReadError, match=words):
            sweep_sample(**options)
    assert sweep(F, batch, sample=20, seed=3)["positions"].equals(sweep(F, batch[drawn])["positions"])
    with pytest.raises(ReadError, match="leave out sample"):
        sweep(F, iter([batch]), out=tmp_path / "t.zarr", sample=20)


# Interruptions


KILLED = """
import sys
import jax, numpy
jax.config.update("jax_enable_x64", True)
import jaxfeat
def products(positions, species, mask):
    return (positions @ positions.T)[numpy.triu_indices(4)]
f = jaxfeat.function(products, key="products")
jaxfeat.sweep(f, jaxfeat.frames(sys.argv[1], 4.0), out=sys.argv[2], chunk=8, screened=True,
              progress=lambda done, total: print(done, flush=True))
"""


def products(positions, species, mask):
    return (positions @ positions.T)[np.triu_indices(4)]


def test_a_sweep_that_is_killed_resumes_to_the_same_store(tmp_path):
    seed = int.from_bytes(os.urandom(4))
    print(f"seed {seed}")
    rng = np.random.default_rng(seed)
    cache = {"JAX_COMPILATION_CACHE_DIR": str(tmp_path / "cache"), "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
    for first in (8, 28):
        words = [sys.executable, "-c", KILLED, METHANES, str(tmp_path / "s.zarr")]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env={**os.environ, **cache}) as process:
            for line in process.stdout:
                if int(line) >= first + rng.integers(16):
                    break
            time.sleep(rng.uniform(0, 0.05))
            process.send_signal(signal.SIGKILL)
        assert not (tmp_path / "s.zarr" / "journal" / "end.json").exists()
    assert (tmp_path / "s.zarr" / "journal" / "00000000.json").exists()
    f = jaxfeat.function(products, key="products")
    done = [
        sweep(f, frames(METHANES, 4.0), out=tmp_path / name, chunk=8, screened=True) for name in ("s.zarr", "w.zarr")
    ]
    assert_same(*(ds.load() for ds in done))
    assert done[0]["status"].values.tolist() == ["ok"] * 50


def test_ctrl_c_keeps_chunks_and_says_how_to_resume(whole, tmp_path, computed):
    path = tmp_path / "s.zarr"

    def stop(done, total):
        assert total == 50
        if done >= 24:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match=r"16 environments are kept in .*s.zarr and the same sweep without"):
        sweep_methanes(path, progress=stop)
    ds = load(path)
    assert ds.sizes["environment"] == 16 and ds.attrs["complete"] == 0
    computed.clear()
    calls = []
    assert_same(sweep_methanes(path, progress=lambda *c: calls.append(c)), load(whole))
    assert computed == [16, 24, 32, 40, 48] and calls[0] == (16, 50) and calls[-1] == (50, 50)


def test_a_store_that_is_complete_is_opened_at_once(whole, never):
    assert_same(sweep_methanes(whole).load(), load(whole))


def test_a_full_disk_keeps_what_is_there(whole, tmp_path, monkeypatch):
    path, write = tmp_path / "s.zarr", zarr_arrays.ZarrArrays.write

    def full(self, k, arrays):
        if k == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(self, k, arrays)

    with monkeypatch.context() as patch:
        patch.setattr(zarr_arrays.ZarrArrays, "write", full)
        with pytest.raises(OSError, match="No space left on device; 16 environments are kept"):
            sweep_methanes(path)
    assert_same(sweep_methanes(path).load(), load(whole))


def test_a_file_that_breaks_off_keeps_what_was_read(tmp_path):
    path, water = tmp_path / "m.extxyz", molecule("H2O")
    water.rattle(0.2)
    ase.io.write(path, [water] * 7)
    path.write_text("\n".join(path.read_text().splitlines()[:-2]))
    for _ in range(2):
        with pytest.raises(
            ReadError, match=r"at frame 6, line 31: the file ends after 1 of 3 atoms; .*; 18 environments"
        ):
            sweep(F, frames(path, 4.0), out=tmp_path / "s.zarr", chunk=8)
    ds = load(tmp_path / "s.zarr")
    assert ds["status"].values.tolist() == ["ok"] * 18 and ds.attrs["complete"] == 0


def test_a_complete_store_is_opened_by_any_version(whole, monkeypatch, never):
    monkeypatch.setattr(schema, "version", lambda package: "99.0")
    assert sweep_methanes(whole).attrs["jax"] != "99.0"


# Damage


DAMAGE = {
    "a flipped bit": lambda file: file.write_bytes(bytes([file.read_bytes()[0] ^ 4, *file.read_bytes()[1:]])),
    "a cut file": lambda file: file.write_bytes(file.read_bytes()[:-3]),
    "a lost file": lambda file: file.unlink(),
}


@pytest.mark.parametrize(
    "how, name, again",
    [
        ("a flipped bit", "sigma/c/2/0", 16),
        ("a cut file", "positions/c/6/0/0", 48),
        ("a lost file", "status/c/0", 0),
        ("a flipped bit", "journal/00000005.json", 40),
        ("a cut file", "journal/00000005.json", 40),
        ("a lost file", "journal/00000005.json", 40),
    ],
)
def test_damaged_chunks_are_computed_again(whole, tmp_path, computed, how, name, again):
    path = copy_without(whole, tmp_path)
    DAMAGE[how](path / name)
    assert_same(sweep_methanes(path).load(), load(whole))
    assert computed == [again]


def test_a_damaged_end_of_arrays_with_room_for_more_is_computed_again(whole, tmp_path, computed):
    path = copy_without(whole, tmp_path)
    for name, array in zarr.open_group(path).arrays():
        if name != "cause":
            array.resize((80, *array.shape[1:]))
    DAMAGE["a flipped bit"](path / "sigma/c/6/0")
    assert_same(sweep_methanes(path).load(), load(whole))
    assert computed == [48]


# Faulty frames


def test_faulty_frames_have_a_status_and_the_rest_is_done(tmp_path):
    water = molecule("H2O")
    water.rattle(0.2)
    nan, twice, crystal = water.copy(), water.copy(), Atoms("OH", [[0, 0, 0], [0, 0, 3]], cell=[3, 3, 3], pbc=True)
    nan.positions[1, 2] = np.nan
    twice.positions[2] = twice.positions[0]
    far, small = water.copy(), Atoms("O", cell=[0.01] * 3, pbc=True)
    far.positions[2] = 5e5
    none = Atoms("C", cell=[3, 3, 0], pbc=True)
    all_frames = [water, nan, twice, molecule("N2"), crystal, far, small, none, water]
    ase.io.write(tmp_path / "m.traj", all_frames)
    ds = sweep(F, frames(tmp_path / "m.traj", F), out=tmp_path / "s.zarr", chunk=8).load()
    expected = ["ok"] * 3 + ["non-finite"] * 3 + ["coincident"] * 3 + ["unknown-species"] * 2 + ["coincident"] * 2
    expected += ["unsearchable"] * 5
    assert ds["status"].values.tolist() == [*expected, *["ok"] * 3]
    assert ds["structure_index"].values.tolist() == [k for k, atoms in enumerate(all_frames) for _ in atoms]
    assert np.isnan(ds["sigma"].values[3:18]).all() and np.isfinite(ds["floor"].values[[0, -1]]).all()
    np.testing.assert_allclose(ds["sigma"].values[:3], ds["sigma"].values[-3:], rtol=1e-12)
