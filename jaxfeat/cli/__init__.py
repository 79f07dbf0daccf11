"""The command line: arguments in, tables and files and an exit status out."""

import argparse
import gc
import os
import shlex
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout, suppress
from threading import current_thread, main_thread

from jaxfeat import __version__
from jaxfeat.cli.alike import add_alike
from jaxfeat.cli.arguments import add_quiet
from jaxfeat.cli.bench import add_bench
from jaxfeat.cli.converge import add_converge
from jaxfeat.cli.features import add_features
from jaxfeat.cli.output import StandardOutput, say
from jaxfeat.cli.parser import Parser
from jaxfeat.cli.prove import add_prove
from jaxfeat.cli.report import add_report
from jaxfeat.cli.scan import add_scan
from jaxfeat.cli.search import add_search
from jaxfeat.cli.sweep import add_sweep
from jaxfeat.cli.tune import add_tune
from jaxfeat.errors import BasisError, GeometryError, ReadError, SizeError, SpeciesError

DONE, FAILED, BAD_INPUT, INTERRUPTED, UNREAD = 0, 1, 2, 130, 141

STATUSES = {
    DONE: "done",
    FAILED: "failed, for example because of too little memory or disk, or by an error of jaxfeat's own; or prove left "
    "something unproved",
    BAD_INPUT: "the command or its input is wrong; nothing is written",
    INTERRUPTED: "interrupted, by Ctrl-C or SIGTERM",
    UNREAD: "the reader of stdout, such as head, has gone",
}
"""The exit statuses. Python ends with 1, too, after an error that nothing expects."""

EXAMPLES = (
    ("scan g2", "where a power spectrum is blind, in the environments of ASE's g2 molecules"),
    ("scan molecules.xyz --json scan.json --plot scan.png", "the same for your own file, with numbers and a picture"),
    ("features molecules.xyz --out features.npz", "features alone, as NumPy arrays in a file"),
    ("scan --help", "all options of a command, and examples"),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    **Arguments:**

    - `argv`: The words after `jaxfeat`. By default those of the process.

    **Returns:** The exit status, one of `STATUSES`.
    """
    arguments = make_parser().parse_args(argv)
    arguments.command_line = shlex.join(["jaxfeat", *(sys.argv[1:] if argv is None else argv)])
    # BLAS reads these when NumPy is loaded. The work runs side by side on all cores, one BLAS thread each: more of them
    # only wait for each other, tenfold slower on a busy machine.
    if not {"OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"} & os.environ.keys():
        os.environ.update(dict.fromkeys(("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))
    try:
        with _streams(arguments):
            say(arguments.begins.format(**vars(arguments)))
            _configure_jax()
            with _interrupted_by_sigterm():
                status = arguments.run(arguments) or DONE
            sys.stdout.flush()
        return status
    except BrokenPipeError:
        # Python would complain about the text that is still to be written.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return UNREAD
    except (BasisError, GeometryError, ReadError, SizeError, SpeciesError) as error:
        message, status = str(error), BAD_INPUT
    except (MemoryError, OSError, RuntimeError) as error:
        message, status = f"failed: {type(error).__name__}: {' '.join(str(error).split())[:500]}", FAILED
    except KeyboardInterrupt as interrupt:
        message, status = str(interrupt) or "interrupted.", INTERRUPTED
    say(message)
    return status


@contextmanager
def _streams(arguments: argparse.Namespace) -> Iterator[None]:
    """Leave stderr to errors if --quiet is given, and stdout to JSON if that is asked for there."""
    with ExitStack() as stack:
        if arguments.quiet:
            stack.enter_context(redirect_stderr(stack.enter_context(open(os.devnull, "w"))))
        if isinstance(getattr(arguments, "json", None), StandardOutput):
            stack.enter_context(redirect_stdout(sys.stderr))
        yield


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


def make_parser() -> Parser:
    """Make the parser of all commands."""
    statuses = {str(status): meaning for status, meaning in STATUSES.items()}
    parser = Parser(
        prog="jaxfeat",
        description="Find what atomic descriptors cannot see.",
        lists={"exit statuses": statuses},
        examples=EXAMPLES,
    )
    parser.add_argument("--version", action="version", version=f"jaxfeat {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for add in (
        add_scan, add_converge, add_tune, add_alike, add_sweep, add_search, add_prove, add_features, add_report,
        add_bench,
    ):  # fmt: skip
        add(commands)
    for command in commands.choices.values():
        add_quiet(command)
    return parser
