"""A table of look-alikes, with what tells them apart, and a verdict."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console

from jaxfeat.report.tables import open_console, plain_table

HEADERS = ("ratio", "apart\nÅ", "farthest\nÅ", "|F-F'|\n/|F|", "larger\nbasis", "next\norder")

LEGEND = (
    "Ratio: the distance of the features over the one that random displacements of the same lengths make; about 1 is "
    "usual. Apart: the least displacement of all neighbors together, after rotation and matching; a neighbor without "
    "counterpart (+) goes to the cutoff. Farthest: the longest move of one neighbor. Larger basis and next order: the "
    "ratio there."
)
ALIKE_BELOW = 0.1  # ratio below which the verdict calls a pair alike


def print_alike(found: Mapping[str, Any], console: Console | None = None) -> None:
    """Print the pairs of a result of `jaxfeat.alike`, given as plain values, and a verdict."""
    console = console or open_console()
    pairs = found["pairs"]
    if pairs:
        title = f"The {len(pairs)} most alike of {found['n_pairs']:,} pairs of nearest features"
        table = plain_table(title, "pair", HEADERS, ("told apart by",))
        table.columns[-1].min_width = 15
        for pair in pairs:
            table.add_row(_names(pair), *_numbers(pair), describe_cause(pair))
        console.print(table)
        console.print(LEGEND, style="italic")
    for pair in found["mirror_images"]:
        console.print(f"Mirror images: {' and '.join(_names(pair).splitlines())}.", markup=False)
    for line in describe_copies(found):
        console.print(line, markup=False)
    if not found["complete"]:
        console.print("The search was interrupted, so that pairs that are more alike may be missing.")
    console.print(describe_verdict(found), style="bold", markup=False)


def _names(pair: Mapping[str, Any]) -> str:
    return "\n".join(
        # Frames of a file have their formula in the name as well.
        f"{end['species']}{end['center']} of {end['name'].partition(',')[0]}"
        for end in (pair["first"], pair["second"])
    )


def _numbers(pair: Mapping[str, Any]) -> list[str]:
    apart = f"{pair['distance']:.2f}" + "+" * bool(pair["unmatched"])
    relative = "rounding" if pair["equal"] else f"{pair['relative_distance']:.0e}"
    return [
        format_ratio(pair["ratio"], pair["equal"]),
        apart,
        f"{pair['largest_move']:.2f}",
        relative,
        format_ratio(pair["larger_ratio"]),
        format_ratio(pair["order_ratio"]),
    ]


def format_ratio(ratio: float | None, equal: bool = False) -> str:
    """Write a ratio; 0 if the features are equal to rounding, and a dash if the ratio is unknown."""
    if equal:
        return "0"
    return "-" if ratio is None or ratio != ratio else f"{ratio:.2g}" if ratio >= 1e-3 or not ratio else f"{ratio:.0e}"


def describe_cause(pair: Mapping[str, Any]) -> str:
    """Write in words what tells a pair apart."""
    sizes = ", ".join(f"{name} {size}" for name, size in (pair["sizes"] or {}).items())
    words = {
        "truncation": f"truncation: {sizes}",
        "incompleteness": f"incompleteness: ν = {pair['order']}",
        "symmetry": f"nothing: near {pair['symbol']}",
        "none": "nothing tried",
    }
    return words.get(pair["cause"], pair["cause"])


def describe_copies(found: Mapping[str, Any]) -> list[str]:
    """Write in words how many environments are copies and mirror images of others."""
    n, within = found["n_environments"], f"within {found['tolerance']:g} Å"
    lines = [f"{found['n_copies']:,} of {n:,} environments are copies of another one {within}."]
    if found["n_mirrored"]:
        why = "which features of O(3) cannot tell apart"
        lines.append(f"{found['n_mirrored']:,} more are mirror images of another one, {why}.")
    return lines


def describe_verdict(found: Mapping[str, Any]) -> str:
    """Summarize the pairs in a sentence."""
    pairs = found["pairs"]
    if not pairs:
        return "No two environments can be compared: each is a copy, or alone with its species."
    n_equal = sum(pair["equal"] for pair in pairs)
    n_alike = sum(bool(pair["ratio"] < ALIKE_BELOW) for pair in pairs)
    if n_equal:
        verb = "have" if n_equal > 1 else "has"
        return f"{_count(n_equal, pairs)} of different environments {verb} equal features, to rounding."
    count = f"{_count(n_alike, pairs)} below a ratio of {ALIKE_BELOW:g}"
    usual = found["usual_ratio"]
    against = f"; for nearest features {usual:.2g} is usual" if usual is not None else ""
    return f"{count}; the least is {format_ratio(pairs[0]['ratio'])}{against}."


def _count(n: int, pairs: Any) -> str:
    return f"{'at least ' * (n == len(pairs))}{n} pair{'s' * (n != 1)}".capitalize()
