"""Compiled programs that are kept between processes, and a word to users who wait for a compilation."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from threading import Timer

import jax

SLOW_SECONDS = 2.0
"""Seconds of a compilation after which the user is told of it."""


def keep_compilations() -> None:
    """Keep compiled programs in the user's cache folder, so that later processes need not compile them.

    Call it once, before or after other work. The folder is `~/.cache/jaxfeat`, or `jaxfeat` in the folder that
    `XDG_CACHE_HOME` names. Settings of JAX take precedence: a folder in `JAX_COMPILATION_CACHE_DIR` is used instead, and
    `JAX_ENABLE_COMPILATION_CACHE=false` keeps nothing. The commands call this function themselves.

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


class CompilationWatch:
    """A watch over one call of a compiled function, which tells the user if the call compiles for long.

    It is a static argument of the function. All watches are equal, so that calls share their programs. JAX then traces
    the function with the watch of the call that has no program yet.
    """

    def __init__(self) -> None:
        self.timer: Timer | None = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CompilationWatch)

    def __hash__(self) -> int:
        return hash(CompilationWatch)

    def start(self) -> None:
        """Start the time. Tracing begins, and compilation follows."""
        self.timer = Timer(SLOW_SECONDS, tell_of_compilation)
        self.timer.daemon = True
        self.timer.start()

    def stop(self) -> None:
        """Stop the time, because the call is over."""
        if self.timer is not None:
            self.timer.cancel()


@cache
def tell_of_compilation() -> None:
    """Tell the user on stderr, once in a process, that a program is being compiled. Files and pipes are spared."""
    if not (sys.stderr.isatty() or type(sys.stderr).__module__.startswith("ipykernel")):
        return
    kept = jax.config.values["jax_enable_compilation_cache"] and jax.config.values["jax_compilation_cache_dir"]
    print(
        "jaxfeat: compiling a program, which takes some seconds once for each shape of its input. "
        + (f"It will be kept in {kept}." if kept else "jaxfeat.keep_compilations() keeps programs for later processes."),
        file=sys.stderr,
    )
