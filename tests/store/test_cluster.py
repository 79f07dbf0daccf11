"""A sweep on a cluster writes the store that one process writes, although workers die."""

import json
import os
import signal
import sys

import jax
import pytest
from products import Deadly, Products
from stores import assert_same, load

import jaxfeat
from jaxfeat import frames, sweep
from jaxfeat.cli import main
from jaxfeat.errors import BasisError, ClusterError, GeometryError, ReadError

pytest.importorskip("distributed")

from distributed import SpecCluster

from jaxfeat.store import chunk, cluster, into_store

METHANES, N = "random-methane:93:1", 93
"""12 chunks of 8, the last one short."""


@pytest.fixture(scope="module")
def client():
    """Two processes."""
    with cluster.connected(2) as client:
        yield client


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The store that one process writes."""
    path = tmp_path_factory.mktemp("whole") / "s.zarr"
    sweep(Products(), frames(METHANES, 4.0), out=path, chunk=8)
    return path


def test_workers_make_the_store_that_one_process_makes(client, whole, tmp_path):
    path, calls, here, under_way = tmp_path / "s.zarr", [], [], []

    def show(*call):
        calls.append(call)
        under_way.append(len(client.futures))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunk, "compute_chunk", lambda *_: here.append(1))
        ds = sweep(Products(), frames(METHANES, 4.0), out=path, chunk=8, cluster=client, progress=show)
    assert not here
    assert 2 < max(under_way) <= 6
    assert_same(ds.load(), load(whole))
    assert load(path).attrs["complete"] == 1
    for name in map("{:08d}.json".format, range(12)):
        ours, theirs = (json.loads((at / "journal" / name).read_text()) for at in (path, whole))
        assert ours == theirs, name
    done = [n for n, total in calls]
    assert done[0] == 0 and done[-1] == N and sorted(done) == done and len(done) == 13
    # All that tasks held is given back.
    assert not (path / "journal" / "inputs").exists()
    assert not client.futures
    assert client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks)) == 0


def test_a_worker_that_is_killed_costs_nothing(client, whole, tmp_path):
    before = set(client.run(os.getpid).values())
    killed = []

    def kill(done, total):
        if done >= 16 and not killed:
            killed.append(before.copy().pop())
            os.kill(killed[0], signal.SIGKILL)

    ds = sweep(Products(), frames(METHANES, 4.0), out=tmp_path / "s.zarr", chunk=8, cluster=client, progress=kill)
    assert killed
    assert_same(ds.load(), load(whole))
    client.wait_for_workers(2, timeout=60)
    assert len(set(client.run(os.getpid).values()) & before) == 1


def test_ctrl_c_keeps_what_is_finished_and_one_process_goes_on(client, whole, tmp_path):
    path = tmp_path / "s.zarr"

    def stop(done, total):
        if done >= 24:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match=r"interrupted; \d+ environments are kept in .*s.zarr and the same"):
        sweep(Products(), frames(METHANES, 4.0), out=path, chunk=8, cluster=client, progress=stop)
    assert load(path).attrs["complete"] == 0
    kept = {file.name: file.stat().st_mtime_ns for file in (path / "journal").glob("0*.json")}
    assert 3 <= len(kept) < 12
    assert_same(sweep(Products(), frames(METHANES, 4.0), out=path, chunk=8).load(), load(whole))
    assert all((path / "journal" / name).stat().st_mtime_ns == when for name, when in kept.items())


def test_an_error_on_a_worker_is_told_and_what_was_finished_is_kept(client, whole, tmp_path):
    path = tmp_path / "s.zarr"

    def spoil(done, total):
        if done >= 40:
            (path / "journal" / "settings.json").unlink(missing_ok=True)

    with pytest.raises(
        ReadError, match=r"does not see .*s.zarr; put the store where all .*; \d+ environments are kept"
    ):
        sweep(Products(), frames(METHANES, 4.0), out=path, chunk=8, cluster=client, progress=spoil)


def test_a_chunk_that_kills_its_workers_is_named(client, tmp_path, monkeypatch):
    monkeypatch.setattr(client.cluster.scheduler, "allowed_failures", 0)
    message = (
        r"chunk \d ended every worker that tried it, .* whether it has enough memory; 0 environments .* resumes there"
    )
    with pytest.raises(ClusterError, match=message):
        sweep(Deadly(), frames(METHANES, 4.0), out=tmp_path / "s.zarr", chunk=8, cluster=client)


# Nobody there

NOBODY = {"workers": {}, "scheduler": cluster._SCHEDULER}


def test_without_workers_it_ends(tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "PATIENCE", 0.1)
    monkeypatch.setattr(cluster, "POLL", 0.2)
    with SpecCluster(**NOBODY) as nobody, pytest.raises(ClusterError, match=r"no worker for 0 s; 0 .* resumes there"):
        sweep(Products(), frames(METHANES, 4.0), out=tmp_path / "s.zarr", chunk=8, cluster=nobody.scheduler_address)


def test_a_scheduler_that_goes_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "CONNECT", 1.0)
    batch = jaxfeat.environments(jaxfeat.read(METHANES).atoms, 4.0, "C")
    nobody = SpecCluster(**NOBODY)

    def pieces():
        yield batch[:8]
        nobody.close()
        yield batch[8:]

    with pytest.raises(ClusterError, match="the dask scheduler is gone; 0 environments are kept"):
        sweep(Products(), pieces(), out=tmp_path / "s.zarr", chunk=8, cluster=nobody.scheduler_address)


# Refused before anything is done


def test_clusters_that_there_are_not(whole, tmp_path, monkeypatch):
    path, at = tmp_path / "s.zarr", frames(METHANES, 4.0)
    f = jaxfeat.function(lambda positions, species, mask: positions[0])
    with pytest.raises(BasisError, match="workers make the featurizer from its spec; "):
        sweep(f, at, out=path, cluster=2)
    assert not path.exists()
    with pytest.raises(
        ReadError, match=r"cluster: only for environments that are swept into a store; .* ends in \.zarr"
    ):
        sweep(Products(), jaxfeat.environments(jaxfeat.read("random-methane:2").atoms, 4.0, "C"), cluster=2)
    with pytest.raises(GeometryError, match="cluster is 0; give a number of processes, the address"):
        sweep(Products(), at, out=path, cluster=0)
    monkeypatch.setattr(cluster, "CONNECT", 0.5)
    with pytest.raises(ReadError, match=r"no dask scheduler answers at tcp://127\.0\.0\.1:9; start one"):
        sweep(Products(), at, out=path, cluster="tcp://127.0.0.1:9")
    monkeypatch.setitem(sys.modules, "dask", None)
    monkeypatch.delitem(sys.modules, "jaxfeat.store.cluster")
    with pytest.raises(ReadError, match=r"dask, which is not installed: pip install 'jaxfeat\[cluster\]'"):
        sweep(Products(), at, out=path, cluster=2)


@pytest.mark.parametrize(
    "words, message",
    [
        (["--cluster", "dask"], "--cluster and --workers apply to a store"),
        (["--out", "s.zarr", "--workers", "2"], "--workers applies to a cluster; add --cluster dask"),
        (
            ["--out", "s.zarr", "--cluster", "dask=tcp://a:1", "--workers", "2"],
            "tcp://a:1 has workers of its own",
        ),
        (["--out", "s.zarr", "--cluster", "dask", "--workers", "0"], "cluster is 0; give a number of processes"),
    ],
)
def test_commands_that_make_no_sense(words, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["scan", METHANES, *words]) == 2
    assert message in capsys.readouterr().err


def test_the_command_takes_a_scheduler_or_starts_processes(tmp_path, monkeypatch):
    asked = []

    def asking(*_, cluster, **__):
        asked.append(cluster)
        raise KeyboardInterrupt

    monkeypatch.setattr(into_store, "sweep_into_store", asking)
    monkeypatch.setattr(cluster, "local_processes", lambda: 7)
    for words in (["dask=tcp://a:1"], ["dask", "--workers", "3"], ["dask"]):
        assert main(["scan", METHANES, "--out", str(tmp_path / "s.zarr"), "--cluster", *words]) == 130
    assert asked == ["tcp://a:1", 3, 7]


def test_other_kinds_of_clusters(capsys):
    with pytest.raises(SystemExit):
        main(["scan", METHANES, "--out", "s.zarr", "--cluster", "ray"])
    assert "'ray' is no cluster; give dask, or dask=ADDRESS" in capsys.readouterr().err


def test_accelerators_are_dealt_out(monkeypatch):
    class Gpu:
        platform = "gpu"

    monkeypatch.setattr(jax, "local_devices", lambda: [Gpu(), Gpu()])
    assert cluster.local_processes() == 2
    for visible, expected in (("", ["0", "1", "0"]), ("5,7", ["5", "7", "5"])):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        workers = cluster._spec(3).values()
        assert [worker["options"]["env"]["CUDA_VISIBLE_DEVICES"] for worker in workers] == expected
