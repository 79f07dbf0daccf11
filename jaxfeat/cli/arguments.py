"""Arguments that several commands take."""

import argparse
from functools import partial
from pathlib import Path
from typing import Any

from jaxfeat.cli.model import add_model
from jaxfeat.cli.output import PICTURES, parse_target

ORDERS = "body order: 1 radial, 2 power spectrum, 3 bispectrum, or more"
PICTURE = f"draw a picture: {', '.join(PICTURES)}"


def add_option(group: Any, name: str, default: Any, help: str, **options: Any) -> None:
    """Add an option whose value has the type of its default. The help ends with the default."""
    if type(default) is int and "choices" not in options:
        options.setdefault("metavar", "N")
    group.add_argument(name, type=type(default), default=default, help=f"{help} (default: %(default)s)", **options)


def add_results(parser: argparse.ArgumentParser, **helps: str) -> Any:
    """Add an option for each file that a command writes, by name. Return their group. JSON may go to stdout."""
    results = parser.add_argument_group("results")
    for name, help in helps.items():
        kind: Any = parse_target if name == "json" else Path
        more = "; - stands for stdout, and tables go to stderr then" if name == "json" else ""
        results.add_argument(f"--{name}", type=kind, metavar="FILE", help=f"{help}{more}")
    return results


def add_quiet(parser: argparse.ArgumentParser) -> None:
    """Add --quiet."""
    parser.add_argument(
        "-q", "--quiet", action="store_true", help="print nothing on stderr but errors: no progress and no remarks"
    )


def add_input(parser: argparse.ArgumentParser) -> None:
    """Add INPUT and the options of its file."""
    parser.add_argument(
        "input",
        metavar="INPUT",
        help="a file that ASE reads, or FILE@INDEX, or g2, s22, dcdft, prl-methane, random-methane:N[:SEED]",
    )
    add_read_options(parser)


def add_read_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of a file of structures."""
    files = parser.add_argument_group("reading the file")
    files.add_argument("--format", metavar="NAME", help="name that ASE has for the format, such as lammps-data")
    files.add_argument(
        "--index",
        metavar="FRAMES",
        help="one frame, counted from 0, or some: :20, 100::10 or, with an equals sign, --index=-5: (default: all)",
    )
    add_words = partial(files.add_argument, nargs="+", action="extend")
    add_words(
        "--types",
        type=_parse_type,
        metavar="WORD=X",
        help="elements of its types, or of words that are no symbols, as in 1=O 2=H, or in D=H",
    )
    add_option(files, "--units", "angstrom", "of lengths in xyz and LAMMPS files", choices=("angstrom", "bohr"))
    files.add_argument("--skip-ghosts", action="store_true", help="leave out ghosts and dummy atoms (X, Bq ...)")
    add_words(
        "--ignore",
        default=[],
        metavar="X",
        help="symbols of atoms to leave out; occupancies, to read partly occupied sites as whole atoms; cell, to leave "
        "out cells",
    )


def _parse_type(text: str) -> tuple[str, str]:
    word, equals, symbol = text.rpartition("=")
    if not (word and equals and symbol):
        raise argparse.ArgumentTypeError(f"{text!r} names no element; write WORD=SYMBOL, as in 1=O.")
    return word, symbol


def add_centers(parser: argparse.ArgumentParser) -> None:
    """Add the choice of centers."""
    parser.add_argument(
        "--centers", nargs="+", metavar="X", help="symbols or indices from 0 (default: all, or the C of the methanes)"
    )


def add_sample(group: Any, size: int, purpose: str = "") -> None:
    """Add the size of a sample of environments, drawn at random for a purpose."""
    help = f"environments to draw at random{purpose}, in proportion to species; 0 for all"
    add_option(group, "--sample", size, help, metavar="N")


def add_trust(options: Any) -> None:
    """Add --trust."""
    options.add_argument(
        "--trust",
        action="store_true",
        help="run the code of modules and model files that a spec or --model names; modules are searched in the "
        "current folder too",
    )


class _Given(argparse.Action):
    """Stores a value, and the option in `given`, because an option beside --spec or --model is refused."""

    def __call__(self, parser: Any, namespace: argparse.Namespace, values: Any, option: str | None = None) -> None:
        setattr(namespace, self.dest, self.const if self.nargs == 0 else values)
        namespace.given = {**getattr(namespace, "given", {}), self.dest: option}


def add_descriptor(parser: argparse.ArgumentParser, models: bool = False) -> None:
    """Add --spec, the options of one descriptor of a given order and size and, if a command takes `models`, --model."""
    descriptor = parser.add_argument_group("the descriptor")
    descriptor.add_argument(
        "--spec", type=Path, metavar="FILE", help="JSON file of jaxfeat.spec with the descriptor, instead of options"
    )
    if models:
        add_model(descriptor)
    add_trust(descriptor)
    add = partial(add_option, descriptor, action=_Given)
    add("--nu", 2, ORDERS, metavar="NU")
    add("--n-max", 8, "number of radial functions", metavar="N")
    add("--l-max", 6, "largest angular momentum, inclusive", metavar="L")
    add_density(descriptor)


def add_density(descriptor: Any) -> None:
    """Add the options of a descriptor but its order and size to a group of arguments."""
    add = partial(add_option, descriptor, action=_Given)
    add("--r-cut", 4.0, "radius of the environments, in Å", metavar="Å")
    add("--sigma", 0.3, "width of the Gaussians on the atoms, in Å", metavar="Å")
    add("--radial", "gto", "radial basis", choices=("gto", "gto-rascal", "laplacian"))
    descriptor.add_argument(
        "--species",
        action=_Given,
        nargs="+",
        metavar="X",
        help="chemical symbols with a channel each (default: all in the input)",
    )
    descriptor.add_argument(
        "--no-center", action=_Given, nargs=0, const=True, default=False, help="leave the center out of its own density"
    )
