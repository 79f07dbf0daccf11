"""Kill a sweep again and again: `python benchmarks/survival.py [--smoke] [--cluster N]`.

A process sweeps random methanes into a store and is killed (SIGKILL) at a random moment, ten times; then it is left to
finish. The store has to equal, in every value, that of a process that nobody disturbed. Between kills a chunk that was
done is damaged now and then, as a failing disk would. With `--cluster`, N processes of dask work on the chunks, and it
is one of them that is killed, or now and then the one that they work for.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import xarray

FEATURIZER = Path(__file__).parents[1] / "tests" / "sweep"
"""Folder from which workers import `products`, which compiles quickly and is blind on no environment."""

SWEEP = """
import sys
import jax
jax.config.update("jax_enable_x64", True)
import jaxfeat
from products import Products
frames = jaxfeat.frames(sys.argv[1], 4.0)
print("ready", flush=True)
cluster = int(sys.argv[4]) or None
jaxfeat.sweep(Products(), frames, out=sys.argv[2], chunk=int(sys.argv[3]), screened=True, cluster=cluster)
"""


def done(store: Path) -> int:
    return len([file for file in (store / "journal").glob("*.json") if file.stem.isdecimal()])


def start(source: str, store: Path, chunk: int, cache: Path, workers: int = 0) -> subprocess.Popen[str]:
    environment = {
        **os.environ,
        "JAX_PLATFORMS": "cpu",
        "JAX_COMPILATION_CACHE_DIR": str(cache),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "PYTHONPATH": os.pathsep.join(filter(None, [str(FEATURIZER), os.environ.get("PYTHONPATH")])),
    }
    words = [sys.executable, "-c", SWEEP, source, str(store), str(chunk), str(workers)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    process.stdout.readline()
    return process


def workers_of(process: subprocess.Popen[str]) -> list[int]:
    """Return the processes that a process has spawned."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == process.pid and b"spawn_main" in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def damage(store: Path, rng: random.Random) -> str:
    """Flip a bit of a file of a finished chunk."""
    files = sorted(file for file in store.glob("*/c/**/*") if file.is_file() and file.suffix == "")
    file = rng.choice(files)
    content = bytearray(file.read_bytes())
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    file.write_bytes(content)
    return file.relative_to(store).as_posix()


def differences(a: Path, b: Path) -> list[str]:
    one, other = (xarray.open_zarr(path, chunks=None).load() for path in (a, b))
    if set(one.variables) != set(other.variables) or dict(one.sizes) != dict(other.sizes):
        return ["names or sizes"]
    kinds = {name: one[name].dtype.kind == "f" for name in one.variables}
    return [
        str(name) for name, is_float in kinds.items()
        if not np.array_equal(one[name].values, other[name].values, equal_nan=is_float)
    ]  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="small chunks: a minute or two")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--cluster", type=int, metavar="N", default=0, help="dask processes that work on the chunks")
    parser.add_argument("--seed", type=int, default=None, help="of the moments of the kills (default: the clock)")
    arguments = parser.parse_args()
    seed = time.time_ns() % 2**32 if arguments.seed is None else arguments.seed
    rng = random.Random(seed)
    chunks, chunk = 200, 16 if arguments.smoke else 1024
    source = f"random-methane:{chunks * chunk - 3}:7"
    print(f"{source}, {chunks} chunks of {chunk}, {arguments.kills} kills, seed {seed}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        whole, broken, cache = folder / "whole.zarr", folder / "broken.zarr", folder / "cache"
        begin = time.monotonic()
        assert start(source, whole, chunk, cache).wait() == 0
        print(f"undisturbed: {done(whole)} chunks in {time.monotonic() - begin:.0f} s")
        process = None
        for kill in range(arguments.kills):
            before = done(broken)
            goal = before + rng.randrange(1, max(2, (chunks - before) // (arguments.kills - kill)))
            process = process or start(source, broken, chunk, cache, arguments.cluster)
            while done(broken) < goal and process.poll() is None:
                time.sleep(0.002)
            time.sleep(rng.uniform(0, 0.05))
            workers = [] if rng.random() < 0.3 else workers_of(process)
            if workers:
                os.kill(rng.choice(workers), signal.SIGKILL)
                print(f"kill {kill + 1}: a worker, {done(broken)} chunks done")
                continue
            process.send_signal(signal.SIGKILL)
            ended, process = process.wait() == 0, None
            words = f"kill {kill + 1}: {before} chunks before, {done(broken)} after"
            if ended:
                words += ", too late, it had finished"
            if kill % 3 == 2:
                words += f"; then a bit flipped in {damage(broken, rng)}"
            print(words)
        begin = time.monotonic()
        assert (process or start(source, broken, chunk, cache, arguments.cluster)).wait() == 0
        print(f"left alone: {done(broken)} chunks, {time.monotonic() - begin:.0f} s")
        wrong = differences(whole, broken)
    print(
        f"differs in {', '.join(wrong)}" if wrong else "every value of every variable is that of the undisturbed sweep"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
