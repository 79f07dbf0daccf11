"""Compiled programs that are kept between processes."""

import os
import sys
from contextlib import suppress
from pathlib import Path

import jax


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
