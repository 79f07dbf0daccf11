"""Arguments that several commands take."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from jaxfeat.cli.trust import add_trust

ORDERS = "body order: 1 radial, 2 power spectrum, 3 bispectrum, or more"


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
        help="one frame, counted from 0, or some, as in :20, 100::10 or, with an equals sign, --index=-5: (default: "
        "all)",
    )
    files.add_argument(
        "--types",
        nargs="+",
        action="extend",
        type=_parse_type,
        metavar="WORD=X",
        help="elements of its types, or of words that are no symbols, as in 1=O 2=H, or in D=H",
    )
    files.add_argument(
        "--units", default="angstrom", choices=("angstrom", "bohr"), help="of lengths in xyz and LAMMPS files"
    )
    files.add_argument("--skip-ghosts", action="store_true", help="leave out ghosts and dummy atoms (X, Bq ...)")
    files.add_argument(
        "--ignore",
        nargs="+",
        action="extend",
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


class _Given(argparse.Action):
    """Stores a value, and the option in `given`, because an option beside --spec is refused."""

    def __call__(self, parser: Any, namespace: argparse.Namespace, values: Any, option: str | None = None) -> None:
        setattr(namespace, self.dest, self.const if self.nargs == 0 else values)
        namespace.given = {**getattr(namespace, "given", {}), self.dest: option}


def add_descriptor(parser: argparse.ArgumentParser) -> None:
    """Add --spec, and the options of one descriptor of a given order and size."""
    descriptor = parser.add_argument_group("the descriptor")
    descriptor.add_argument(
        "--spec", type=Path, metavar="FILE", help="JSON file of jaxfeat.spec with the descriptor, instead of options"
    )
    add_trust(descriptor)
    descriptor.add_argument("--nu", action=_Given, type=int, default=2, help=f"{ORDERS} (default: %(default)s)")
    descriptor.add_argument(
        "--n-max", action=_Given, type=int, default=8, help="number of radial functions (default: %(default)s)"
    )
    descriptor.add_argument(
        "--l-max", action=_Given, type=int, default=6, help="largest angular momentum, inclusive (default: %(default)s)"
    )
    add_density(descriptor)


def add_density(descriptor: Any) -> None:
    """Add the options of a descriptor but its order and size to a group of arguments."""
    descriptor.add_argument(
        "--r-cut", action=_Given, type=float, default=4.0, help="radius of the environments (default: %(default)s)"
    )
    descriptor.add_argument(
        "--sigma",
        action=_Given,
        type=float,
        default=0.3,
        help="width of the Gaussians on the atoms (default: %(default)s)",
    )
    descriptor.add_argument(
        "--radial",
        action=_Given,
        default="gto",
        choices=("gto", "gto-rascal", "laplacian"),
        help="radial basis (default: %(default)s)",
    )
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
