"""jaxfeat scan --stacked and --summed: structures as wholes."""

import argparse
from typing import Any

import jaxfeat
from jaxfeat.cli.inputs import make_featurizer, read_structures
from jaxfeat.cli.model import say_model
from jaxfeat.cli.output import say, say_written, write_json
from jaxfeat.errors import ReadError


def add_whole_structures(parser: argparse.ArgumentParser) -> None:
    """Add the choice between environments and structures as wholes."""
    wholes = parser.add_argument_group("structures as wholes, in place of environments").add_mutually_exclusive_group()
    wholes.add_argument(
        "--stacked",
        dest="map",
        action="store_const",
        const="stacked",
        help="list the features of all centers of a structure, and move all of its atoms",
    )
    wholes.add_argument(
        "--summed",
        dest="map",
        action="store_const",
        const="summed",
        help="add up the features of all centers of one species, as in a model of energies",
    )


def check_whole_structures(arguments: argparse.Namespace) -> None:
    """Raise `ReadError` for options that structures as wholes do not have."""
    beside = {
        "--out": arguments.out is not None,
        "--plot": arguments.plot is not None,
        "--screened": arguments.screened,
    }
    if given := [option for option, is_given in beside.items() if is_given]:
        raise ReadError(f"--{arguments.map} computes structures as wholes, without {', '.join(given)}; leave one out.")


def scan_whole_structures(arguments: argparse.Namespace, **how: Any) -> None:
    """Run the command for structures as wholes. `how` are options of `jaxfeat.scan`."""
    from jaxfeat.nulls.cure import explain_null_space
    from jaxfeat.report.structure_table import most_blind_structures, print_structures

    names, structures, species = read_structures(arguments)
    featurizer = make_featurizer(arguments, species)
    say_model(arguments, featurizer, structures[0])
    f = getattr(jaxfeat, arguments.map)(featurizer)
    most = max(int(one.mask.sum()) for one in structures)
    n = len(structures)
    say(f"{n:,} structure{'s' * (n != 1)} of {'up to ' * (n != 1)}{most} atoms; NumPy decomposes their Jacobians.")
    try:
        records = jaxfeat.scan(f, structures, progress=True, sample=arguments.sample, seed=arguments.seed, **how)
    except KeyboardInterrupt as interrupt:
        raise KeyboardInterrupt(f"{str(interrupt) or 'interrupted.'} None are kept.") from None
    records = [{"structure": one["structure"], "name": names[one["structure"]], **one} for one in records]
    if arguments.json is not None:
        write_json(arguments.json, records)
    tolerance = {name: value for name, value in how.items() if name == "tolerance"}
    blind = most_blind_structures(records)
    why = {k: explain_null_space(f, structures[records[k]["structure"]], **tolerance) for k in blind}
    print_structures(records, why, ordered=featurizer.nu is not None, written=arguments.json)
    say_written(arguments.json)
