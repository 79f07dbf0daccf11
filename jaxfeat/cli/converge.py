"""jaxfeat converge: the size of the basis that a file of structures needs."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jaxfeat
from jaxfeat.cli.arguments import (
    ORDERS,
    PICTURE,
    add_centers,
    add_density,
    add_input,
    add_option,
    add_results,
    add_sample,
)  # fmt: skip
from jaxfeat.cli.inputs import list_species, make_featurizer, read_environments
from jaxfeat.cli.output import check_targets, save_figure, say, say_written, write_json

EXAMPLES = (
    ("converge g2 --plot basis.png", "the basis that the g2 molecules need, with a picture"),
    (
        "converge molecules.xyz --n-max 2 4 6 --l-max 2 4 --sample 200",
        "a grid of your own, on 200 environments drawn at random",
    ),
)


def add_converge(commands: Any) -> None:
    parser = commands.add_parser(
        "converge",
        help="which n_max, l_max and order some structures need",
        description="Compute singular spectra of the environments of INPUT in every basis of a grid. Find the smallest "
        "basis that truncates nothing, and the one above which sensitivity hardly grows. Lengths are in Å.",
        examples=EXAMPLES,
    )
    parser.set_defaults(run=_converge, begins="reading {input}.")
    add_input(parser)
    descriptor = parser.add_argument_group("the descriptor")
    sizes = "(default: 2 4 6 8; with an order above 2, 1 2 3 4)"
    descriptor.add_argument("--nu", type=int, nargs="+", default=[2], metavar="NU", help=f"{ORDERS} (default: 2)")
    descriptor.add_argument("--n-max", type=int, nargs="+", metavar="N", help=f"numbers of radial functions {sizes}")
    descriptor.add_argument("--l-max", type=int, nargs="+", metavar="L", help=f"largest angular momenta {sizes}")
    add_density(descriptor)
    add_centers(parser)
    chosen = parser.add_argument_group("the sample")
    add_sample(chosen, 1000)
    add_option(chosen, "--seed", 0, "of the draw")
    add_results(parser, json="write one object, with an entry per basis", plot=PICTURE)


def _converge(arguments: argparse.Namespace) -> None:
    from jaxfeat.choose.converge import draw_sample
    from jaxfeat.report.convergence import print_convergence

    check_targets(arguments.json, arguments.plot)
    _, every = read_environments(arguments)
    drawn = draw_sample(every.center_species, arguments.sample, arguments.seed)
    batch = every[drawn]
    orders = sorted(set(arguments.nu))
    n_max, l_max = arguments.n_max or default_sizes(orders), arguments.l_max or default_sizes(orders)
    # The species of all environments, because they decide how many features a basis has.
    species = list_species(every)
    featurizers = [make_featurizer(arguments, species, nu=nu, n_max=n_max[0], l_max=l_max[0]) for nu in orders]
    records, share = converge_sample(featurizers, batch, n_max, l_max, len(every), arguments.seed)
    if arguments.json is not None:
        write_json(arguments.json, _result(arguments, records, len(every), len(batch)))
    if arguments.plot is not None:
        title = (
            f"{Path(arguments.input).name}: {share}; {arguments.radial}, r_cut {arguments.r_cut:g} Å, "
            f"σ {arguments.sigma:g} Å"
        )
        from jaxfeat.report.convergence_plot import plot_convergence

        save_figure(arguments.plot, plot_convergence(records, title))
    print_convergence(records, share)
    say_written(arguments.json, arguments.plot)


def default_sizes(orders: Sequence[int]) -> list[int]:
    """Choose the sizes of the grid: smaller ones above order 2, because the number of features grows with the order."""
    return [2, 4, 6, 8] if max(orders) <= 2 else [1, 2, 3, 4]


def converge_sample(
    featurizers: Sequence[jaxfeat.AbstractFeaturizer],
    batch: jaxfeat.Environment,
    n_max: Sequence[int],
    l_max: Sequence[int],
    total: int,
    seed: int,
) -> tuple[list[dict[str, Any]], str]:
    """Evaluate every basis of a grid, and show progress. Return the records, and words on how `batch` was drawn."""
    from jaxfeat.choose.converge import make_grids

    n_bases = sum(map(len, make_grids(featurizers, batch, n_max, l_max)))
    sample = f"{len(batch)} environments"
    sample += f" of {total}, drawn at random (seed {seed})" if len(batch) < total else ""
    say(f"{sample}; {n_bases} bases.")
    return jaxfeat.converge(featurizers, batch, n_max, l_max, progress=True), sample


def _result(arguments: argparse.Namespace, records: list[dict[str, Any]], total: int, drawn: int) -> dict[str, Any]:
    from jaxfeat.report.advice import plateau_basis, recommend_basis, untruncated_basis
    from jaxfeat.report.sensitivity import group_by

    def sizes(record: dict[str, Any] | None) -> dict[str, int] | None:
        return None if record is None else {name: record[name] for name in ("n_max", "l_max", "n_features")}

    settings = {name: getattr(arguments, name) for name in ("input", "radial", "r_cut", "sigma")}
    orders = [
        {"nu": nu, "smallest": sizes(untruncated_basis(group)), "plateau": sizes(plateau_basis(group))}
        for nu, group in group_by(records, "nu").items()
    ]
    sample = {"environments": total, "drawn": drawn, "seed": arguments.seed}
    return settings | sample | {"bases": records, "orders": orders, "advice": recommend_basis(records)}
