"""jaxfeat report: one page about the store of a sweep."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jaxfeat
from jaxfeat.cli.arguments import add_sample, add_trust
from jaxfeat.cli.inputs import make_from_spec
from jaxfeat.cli.model import add_model, load_model
from jaxfeat.cli.output import check_targets, open_replacement, say, say_written
from jaxfeat.errors import BasisError, GeometryError, ReadError
from jaxfeat.progress import show_progress

if TYPE_CHECKING:
    from jaxfeat.report.exhibit_cards import Exhibit
    from jaxfeat.report.page import BasisAdvice
    from jaxfeat.report.store_summary import Example
    from jaxfeat.store.reader import StoreReader

EXAMPLES = (
    ("report scan.zarr", "a page for the browser, report.html"),
    ("report scan.zarr --no-advice -o page.html", "without the advice on the basis, which takes time"),
)


def add_report(commands: Any) -> None:
    parser = commands.add_parser(
        "report",
        help="one page about the store of a sweep, for the browser",
        description="Write one self-contained HTML page about STORE: the verdict, the most blind environments of every "
        "cause with their invisible displacements in three dimensions, the distribution of the sensitivity, and advice "
        "on the basis. The sweep need not be complete.",
        examples=EXAMPLES,
    )
    parser.set_defaults(run=_report, begins="reading {store}.")
    parser.add_argument("store", type=Path, metavar="STORE", help="store that a sweep has written")
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("report.html"), metavar="FILE", help="the page (default: %(default)s)"
    )
    add_sample(parser, 100, " for the advice on the basis")
    add_model(parser)
    add_trust(parser)
    parser.add_argument("--no-advice", action="store_true", help="leave out the advice on the basis, which takes time")


def _report(arguments: argparse.Namespace) -> None:
    from jaxfeat.geometry.species import SYMBOLS
    from jaxfeat.report.exhibit_cards import Exhibit
    from jaxfeat.report.page import BasisAdvice, render_page
    from jaxfeat.report.store_summary import StoreSummary
    from jaxfeat.store.reader import StoreReader

    check_targets(arguments.output, None)
    if arguments.sample < 0:
        raise GeometryError(f"a sample of {arguments.sample} cannot be drawn; draw more, or 0 for all.")
    store = StoreReader(arguments.store)
    descriptor = store.featurizer_spec()
    f, lacking = _make_featurizer(store, arguments)
    summary = StoreSummary(store.causes)
    with show_progress(True, "environments", store.n_rows) as progress:
        for columns in store.row_slices():
            summary.add(columns)
            progress(summary.total, store.n_rows)
    if not summary.done:
        raise ReadError(f"{store.path} holds no finished environment yet; report it later in the sweep.")
    examples = summary.examples()
    exhibits = [Exhibit(example) for example in examples]
    advice = BasisAdvice(missing=lacking or "Left out (--no-advice).")
    if f is not None:
        exhibits = _make_exhibits(f, store, examples)
        if not arguments.no_advice:
            advice = _advise(f, store, arguments.sample)
    text = render_page(
        title=Path(str(store.attributes.get("input") or store.path)).name,
        descriptor=descriptor,
        attributes=store.attributes,
        summary=summary,
        exhibits=exhibits,
        basis=advice,
        symbols=SYMBOLS,
        made={"report made": datetime.now(UTC).isoformat(timespec="seconds"), "report of": str(store.path)},
        lacking=lacking,
        of_model=_is_model(descriptor),
        ordered=descriptor.get("nu", 0) is not None if f is None else f.nu is not None,
    )
    with open_replacement(arguments.output) as file:
        file.write(text.encode())
    print(f"{arguments.output}: {summary.done} of {summary.total} environments, {len(exhibits)} of them shown.")
    if lacking:
        print(lacking)
    say_written(arguments.output)


def _make_featurizer(
    store: StoreReader, arguments: argparse.Namespace
) -> tuple[jaxfeat.AbstractFeaturizer | None, str]:
    """Make the featurizer of the store. If that is impossible, return the reason in a sentence."""
    if not store.has_positions:
        return None, "This store holds no positions."
    if arguments.model is not None:
        return _load_model(store, arguments), ""
    if _is_model(store.featurizer_spec()):
        cure = "name it with --model, as the command of the sweep did"
        return None, f"The featurizer of this store cannot be made: no store holds a model or a function; {cure}."
    try:
        f = make_from_spec(store.featurizer_spec(), arguments.trust)
    except BasisError as error:
        return None, f"The featurizer of this store cannot be made: {error}"
    return (f, "") if isinstance(f, jaxfeat.AbstractFeaturizer) else (None, "This store is not of environments.")


def _is_model(descriptor: Mapping[str, Any]) -> bool:
    """Tell whether a store holds the key of a model or a function, or nothing, in place of a spec."""
    return not descriptor or "key" in descriptor


def _load_model(store: StoreReader, arguments: argparse.Namespace) -> jaxfeat.AbstractFeaturizer:
    """Make the featurizer of --model. **Raises:** `ReadError` if the store says that it has another."""
    from jaxfeat.features.spec import write_identity

    f, descriptor = load_model(arguments.model, arguments.trust), store.featurizer_spec()
    identity = write_identity(f)
    if descriptor and (identity is None or json.loads(identity) != descriptor):
        raise ReadError(f"{store.path} holds a sweep with another featurizer than {arguments.model}; name that one.")
    if not descriptor:
        say(f"{store.path} does not tell whether {arguments.model} is its featurizer, which had no key.")
    return f


def _make_exhibits(f: jaxfeat.AbstractFeaturizer, store: StoreReader, examples: list[Example]) -> list[Exhibit]:
    from jaxfeat.geometry.species import SYMBOLS
    from jaxfeat.nulls.examples import make_examples
    from jaxfeat.report.exhibit_cards import Exhibit
    from jaxfeat.report.store_summary import GROUPS
    from jaxfeat.report.verdict import ROUNDED
    from jaxfeat.report.viewer import Move, make_scene

    def rank_direction(direction: Any) -> int:
        """Put displacements of the worst cause first. Those that only an exact point nearby hides stay behind, unless
        the coordinates may be rounded from it."""
        limit = 0.0 if direction.cause == "locality" else ROUNDED
        hidden = direction.cause in GROUPS and direction.distance <= limit
        return GROUPS.index(direction.cause) if hidden else len(GROUPS)

    if not examples:
        return []
    batch = store.environments([example.row for example in examples])
    with show_progress(True, "environments explained", len(examples)) as progress:
        found = make_examples(f, batch, progress)
    exhibits = []
    for example, one in zip(examples, found, strict=True):
        symbols = [SYMBOLS[number] for number in one.species]
        neighbors = ", ".join(f"{count} {symbol}" for symbol, count in Counter(symbols).most_common())
        center = SYMBOLS[one.center_species] if one.center_species else ""
        title = f"{center or 'Center'} {example.center} of structure {example.structure}: {neighbors}"
        directions = sorted(one.directions, key=rank_direction)
        moves = [Move(_name_direction(found), found.cause, found.displacement) for found in directions]
        scene = make_scene(title, one.positions, symbols, center, moves)
        near = {found.cause: found.distance for found in reversed(one.directions) if found.distance}
        exhibits.append(Exhibit(example, neighbors, one.cause, scene, near))
    return exhibits


def _name_direction(direction: Any) -> str:
    if direction.cause == "least":
        return "the least visible displacement"
    near = f" within {direction.distance:.0e} Å" if direction.distance else ""
    return direction.cause + near + (f", {direction.number} of {direction.of}" if direction.of > 1 else "")


def _advise(f: jaxfeat.AbstractFeaturizer, store: StoreReader, size: int) -> BasisAdvice:
    import numpy as np

    from jaxfeat.choose.converge import draw_sample
    from jaxfeat.cli.converge import converge_sample, default_sizes
    from jaxfeat.report.page import BasisAdvice

    if not f.sizes:
        return BasisAdvice(
            missing="Models and functions have no n_max and l_max to vary. The causes say what lifts them."
        )
    done = np.flatnonzero(store.column("n_values") > 0)
    own = (f.sizes.get("n_max", 0), f.sizes.get("l_max", 0))
    try:
        rows = done[draw_sample(store.column("center_species")[done], size)]
        batch = store.environments(rows)
        n_max, l_max = (sorted({*default_sizes([f.nu or 1]), mine}) for mine in own)
        return BasisAdvice(*converge_sample([f], batch, n_max, l_max, len(done), seed=0), own)
    except (BasisError, GeometryError) as error:
        return BasisAdvice(missing=f"The advice could not be computed: {error}")
