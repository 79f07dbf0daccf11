"""Compiled programs are code, and kept in a folder of the user's own. Who waits for a compilation is told so."""

import os
import threading
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxfeat
from jaxfeat.linalg import compilations


@pytest.fixture
def caching(tmp_path, monkeypatch):
    """Let the test change the settings of the cache, and restore them. The test compiles nothing."""
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


@pytest.fixture
def slow(monkeypatch):
    """Make every compilation count as a long one, and forget that the user has been told of one."""
    monkeypatch.setattr(compilations, "SLOW_SECONDS", 1e-4)
    monkeypatch.setattr(compilations, "tell_of_compilation", cache(compilations.tell_of_compilation.__wrapped__))


def environments(n):
    return jaxfeat.Environment.from_neighbors(np.random.default_rng(n).normal(size=(n, 3)), ["H"] * n)


def products(positions, species, mask):
    return jnp.sort(jnp.where(mask[:, None] & mask[None], positions @ positions.T, 0).ravel())


def test_a_slow_compilation_is_told_once(slow, capsys):
    f = jaxfeat.function(products)
    for n in (5, 6):
        jaxfeat.singular_spectrum(f, environments(n))
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and said.startswith("jaxfeat: compiling a program")
    assert "jaxfeat.keep_compilations() keeps programs" in said


def test_programs_of_others_of_commands_and_quick_ones_are_not_told(slow, monkeypatch, capsys):
    compilations.watch_compilations()
    jax.jit(lambda x: jnp.linalg.svd(x @ x.T)[1])(jnp.eye(7)).block_until_ready()
    f, command = jaxfeat.function(products), {"__name__": "jaxfeat.cli.scan"}
    eval("jaxfeat.singular_spectrum(f, env)", {**command, "jaxfeat": jaxfeat, "f": f, "env": environments(7)})
    monkeypatch.setattr(compilations, "SLOW_SECONDS", 60)
    jaxfeat.singular_spectrum(f, environments(8))
    assert capsys.readouterr().err == ""
    timers = [thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)]
    for timer in timers:
        timer.join(5)
        assert not timer.is_alive()


def test_tuned_functions_work_inside_every_transformation():
    square = compilations.tuned_jit(lambda x: x**2)
    x = np.arange(3.0)
    np.testing.assert_array_equal(square(x), x**2)
    np.testing.assert_array_equal(jax.jit(lambda y: y * square(x))(2.0), 2 * x**2)
    np.testing.assert_array_equal(jax.jit(jax.vmap(square))(x), x**2)
    np.testing.assert_array_equal(jax.vmap(jax.grad(square))(x), 2 * x)
