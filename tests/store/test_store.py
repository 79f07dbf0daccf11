"""Sweeps into stores: what is done stays done, what is damaged is done again, and nothing is mixed up."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from threading import Event

import ase.io
import numpy as np
import pytest
import xarray
import zarr
from ase import Atoms
from ase.build import molecule

import jaxfeat
from jaxfeat import PowerSpectrum, frames, sweep
from jaxfeat.errors import GeometryError, ReadError
from jaxfeat.store import executor, zarr_arrays
from jaxfeat.store.stream import prefetch

F = PowerSpectrum(("H", "C", "O"), n_max=2, l_max=3)
METHANES = "random-methane:50:1"


def opened(path):
    """As anybody opens it."""
    return xarray.open_zarr(path, chunks=None).load()


def same(a, b):
    assert set(a.variables) == set(b.variables) and dict(a.sizes) == dict(b.sizes)
    for name in a.variables:
        assert a[name].dtype == b[name].dtype or name in ("status", "cause"), name
        np.testing.assert_array_equal(a[name].values, b[name].values, err_msg=name)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A sweep that nothing stopped: 50 environments in 7 chunks."""
    path = tmp_path_factory.mktemp("whole") / "s.zarr"
    sweep(F, frames(METHANES, 4.0), out=path, chunk=8)
    return path


def copied(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "s.zarr")


@pytest.fixture
def never(monkeypatch):
    def fail(*_, **__):
        raise AssertionError("something was computed")

    monkeypatch.setattr(executor, "compute_chunk", fail)


@pytest.fixture
def counted(monkeypatch):
    """First structures of the chunks that are computed."""
    begun, compute = [], executor.compute_chunk

    def count(f, environments, *rest):
        begun.append(int(environments.structure_index[0]))
        return compute(f, environments, *rest)

    monkeypatch.setattr(executor, "compute_chunk", count)
    return begun


def test_a_store_holds_what_a_batch_gives(whole):
    batch = jaxfeat.environments(jaxfeat.read(METHANES).atoms, 4.0, "C")
    ds = opened(whole)
    # Of as many environments, so that both are one program: others round otherwise.
    same(ds.isel(environment=slice(16, 24)), sweep(F, batch[16:24]))
    assert ds["sigma"].dims == ("environment", "value") and ds["positions"].dims == ("environment", "neighbor", "xyz")
    assert ds.attrs["complete"] == 1 and ds.attrs["input"] == METHANES
    assert json.loads(ds.attrs["featurizer"]) == jaxfeat.spec(F)
    np.testing.assert_array_equal(ds["positions"].values, batch.positions)


@pytest.mark.parametrize("kind", ["batch", "iterable"])
def test_batches_and_streams_of_any_sizes_make_the_same_store(whole, tmp_path, kind, counted):
    batch = jaxfeat.environments(jaxfeat.read(METHANES).atoms, 4.0, "C")
    pieces = [batch[:3].padded(9), batch[3:20], batch[20:21], batch[21:]]

    def at():
        return batch if kind == "batch" else iter(pieces)

    same(sweep(F, at(), out=tmp_path / "s.zarr", chunk=8).load(), opened(whole))
    (tmp_path / "s.zarr" / "journal" / "00000003.json").unlink()
    counted.clear()
    same(sweep(F, at(), out=tmp_path / "s.zarr", chunk=8).load(), opened(whole))
    assert counted == [24]
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
    assert dict(ds.sizes) == {"environment": 16, "value": 9, "neighbor": 4, "xyz": 3, "cause": 6}
    batch = jaxfeat.environments(jaxfeat.read(tmp_path / "m.xyz").atoms, 4.0)
    np.testing.assert_array_equal(ds["positions"], np.where(batch.mask[..., None], batch.positions, np.nan))
    for start in (0, 8):
        expected = sweep(F, batch[start : start + 8].trimmed())
        found = ds.isel(environment=slice(start, start + 8))
        assert np.isnan(found["sigma"][:, expected.sizes["value"] :]).all()
        same(found.isel(value=slice(expected.sizes["value"]), neighbor=slice(expected.sizes["neighbor"])), expected)


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


