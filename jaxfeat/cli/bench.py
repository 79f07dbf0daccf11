"""jaxfeat bench: the speed of jaxfeat on this machine, beside that of its peers."""

import argparse
from pathlib import Path
from typing import Any

from jaxfeat.cli.arguments import PICTURE, add_results
from jaxfeat.cli.output import check_targets, save_figure, say_written, write_json
from jaxfeat.progress import show_progress

EXAMPLES = (
    ("bench --smoke", "a few seconds of each work, in a small basis"),
    ("bench --works W1 W2 --json rates.json --plot rates.png", "two works, with numbers and a picture"),
)


def add_bench(commands: Any) -> None:
    parser = commands.add_parser(
        "bench",
        help="time jaxfeat beside DScribe, featomic and quippy",
        description="Time features, Jacobians and singular values in jaxfeat and in those of DScribe, featomic and "
        "quippy that are installed (pip install 'jaxfeat[peers]'). Each package runs in a process of its own on one "
        "core, and they take turns. Each work takes minutes.",
        examples=EXAMPLES,
    )
    parser.set_defaults(run=_bench, begins="timing the packages.")
    parser.add_argument("--works", nargs="+", metavar="W", help="W1, W1e, W2 ... W6, M (default: all)")
    parser.add_argument("--smoke", action="store_true", help="a few configurations in a small basis, once")
    parser.add_argument("--data", type=Path, metavar="FILE", help="3bpa_train_300K.xyz of the BOTNet data sets, for W6")
    add_results(parser, json="write one object", plot=PICTURE)


def _bench(arguments: argparse.Namespace) -> None:
    from jaxfeat.bench.compare import compare_packages, failure_messages
    from jaxfeat.bench.workloads import WORKLOAD_NAMES
    from jaxfeat.report.benchmark import plot_rates, print_benchmark

    check_targets(arguments.json, arguments.plot)
    with show_progress(True, "stages") as progress:
        results = compare_packages(arguments.works or WORKLOAD_NAMES, arguments.smoke, arguments.data, progress)
    if arguments.json is not None:
        write_json(arguments.json, results)
    if arguments.plot is not None:
        save_figure(arguments.plot, plot_rates(results))
    print_benchmark(results)
    say_written(arguments.json, arguments.plot)
    if failed := failure_messages(results):
        raise RuntimeError(f"{'; '.join(failed)}.")
