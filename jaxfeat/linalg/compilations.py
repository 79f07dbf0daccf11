"""Compilation of functions that work on Jacobians, programs that are kept between processes, and a word to users who
wait for a compilation."""

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import cache, wraps
from pathlib import Path
from threading import Timer, current_thread, main_thread
from traceback import walk_stack
from typing import Any

import equinox as eqx
import jax

from jaxfeat.linalg.lanes import inside_transformation

SLOW_SECONDS = 2.0  # of a compilation, after which the user is told of it


def tuned_jit(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function like `equinox.filter_jit`, with XLA's older emitter of CPU kernels.

    Programs on Jacobians are as fast with it or faster, and compile in half the time; programs that compute features
    alone are twice as fast with the newer one. The older emitter works number by number on a loop that overwrites the
    array that it reads, so such loops in this package carry the array twice, read the second copy, and return the
    first. Only a whole program takes options: inside another transformation the function is compiled as part of that.
    """
    inner = eqx.filter_jit(function)
    outermost = cache(lambda: eqx.filter_jit(function, **_tuned_options()))

    @wraps(function)
    def call(*args: Any) -> Any:
        return (inner if inside_transformation() else outermost())(*args)

    return call


@cache
def _tuned_options() -> dict[str, Any]:
    """Return the options, or none if this version of XLA does not know them."""
    options: dict[str, Any] = {"compiler_options": {"xla_cpu_use_fusion_emitters": False}}
    try:
        jax.jit(lambda: 0, **options).lower().compile()
    except jax.errors.JaxRuntimeError:
        return {}
    return options


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


@cache
def watch_compilations() -> None:
    """Tell the user on stderr, once in a process, if a program compiles for long in a call of this package. Commands
    are spared, because they show progress. The watch listens to JAX, so it adds no function to any call."""
    timers: list[Timer] = []

    def hear(event: str, duration_secs: float, **details: Any) -> None:
        stage = event.rpartition("/")[2]
        if stage not in ("jaxpr_to_mlir_module_duration", "backend_compile_duration"):
            return
        # The workers of a cluster compute in threads.
        if current_thread() is not main_thread():
            return
        while timers:
            timers.pop().cancel()
        # A program has been lowered, and its compilation begins.
        if stage == "jaxpr_to_mlir_module_duration" and _is_called_from_python():
            timers.append(Timer(SLOW_SECONDS, tell_of_compilation))
            timers[0].daemon = True
            timers[0].start()

    jax.monitoring.register_event_duration_secs_listener(hear)


def _is_called_from_python() -> bool:
    names = {frame.f_globals.get("__name__", "") for frame, _ in walk_stack(None)} - {__name__}
    ours = {name.split(".")[1] for name in names if name.startswith("jaxfeat.")}
    return bool(ours) and not ours & {"cli", "bench"}


@cache
def tell_of_compilation() -> None:
    kept = jax.config.values["jax_enable_compilation_cache"] and jax.config.values["jax_compilation_cache_dir"]
    where = f"It will be kept in {kept}." if kept else "jaxfeat.keep_compilations() keeps programs for later processes."
    print(f"jaxfeat: compiling a program for inputs of this size, which takes some seconds. {where}", file=sys.stderr)
