"""Compiled programs are code, and kept in a folder of the user's own. Who waits for a compilation is told, once."""

import io
import os
import time
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import pytest

import jaxfeat
from jaxfeat.linalg import compilations
from jaxfeat.linalg.jit import watched_jit


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
        jaxfeat.keep_compilations()
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
    jaxfeat.keep_compilations()
    said = capsys.readouterr().err
    assert ("may be written to by others" if how == "mode" else "belongs to another user") in said
    assert "Remove that folder, or name one of your own in JAX_COMPILATION_CACHE_DIR" in said
    assert not jax.config.values["jax_enable_compilation_cache"]
    assert jax.config.values["jax_compilation_cache_dir"] is None


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def terminal(monkeypatch):
    """A terminal as stderr of a process that has said nothing, where 0.05 s of compilation are slow."""
    shown = Terminal()
    monkeypatch.setattr(compilations, "sys", SimpleNamespace(stderr=shown))
    monkeypatch.setattr(compilations, "SLOW_SECONDS", 0.05)
    compilations.tell_of_compilation.cache_clear()
    yield shown
    compilations.tell_of_compilation.cache_clear()


@watched_jit
def slow_to_trace(x):
    time.sleep(0.3)
    return 2 * x


def test_a_slow_first_call_says_once_that_it_compiles(terminal):
    slow_to_trace(jnp.zeros(2))
    assert terminal.getvalue().count("\n") == 1
    assert "compiling a program" in terminal.getvalue() and "jaxfeat.keep_compilations()" in terminal.getvalue()
    slow_to_trace(jnp.zeros(3))
    assert terminal.getvalue().count("\n") == 1


def test_fast_calls_later_calls_and_calls_inside_jit_say_nothing(terminal):
    watched_jit(lambda x: 3 * x)(jnp.zeros(2))
    jax.jit(slow_to_trace)(jnp.zeros(4))
    before = time.monotonic()
    slow_to_trace(jnp.zeros(2)), slow_to_trace(jnp.zeros(3))
    assert time.monotonic() - before < 0.3, "programs of the test before should be at hand"
    time.sleep(0.1)
    assert terminal.getvalue() == ""


def test_files_and_pipes_are_spared(terminal, monkeypatch):
    monkeypatch.setattr(Terminal, "isatty", lambda _: False)
    slow_to_trace(jnp.zeros(5))
    assert terminal.getvalue() == ""
