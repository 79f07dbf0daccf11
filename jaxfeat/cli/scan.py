"""jaxfeat scan: singular spectra of every environment of a file."""

import argparse
import shlex
from pathlib import Path
from typing import Any

import jaxfeat
from jaxfeat.cli.arguments import PICTURE, add_centers, add_descriptor, add_input, add_option, add_results
from jaxfeat.cli.forces import add_forces, scan_forces
from jaxfeat.cli.inputs import (
    check_species,
    describe_work,
    list_species,
    make_featurizer,
    make_title,
    open_frames,
    read_environments,
)
from jaxfeat.cli.model import say_model
from jaxfeat.cli.output import check_targets, save_figure, say, say_written, write_json
from jaxfeat.cli.whole_structures import add_whole_structures, check_whole_structures, scan_whole_structures
from jaxfeat.errors import ReadError

SYMMETRIZED = 1e-3  # Å; coordinates in files are rounded to three decimals or more

EXAMPLES = (
    ("scan g2 --plot g2.png", "every environment of ASE's 148 g2 molecules, with a picture"),
    (
        "scan molecules.xyz --n-max 6 --l-max 4 --json scan.json",
        "your own file in a smaller basis; all numbers go to scan.json",
    ),
    (
        "scan trajectory.xyz --screened --out scan.zarr",
        "any number of environments, into a store that the same command resumes",
    ),
    ("scan molecules.xyz --forces forces", "which part of the forces no model of the features can fit"),
)


def add_scan(commands: Any) -> None:
    parser = commands.add_parser(
        "scan",
        help="singular spectra of every environment of a file",
        description="Compute features, exact Jacobians and singular spectra of every environment of INPUT, and find "
        "where the descriptor is blind. Lengths are in Å.",
        examples=EXAMPLES,
    )
    parser.set_defaults(run=_scan, begins="reading {input}.")
    add_input(parser)
    add_descriptor(parser, models=True)
    add_centers(parser)
    sample = parser.add_argument_group("a sample")
    sample.add_argument(
        "--sample",
        type=int,
        metavar="N",
        help="compute N environments only, one drawn at random from each of N equal parts of INPUT (default: all)",
    )
    add_option(sample, "--seed", 0, "of the draw")
    parser.add_argument(
        "--screened",
        action="store_true",
        help="take values well above their floor from the Gram matrix, which is faster",
    )
    parser.add_argument(
        "--classify",
        type=_parse_classified,
        default=argparse.SUPPRESS,
        metavar="N|all",
        help="of the environments without null directions, look at the N least sensitive for more symmetric or more "
        "singular positions nearby (default: 64; with --out, of each chunk)",
    )
    nearby = parser.add_argument_group("exact geometries nearby")
    nearby.add_argument(
        "--tolerance",
        type=_parse_length,
        metavar="Å",
        help="distance in Å up to which more symmetric or more singular positions are near (default: 0.1)",
    )
    nearby.add_argument(
        "--symmetrize",
        type=_parse_length,
        nargs="?",
        const=SYMMETRIZED,
        metavar="Å",
        help="first move every structure to the nearest geometry of the largest symmetry within a distance in Å "
        f"(default, if given without one: {SYMMETRIZED:g})",
    )
    add_whole_structures(parser)
    add_forces(parser)
    results = add_results(parser, json="write one object per environment or structure", plot=PICTURE)
    results.add_argument(
        "--out",
        type=Path,
        metavar="STORE.zarr",
        help="write a zarr store chunk by chunk, for any number of environments; the same command resumes it",
    )
    results.add_argument("--overwrite", action="store_true", help="replace the store instead of resuming it")
    results.add_argument("--no-positions", action="store_true", help="leave positions out of the store")
    results.add_argument(
        "--chunk",
        type=int,
        metavar="N",
        help="environments that the store writes together (default: as many as take about 10 s of one core)",
    )
    workers = parser.add_argument_group("the workers of a store")
    workers.add_argument(
        "--cluster",
        type=_parse_cluster,
        metavar="dask[=ADDRESS]",
        help="compute with the workers of a dask scheduler, or with processes of this machine, which its other users "
        "can reach; needs jaxfeat[cluster]",
    )
    workers.add_argument(
        "--workers", type=int, metavar="N", help="number of processes (default: one for each device or core)"
    )


