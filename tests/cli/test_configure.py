"""The configuration of JAX in a command: every core, and compiled programs that are kept."""

import os
import subprocess
import sys

import ase.io
from ase.build import molecule


def test_the_second_run_of_a_command_compiles_nothing_and_both_take_every_core(tmp_path):
    ase.io.write(tmp_path / "water.xyz", molecule("H2O"))
    code = """
import gc, sys
gc.disable()
import jax
from jaxfeat.cli import main
looked_up = []
jax.monitoring.register_event_listener(lambda event, **_: looked_up.append(event.rpartition("/")[2]))
status = main(sys.argv[1:])
print(jax.device_count(), looked_up.count("cache_hits"), looked_up.count("cache_misses"))
sys.exit(status)
"""
    words = ["scan", str(tmp_path / "water.xyz"), "--nu", "1", "--centers", "O", "--n-max", "2", "--l-max", "2"]
    clean = {key: value for key, value in os.environ.items() if not key.startswith("JAX_")}
    counts = []
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", code, *words],
            capture_output=True,
            text=True,
            env=clean | {"XDG_CACHE_HOME": str(tmp_path / "caches"), "JAX_PLATFORMS": "cpu"},
        )
        assert done.returncode == 0, done.stderr
        counts.append([int(word) for word in done.stdout.splitlines()[-1].split()])
    devices, hits, misses = zip(*counts, strict=True)
    assert misses[0] > 0 and misses[1] == 0 and hits[1] > 0, counts
    assert devices[0] == len(os.sched_getaffinity(0))
    assert (tmp_path / "caches" / "jaxfeat").is_dir()
