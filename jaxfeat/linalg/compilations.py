"""Compiled programs that are kept between processes, and a word to users who wait for a compilation."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from threading import Timer

import jax

SLOW_SECONDS = 2.0
"""Seconds of a compilation after which the user is told of it."""


def keep_compilations() -> None:
    """Keep compiled programs in the user's cache folder, so that later processes need not compile them.

    Call it once, before or after other work. The folder is `~/.cache/jaxfeat`, or `jaxfeat` in the folder that
    `XDG_CACHE_HOME` names. Settings of JAX take precedence: a folder in `JAX_COMPILATION_CACHE_DIR` is used instead,
    and `JAX_ENABLE_COMPILATION_CACHE=false` keeps nothing. The commands call this function themselves.

    JAX runs the programs that it finds in the folder. If the folder belongs to another user, or if others may write to
    it, no program is kept, and a line on stderr says so.
    """
    if not jax.config.values["jax_enable_compilation_cache"]:
        return
    if jax.config.values["jax_compilation_cache_dir"] is None:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "jaxfeat"
        if danger := _open_to_others(folder):
            print(
                f"jaxfeat: {folder} {danger}, and compiled programs in it would be run: none are kept. Remove that "
                "folder, or name one of your own in JAX_COMPILATION_CACHE_DIR.",
                file=sys.stderr,
            )
            jax.config.update("jax_enable_compilation_cache", False)
            return
        jax.config.update("jax_compilation_cache_dir", str(folder))
    # By default JAX keeps programs that take a second to compile. Most programs here take less, and there are dozens.
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


def _open_to_others(folder: Path) -> str:
    """Say why others can write to a folder, in words that follow its name. Create it for the user if it is absent."""
    with suppress(OSError):
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
    try:
        found = folder.stat()
    except OSError:
        return ""
    if found.st_uid != os.geteuid():
        return "belongs to another user"
    return "may be written to by others" if found.st_mode & 0o022 else ""


_timers: ContextVar[list[Timer] | None] = ContextVar("timers", default=None)


@contextmanager
def watching_compilation() -> Iterator[None]:
    """Tell the user if a program that is traced inside a `with` block takes long to compile."""
    timers: list[Timer] = []
    before = _timers.set(timers)
    try:
        yield
    finally:
        _timers.reset(before)
        for timer in timers:
            timer.cancel()


def start_watch() -> None:
    """Start the time of a program inside `watching_compilation`: its tracing begins, and its compilation follows."""
    timers = _timers.get()
    if timers is not None:
        timer = Timer(SLOW_SECONDS, tell_of_compilation)
        timer.daemon = True
        timer.start()
        timers.append(timer)


@cache
def tell_of_compilation() -> None:
    """Tell the user on stderr, once in a process, that a program is being compiled. Files and pipes are spared."""
    if not (sys.stderr.isatty() or type(sys.stderr).__module__.startswith("ipykernel")):
        return
    kept = jax.config.values["jax_enable_compilation_cache"] and jax.config.values["jax_compilation_cache_dir"]
    where = f"It will be kept in {kept}." if kept else "jaxfeat.keep_compilations() keeps programs for later processes."
    print(
        f"jaxfeat: compiling a program, which takes some seconds once for each shape of its input. {where}",
        file=sys.stderr,
    )
