"""The exit status, what is said on the way out, and the configuration of JAX."""

import os
import subprocess
import sys

import ase.io
import pytest
from ase.build import molecule

import jaxfeat
from jaxfeat.cli import main


@pytest.mark.parametrize(
    "error, status, message",
    [
        (RuntimeError("the device is gone\nfor good"), 1, "failed: RuntimeError: the device is gone for good"),
        (MemoryError(), 1, "failed: MemoryError"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_failures_have_a_status_and_leave_no_file(tmp_path, monkeypatch, capsys, error, status, message):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(jaxfeat, "scan", fail)
    (tmp_path / "s.json").write_text("precious")
    assert main(["scan", "random-methane:1", "--json", str(tmp_path / "s.json")]) == status
    assert message in capsys.readouterr().err
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("s.json", "precious")]


@pytest.mark.parametrize(
    "words, status",
    [
        (["--version"], 0),
        (["converge", "g2", "--n-max"], 2),
        (["scan", "--help"], 0),
        ([], 2),
        (["scan"], 2),
        (["scan", "g2", "--nu", "x"], 2),
    ],
)
def test_arguments_are_judged_before_anything_runs(words, status, capsys, no_scan):
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == status
    assert "jaxfeat" in "".join(capsys.readouterr())


def test_the_process_returns_the_status(tmp_path):
    run = subprocess.run([sys.executable, "-m", "jaxfeat", "scan", str(tmp_path)], capture_output=True, text=True)
    assert run.returncode == 2
    said = [f"reading {tmp_path}.", f"{tmp_path} is a folder; give a file of structures."]
    assert run.stderr.splitlines() == [f"jaxfeat: {line}" for line in said]
    assert run.stdout == ""


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
