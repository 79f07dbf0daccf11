"""Parts that the tables of the terminal share."""

from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table


def plain_table(title: str, names: str, numbers: Sequence[str], words: Sequence[str] = ()) -> Table:
    """Make a table without rows: a first column of names, then columns of numbers, then columns of words."""
    table = Table(title=title, title_style="bold", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.title_justify = table.caption_justify = "left"
    table.add_column(names, overflow="fold", vertical="bottom", min_width=len(names))
    for head in numbers:
        table.add_column(head, justify="right", no_wrap=True, vertical="bottom")
    for head in words:
        table.add_column(head, overflow="fold", vertical="bottom")
    return table


def highlight_count(n: int) -> str:
    """Write a number, in red if it is not 0."""
    return f"[bold red]{n}[/]" if n else "0"


def print_cures(cures: Sequence[Iterable[str]], console: Console) -> None:
    """Print each cure once, with the numbers of the rows that it belongs to. `cures` has those of each row."""
    rows: dict[str, list[str]] = {}
    for number, sentences in enumerate(cures, 1):
        for cure in sentences:
            rows.setdefault(cure, []).append(str(number))
    for cure, found in rows.items():
        where = "all" if 1 < len(found) == len(cures) else f"row {', '.join(found)}"
        console.print(f"{escape(cure)} ({where})")
