"""jaxfeat scan: singular spectra of every environment of a file."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from jaxfeat.cli.arguments import (
    add_centers,
    add_descriptor,
    add_input,
    make_featurizer,
    make_title,
    open_frames,
    read_environments,
)
from jaxfeat.cli.output import PICTURES, check_targets, progress_bar, save_figure, write_json
from jaxfeat.errors import ReadError


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
    results.add_argument(
        "--out",
        type=Path,
        metavar="STORE.zarr",
        help="for any number of environments: write into a zarr store as they come; interrupted, the same command goes "
        "on",
    )
    results.add_argument("--overwrite", action="store_true", help="replace the store, rather than go on with it")
    results.add_argument("--no-positions", action="store_true", help="keep positions out of the store")
    workers = parser.add_argument_group("who works on a store")
    workers.add_argument(
        "--cluster",
        type=_cluster,
        metavar="dask[=ADDRESS]",
        help="the workers of a dask scheduler, or processes of this machine, which other users of it can reach; needs "
        "jaxfeat[cluster]",
    )
    workers.add_argument(
        "--workers", type=int, metavar="N", help="processes of this machine (default: one for each device or core)"
    )


def _cluster(text: str) -> str:
    """The address of a scheduler, "" where there is none yet."""
    kind, _, address = text.partition("=")
    if kind != "dask" or text == "dask=":
        raise argparse.ArgumentTypeError(f"{text!r} is no cluster; give dask, or dask=ADDRESS of a scheduler.")
    return address


def _scan(arguments: argparse.Namespace) -> None:
    if arguments.out is not None:
        _scan_into_store(arguments)
        return
    if arguments.overwrite or arguments.no_positions:
        raise ReadError("--overwrite and --no-positions are about a store; name one with --out.")
    if arguments.cluster is not None or arguments.workers is not None:
        raise ReadError("--cluster and --workers are about who works on a store; name one with --out.")

    from jaxfeat.nulls.scan import explain_environments, scan
    from jaxfeat.report.scan_plot import plot
    from jaxfeat.report.scan_table import most_blind, print_scan

    check_targets(arguments.json, arguments.plot)
    source, batch = read_environments(arguments)
    f = make_featurizer(arguments, batch)
    with progress_bar(f"{len(batch)} environments", len(batch)) as progress:
        records = scan(f, batch, progress=progress, screened=arguments.screened)
    records = [_named(record, source.names[record["structure"]]) for record in records]
    if arguments.json is not None:
        write_json(arguments.json, records)
    if arguments.plot is not None:
        save_figure(arguments.plot, plot(records, make_title(f, Path(arguments.input).name)))
    blind = most_blind(records)
    print_scan(records, dict(zip(blind, explain_environments(f, batch, blind), strict=True)))


def _scan_into_store(arguments: argparse.Namespace) -> None:
    from jaxfeat.geometry.species import SYMBOLS
    from jaxfeat.nulls.scan import explain_environments
    from jaxfeat.report.store_summary import StoreSummary
    from jaxfeat.report.store_table import most_blind, print_store
    from jaxfeat.store.reader import StoreReader
    from jaxfeat.store.sweep import sweep

    if arguments.json is not None or arguments.plot is not None:
        raise ReadError(
            "--json and --plot hold all environments at once, which --out is there to avoid; leave one out."
        )
    if arguments.out.suffix != ".zarr":
        raise ReadError(f"{arguments.out} names no store; end it in .zarr.")
    cluster = _cluster_of(arguments)
    frames = open_frames(arguments)
    f = make_featurizer(arguments, frames)
    what = "environments" if frames.total is None else f"{frames.total} environments"
    with progress_bar(what, frames.total, resumes=True) as progress:
        sweep(
            f,
            frames,
            out=arguments.out,
            progress=progress,
            screened=arguments.screened,
            positions=not arguments.no_positions,
            overwrite=arguments.overwrite,
            command=arguments.command_line,
            cluster=cluster,
        )
    stored = StoreReader(arguments.out)
    tally = StoreSummary(stored.causes)
    for columns in stored.row_slices():
        tally.add(columns)
    blind = [one.row for one in most_blind(tally)]
    why = (
        explain_environments(f, stored.environments(blind), range(len(blind)))
        if stored.has_positions
        else [""] * len(blind)
    )
    print_store(tally, why, frames.label, SYMBOLS)


def _cluster_of(arguments: argparse.Namespace) -> str | int | None:
    """As `sweep` takes it."""
    if arguments.cluster is None:
        if arguments.workers is not None:
            raise ReadError("--workers are those of a cluster; add --cluster dask.")
        return None
    from jaxfeat.store.cluster import local_processes

    if not arguments.cluster:
        return local_processes() if arguments.workers is None else int(arguments.workers)
    if arguments.workers is not None:
        raise ReadError(f"the workers of {arguments.cluster} are its own; leave out --workers.")
    return str(arguments.cluster)


def _named(record: dict[str, Any], name: str) -> dict[str, Any]:
    return {"structure": record["structure"], "center": record["center"], "name": name, **record}
