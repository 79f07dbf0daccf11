"""jaxfeat tune: which change of a descriptor buys how much on a file of structures, and a recommended descriptor."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import jaxfeat
from jaxfeat.cli.arguments import PICTURE, add_centers, add_descriptor, add_input, add_option, add_results, add_sample
from jaxfeat.cli.inputs import make_featurizer, make_title, parse_centers, read_options
from jaxfeat.cli.output import check_targets, save_figure, say, say_written, write_json
from jaxfeat.errors import ReadError

STEPS = 18  # the default of `jaxfeat.tune`, which is not loaded for help

EXAMPLES = (
    (
        "tune molecules.xyz --out best.json",
        "all single changes; jaxfeat scan molecules.xyz --spec best.json uses the result",
    ),
    ("tune molecules.xyz --vary sigma=0.2,0.4 r_cut=3,4 --budget 60", "some changes only, for a minute"),
)


def add_tune(commands: Any) -> None:
    parser = commands.add_parser(
        "tune",
        help="which change of a descriptor buys how much, and which descriptor to take",
        description="Measure how much each single change of a descriptor raises the sensitivity of the least sensitive "
        "environments of INPUT, and what it costs. Search the most sensitive descriptors by number of features, follow "
        "the gradient from the best one, and recommend one with no more features than the given descriptor. Lengths "
        "are in Å.",
        examples=EXAMPLES,
    )
    parser.set_defaults(run=_tune, begins="reading {input}.")
    add_input(parser)
    add_descriptor(parser)
    parser.add_argument(
        "--vary",
        nargs="+",
        action="extend",
        type=_parse_axis,
        default=[],
        metavar="NAME=VALUES",
        help="values to try for an argument of the descriptor, as in sigma=0.2,0.4 r_cut=3,4 cutoff=ShiftedCosine:0.5; "
        "NAME= keeps its value (default: values around the given ones; a recommendation keeps r_cut unless named)",
    )
    add_centers(parser)
    chosen = parser.add_argument_group("the sample")
    add_sample(chosen, 1000)
    add_option(chosen, "--share", 0.1, "share of least sensitive environments of each species")
    add_option(chosen, "--measure", "equilibrated", "singular values to take", choices=("equilibrated", "raw"))
    add_option(chosen, "--seed", 0, "of the draws")
    add_option(
        parser,
        "--steps",
        STEPS,
        "along the gradient, by σ, window and weights, in the end; they need a compiled program; 0 for none",
        metavar="N",
    )
    parser.add_argument(
        "--budget", type=float, metavar="SECONDS", help="time after which no further descriptor is tried"
    )
    results = add_results(parser, json="write one object with all numbers", plot=PICTURE)
    results.add_argument(
        "--out", type=Path, metavar="SPEC.json", help="write the recommended descriptor, for --spec of other commands"
    )


def _parse_axis(text: str) -> tuple[str, list[Any]]:
    name, equals, values = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text!r} names no values; write NAME=VALUE,VALUE, as in sigma=0.2,0.4.")
    return name.replace("-", "_"), [_parse_value(value) for value in values.split(",") if value]


def _parse_value(text: str) -> Any:
    """Parse a number, true, false or null, a window as KIND:WIDTH, or a name."""
    kind, colon, width = text.partition(":")
    try:
        if colon:
            return {"kind": kind, "width": float(width)}
        return json.loads(text)
    except ValueError:
        return {"kind": text} if text == "NoCutoff" else text


def _tune(arguments: argparse.Namespace) -> None:
    from jaxfeat.choose.sample import list_elements
    from jaxfeat.geometry.species import SYMBOLS
    from jaxfeat.report.tuning_table import print_tuning

    check_targets(arguments.json, arguments.plot)
    check_targets(arguments.out, None)
    if arguments.budget is not None and not arguments.budget > 0:
        raise ReadError(f"--budget is {arguments.budget:g} s; give a positive number of seconds.")
    source = jaxfeat.read(arguments.input, **read_options(arguments), progress=True)
    f = make_featurizer(arguments, [SYMBOLS[number] for number in list_elements(source)])
    found = jaxfeat.tune(
        source,
        f,
        space=dict(arguments.vary),
        centers=None if arguments.centers is None else parse_centers(arguments.centers),
        share=arguments.share,
        equilibrated=arguments.measure == "equilibrated",
        sample=arguments.sample,
        seed=arguments.seed,
        steps=arguments.steps,
        budget=arguments.budget,
        progress=True,
    )
    plain = found.as_dict()
    sample = f"{plain['sample']['compared']} of {plain['sample']['environments']} environments are compared"
    say(f"{sample}, {plain['sample']['least']} of them among the least sensitive (seed {arguments.seed}).")
    if arguments.json is not None:
        write_json(arguments.json, {"input": arguments.input, **plain})
    if arguments.plot is not None:
        # Matplotlib takes 0.6 s to load.
        from jaxfeat.report.tuning_plot import plot_tuning

        title = make_title(f, f"{Path(arguments.input).name}, changes of f")
        save_figure(arguments.plot, plot_tuning(plain, title))
    if arguments.out is not None:
        write_json(arguments.out, found.recommended)
    print_tuning(plain)
    say_written(arguments.json, arguments.plot, arguments.out)
