"""The command line: arguments in, tables, files and an exit status out."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from jaxfeat import __version__
from jaxfeat.cli.bench import add_bench
from jaxfeat.cli.converge import add_converge
from jaxfeat.cli.report import add_report
from jaxfeat.cli.scan import add_scan
from jaxfeat.cli.search import add_search
from jaxfeat.cli.sweep import add_sweep
from jaxfeat.errors import BasisError, GeometryError, ReadError, SizeError, SpeciesError

DONE, FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit status: 0, 2 for bad input, 1 for a failure, 130 when interrupted."""
    arguments = _parser().parse_args(argv)
    arguments.command_line = shlex.join(["jaxfeat", *(sys.argv[1:] if argv is None else argv)])
    try:
        # Only now: what is wrong with the arguments, or --help, need not wait for JAX.
        import jax

        jax.config.update("jax_enable_x64", True)
        _share_cores()
        _keep_compilations()
        arguments.run(arguments)
    except (BasisError, GeometryError, ReadError, SizeError, SpeciesError) as error:
        return _say(str(error), BAD_INPUT)
    except (MemoryError, OSError, RuntimeError) as error:
        return _say(f"failed: {type(error).__name__}: {' '.join(str(error).split())[:500]}", FAILED)
    except KeyboardInterrupt as interrupt:
        return _say(str(interrupt) or "interrupted.", INTERRUPTED)
    return DONE


def _share_cores() -> None:
    """Have each core that this process may use be a device of JAX's: scans and sweeps share their work among them.

    JAX_NUM_CPU_DEVICES, or XLA's flag for it, takes precedence.
    """
    import jax

    from jaxfeat.spectrum.devices import n_cores

    told = jax.config.values["jax_num_cpu_devices"] >= 0 or "device_count" in os.environ.get("XLA_FLAGS", "")
    if not told:
        # A process that has used JAX before keeps the devices it has.
        with suppress(RuntimeError):
            jax.config.update("jax_num_cpu_devices", n_cores())


def _keep_compilations() -> None:
    """Have JAX keep compiled programs on disk, so that the second run of a command compiles nothing.

    In the user's cache folder, unless JAX_COMPILATION_CACHE_DIR names another; JAX_ENABLE_COMPILATION_CACHE=false
    keeps none. A folder that cannot be written to costs a warning and no more. JAX runs the programs that it finds, so
    a folder that others may write to is not used.
    """
    import jax

    if not jax.config.values["jax_enable_compilation_cache"]:
        return
    if jax.config.values["jax_compilation_cache_dir"] is None:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "jaxfeat"
        if others := _others(folder):
            print(
                f"jaxfeat: {folder} {others}, and compiled programs in it would be run: none are kept. Remove that "
                "folder, or name one of your own in JAX_COMPILATION_CACHE_DIR.",
                file=sys.stderr,
            )
            jax.config.update("jax_enable_compilation_cache", False)
            return
        jax.config.update("jax_compilation_cache_dir", str(folder))
    # By default only what takes a second: most programs here are smaller, and there are dozens of them.
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


def _others(folder: Path) -> str:
    """Who else may write to a folder, in words; nothing if nobody. A new folder is the user's alone."""
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


def _say(message: str, status: int) -> int:
    print(f"jaxfeat: {message}", file=sys.stderr)
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="jaxfeat", description="What atomic descriptors cannot see.")
    parser.add_argument("--version", action="version", version=f"jaxfeat {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for add in (add_scan, add_converge, add_sweep, add_search, add_report, add_bench):
        add(commands)
    return parser