def _parse_length(text: str) -> float:
    try:
        length = float(text)
    except ValueError:
        length = 0.0
    if not 0 < length < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no length; give a positive number of Å.")
    return length


def _parse_classified(text: str) -> int | None:
    if text != "all" and not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no number of environments; give one, or all.")
    return None if text == "all" else int(text)


def _classify(arguments: argparse.Namespace) -> dict[str, Any]:
    return {"classify": arguments.classify} if "classify" in arguments else {}


def _tolerance(arguments: argparse.Namespace) -> dict[str, float]:
    return {} if arguments.tolerance is None else {"tolerance": arguments.tolerance}


def _parse_cluster(text: str) -> str:
    """Parse the address of a scheduler, "" if this command starts one."""
    kind, _, address = text.partition("=")
    if kind != "dask" or text == "dask=":
        raise argparse.ArgumentTypeError(f"{text!r} is no cluster; give dask, or dask=ADDRESS of a scheduler.")
    return address


def _scan(arguments: argparse.Namespace) -> None:
    if arguments.forces is not None:
        scan_forces(arguments)
        return
    if arguments.map is not None:
        check_whole_structures(arguments)
    if arguments.out is not None:
        _scan_into_store(arguments)
        return
    of_stores = (arguments.chunk, arguments.cluster, arguments.workers)
    if arguments.overwrite or arguments.no_positions or any(option is not None for option in of_stores):
        cure = "name one with --out"
        raise ReadError(f"--overwrite, --no-positions, --chunk, --cluster and --workers apply to a store; {cure}.")
    how = _classify(arguments) | _tolerance(arguments)
    if arguments.map is not None:
        check_targets(arguments.json, None)
        scan_whole_structures(arguments, **how)
        return
    from jaxfeat.geometry.random import draw_evenly
    from jaxfeat.nulls.cure import explain_environments
    from jaxfeat.nulls.scan_records import CLASSIFY_BELOW, count_unclassified
    from jaxfeat.report.scan_table import most_blind_environments, print_scan

    check_targets(arguments.json, arguments.plot)
    source, batch = read_environments(arguments)
    f = make_featurizer(arguments, list_species(batch))
    say_model(arguments, f, batch)
    if arguments.sample is not None:
        drawn = draw_evenly(len(batch), arguments.sample, arguments.seed)
        say(_describe_sample(len(drawn), len(batch), arguments.seed))
        batch = batch[drawn]
    say(describe_work(f, len(source.atoms), batch))
    try:
        records = jaxfeat.scan(f, batch, progress=True, screened=arguments.screened, **how)
    except KeyboardInterrupt as interrupt:
        raise KeyboardInterrupt(
            f"{str(interrupt) or 'interrupted.'} None are kept: --out STORE.zarr keeps them, and resumes."
        ) from None
    # The name comes third, as in former files.
    records = [
        {"structure": one["structure"], "center": one["center"], "name": source.names[one["structure"]], **one}
        for one in records
    ]
    if arguments.json is not None:
        write_json(arguments.json, records)
    if arguments.plot is not None:
        # Matplotlib takes 0.6 s to load.
        from jaxfeat.report.scan_plot import plot_scan

        save_figure(arguments.plot, plot_scan(records, make_title(f, Path(arguments.input).name)))
    blind = most_blind_environments(records)
    why = dict(zip(blind, explain_environments(f, batch, blind, **_tolerance(arguments)), strict=True))
    print_scan(records, why, ordered=f.nu is not None, written=arguments.json)
    if skipped := count_unclassified(records, **_classify(arguments)):
        print(f"{skipped} more environments without null directions have σ_min/σ_max below {CLASSIFY_BELOW:g};")
        print("--classify all looks for more symmetric or more singular positions near these, too.")
    say_written(arguments.json, arguments.plot)


