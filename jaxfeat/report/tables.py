"""Parts that the tables of the terminal share; counts, shares and causes in words, which pages and pictures show."""

import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.markup import escape
from rich.table import Table


def open_console() -> Console:
    """Open stdout for tables: in color and as wide as the terminal or notebook, or as plain lines into a pipe."""
    console = Console(highlight=False)
    stripped: Any = _Stripped()
    return console if console.is_terminal or console.is_jupyter else _Pipe(file=stripped, highlight=False)


class _Pipe(Console):
    """A console that breaks no sentence into lines, so that `tail -1` takes the whole verdict."""

    def print(self, *objects: Any, **options: Any) -> None:
        if all(isinstance(one, str) for one in objects):
            options.setdefault("soft_wrap", True)
        super().print(*objects, **options)

    def on_broken_pipe(self) -> None:
        # Rich would end the process. The command decides on its exit status.
        raise BrokenPipeError


class _Stripped:
    """The present stdout without the blanks that fill the lines of tables."""

    def write(self, text: str) -> int:
        return sys.stdout.write(re.sub(r" +(?=\n)", "", text))

    def __getattr__(self, name: str) -> Any:
        return getattr(sys.stdout, name)


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


def highlight_count(n: int, curable: bool = True) -> str:
    """Write a number, in red if it is not 0 and counts what is `curable`."""
    return f"[bold red]{n}[/]" if n and curable else str(n)


class WordedTable:
    """A table whose last column holds a sentence for each row. If that takes fewer lines, the rows are numbered, and
    one sentence of each kind stands below the table, with the numbers of its rows. The words before the colons of a
    sentence are its kind. Cells are rich markup."""

    def __init__(self, title: str, names: str, numbers: Sequence[str], words: str, caption: str) -> None:
        self.title, self.names, self.numbers, self.words, self.caption = title, names, numbers, words, caption
        self.rows: list[tuple[str, ...]] = []

    def add_row(self, *cells: str) -> None:
        """Add a row: a name, numbers, and the sentence."""
        self.rows.append(cells)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        def count_lines(*tables: Table) -> int:
            return sum(len(console.render_lines(table, options)) for table in tables)

        beside, below = self._with_words(), self._numbered()
        yield from [beside] if count_lines(beside) <= count_lines(*below) else below

    def _with_words(self) -> Table:
        table = plain_table(self.title, self.names, self.numbers, (self.words,))
        table.caption = self.caption
        for cells in self.rows:
            table.add_row(*cells)
        return _top_aligned(table)

    def _numbered(self) -> list[Table]:
        numbered = plain_table(self.title, "", (), ())
        notes = plain_table("", "row", (), (self.words,))
        numbered.add_column(self.names, overflow="fold", vertical="bottom")
        for head in self.numbers:
            numbered.add_column(head, justify="right", no_wrap=True, vertical="bottom")
        kinds: dict[str, list[int]] = {}
        for number, cells in enumerate(self.rows, 1):
            numbered.add_row(str(number), *cells[:-1])
            if cells[-1]:
                kinds.setdefault(_kind_of(cells[-1]), []).append(number)
        for rows in kinds.values():
            sentences = [self.rows[number - 1][-1] for number in rows]
            whose = f" (the numbers are those of row {rows[0]})" if len(set(sentences)) > 1 else ""
            notes.add_row(", ".join(map(str, rows)), sentences[0] + whose)
        numbered.caption = self.caption
        return [numbered, _top_aligned(notes)] if kinds else [numbered]


def _kind_of(sentence: str) -> str:
    return "; ".join(part.partition(":")[0] for part in sentence.split("; ") if ":" in part)


def drop_common_formula(names: Sequence[str]) -> list[str]:
    """Leave the formula out of names such as "frame 3, C6H6" if it is the same in all of several."""
    first = {name.partition(", ")[2] for name in names}
    return [name.partition(", ")[0] for name in names] if len(first) == 1 and len(names) > 1 else list(names)


def _top_aligned(table: Table) -> Table:
    """Name a row beside the first of the lines that its sentence takes."""
    for column in table.columns:
        column.vertical = "top"
    return table


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
