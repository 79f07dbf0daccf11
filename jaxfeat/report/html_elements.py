"""HTML elements of a page: templates, tables and numbers."""

import re
from collections.abc import Iterable, Sequence
from importlib.resources import files
from string import Template

LONG_CELL = 40  # characters from which a cell counts as text, and may be wrapped


def read_resource(name: str) -> str:
    """Read a file that lies beside this module."""
    return files("jaxfeat.report").joinpath(name).read_text(encoding="utf-8")


def fill_template(name: str, **parts: str) -> str:
    """Fill the HTML of a file beside this module with parts, which are HTML as well."""
    return Template(read_resource(name)).substitute(parts)


def make_table(
    heads: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    caption: str = "",
    numbers: Iterable[int] = (),
    marked: Iterable[int] = (),
) -> str:
    """Write a table of HTML cells with heads of rows, right-aligned columns of `numbers`, and `marked` rows."""
    right, standing_out = set(numbers), set(marked)
    lines = [f"<caption>{caption}</caption>"] if caption else []
    if heads:
        cells = [f'<th scope="col"{_class(number=k in right)}>{name}</th>' for k, name in enumerate(heads)]
        lines.append(f"<thead><tr>{''.join(cells)}</tr></thead>")
    lines.append("<tbody>")
    for place, (first, *others) in enumerate(rows):
        cells = [f'<th scope="row"{_class(number=0 in right)}>{first}</th>']
        for k, cell in enumerate(others, 1):
            long = len(re.sub("<[^>]*>", "", cell)) > LONG_CELL
            cells.append(f"<td{_class(number=k in right, text=long)}>{cell}</td>")
        lines.append(f"<tr{_class(marked=place in standing_out)}>{''.join(cells)}</tr>")
    return "\n".join(['<div class="scroll"><table>', *lines, "</tbody></table></div>"])


def _class(**names: bool) -> str:
    chosen = " ".join(name for name, on in names.items() if on)
    return f' class="{chosen}"' if chosen else ""


def mark_count(n: int) -> str:
    """Write a number, marked if it is not 0."""
    return f'<b class="some">{format_number(n)}</b>' if n else "0"


def format_number(n: int) -> str:
    """Write a number with thin spaces between thousands, which break no line."""
    return f"{n:,}".replace(",", "\u202f")
