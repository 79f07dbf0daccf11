"""jaxfeat search: from random environments to exact singular points."""

from __future__ import annotations

import argparse
from collections import Counter
from typing import TYPE_CHECKING, Any

import jaxfeat
from jaxfeat.cli.arguments import PICTURE, add_descriptor, add_option, add_results
from jaxfeat.cli.inputs import list_species, make_featurizer, make_title
from jaxfeat.cli.output import check_targets, open_replacement, save_figure, say_written
from jaxfeat.errors import GeometryError, ReadError, SizeError

if TYPE_CHECKING:
    from jaxfeat.singular.singular_points import SingularKind

EXAMPLES = (
    ("search --starts 50 --plot kinds.png", "singular points near 50 random methanes, with a picture"),
    (
        "search --symbols H H O --neighbors 3 --exclude symmetric --out points.nc",
        "other neighbors, and no symmetric points",
    ),
)


def add_search(commands: Any) -> None:
    parser = commands.add_parser(
        "search",
        help="go from random environments to exact singular points",
        description="Go from random environments to exact singular points of the descriptor nearby. For each kind of "
        "points, find why it is singular and what would lift that. Lengths are in Å.",
        examples=EXAMPLES,
    )
    parser.set_defaults(run=_search, begins="searching from {starts} environments of {neighbors} neighbors.")
    starts = parser.add_argument_group("starts")
    add_option(starts, "--starts", 200, "number of environments")
    add_option(starts, "--neighbors", 4, "number of neighbors of each")
    starts.add_argument(
        "--symbols", nargs="+", metavar="X", help="symbols of the neighbors, one for all or one for each (default: H)"
    )
    add_option(starts, "--center", "C", "symbol of the center", metavar="X")
    starts.add_argument(
        "--radii",
        type=float,
        nargs=2,
        default=(0.8, 1.6),
        metavar=("MIN", "MAX"),
        help="bounds of the distances from the center, in Å (default: 0.8 1.6)",
    )
    add_option(starts, "--min-distance", 0.6, "smallest distance between neighbors, in Å", metavar="Å")
    add_option(starts, "--seed", 0, "of the random numbers")
    search = parser.add_argument_group("the search")
    search.add_argument("--exclude", choices=("symmetric",), help="avoid symmetric points")
    add_option(search, "--restarts", 3, "largest number of restarts for each start")
    add_descriptor(parser)
    out = (
        "write the data set (.nc or .zarr), and FILE.xyz with the points and their null displacements, as forces for "
        "viewers to draw"
    )
    add_results(parser, out=out, plot=PICTURE)


def _search(arguments: argparse.Namespace) -> None:
    import jax
    import numpy as np

    from jaxfeat.geometry.files.write import write_extxyz
    from jaxfeat.geometry.random import random_environments
    from jaxfeat.report.families import print_families
    from jaxfeat.store.dataset import check_target, label_arrays, write_dataset
    from jaxfeat.store.schema import provenance

    check_targets(None, arguments.plot)
    if arguments.out is not None:
        check_target(arguments.out)
    symbols = arguments.symbols or ["H"]
    if len(symbols) not in (1, arguments.neighbors):
        cure = "give one, or one each"
        raise ReadError(f"{len(symbols)} symbols were given for {arguments.neighbors} neighbors; {cure}.")
    symbols = symbols * arguments.neighbors if len(symbols) == 1 else symbols
    radii = tuple(arguments.radii)
    constraints = jaxfeat.Free(radii=radii, min_distance=arguments.min_distance)
    starts = random_environments(
        jax.random.key(arguments.seed), arguments.starts, symbols, radii, arguments.min_distance, arguments.center
    )
    f = make_featurizer(arguments, list_species(starts))
    points = jaxfeat.find_singular_points(
        f,
        starts,
        constraints=constraints,
        exclude=arguments.exclude,
        key=jax.random.key(arguments.seed + 1),
        restarts=arguments.restarts,
        progress=True,
    )
    xyz = None
    described = [_describe(points, kind, symbols, arguments.center) for kind in points.kinds()]
    print_families(described, points.status.tolist())
    if arguments.out is not None:
        attributes = provenance(f) | {"command": arguments.command_line}
        write_dataset(label_arrays(points.arrays(), attributes), arguments.out)
        landed = np.flatnonzero(points.landed)
        info = [{"start": int(i), "sigma_ratio": float(points.sigma_ratio[i])} for i in landed]
        xyz = arguments.out.with_name(f"{arguments.out.name}.xyz")
        with open_replacement(xyz) as file:
            write_extxyz(file, points.environments[landed], points.directions[landed], info)
    if arguments.plot is not None:
        # Matplotlib takes 0.6 s to load.
        from jaxfeat.report.displacement_plot import plot_families

        title = make_title(f, f"{arguments.neighbors} neighbors")
        save_figure(arguments.plot, plot_families(described, title))
    say_written(arguments.out, xyz, arguments.plot)


def _describe(points: jaxfeat.SingularPoints, kind: SingularKind, symbols: list[str], center: str) -> dict[str, Any]:
    """Describe a kind of singular points for tables and pictures, by the example of its most exact point."""
    from jaxfeat.nulls.cure import describe_cure

    example = int(kind.members[0])
    null = points.null_space[example]
    # Uncertain causes count all directions within the tolerance, and J may have fewer null directions.
    doubtful = {kind.status: null.nullity - null.rigid if null is not None else 1}
    return {
        "cause": kind.counts if kind.status == "ok" else doubtful,
        "symmetry": f"{kind.symbol[:1]}_{kind.symbol[1:]}".rstrip("_").replace("*", "∞"),
        "dimension": kind.dimension,
        "points": len(kind.members),
        "distinct": kind.distinct,
        "families": _name_families(points, kind),
        "cure": list(map(describe_cure, points.cure(example).values())) if kind.counts else [],
        "example": {
            "positions": points.positions[example],
            "displacement": points.directions[example],
            "symbols": symbols,
            "center": center,
            "sigma_ratio": float(points.sigma_ratio[example]),
        },
    }


def _name_families(points: jaxfeat.SingularPoints, kind: SingularKind) -> dict[str, int]:
    """Count the members of a kind by their family in `jaxfeat.strata`, the most frequent first."""
    if not kind.counts.get("incompleteness"):
        return {}
    nu, pseudoscalars = points.f.environment_featurizer.nu, points.f.environment_featurizer.group == "SO3"
    if nu not in (2, 3):
        return {}
    found: Counter[str] = Counter()
    for i in kind.members.tolist():
        try:
            proposal = jaxfeat.propose_stratum(points.environments[i], nu, pseudoscalars)
        except (GeometryError, SizeError):
            continue  # Members of fewer than four neighbors, or at contradictory coincidences, have no known family.
        found[proposal.stratum.name if proposal.stratum is not None and proposal.known else "new"] += 1
    return dict(found.most_common())
