"""The configuration of JAX in a command. Compiled programs are code, too, and kept in a folder of the user's own."""

import os
import subprocess
import sys

import ase.io
import jax
import pytest
from ase.build import molecule

from jaxfeat.cli import configure


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


@pytest.fixture
def caching(tmp_path, monkeypatch):
    """As in a process of its own, which keeps programs. Nothing is compiled meanwhile."""
    names = ("enable_compilation_cache", "compilation_cache_dir", "persistent_cache_min_compile_time_secs")
    before = {f"jax_{name}": jax.config.values[f"jax_{name}"] for name in names}
    jax.config.update("jax_enable_compilation_cache", True)
    jax.config.update("jax_compilation_cache_dir", None)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    yield tmp_path / "caches" / "jaxfeat"
    for name, value in before.items():
        jax.config.update(name, value)


def test_the_cache_folder_is_the_users_alone(caching, capsys):
    before = os.umask(0)
    try:
        configure.keep_compilations()
    finally:
        os.umask(before)
    assert caching.stat().st_mode & 0o777 == 0o700 and capsys.readouterr().err == ""
    assert jax.config.values["jax_compilation_cache_dir"] == str(caching)


@pytest.mark.parametrize("how", ["mode", "owner"])
def test_a_cache_folder_of_others_is_not_used(caching, monkeypatch, capsys, how):
    caching.mkdir(parents=True)
    caching.chmod(0o777 if how == "mode" else 0o755)
    if how == "owner":
        monkeypatch.setattr(os, "geteuid", lambda: caching.stat().st_uid + 1)
    configure.keep_compilations()
    said = capsys.readouterr().err
    assert ("may be written to by others" if how == "mode" else "belongs to another user") in said
    assert "Remove that folder, or name one of your own in JAX_COMPILATION_CACHE_DIR" in said
    assert not jax.config.values["jax_enable_compilation_cache"]
    assert jax.config.values["jax_compilation_cache_dir"] is None
