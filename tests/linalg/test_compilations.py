"""Compiled programs are code, and kept in a folder of the user's own."""

import os

import jax
import pytest

import jaxfeat


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