def test_a_sweep_that_is_killed_goes_on_to_the_same_store(tmp_path):
    rng = np.random.default_rng(int.from_bytes(os.urandom(4)))
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
    same(*(ds.load() for ds in done))
    assert done[0]["status"].values.tolist() == ["ok"] * 50


def test_ctrl_c_keeps_chunks_and_says_how_to_go_on(whole, tmp_path, counted):
    path = tmp_path / "s.zarr"

    def stop(done, total):
        assert total == 50
        if done >= 24:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match=r"16 environments are kept in .*s.zarr and the same sweep without"):
        sweep(F, frames(METHANES, 4.0), out=path, chunk=8, progress=stop)
    ds = opened(path)
    assert ds.sizes["environment"] == 16 and ds.attrs["complete"] == 0
    counted.clear()
    calls = []
    same(sweep(F, frames(METHANES, 4.0), out=path, chunk=8, progress=lambda *c: calls.append(c)), opened(whole))
    assert counted == [16, 24, 32, 40, 48] and calls[0] == (16, 50) and calls[-1] == (50, 50)


def test_nobody_waits_for_what_is_read_ahead():
    slow = Event()

    def items():
        yield "first"
        slow.wait()
        yield "second"

    coming = prefetch(items())
    assert next(coming) == "first"
    # As Ctrl-C has it.
    coming.close()
    assert not slow.is_set()
    slow.set()
    assert list(prefetch(iter("ab"))) == ["a", "b"]


def test_errors_in_what_is_read_ahead_arrive():
    def items():
        yield "first"
        raise ReadError("broken")

    coming = prefetch(items())
    assert next(coming) == "first"
    with pytest.raises(ReadError, match="broken"):
        next(coming)


def test_a_store_that_is_complete_is_opened_at_once(whole, never):
    same(sweep(F, frames(METHANES, 4.0), out=whole, chunk=8).load(), opened(whole))


def test_a_full_disk_keeps_what_is_there(whole, tmp_path, monkeypatch):
    path, write = tmp_path / "s.zarr", zarr_arrays.ZarrArrays.write

    def full(self, k, arrays):
        if k == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(self, k, arrays)

    with monkeypatch.context() as patch:
        patch.setattr(zarr_arrays.ZarrArrays, "write", full)
        with pytest.raises(OSError, match="No space left on device; 16 environments are kept"):
            sweep(F, frames(METHANES, 4.0), out=path, chunk=8)
    same(sweep(F, frames(METHANES, 4.0), out=path, chunk=8).load(), opened(whole))


# Damage

DAMAGE = {
    "a flipped bit": lambda file: file.write_bytes(bytes([file.read_bytes()[0] ^ 4, *file.read_bytes()[1:]])),
    "a cut file": lambda file: file.write_bytes(file.read_bytes()[:-3]),
    "a lost file": lambda file: file.unlink(),
}


@pytest.mark.parametrize("how", DAMAGE)
@pytest.mark.parametrize(
    "name, again", [("sigma/c/2/0", 16), ("positions/c/6/0/0", 48), ("status/c/0", 0), ("journal/00000005.json", 40)]
)
def test_damaged_chunks_are_done_again(whole, tmp_path, counted, how, name, again):
    path = copied(whole, tmp_path)
    DAMAGE[how](path / name)
    same(sweep(F, frames(METHANES, 4.0), out=path, chunk=8).load(), opened(whole))
    assert counted == [again]


