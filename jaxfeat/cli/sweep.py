"""jaxfeat sweep: singular spectra over the parameters of a family."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import jaxfeat
from jaxfeat.cli.arguments import PICTURE, add_descriptor, add_option, add_read_options, add_results
from jaxfeat.cli.inputs import choose_r_cut, list_species, make_featurizer, make_title, read_options
from jaxfeat.cli.output import check_targets, save_figure, say_written
from jaxfeat.errors import GeometryError, ReadError, SpeciesError

if TYPE_CHECKING:
    from jaxfeat.geometry.species import Atoms
    from jaxfeat.manifolds.manifold import AbstractManifold

FAMILIES = {
    "prl-methane": "CH4 of PRL 125, 166001: F, L (π)",
    "pair": "four neighbors, degenerate for ν = 2: ax, az, bx, by, bz, cx, cy (Å)",
    "ring": "seven neighbors, degenerate for ν = 3: r, z1, z2 (Å), phi1, phi2, phi3, psi (π)",
    "planar": "neighbors in a plane: r1 ... (Å), phi2 ... (π), z (Å)",
    "equal-radii": "neighbors on a sphere: r (Å), theta2 ..., phi3 ... (π), dr (Å)",
    "interpolation": "from the first to the last structure of FILE (or of two files), molecules or crystals: t, 0 to 1",
    "trajectory": "through the structures of FILE, such as frames or the images of a reaction path: frame, from 0",
    "displacement": "the first structure of FILE along its array --along, such as a phonon: q (Å, the path of all "
    "neighbors together)",
}
FROM_FILES = ("interpolation", "trajectory", "displacement")
OF_ANY_SIZE = ("planar", "equal-radii")
DISPLACEMENT_REACH = 1.0  # Å, the bound of q on both sides

EXAMPLES = (
    ("sweep prl-methane --grid F=0.7:1.0:20 --grid L=-0.1:0.1:20 --plot map.png", "a map of a family, and its zeros"),
    ("sweep trajectory path.xyz --center 3", "the environment of atom 3 along the frames of a file"),
    (
        "sweep displacement mode.xyz --along mode --grid q=-0.5:0.5:41",
        "along an array of a file, such as a normal mode",
    ),
)


def add_sweep(commands: Any) -> None:
    parser = commands.add_parser(
        "sweep",
        help="singular spectra over the parameters of a family of environments",
        description="Sweep one or two parameters of FAMILY, map σ_min/σ_max, and find its zeros. Lengths are in Å, "
        "angles in units of π.",
        lists={"families and their parameters": FAMILIES},
        examples=EXAMPLES,
    )
    parser.set_defaults(run=_sweep, begins="sweeping {family}.")
    parser.add_argument("family", metavar="FAMILY", choices=FAMILIES, help="one of the families below")
    parser.add_argument("files", nargs="*", metavar="FILE", help=f"structures, for {', '.join(FROM_FILES)}")
    family = parser.add_argument_group("the family")
    family.add_argument(
        "--grid",
        action="append",
        default=[],
        metavar="NAME=FROM:TO:N",
        help="values of one parameter; give it once or twice (default: 41 values between the bounds of each)",
    )
    family.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="value of a parameter that is not on the grid"
    )
    add_option(family, "--sign", 1, "member of a pair", choices=(1, -1))
    add_option(family, "--neighbors", 4, "number of neighbors, for planar and equal-radii")
    add_option(family, "--center", 0, "index of the center in FILE")
    family.add_argument(
        "--along", metavar="ARRAY", help="array of FILE with a vector for each atom, the direction of displacement"
    )
    add_read_options(parser)
    add_descriptor(parser)
    add_results(parser, out="write the data set: NetCDF (.nc) or zarr (.zarr)", plot=PICTURE)


def _sweep(arguments: argparse.Namespace) -> None:
    from jaxfeat.report.sweep_table import print_sweep

    check_targets(None, arguments.plot)
    manifold = _make_manifold(arguments)
    grid = _parse_grid(arguments, manifold)
    f = make_featurizer(arguments, list_species(jaxfeat.Environment.stack([manifold.all_neighbors()])))
    ds = jaxfeat.sweep(f, manifold, grid, out=arguments.out, progress=True)
    print_sweep(ds)
    if arguments.plot is not None:
        from jaxfeat.report.sweep_plot import plot_sweep

        save_figure(arguments.plot, plot_sweep(ds, make_title(f, arguments.family)))
    say_written(arguments.out, arguments.plot)


def _make_manifold(arguments: argparse.Namespace) -> AbstractManifold:
    from jaxfeat.geometry.files.options import ReadOptions, parse_read_options

    family, files = arguments.family, ", ".join(arguments.files)
    if family in FROM_FILES:
        try:
            return _make_from_files(arguments)
        except (GeometryError, SpeciesError) as error:
            raise type(error)(f"{files}: {error}") from error
    if files or parse_read_options(**read_options(arguments)) != ReadOptions():
        raise ReadError(f"{family} needs no file; leave out {files or 'the options of files'}.")
    make: Callable[[int], AbstractManifold] = getattr(jaxfeat.manifolds, family.replace("-", "_"))
    return make(arguments.neighbors if family in OF_ANY_SIZE else arguments.sign)


def _make_from_files(arguments: argparse.Namespace) -> AbstractManifold:
    from jaxfeat.geometry.following import follow_center

    if not arguments.files:
        raise ReadError(f"{arguments.family} needs structures; name a file.")
    frames = [atoms for file in arguments.files for atoms in jaxfeat.read(file, **read_options(arguments)).atoms]
    if arguments.family == "displacement":
        return _make_displacement(arguments, frames[0])
    if arguments.family == "interpolation":
        if len(frames) < 2:
            raise ReadError(f"{arguments.files[0]} holds one structure, and interpolation needs two.")
        frames = [frames[0], frames[-1]]
        if not any(atoms.pbc.any() for atoms in frames):
            return _interpolate_molecules(arguments, frames)
    environments = follow_center(frames, choose_r_cut(arguments), arguments.center).environments
    if arguments.family == "interpolation":
        return jaxfeat.manifolds.interpolation(environments[0], environments[1], align=False)
    return jaxfeat.manifolds.trajectory(environments)


def _interpolate_molecules(arguments: argparse.Namespace, ends: Sequence[Atoms]) -> AbstractManifold:
    """Interpolate between molecules that are turned onto each other. Any atom may come within the cutoff on the way."""
    from dataclasses import replace

    import numpy as np

    from jaxfeat.geometry.following import follow_center

    first, last = (follow_center([atoms], float("inf"), arguments.center).environments[0] for atoms in ends)
    radius: Any = np.asarray(choose_r_cut(arguments))
    return jaxfeat.manifolds.interpolation(replace(first, r_cut=radius), last)


def _make_displacement(arguments: argparse.Namespace, atoms: Atoms) -> AbstractManifold:
    import numpy as np

    from jaxfeat.geometry.files.trajectory import per_atom_arrays
    from jaxfeat.geometry.following import follow_displacement

    arrays = per_atom_arrays(atoms)
    if arguments.along is None or arguments.along not in arrays:
        present = ", ".join(name for name, array in arrays.items() if array.shape == (len(atoms), 3))
        raise ReadError(f"name an array of {arguments.files[0]} with --along; it holds {present}.")
    moves = np.asarray(arrays[arguments.along], float)
    if moves.shape != (len(atoms), 3):
        raise ReadError(f"{arguments.along} has shape {moves.shape}; give an array with three numbers for each atom.")
    found = follow_displacement(atoms, moves, choose_r_cut(arguments), arguments.center, DISPLACEMENT_REACH)
    relative = moves[found.neighbors] - moves[arguments.center]
    manifold = jaxfeat.manifolds.displacement(found.environments[0], {"q": relative}, DISPLACEMENT_REACH)
    scale = np.linalg.norm(manifold.directions[0]) / np.linalg.norm(relative)
    farthest = scale * np.linalg.norm(moves, axis=1).max()
    print(f"q is the path of all neighbors together; at q = 1 Å the atoms have moved by up to {farthest:.3g} Å.")
    return manifold


def _parse_grid(arguments: argparse.Namespace, manifold: AbstractManifold) -> dict[str, Any]:
    """Read --grid and --set in Å and rad. Without --grid, the other parameters run between their bounds."""
    import numpy as np

    from jaxfeat.store.sweep import GRID_POINTS

    grid: dict[str, Any] = {}
    for word in arguments.grid:
        name, _, rest = word.partition("=")
        scale = manifold.parameter(name).display_unit[0]
        try:
            first, last, n = rest.split(":")
            values = np.linspace(float(first), float(last), int(n))
        except ValueError:
            values = np.zeros(0)
        if len(values) < 2 or not values[0] < values[-1]:
            raise GeometryError(f"--grid {word}: write NAME=FROM:TO:N with FROM below TO and at least two values.")
        grid[name] = scale * values
    for word in arguments.set:
        name, _, rest = word.partition("=")
        scale = manifold.parameter(name).display_unit[0]
        try:
            grid[name] = scale * float(rest)
        except ValueError:
            raise GeometryError(f"--set {word}: write NAME=VALUE with a number.") from None
    if arguments.grid:
        return grid
    if len(manifold.parameters) > 2:
        listed = ", ".join(
            f"{p.name} ({p.low / scale:g} to {p.high / scale:g}{unit}; {p.default / scale:.3g})"
            for p in manifold.parameters
            for scale, unit in [p.display_unit]
        )
        raise GeometryError(f"choose one or two parameters with --grid NAME=FROM:TO:N; there are {listed}.")
    return {p.name: np.linspace(p.low, p.high, GRID_POINTS) for p in manifold.parameters} | grid
