"""The configuration of JAX in a command: float64, one device per core, and compiled programs kept on disk."""

import os
import sys
from contextlib import suppress
from pathlib import Path

import jax

from jaxfeat.spectrum.devices import n_cores


def configure_jax() -> None:
    """Configure JAX. Environment variables of JAX and XLA take precedence, except that float64 is always on."""
    jax.config.update("jax_enable_x64", True)
    # Each core that this process may use becomes a device of JAX, so that scans and sweeps use all of them.
    told = jax.config.values["jax_num_cpu_devices"] >= 0 or "device_count" in os.environ.get("XLA_FLAGS", "")
    if not told:
        # A process that has used JAX before keeps its devices, and JAX raises.
        with suppress(RuntimeError):
            jax.config.update("jax_num_cpu_devices", n_cores())
    keep_compilations()


def keep_compilations() -> None:
    """Keep compiled programs in the user's cache folder, so that a second run of a command compiles nothing.

    JAX runs the programs that it finds there, so a folder that others may write to is not used.
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
