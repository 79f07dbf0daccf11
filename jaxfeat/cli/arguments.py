"""The arguments that commands share, and what they stand for."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxfeat.features.base import AbstractFeaturizer
    from jaxfeat.geometry.environment import Environment
    from jaxfeat.geometry.frames import Frames
    from jaxfeat.geometry.read import Source


def add_input(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "input",
        metavar="INPUT",
        help="a file that ASE reads, or g2, s22, dcdft, prl-methane, random-methane:N[:SEED]",
    )


def add_centers(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--centers", nargs="+", metavar="X", help="symbols or indices from 0 (default: all, or the C of the methanes)"
    )


ORDERS = "body order: 1 radial, 2 power spectrum, 3 bispectrum, or more"


def add_descriptor(parser: argparse.ArgumentParser) -> None:
    descriptor = parser.add_argument_group("the descriptor")
    descriptor.add_argument("--nu", type=int, default=2, help=f"{ORDERS} (default: %(default)s)")
    descriptor.add_argument("--n-max", type=int, default=8, help="number of radial functions (default: %(default)s)")
    descriptor.add_argument(
        "--l-max", type=int, default=6, help="largest angular momentum, inclusive (default: %(default)s)"
    )
    add_density(descriptor)


def add_density(descriptor: Any) -> None:
    """What a descriptor is made of, whatever its order and sizes, for a group of arguments."""
    descriptor.add_argument(
        "--r-cut", type=float, default=4.0, help="radius of the environments (default: %(default)s)"
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


def environments_of(arguments: argparse.Namespace) -> tuple[Source, Environment]:
    """What INPUT holds, and the environments in it of the centers that were asked for."""
    from jaxfeat.geometry.read import environments, read

    source = read(arguments.input)
    centers = source.centers if arguments.centers is None else _centers(arguments.centers)
    return source, environments(source.atoms, arguments.r_cut, centers, names=source.names)


def _centers(words: Sequence[str]) -> list[str] | list[int]:
    return [int(word) for word in words] if all(word.lstrip("-").isdecimal() for word in words) else list(words)


def frames_of(arguments: argparse.Namespace) -> Frames:
    """The same environments, to be read as they are asked for."""
    from jaxfeat.geometry.frames import frames

    centers = None if arguments.centers is None else _centers(arguments.centers)
    return frames(arguments.input, arguments.r_cut, centers)


def featurizer_of(arguments: argparse.Namespace, batch: Environment | Frames) -> AbstractFeaturizer:
    """The featurizer that was asked for; its species, if they were not, are those of the input."""
    import numpy as np

    from jaxfeat.features.correlations import Bispectrum, Correlations, PowerSpectrum, RadialSpectrum
    from jaxfeat.geometry.frames import Frames
    from jaxfeat.geometry.species import SYMBOLS

    species = arguments.species
    if species is None:
        if isinstance(batch, Frames):
            species = batch.species()
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


def title_of(arguments: argparse.Namespace, what: str) -> str:
    named = {1: "radial spectrum", 2: "power spectrum", 3: "bispectrum"}
    descriptor = named.get(arguments.nu, f"ν = {arguments.nu}")
    return (
        f"{what}: {descriptor}, {arguments.radial}, r_cut {arguments.r_cut:g} Å, "
        f"n_max {arguments.n_max}, l_max {arguments.l_max}, σ {arguments.sigma:g} Å"
    )
