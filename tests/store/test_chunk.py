"""Chunks cut from a stream, and chunks that another process computes."""

import json
import shutil
from itertools import pairwise
from threading import Event

import jax
import numpy as np
import pytest
from products import Products
from stores import assert_same, load

import jaxfeat
from jaxfeat import sweep
from jaxfeat.errors import ReadError
from jaxfeat.store import chunk as chunking
from jaxfeat.store.chunk import LocalExecutor, Plan, compute_handed_over, cut_chunks, hand_over
from jaxfeat.store.journal import Journal
from jaxfeat.store.stream import Stream, StreamPosition

BATCH = jax.tree.map(np.asarray, jaxfeat.environments(jaxfeat.read("random-methane:40:1").atoms, 4.0, "C"))


def stream_of_frames(seed, breaks_off=False):
    """A stream of the methanes in frames of 1 to 6 environments, a few frames in each batch."""
    rng = np.random.default_rng(seed)
    frame_of = np.repeat(np.arange(40), rng.integers(1, 7, 40))[:40]
    ends = np.flatnonzero(np.diff(frame_of, append=-1)) + 1
    cuts = [0, *np.sort(rng.choice(ends[:-1], 4, replace=False)), 40]

    def batches(start):
        for first, last in pairwise(cuts):
            rows = np.arange(first, last)[frame_of[first:last] >= start]
            if len(rows):
                yield frame_of[rows], BATCH[rows]
        if breaks_off:
            raise ReadError("the file ends")

    return Stream("frames", 40, batches, True)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("length", [1, 7, 8, 64])
def test_chunks_from_any_position_are_those_from_the_beginning(seed, length):
    stream = stream_of_frames(seed)
    chunks = list(cut_chunks(stream, StreamPosition(), length))
    assert [len(chunk.environments) for chunk in chunks[:-1]] == [length] * (len(chunks) - 1)
    positions = np.concatenate([chunk.environments.positions for chunk in chunks])
    np.testing.assert_array_equal(positions, BATCH.positions)
    for k, chunk in enumerate(chunks):
        rest = list(cut_chunks(stream, chunk.after, length))
        assert [len(one.environments) for one in rest] == [len(one.environments) for one in chunks[k + 1 :]]
        for one, other in zip(rest, chunks[k + 1 :], strict=True):
            np.testing.assert_array_equal(one.environments.positions, other.environments.positions)
            assert one.after == other.after


def test_a_stream_that_breaks_off_yields_a_short_chunk_before_its_error():
    chunks = cut_chunks(stream_of_frames(0, breaks_off=True), StreamPosition(), 16)
    assert [len(next(chunks).environments) for _ in range(3)] == [16, 16, 8]
    with pytest.raises(ReadError, match="the file ends"):
        next(chunks)


def test_a_chunk_is_written_while_the_next_one_is_computed_and_errors_arrive(monkeypatch):
    """An error of the thread that writes is raised by the next chunk, and the failed chunk is not entered."""
    entered, written, computing = [], Event(), Event()

    def compute(f, environments, settings, progress):
        if environments.structure_index[0] == 2:
            # The first chunk is not written before the second one is under way.
            computing.set()
            assert written.wait(60)
        progress(len(environments), None)

    def write(arrays, journal, k, environments, values):
        if k == 0:
            assert computing.wait(60)
            written.set()
            return k
        raise OSError("No space left on device")

    shown = []
    monkeypatch.setattr(chunking, "compute_chunk", compute)
    monkeypatch.setattr(chunking, "write_chunk", write)
    monkeypatch.setattr(Plan, "arrays", lambda plan: Opened())
    executor = LocalExecutor(None, 10, shown.append)
    plan = Plan("s.zarr", {}, {}, {})
    for k in range(2):
        executor.submit(plan, k, BATCH[2 * k : 2 * k + 2], entered.append)
    with pytest.raises(OSError, match="No space left"):
        executor.submit(plan, 2, BATCH[4:6], entered.append)
    executor.stop()
    assert entered == [0] and shown == [12, 14, 16]


class Opened:
    """Arrays that nothing is written to."""

    def open(self):
        return self


@pytest.fixture(scope="module")
def eight(tmp_path_factory):
    """A store of one chunk."""
    path = tmp_path_factory.mktemp("eight") / "s.zarr"
    sweep(Products(), BATCH[:8], out=path, chunk=8)
    return path


def plan_of(path):
    settings = json.loads((path / "journal" / "settings.json").read_text())["content"]
    return Plan(str(path), settings["compared"], settings["widths"], {})


def test_a_chunk_that_is_handed_over_replaces_a_damaged_one(eight, tmp_path):
    path = shutil.copytree(eight, tmp_path / "s.zarr")
    (path / "sigma" / "c" / "0" / "0").write_bytes(b"damaged")
    hand_over(plan_of(path), 0, BATCH[:8].padded(6))
    # The settings of former stores, to which a resumed sweep adds those that they lack.
    plan, journal = plan_of(path), Journal(path)
    former = journal.read("settings")
    del former["compared"]["classify"]
    journal.write("settings", former)
    entry = compute_handed_over(plan._replace(settings={**plan.settings, "classify": None}), 0)
    assert_same(load(path), load(eight))
    assert entry["n"] == 8 and entry["files"]["sigma/c/0/0"]


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda plan: plan._replace(store=plan.store + "elsewhere"), "does not see .*elsewhere"),
        (lambda plan: plan._replace(settings={**plan.settings, "screened": True}), "sees another sweep at"),
        (lambda plan: plan._replace(versions={"jax": "0.1"}), r"a worker has jax .*, and this process 0\.1; install"),
    ],
)
def test_workers_that_see_another_store_or_run_other_versions(eight, change, message):
    with pytest.raises(ReadError, match=message):
        compute_handed_over(change(plan_of(eight)), 0)
