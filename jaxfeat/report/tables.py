"""Parts that the tables of the terminal share; counts, shares and causes in words, which pages and pictures show."""

from collections.abc import Iterable, Mapping, Sequence

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


def format_causes(counts: Mapping[str, int]) -> str:
    """List how many null directions each cause has, rigid motions left out; an empty string if there are none."""
    return ", ".join(f"{cause} {n}" for cause, n in counts.items() if n and cause != "rigid")


def format_percent(n: float, total: float) -> str:
    """Write a share in percent that is 0 only for none and 100 only for all."""
    percent = 100 * n / max(total, 1)
    if percent in (0, 100):
        return f"{percent:.0f}"
    return "<0.1" if percent < 0.1 else ">99.9" if percent > 99.9 else f"{percent:.1f}"


def format_short(n: int) -> str:
    """Write a count in at most five characters."""
    return str(n) if n < 10000 else f"{n / 1000:.0f}k" if n < 10_000_000 else f"{n / 1e6:.0f}M"
