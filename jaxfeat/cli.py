"""The command line: arguments in, tables, files and an exit status out."""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from jaxfeat.errors import BasisError, GeometryError, ReadError, SpeciesError

if TYPE_CHECKING:
    from jaxfeat.features.base import AbstractFeaturizer
    from jaxfeat.geometry.environment import Environment

DONE, FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130
PICTURES = (".pdf", ".png", ".svg")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit status: 0, 2 for bad input, 1 for a failure, 130 when interrupted."""
    arguments = _parser().parse_args(argv)
    try:
        # Only now: what is wrong with the arguments, or --help, need not wait for JAX.
        import jax

        jax.config.update("jax_enable_x64", True)
        arguments.run(arguments)
    except (BasisError, GeometryError, ReadError, SpeciesError) as error:
        return _say(str(error), BAD_INPUT)
    except (MemoryError, OSError, RuntimeError) as error:
        return _say(f"failed: {type(error).__name__}: {' '.join(str(error).split())[:500]}", FAILED)
    except KeyboardInterrupt:
        return _say("interrupted.", INTERRUPTED)
    return DONE


def _say(message: str, status: int) -> int:
    print(f"jaxfeat: {message}", file=sys.stderr)
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="jaxfeat", description="What atomic descriptors cannot see.")
    parser.add_argument("--version", action="version", version=f"jaxfeat {_version()}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    scan = commands.add_parser(
        "scan",
        help="singular spectra of every environment of a file",
        description="Compute features, exact Jacobians and singular spectra of every environment of INPUT, and say "
        "where the descriptor is blind. Lengths are in Å.",
    )
    scan.set_defaults(run=_scan)
    scan.add_argument(
        "input",
        metavar="INPUT",
        help="a file that ASE reads, or g2, s22, dcdft, prl-methane, random-methane:N[:SEED]",
    )
    descriptor = scan.add_argument_group("the descriptor")
    descriptor.add_argument(
        "--nu",
        type=int,
        default=2,
        help="body order: 1 radial, 2 power spectrum, 3 bispectrum, or more (default: %(default)s)",
    )
    descriptor.add_argument(
        "--r-cut", type=float, default=4.0, help="radius of the environments (default: %(default)s)"
    )
    descriptor.add_argument("--n-max", type=int, default=8, help="number of radial functions (default: %(default)s)")
    descriptor.add_argument(
        "--l-max", type=int, default=6, help="largest angular momentum, inclusive (default: %(default)s)"
    )
    descriptor.add_argument(
        "--sigma", type=float, default=0.3, help="width of the Gaussians on the atoms (default: %(default)s)"
    )
    descriptor.add_argument(
        "--radial",
        default="gto",
        choices=("gto", "gto-rascal", "laplacian"),
        help="radial basis (default: %(default)s)",
    )
    descriptor.add_argument(
        "--species", nargs="+", metavar="X", help="chemical symbols with a channel each (default: all in the input)"
    )
    descriptor.add_argument("--no-center", action="store_true", help="leave the center out of its own density")
    scan.add_argument(
        "--centers", nargs="+", metavar="X", help="symbols or indices from 0 (default: all, or the C of the methanes)"
    )
    results = scan.add_argument_group("results")
    results.add_argument("--json", type=Path, metavar="FILE", help="write one object per environment")
    results.add_argument("--plot", type=Path, metavar="FILE", help=f"draw a picture: {', '.join(PICTURES)}")
    return parser


def _version() -> str:
    try:
        return version("jaxfeat")
    except PackageNotFoundError:
        return "(not installed)"


def _scan(arguments: argparse.Namespace) -> None:
    from jaxfeat.geometry.read import environments, read
    from jaxfeat.report.plot import plot
    from jaxfeat.report.table import most_blind, print_tables
    from jaxfeat.sweep.run import causes, scan

    for target in filter(None, (arguments.json, arguments.plot)):
        _check_target(target)
    if arguments.plot is not None and arguments.plot.suffix not in PICTURES:
        raise ReadError(f"{arguments.plot} names no picture; end it in {', '.join(PICTURES)}.")
    source = read(arguments.input)
    centers = source.centers if arguments.centers is None else _centers(arguments.centers)
    batch = environments(source.atoms, arguments.r_cut, centers, names=source.names)
    f = _featurizer(arguments, batch)
    with _progress(f"{len(batch)} environments", len(batch)) as progress:
        records = scan(f, batch, progress=progress)
    records = [_named(record, source.names[record["structure"]]) for record in records]
    if arguments.json is not None:
        with _written(arguments.json) as file:
            file.write(json.dumps(_finite(records), allow_nan=False).encode())
    if arguments.plot is not None:
        with _written(arguments.plot) as file:
            plot(records, _title(arguments)).savefig(file, format=arguments.plot.suffix[1:])
    blind = most_blind(records)
    print_tables(records, dict(zip(blind, causes(f, batch, blind), strict=True)))


def _named(record: dict[str, Any], name: str) -> dict[str, Any]:
    return {"structure": record["structure"], "center": record["center"], "name": name, **record}


def _centers(words: Sequence[str]) -> list[str] | list[int]:
    return [int(word) for word in words] if all(word.lstrip("-").isdecimal() for word in words) else list(words)


def _featurizer(arguments: argparse.Namespace, batch: Environment) -> AbstractFeaturizer:
    import numpy as np

    from jaxfeat.features.correlations import Bispectrum, Correlations, PowerSpectrum, RadialSpectrum
    from jaxfeat.geometry.species import SYMBOLS

    species = arguments.species
    if species is None:
        present = np.unique(np.concatenate([np.asarray(batch.species).ravel(), np.asarray(batch.center_species)]))
        species = [SYMBOLS[number] for number in present if number > 0]
    options: dict[str, Any] = {
        "species": tuple(species),
        "r_cut": arguments.r_cut,
        "n_max": arguments.n_max,
        "l_max": arguments.l_max,
        "sigma": arguments.sigma,
        "radial": arguments.radial,
        "include_center": not arguments.no_center,
    }
    dedicated = {1: RadialSpectrum, 2: PowerSpectrum, 3: Bispectrum}
    if arguments.nu in dedicated:
        return dedicated[arguments.nu](**options)
    return Correlations(nu=arguments.nu, **options)


def _title(arguments: argparse.Namespace) -> str:
    named = {1: "radial spectrum", 2: "power spectrum", 3: "bispectrum"}
    descriptor = named.get(arguments.nu, f"ν = {arguments.nu}")
    return (
        f"{Path(arguments.input).name}: {descriptor}, {arguments.radial}, r_cut {arguments.r_cut:g} Å, "
        f"n_max {arguments.n_max}, l_max {arguments.l_max}, σ {arguments.sigma:g} Å"
    )


@contextmanager
def _progress(what: str, total: int) -> Iterator[Callable[[int, int], None]]:
    """A bar with rate and time left on a terminal; elsewhere one line."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TimeRemainingColumn
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            # Over the whole time, compilation included: what rich calls speed forgets slow beginnings.
            rate = task.completed / task.elapsed if task.elapsed else 0.0
            return Text(f"{rate:.0f}/s" if rate >= 10 else f"{rate:.1f}/s", style="progress.data.speed")

    console = Console(stderr=True)
    if not console.is_terminal:
        console.print(f"{what} ...", highlight=False)
        yield lambda done, total: None
        return
    columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), Rate(), TimeRemainingColumn())
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done, _: bar.update(task, completed=done)


def _check_target(path: Path) -> None:
    """Raise `ReadError` for a file that could not be written once everything is computed."""
    if path.is_dir():
        raise ReadError(f"{path} is a folder; name a file in it.")
    if not path.parent.is_dir():
        raise ReadError(f"{path} cannot be written: there is no folder {path.parent}; make it first.")
    if not os.access(path.parent, os.W_OK):
        raise ReadError(f"{path} cannot be written: the folder {path.parent} is not yours to write to.")


@contextmanager
def _written(path: Path) -> Iterator[IO[bytes]]:
    """A file that takes its place when it is complete, and not before."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        try:
            yield file
        except BaseException:
            os.unlink(file.name)
            raise
    umask = os.umask(0)
    os.umask(umask)
    os.chmod(file.name, 0o666 & ~umask)
    os.replace(file.name, path)


def _finite(value: Any) -> Any:
    """The same with null for what JSON has no number for."""
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
