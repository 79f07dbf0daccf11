"""A table of truncation and sensitivity by n_max and l_max."""

from collections.abc import Sequence
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from jaxfeat.report.advice import explain_bases, plateau_basis, quantile, recommend_basis, untruncated_basis
from jaxfeat.report.sensitivity import Record, group_by
from jaxfeat.report.tables import highlight_count, open_console, plain_table

SMALLEST, SENSITIVE = "*", "+"  # marks of the smallest basis without truncation, and of the plateau

BASIS_LEGEND = (
    f"{SMALLEST} marks the fewest features without truncation, {SENSITIVE} the fewest that are as sensitive as the "
    "largest basis within a factor of two (median and 1 %). Ambiguous: null values are within a factor of 100 of the "
    "others, so the basis may or may not truncate. σ_vis is the smallest singular value without the directions that no "
    "basis of this order sees; σ_min of a scan includes them."
)

BASIS_HEADERS = (
    "n\nmax", "l\nmax", "fea-\ntures", "", "trun-\ncated", "ambi-\nguous",
    "equili-\nbrated\nmedian", "1 %", "least", "raw\nmedian", "1 %",
)  # fmt: skip


def print_convergence(records: Sequence[Record], whose: str, console: Console | None = None) -> None:
    """Print a table and sentences for each order, and the recommendation. `whose` names the environments."""
    console = console or open_console()
    for nu, group in group_by(records, "nu").items():
        console.print(_convergence_table(group, f"ν = {nu}: σ_vis/σ_max by basis, {whose}"))
        console.print(BASIS_LEGEND, style="italic")
        for sentence in explain_bases(group):
            console.print(f"- {sentence}")
        console.print()
    console.print(recommend_basis(records), style="bold")


def _convergence_table(records: Sequence[Record], title: str) -> Table:
    table = plain_table(title, BASIS_HEADERS[0], BASIS_HEADERS[1:])
    l_max = {record["l_max"] for record in records}
    for record, row in zip(records, basis_rows(records), strict=True):
        table.add_row(
            *row.sizes, row.mark, *map(highlight_count, row.counts), *row.ratios, style="bold" if row.mark else None,
            end_section=len(l_max) > 1 and record["l_max"] == max(l_max),
        )  # fmt: skip
    return table


class BasisRow(NamedTuple):
    """A basis in a table: cells in the order of `BASIS_HEADERS`."""

    sizes: list[str]
    mark: str
    counts: list[int]
    ratios: list[str]


def basis_rows(records: Sequence[Record]) -> list[BasisRow]:
    """List the bases of one order, with marks on the smallest without truncation and on the plateau."""
    marks = {SMALLEST: untruncated_basis(records), SENSITIVE: plateau_basis(records)}
    rows = []
    for record in records:
        n = record["n_features"]
        sizes = [str(record["n_max"]), str(record["l_max"]), str(n) if n < 100_000 else f"{n / 1000:.0f}k"]
        found = [quantile(record, name) for name in ("median", "1%", "least")]
        found += [quantile(record, name, equilibrated=False) for name in ("median", "1%")]
        mark = "".join(mark for mark, chosen in marks.items() if chosen is record)
        ratios = [str(ratio or "-").replace("e-0", "e-") for ratio in found]
        rows.append(BasisRow(sizes, mark, [record["truncated"], record["ambiguous"]], ratios))
    return rows
