"""The command line: arguments in, tables and files and an exit status out."""

import argparse
import gc
import os
import shlex
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from threading import current_thread, main_thread

from jaxfeat import __version__
from jaxfeat.cli.alike import add_alike
from jaxfeat.cli.bench import add_bench
from jaxfeat.cli.converge import add_converge
from jaxfeat.cli.output import say
from jaxfeat.cli.prove import add_prove
from jaxfeat.cli.report import add_report
from jaxfeat.cli.scan import add_scan
from jaxfeat.cli.search import add_search
from jaxfeat.cli.sweep import add_sweep
from jaxfeat.cli.tune import add_tune
from jaxfeat.errors import BasisError, GeometryError, ReadError, SizeError, SpeciesError

DONE, FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    **Arguments:**

    - `argv`: The words after `jaxfeat`. By default those of the process.

    **Returns:** The exit status: 0, 1 for a failure and for what `prove` cannot prove, 2 for bad input, 130 if
    interrupted by Ctrl-C or SIGTERM.
    """
    arguments = _make_parser().parse_args(argv)
    say(arguments.begins.format(**vars(arguments)))
    arguments.command_line = shlex.join(["jaxfeat", *(sys.argv[1:] if argv is None else argv)])
    # BLAS reads these when NumPy is loaded. The work runs side by side on all cores, one BLAS thread each: more of them
    # only wait for each other, tenfold slower on a busy machine.
    if not {"OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"} & os.environ.keys():
        os.environ.update(dict.fromkeys(("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))
    try:
        _configure_jax()
        with _interrupted_by_sigterm():
            return arguments.run(arguments) or DONE
    except (BasisError, GeometryError, ReadError, SizeError, SpeciesError) as error:
        message, status = str(error), BAD_INPUT
    except (MemoryError, OSError, RuntimeError) as error:
        message, status = f"failed: {type(error).__name__}: {' '.join(str(error).split())[:500]}", FAILED
    except KeyboardInterrupt as interrupt:
        message, status = str(interrupt) or "interrupted.", INTERRUPTED
    say(message)
    return status


def _configure_jax() -> None:
    """Configure JAX: float64, one device per core, and compiled programs kept on disk. Environment variables of JAX and
    XLA take precedence, except that float64 is always on."""
    # The modules of JAX hold many objects, none of them garbage: looking through them takes a fifth of a short command.
    first = "jax" not in sys.modules and gc.isenabled()
    if first:
        gc.disable()
    # Imported here because --help and wrong arguments need not wait for JAX.
    import jax

    from jaxfeat.linalg.compilations import keep_compilations
    from jaxfeat.spectrum.devices import n_cores

    if first:
        gc.freeze()
        gc.enable()
    jax.config.update("jax_enable_x64", True)
    # Each core that this process may use becomes a device of JAX, so that scans and sweeps use all of them.
    if jax.config.values["jax_num_cpu_devices"] < 0 and "device_count" not in os.environ.get("XLA_FLAGS", ""):
        # A process that has used JAX before keeps its devices, and JAX raises.
        with suppress(RuntimeError):
            jax.config.update("jax_num_cpu_devices", n_cores())
    keep_compilations()


@contextmanager
def _interrupted_by_sigterm() -> Iterator[None]:
    """Let SIGTERM, which batch queues send at the end of a job, do as Ctrl-C in a `with` block."""
    unhandled = current_thread() is main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    if unhandled:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        if unhandled:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="jaxfeat", description="Find what atomic descriptors cannot see.")
    parser.add_argument("--version", action="version", version=f"jaxfeat {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for add in (add_scan, add_converge, add_tune, add_alike, add_sweep, add_search, add_prove, add_report, add_bench):
        add(commands)
    return parser
