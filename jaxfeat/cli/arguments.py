"""The arguments that commands share, and what they stand for."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jaxfeat.cli.trust import add_trust, make_from_spec
from jaxfeat.errors import BasisError, GeometryError, ReadError, SpeciesError

if TYPE_CHECKING:
    from jaxfeat.features.base import AbstractFeaturizer
    from jaxfeat.geometry.environment import Environment
    from jaxfeat.geometry.files.frames import Frames
    from jaxfeat.geometry.files.read import StructureSet


def add_input(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "input",
        metavar="INPUT",
        help="a file that ASE reads, or FILE@INDEX, or g2, s22, dcdft, prl-methane, random-methane:N[:SEED]",
    )
    add_reading(parser)


def add_reading(parser: argparse.ArgumentParser) -> None:
    """How files are read: for every command that reads some."""
    files = parser.add_argument_group("how a file is read")
    files.add_argument("--format", metavar="NAME", help="the name that ASE has for its format, such as lammps-data")
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
        type=_type,
        metavar="WORD=X",
        help="which elements its types, or words that are no symbols, stand for, as in 1=O 2=H, or in D=H",
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
        help="symbols of atoms to leave out; occupancies, to read sites that are occupied in part as whole atoms; "
        "cell, to leave out cells",
    )


def _type(text: str) -> tuple[str, str]:
    word, equals, symbol = text.rpartition("=")
    if not (word and equals and symbol):
        raise argparse.ArgumentTypeError(f"{text!r} names no element; write WORD=SYMBOL, as in 1=O.")
    return word, symbol


def read_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """Options of `jaxfeat.read` and `jaxfeat.frames`, from those of a command."""
    names = ("format", "index", "units", "skip_ghosts", "ignore")
    return {**{name: getattr(arguments, name) for name in names}, "types": dict(arguments.types or ())}


def add_centers(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--centers", nargs="+", metavar="X", help="symbols or indices from 0 (default: all, or the C of the methanes)"
    )


ORDERS = "body order: 1 radial, 2 power spectrum, 3 bispectrum, or more"


class _Noted(argparse.Action):
    """Stores a value, and that it was given: a spec leaves no choice beside it."""

    def __call__(self, parser: Any, namespace: argparse.Namespace, values: Any, option: str | None = None) -> None:
        setattr(namespace, self.dest, self.const if self.nargs == 0 else values)
        namespace.given = {**_given(namespace), self.dest: option}


def _given(arguments: argparse.Namespace) -> dict[str, str]:
    return getattr(arguments, "given", {})


def add_descriptor(parser: argparse.ArgumentParser) -> None:
    descriptor = parser.add_argument_group("the descriptor")
    descriptor.add_argument(
        "--spec", type=Path, metavar="FILE", help="all of it from JSON, as jaxfeat.spec gives it, not from options"
    )
    add_trust(descriptor)
    descriptor.add_argument("--nu", action=_Noted, type=int, default=2, help=f"{ORDERS} (default: %(default)s)")
    descriptor.add_argument(
        "--n-max", action=_Noted, type=int, default=8, help="number of radial functions (default: %(default)s)"
    )
    descriptor.add_argument(
        "--l-max", action=_Noted, type=int, default=6, help="largest angular momentum, inclusive (default: %(default)s)"
    )
    add_density(descriptor)


def add_density(descriptor: Any) -> None:
    """What a descriptor is made of, whatever its order and sizes, for a group of arguments."""
    descriptor.add_argument(
        "--r-cut", action=_Noted, type=float, default=4.0, help="radius of the environments (default: %(default)s)"
    )
    descriptor.add_argument(
        "--sigma",
        action=_Noted,
        type=float,
        default=0.3,
        help="width of the Gaussians on the atoms (default: %(default)s)",
    )
    descriptor.add_argument(
        "--radial",
        action=_Noted,
        default="gto",
        choices=("gto", "gto-rascal", "laplacian"),
        help="radial basis (default: %(default)s)",
    )
    descriptor.add_argument(
        "--species",
        action=_Noted,
        nargs="+",
        metavar="X",
        help="chemical symbols with a channel each (default: all in the input)",
    )
    descriptor.add_argument(
        "--no-center", action=_Noted, nargs=0, const=True, default=False, help="leave the center out of its own density"
    )


def read_environments(arguments: argparse.Namespace) -> tuple[StructureSet, Environment]:
    """What INPUT holds, and the environments in it of the centers that were asked for."""
    from jaxfeat.geometry.files.read import read
    from jaxfeat.geometry.neighbors import environments

    source = read(arguments.input, **read_options(arguments))
    centers = source.centers if arguments.centers is None else _centers(arguments.centers)
    try:
        return source, environments(source.atoms, choose_r_cut(arguments), centers, names=source.names)
    except (GeometryError, SpeciesError) as error:
        if str(error).partition(": ")[0] not in source.names:
            raise
        kind = SpeciesError if isinstance(error, SpeciesError) else GeometryError
        raise kind(f"{arguments.input}: {error}") from error


def _centers(words: Sequence[str]) -> list[str] | list[int]:
    return [int(word) for word in words] if all(word.lstrip("-").isdecimal() for word in words) else list(words)


def open_frames(arguments: argparse.Namespace) -> Frames:
    """The same environments, to be read as they are asked for."""
    from jaxfeat.geometry.files.frames import frames

    centers = None if arguments.centers is None else _centers(arguments.centers)
    return frames(arguments.input, choose_r_cut(arguments), centers, **read_options(arguments))


def choose_r_cut(arguments: argparse.Namespace) -> float:
    """Radius of the environments, Å: that of the descriptor, where it has one."""
    return float(getattr(_specified(arguments), "r_cut", arguments.r_cut))


def make_featurizer(arguments: argparse.Namespace, batch: Environment | Frames) -> AbstractFeaturizer:
    """The descriptor of a spec, or else of the options, with a channel for each species in the input."""
    from jaxfeat.geometry.files.frames import Frames

    specified = _specified(arguments)
    f = _from_options(arguments, batch) if specified is None else specified
    if isinstance(batch, Frames) and (specified is not None or arguments.species is not None):
        _check_species(f, batch)
    return f


def _check_species(f: AbstractFeaturizer, frames: Frames) -> None:
    """Raise `SpeciesError` for atoms that the descriptor does not know, before anything is computed.

    Ghosts are no species, and their environments have a status.
    """
    import numpy as np

    from jaxfeat.geometry.species import SYMBOLS

    if f.species is None:
        return
    known = [SYMBOLS[number] for number in np.asarray(f.species).tolist()]
    if set(_species_of(frames)) <= set(known):
        return
    # Some may be out of every chosen center's reach.
    for block in frames.batches(0):
        held = np.unique(np.concatenate([block.species[block.mask], block.center_species])).tolist()
        unknown = [SYMBOLS[number] for number in held if number and SYMBOLS[number] not in known]
        if unknown:
            raise SpeciesError(
                f"{frames.name}: species {', '.join(unknown)} not among the featurizer's ({', '.join(known)}); add "
                "them to its species, or leave such atoms out with --ignore."
            )


def _specified(arguments: argparse.Namespace) -> AbstractFeaturizer | None:
    from jaxfeat.features.base import AbstractFeaturizer

    path = getattr(arguments, "spec", None)
    if path is None:
        return None
    try:
        f = make_from_spec(json.loads(path.read_text(encoding="utf-8")), arguments)
    except FileNotFoundError:
        raise ReadError(f"{path}: there is no such file.") from None
    except ValueError as error:
        # A spec that is wrong is a ValueError, too.
        raise BasisError(f"{path}: {error}") from error
    if not isinstance(f, AbstractFeaturizer):
        raise BasisError(f"{path}: {type(f).__name__} describes structures, and this command looks at environments.")
    beside = [option for name, option in _given(arguments).items() if name != "r_cut" or hasattr(f, "r_cut")]
    if beside:
        raise BasisError(f"--spec says all about the descriptor; leave out {', '.join(beside)}, or change {path}.")
    return f


def _from_options(arguments: argparse.Namespace, batch: Environment | Frames) -> AbstractFeaturizer:
    import numpy as np

    from jaxfeat.features.many_body import Bispectrum, Correlations
    from jaxfeat.features.power_spectrum.featurizer import PowerSpectrum
    from jaxfeat.features.radial_spectrum import RadialSpectrum
    from jaxfeat.geometry.files.frames import Frames
    from jaxfeat.geometry.species import SYMBOLS

    species = arguments.species
    if species is None:
        if isinstance(batch, Frames):
            species = _species_of(batch)
        else:
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


MANY = 500
"""Frames from which on one would like to see that they are being read."""


def _species_of(frames: Frames) -> list[str]:
    from jaxfeat.cli.output import progress_bar

    with ExitStack() as bar:
        show: Callable[[int, int | None], None] | None = None

        def progress(k: int) -> None:
            nonlocal show
            if k % MANY == 0:
                show = show or bar.enter_context(progress_bar(f"frames of {frames.name}, for their species", None))
                show(k, None)

        return frames.species(progress)


def make_title(f: AbstractFeaturizer, what: str) -> str:
    from jaxfeat.features.density import DensityFeaturizer
    from jaxfeat.features.spec import spec

    if not isinstance(f, DensityFeaturizer):
        return f"{what}: {type(f).__name__}"
    descriptor = {1: "radial spectrum", 2: "power spectrum", 3: "bispectrum"}.get(f.nu or 0, f"ν = {f.nu}")
    return (
        f"{what}: {descriptor}, {spec(f)['radial']}, r_cut {f.r_cut:g} Å, "
        f"n_max {f.n_max}, l_max {f.l_max}, σ {f.sigma:g} Å"
    )
