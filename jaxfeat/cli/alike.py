"""jaxfeat alike: environments of a file that are different and have nearly equal features."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jaxfeat
from jaxfeat.cli.arguments import PICTURE, add_centers, add_descriptor, add_input, add_option, add_results
from jaxfeat.cli.inputs import list_species, make_featurizer, make_title, read_environments
from jaxfeat.cli.output import check_targets, open_replacement, save_figure, say, say_written, write_json

if TYPE_CHECKING:
    from jaxfeat.inverse.alike import LookAlike, LookAlikes

EXAMPLES = (
    ("alike g2 --count 5", "the five most alike pairs of environments of the g2 molecules"),
    ("alike molecules.xyz --centers O --out pairs.xyz", "among oxygens; a viewer shows pairs.xyz"),
)


def add_alike(commands: Any) -> None:
    parser = commands.add_parser(
        "alike",
        help="pairs of environments that are different and have nearly equal features",
        description="Find the pairs of environments of INPUT that differ, up to rotation and permutation, while their "
        "features hardly do, and say which basis or order tells them apart. Copies are counted apart. Lengths are in "
        "Å. Ctrl-C ends the search and keeps what is done.",
        examples=EXAMPLES,
    )
    parser.set_defaults(run=_alike, begins="reading {input}.")
    add_input(parser)
    add_descriptor(parser)
    add_centers(parser)
    pairs = parser.add_argument_group("the pairs")
    add_option(pairs, "--count", 20, "pairs to list", metavar="N")
    add_option(pairs, "--nearest", 8, "nearest environments, by features, that each is compared with", metavar="N")
    add_option(pairs, "--tolerance", 1e-4, "distance of atoms from their counterparts in a copy, in Å", metavar="Å")
    results = add_results(parser, json="write one object with all numbers", plot=PICTURE)
    results.add_argument(
        "--out",
        type=Path,
        metavar="FILE.xyz",
        help="write both environments of each pair, one turned to lie on the other, with the displacements as forces",
    )


def _alike(arguments: argparse.Namespace) -> None:
    from jaxfeat.inverse.alike import collect, make_search, run_search
    from jaxfeat.report.alike_table import print_alike

    check_targets(arguments.json, arguments.plot)
    check_targets(arguments.out, None)
    source, batch = read_environments(arguments)
    f = make_featurizer(arguments, list_species(batch))
    say(f"{len(source.atoms):,} structures, {len(batch):,} environments of up to {batch.max_neighbors} neighbors.")
    search = make_search(f, batch, arguments.count, arguments.tolerance, arguments.nearest)
    interrupted = None
    try:
        run_search(search, True)
    except KeyboardInterrupt as interrupt:
        if not search.overlaid:
            raise
        interrupted = KeyboardInterrupt(f"{interrupt or 'interrupted.'} The pairs above are the most alike of them.")
        say(f"{interrupt or 'interrupted.'} Ranking what is done.")
    else:
        say(f"ranking {len(search.overlaid):,} pairs, and trying a larger basis and higher orders.")
    found = collect(search, tell=interrupted is None)
    plain = describe_result(found, source, batch, arguments.tolerance)
    if arguments.json is not None:
        write_json(arguments.json, {"input": arguments.input, **plain})
    if arguments.plot is not None:
        # Matplotlib takes 0.6 s to load.
        from jaxfeat.report.alike_plot import plot_alike

        save_figure(arguments.plot, plot_alike(plain, make_title(f, Path(arguments.input).name)))
    if arguments.out is not None:
        _write_pairs(arguments.out, found, plain, batch)
    print_alike(plain)
    say_written(arguments.json, arguments.plot, arguments.out)
    if interrupted is not None:
        raise interrupted


def describe_result(
    found: LookAlikes, source: jaxfeat.StructureSet, batch: jaxfeat.Environment, tolerance: float
) -> dict[str, Any]:
    """Write a result as plain values, with names for environments."""
    import numpy as np

    usual = found.compared["nearest"]["ratio"]
    return {
        "n_environments": len(batch),
        "n_pairs": found.n_pairs,
        "n_copies": found.n_copies,
        "n_mirrored": int(found.mirrored.sum()),
        "tolerance": tolerance,
        "complete": found.complete,
        "usual_ratio": float(np.nanmedian(usual)) if len(usual) else None,
        "pairs": [_describe_pair(pair, source, batch) for pair in found.pairs],
        "mirror_images": [_describe_pair(pair, source, batch) for pair in found.mirror_images],
        "compared": {kind: {key: v.tolist() for key, v in one.items()} for kind, one in found.compared.items()},
    }


def _describe_pair(pair: LookAlike, source: jaxfeat.StructureSet, batch: jaxfeat.Environment) -> dict[str, Any]:
    from jaxfeat.geometry.species import SYMBOLS

    def end(index: int) -> dict[str, Any]:
        structure = int(batch.structure_index[index])
        return {
            "structure": structure,
            "center": int(batch.center_index[index]),
            "species": SYMBOLS[int(batch.center_species[index])],
            "name": source.names[structure],
        }

    numbers = (
        "ratio", "feature_distance", "relative_distance", "distance", "largest_move", "unmatched", "equal", "cause",
        "sizes", "larger_ratio", "order", "order_ratio", "symbol",
    )  # fmt: skip
    return {"first": end(pair.first), "second": end(pair.second), **{name: getattr(pair, name) for name in numbers}}


def _write_pairs(path: Path, found: LookAlikes, plain: dict[str, Any], batch: jaxfeat.Environment) -> None:
    """Write the pairs as frames 2k, the first environment turned onto the second, and 2k + 1, the second one."""
    import numpy as np

    from jaxfeat.geometry.environment import Environment
    from jaxfeat.geometry.files.write import write_extxyz

    frames, vectors, info = [], [], []
    for rank, (pair, words) in enumerate(zip(found.pairs, plain["pairs"], strict=True), 1):
        second = batch[pair.second].padded(batch.max_neighbors)
        for env, arrows, end in ((pair.turned, pair.moves, "first"), (second, None, "second")):
            room = np.zeros((batch.max_neighbors, 3))
            if arrows is not None:
                room[: len(arrows)] = arrows
            frames.append(env)
            vectors.append(room)
            where = {"pair": rank, "structure": words[end]["structure"], "center": words[end]["center"]}
            info.append(where | {"ratio": pair.ratio, "distance": pair.distance, "cause": pair.cause})
    with open_replacement(path) as file:
        if frames:
            write_extxyz(
                file, Environment.stack([env.padded(batch.max_neighbors) for env in frames]), np.stack(vectors), info
            )