def _scan_into_store(arguments: argparse.Namespace) -> None:
    from jaxfeat.geometry.species import SYMBOLS
    from jaxfeat.nulls.cure import explain_environments
    from jaxfeat.report.scan_table import most_blind_examples, print_store
    from jaxfeat.report.store_summary import StoreSummary
    from jaxfeat.store.into_store import sweep_into_store
    from jaxfeat.store.reader import StoreReader

    if arguments.json is not None or arguments.plot is not None:
        cure = "leave out --out, or the others"
        raise ReadError(f"--json and --plot hold all environments in memory, which --out avoids; {cure}.")
    if arguments.symmetrize is not None or arguments.tolerance is not None:
        cure = "leave out --out, or the others"
        raise ReadError(f"--symmetrize and --tolerance need INPUT whole, and --out reads it frame by frame; {cure}.")
    if arguments.out.suffix != ".zarr":
        raise ReadError(f"{arguments.out} names no store; end it in .zarr.")
    cluster = _choose_cluster(arguments)
    frames, survey = open_frames(arguments)
    f = make_featurizer(arguments, survey.species)
    if cluster is not None and f.only_on_host:
        raise ReadError("a model works in this process alone; leave out --cluster.")
    check_species(f, frames, survey.species)
    f.check_radius(frames.r_cut)
    work, n = frames, int(survey.counts.sum())
    if arguments.sample is not None:
        work = frames.sampled(arguments.sample, arguments.seed)
        say(_describe_sample(work.total or 0, n, arguments.seed))
    if (first := next(work.batches(0), None)) is not None:
        say_model(arguments, f, first)
        say(describe_work(f, len(survey.counts), first, work.total, arguments.chunk))
    try:
        sweep_into_store(
            f,
            frames,
            arguments.out,
            progress=True,
            screened=arguments.screened,
            **_classify(arguments),
            sample=arguments.sample,
            seed=arguments.seed,
            chunk=arguments.chunk,
            positions=not arguments.no_positions,
            overwrite=arguments.overwrite,
            command=arguments.command_line,
            cluster=cluster,
        )
    except KeyboardInterrupt as interrupt:
        raise KeyboardInterrupt(f"{interrupt} Resume it with\n  {_resume(arguments.command_line)}") from None
    store = StoreReader(arguments.out)
    summary = StoreSummary(store.causes)
    for columns in store.row_slices():
        summary.add(columns)
    blind = [one.row for one in most_blind_examples(summary)]
    why = [""] * len(blind)
    if store.has_positions:
        why = explain_environments(f, store.environments(blind), range(len(blind)))
    print_store(summary, why, frames.label, SYMBOLS, ordered=f.nu is not None)
    say_written(arguments.out)


def _describe_sample(drawn: int, total: int, seed: int) -> str:
    return f"{drawn:,} of {total:,} environments are drawn at random (seed {seed})."


def _resume(command_line: str) -> str:
    """Write the command that resumes a store: the same one without --overwrite, which may be abbreviated."""
    words = shlex.split(command_line)
    return shlex.join(word for word in words if not (len(word) > 3 and "--overwrite".startswith(word)))


def _choose_cluster(arguments: argparse.Namespace) -> str | int | None:
    if arguments.cluster is None:
        if arguments.workers is not None:
            raise ReadError("--workers applies to a cluster; add --cluster dask.")
        return None
    from jaxfeat.store.cluster import local_processes

    if not arguments.cluster:
        return local_processes() if arguments.workers is None else int(arguments.workers)
    if arguments.workers is not None:
        raise ReadError(f"the scheduler at {arguments.cluster} has workers of its own; leave out --workers.")
    return str(arguments.cluster)