def test_a_damaged_end_of_arrays_that_had_room_for_more_is_done_again(whole, tmp_path, counted):
    path = copied(whole, tmp_path)
    for name, array in zarr.open_group(path).arrays():
        if name != "cause":
            array.resize((80, *array.shape[1:]))
    DAMAGE["a flipped bit"](path / "sigma/c/6/0")
    same(sweep(F, frames(METHANES, 4.0), out=path, chunk=8).load(), opened(whole))
    assert counted == [48]


def test_damaged_metadata_is_made_anew_and_chunks_are_kept(whole, tmp_path, never):
    path = copied(whole, tmp_path)
    (path / "sigma" / "zarr.json").write_text("{")
    (path / "cause" / "zarr.json").unlink()
    same(sweep(F, frames(METHANES, 4.0), out=path, chunk=8).load(), opened(whole))
    (path / "journal" / "settings.json").write_text("")
    with pytest.raises(ReadError, match="is damaged: its settings cannot be read; overwrite it"):
        sweep(F, frames(METHANES, 4.0), out=path, chunk=8)


# Others


@pytest.mark.parametrize(
    "f, source, r_cut, options, message",
    [
        (
            PowerSpectrum(("H", "C", "O"), n_max=2, l_max=4),
            METHANES,
            4.0,
            {},
            "a sweep with l_max 3, not 4; overwrite it",
        ),
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
    path = copied(whole, tmp_path)
    ds = sweep(F, frames("random-methane:9:2", 4.0), out=path, chunk=8, positions=False, overwrite=True)
    assert ds.sizes["environment"] == 9 and "positions" not in ds
    assert ds.attrs["input"] == "random-methane:9:2"


HELD = """
import fcntl, sys
handle = open(sys.argv[1])
fcntl.flock(handle, fcntl.LOCK_EX)
print(flush=True)
sys.stdin.read()
"""


def test_a_second_process_is_refused(whole, tmp_path, never):
    path = copied(whole, tmp_path)
    process = subprocess.Popen(
        [sys.executable, "-c", HELD, str(path / "journal" / "lock")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    process.stdout.readline()
    with pytest.raises(ReadError, match="is being written by another process"):
        sweep(F, frames(METHANES, 4.0), out=path, chunk=8)
    process.kill()
    process.communicate()
    sweep(F, frames(METHANES, 4.0), out=path, chunk=8)


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
    with pytest.raises(ReadError, match="never held whole"):
        sweep(F, frames(METHANES, 4.0))
    atoms = molecule("H2O")
    structure, env = jaxfeat.structures(atoms, F), jaxfeat.environments(atoms, F)[0]
    for wrong, message in (
        (atoms, "not over Atoms; make them with jaxfeat.environments"),
        ([atoms], "not over Atoms; make them with jaxfeat.environments"),
        (structure, r"not over structures; structure.environments\(\) has them"),
        (env, "this is one environment; Environment.stack makes a batch"),
        ([env], "this is one environment; Environment.stack makes a batch"),
    ):
        for out in (None, tmp_path / "s.zarr"):
            with pytest.raises(ReadError, match=message):
                sweep(F, wrong, out=out)
    with pytest.raises(ReadError, match="not over Atoms; make them"):
        sweep(F, iter([atoms]), out=tmp_path / "s.zarr")
    with pytest.raises(GeometryError, match="chunk is 0"):
        sweep(F, frames(METHANES, 4.0), out=tmp_path / "s.zarr", chunk=0)
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(ReadError, match=r"will take about 0\.0 GB, and 0\.0 GB are free; make room"):
        sweep(F, frames(METHANES, 4.0), out=tmp_path / "s.zarr")
    # Modes of folders would not stop root.
    monkeypatch.setattr(os, "access", lambda path, mode: (path, mode) != (tmp_path, os.W_OK))
    with pytest.raises(ReadError, match="not yours to write to"):
        sweep(F, frames(METHANES, 4.0), out=tmp_path / "t.zarr")


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
    ds = opened(tmp_path / "s.zarr")
    assert ds["status"].values.tolist() == ["ok"] * 18 and ds.attrs["complete"] == 0
