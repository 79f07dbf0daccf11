"""HTML elements of a page: sections, tables and numbers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_TAG = re.compile("<[^>]*>")

LONG_CELL = 40
"""Characters from which a cell counts as text, and may be wrapped."""


def make_section(title: str, content: str) -> str:
    """Write a section with a heading."""
    return f"<section>\n<h2>{title}</h2>\n{content}\n</section>"


def make_table(
    heads: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    caption: str = "",
    numbers: Iterable[int] = (),
    head: bool = True,
    marked: Sequence[bool] = (),
) -> str:
    """Write a table of HTML cells. The first cell of a row is its head; `numbers` lists the columns of numbers."""
    right = set(numbers)
    lines = ['<div class="scroll"><table>']
    if caption:
        lines.append(f"<caption>{caption}</caption>")
    if head:
        cells = [f'<th scope="col"{_add_class("number", k in right)}>{name}</th>' for k, name in enumerate(heads)]
        lines.append(f"<thead><tr>{''.join(cells)}</tr></thead>")
    lines.append("<tbody>")
    for place, (first, *rest) in enumerate(rows):
        cells = [f'<th scope="row"{_add_class("number", 0 in right)}>{first}</th>']
        for k, cell in enumerate(rest, 1):
            kinds = [name for name, on in (("number", k in right), ("text", len(_TAG.sub("", cell)) > LONG_CELL)) if on]
            cells.append(f"<td{_add_class(' '.join(kinds), bool(kinds))}>{cell}</td>")
        lines.append(f"<tr{_add_class('marked', bool(marked) and marked[place])}>{''.join(cells)}</tr>")
    return "\n".join([*lines, "</tbody></table></div>"])


def _add_class(name: str, on: bool) -> str:
    return f' class="{name}"' if on else ""


def mark_count(n: int) -> str:
    """Write a number, marked if it is not 0."""
    return f'<b class="some">{format_number(n)}</b>' if n else "0"


def format_number(n: int) -> str:
    """Write a number with thin spaces between thousands, which break no line."""
    return f"{n:,}".replace(",", "\u202f")


def format_share(n: int, total: int) -> str:
    """Write a percentage that is 0 only for none and 100 only for all."""
    percent = 100 * n / max(total, 1)
    if percent in (0, 100):
        return f"{percent:.0f} %"
    return f"{percent:.1f} %" if 0.1 <= percent <= 99.9 else "&lt; 0.1 %" if percent < 1 else "&gt; 99.9 %"
