"""Results are shown as small HTML, with everything escaped."""

from xml.etree import ElementTree

import numpy as np
import pytest
from records import many, record

from jaxfeat.report import notebook
from jaxfeat.report.displacement import make_scene
from jaxfeat.report.palette import CAUSE_COLORS

SCENE = make_scene(np.asarray([[0.0, 0.8, 0.6], [0.0, -0.8, 0.6]]), ["H", "H"], "O", np.ones((2, 3)))


def parse(html):
    """Parse HTML without its script and style; all that jaxfeat writes is well-formed but for unquoted classes."""
    text = html.replace(" class=n", "")
    for name in ("script", "style"):
        while f"<{name}>" in text:
            text = text[: text.index(f"<{name}>")] + text[text.index(f"</{name}>") + len(name) + 3 :]
    return ElementTree.fromstring(text)


def test_a_spectrum_is_a_row_and_a_spark_line():
    html = notebook.show_spectra(
        "Spectrum: 4 values", np.asarray([[2.0, 1.0, 1e-3, 1e-17]]), np.asarray([1e-13]), ["ok"]
    )
    tree = parse(html)
    assert [cell.text for cell in tree.iter("td")] == ["2", "5e-18", "5e-14", "1"]
    fills = [mark.get("fill") for mark in tree.iter("circle")]
    assert fills == ["currentColor"] * 3 + ["none"]
    assert "&lt;5e-14" in html
    heights = [float(mark.get("cy")) for mark in tree.iter("circle")]
    assert heights == sorted(heights) and heights[-1] <= 58


def test_several_spectra_are_a_distribution():
    values = np.asarray([[1.0, 0.5, 1e-17], [1.0, 1e-2, np.nan], [1.0, 0.3, 0.2], [np.nan] * 3])
    html = notebook.show_spectra("Spectrum: batch", values, np.full(4, 1e-13), ["ok", "ok", "ok", "empty"])
    tree = parse(html)
    assert [cell.text for cell in tree.iter("td")] == ["ok", "3", "empty", "1"]
    assert "1 with null values" in html
    heights = [float(bar.get("height")) for bar in tree.iter("rect")]
    assert sum(heights) == pytest.approx(3 * 40) and max(heights) == 40
    assert "<svg" not in notebook.show_spectra("Spectrum: none", values[3:], np.full(1, 1e-13), ["empty"])


def test_a_null_space_names_its_causes_in_their_colors():
    counts = {"rigid": 3, "symmetry": 2, "incompleteness": 1, "truncation": 0}
    near = [["truncation", 1, "C_2v", "1e-05 Å", "1e-9 to 1e-8"]]
    html = notebook.show_null_space("Null space: <x>", counts, "C_s", "", near, [("one & two", "symmetry", SCENE)] * 9)
    tree = parse(html)
    heads = [row[0].find("i").get("style") for row in tree.iter("tr") if row[0].find("i") is not None]
    causes = ("incompleteness", "symmetry", "rigid", "truncation")
    assert heads == [f"background:{CAUSE_COLORS[cause]}" for cause in causes]
    assert "C<sub>s</sub>" in html and "C<sub>2v</sub>" in html and "&lt;x&gt;" in html
    assert len(list(tree.iter("svg"))) == notebook.MOST_SCENES
    assert "one &amp; two" in html and html.count("<script>") == 1
    lost = notebook.show_null_space("Null space: empty", {}, "", "There are no neighbors.", [], [])
    assert "There are no neighbors." in lost and "<script>" not in lost


def test_a_scan_begins_with_its_verdict():
    blind = record(9, 0, "a <b>", sigma=(1.0, 1e-17)) | {"null": {"rigid": 3, "incompleteness": 1}}
    found = [*many(3), blind]
    html = notebook.show_scan(found)
    assert html.index("16 environments: ") < html.index("worst cause") < html.index("equilibrated")
    assert "a &lt;b&gt;" in html
    shares = [int(cell.text) for cell in next(iter(parse(html).iter("table"))).iter("td") if cell.text]
    assert sum(shares) == 16
    for unnamed in ([{k: v for k, v in one.items() if k != "name"} for one in found], []):
        parse(notebook.show_scan(unnamed))


def test_items_and_kinds_are_shown():
    assert len(list(parse(notebook.show_atoms("Environment: one", [], SCENE)).iter("circle"))) == 3
    html = notebook.show_atoms("Environment: batch", [["C", 4, "1 to 8"]], None)
    assert "1 to 8" in html and "<svg" not in html
    html = notebook.show_kinds("SingularPoints: 2", [["1", "symmetry 2", "C<sub>s</sub>", 6, 2, 1]], [])
    assert [cell.text for cell in parse(html).iter("td")][1:] == ["symmetry 2", "C", "6", "2", "1"]
