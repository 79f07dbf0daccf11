"""HTML elements of a page: templates, tables and numbers."""

import re
import zlib
from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files
from string import Template

FIT_COLUMNS = 5  # columns that a phone shows


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
    caption: str,
    numbers: Iterable[int] = (),
    marked: Iterable[int] = (),
    wide: bool = False,
) -> str:
    """Write a table of HTML cells with heads of rows, right-aligned columns of `numbers`, and `marked` rows. The
    caption stands above the table, so that it is never wider than the page. A `wide` table scrolls on a narrow page,
    also by keys."""
    right, standing_out = set(numbers), set(marked)
    name = f"t{zlib.crc32(repr((caption, list(heads), list(map(list, rows)))).encode()):08x}"
    lines = []
    if heads:
        cells = [f'<th scope="col"{_class(number=k in right)}>{head}</th>' for k, head in enumerate(heads)]
        lines.append(f"<thead><tr>{''.join(cells)}</tr></thead>")
    lines.append("<tbody>")
    for place, (first, *others) in enumerate(rows):
        cells = [f'<th scope="row"{_class(number=0 in right)}>{first}</th>']
        cells += [f"<td{_class(number=k in right)}>{cell}</td>" for k, cell in enumerate(others, 1)]
        lines.append(f"<tr{_class(marked=place in standing_out)}>{''.join(cells)}</tr>")
    table = "\n".join([f'<table aria-labelledby="{name}">', *lines, "</tbody></table>"])
    scrolled = f'<div class="wide" role="region" tabindex="0" aria-labelledby="{name}">{table}</div>' if wide else table
    hint = ' <span class="sideways">(scroll sideways for all columns)</span>' if len(heads) > FIT_COLUMNS else ""
    return f'<p class="caption" id="{name}">{caption}{hint}</p>\n{scrolled}'


def _class(**names: bool) -> str:
    chosen = " ".join(name for name, on in names.items() if on)
    return f' class="{chosen}"' if chosen else ""


def write_formulas(text: str) -> str:
    """Write a sentence with the indices of singular values and point groups below the line, as in σ_min and D_6h."""
    text = re.sub(r"σ_(min|max|vis)\b", r"σ<sub>\1</sub>", escape(text))
    return re.sub(r"\b([CDSTOIK])_([0-9∞]*[vhdsi]?)(?![\w])", r"\1<sub>\2</sub>", text)


def mark_count(n: int) -> str:
    """Write the number of things that are wrong, in red if it is not 0."""
    return f'<b class="fault">{format_number(n)}</b>' if n else "0"


def format_number(n: int) -> str:
    """Write a number with thin spaces between thousands, which break no line."""
    return f"{n:,}".replace(",", "\u202f")
