"""jaxfeat scan: singular spectra of every environment of a file."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from jaxfeat.cli.arguments import add_centers, add_descriptor, add_input, environments_of, featurizer_of, title_of
from jaxfeat.cli.output import PICTURES, check_targets, progress_bar, save_figure, write_json


def add_scan(commands: Any) -> None:
    parser = commands.add_parser(
        "scan",
        help="singular spectra of every environment of a file",
        description="Compute features, exact Jacobians and singular spectra of every environment of INPUT, and say "
        "where the descriptor is blind. Lengths are in Å.",
    )
    parser.set_defaults(run=_scan)
    add_input(parser)
    add_descriptor(parser)
    add_centers(parser)
    parser.add_argument(
        "--screened",
        action="store_true",
        help="values from the Gram matrix where they are above its floor, by QR elsewhere: faster",
    )
    results = parser.add_argument_group("results")
    results.add_argument("--json", type=Path, metavar="FILE", help="write one object per environment")
    results.add_argument("--plot", type=Path, metavar="FILE", help=f"draw a picture: {', '.join(PICTURES)}")


def _scan(arguments: argparse.Namespace) -> None:
    from jaxfeat.report.plot import plot
    from jaxfeat.report.table import most_blind, print_tables
    from jaxfeat.sweep.run import causes, scan

    check_targets(arguments.json, arguments.plot)
    source, batch = environments_of(arguments)
    f = featurizer_of(arguments, batch)
    with progress_bar(f"{len(batch)} environments", len(batch)) as progress:
        records = scan(f, batch, progress=progress, screened=arguments.screened)
    records = [_named(record, source.names[record["structure"]]) for record in records]
    if arguments.json is not None:
        write_json(arguments.json, records)
    if arguments.plot is not None:
        save_figure(arguments.plot, plot(records, title_of(f, Path(arguments.input).name)))
    blind = most_blind(records)
    print_tables(records, dict(zip(blind, causes(f, batch, blind), strict=True)))


def _named(record: dict[str, Any], name: str) -> dict[str, Any]:
    return {"structure": record["structure"], "center": record["center"], "name": name, **record}
