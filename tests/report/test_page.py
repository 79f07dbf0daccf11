"""A page tells what a summary holds, escapes all words, and says what is missing."""

import re

import pytest
from records import ATOMIC_NUMBERS, GRID, many, record, summarize

from jaxfeat.report.page import BasisAdvice, Exhibit, render_page
from jaxfeat.report.viewer import Viewer

SYMBOLS = ["X"] * 9
for name, number in ATOMIC_NUMBERS.items():
    SYMBOLS[number] = name


def render(records, **options):
    summary = summarize(records, 30)
    scene = {"title": "t"}
    exhibits = [Exhibit(example, "2 <H>", "a <cause>", scene) for example in summary.examples()]
    given = {
        "title": "a<b>.xyz",
        "descriptor": {"kind": "PowerSpectrum", "species": ["C", "H"], "sigma": 0.3, "cutoff": {}},
        "attributes": {"complete": 1, "input": "<in>", "command": ""},
        "summary": summary,
        "exhibits": exhibits,
        "basis": BasisAdvice(GRID, "2000 <environments>", (4, 4)),
        "symbols": SYMBOLS,
        "made": {"report made": "now"},
        "lacking": "",
        "shown": Viewer("draw();", "by us"),
    }
    return render_page(**given | options)


def rows_of(text):
    """Split all rows of tables into cells without tags."""
    rows = re.findall(r"<tr[^>]*>(.*?)</tr>", text)
    return [[re.sub("<[^>]*>", "", cell) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row)] for row in rows]


def test_a_page_holds_the_summary_the_examples_and_the_advice():
    text = render(many(20))
    rows = rows_of(text)
    assert ["Environments", "100"] in rows and ["command", "-"] in rows and ["report made", "now"] in rows
    assert "PowerSpectrum, species C H, sigma 0.3" in text and "<script>draw();</script>" in text
    (heads,) = [row for row in rows if row[0] == "Kind"]
    assert heads[1:4] == ["3D", "Structure", "Center"] and heads[-1] == "Cause and cure"
    shown = [row for row in rows if "Show" in row]
    assert len(shown) == 8 and all(row[4] == "2 &lt;H&gt;" and row[-1] == "a &lt;cause&gt;" for row in shown)
    assert re.findall(r'data-scene="(\d+)"', text) == [str(k) for k in range(8)]
    (own,) = [row for row in rows if "°" in row[3:4] or row[3:4] == ["+°"]]
    assert own[:3] == ["4", "4", "80"] and "Take n_max 4, l_max 4" in text
    assert "not complete" not in text


def test_a_page_about_a_model_says_what_is_curable_in_a_model():
    record_of_model = record(sigma=(1.0, 1e-14)) | {"null": {"rigid": 3, "symmetry": 0, "width": 1}}
    rows = rows_of(text := render([record_of_model, record()], of_model=True, ordered=False))
    (row,) = [row for row in rows if row[0] == "width" and len(row) == 5]
    assert row[1:4] == ["1", "50.0 %", "1"] and "channels" in row[4]
    assert "1 with fewer features than directions, 0 of unknown or uncertain cause" in text
    assert not [row for row in rows if row[0] in ("incompleteness", "truncation")]
    (row,) = [row for row in rows_of(render([record()], of_model=True)) if row[0] == "incompleteness"]
    assert "a higher correlation order or another layer does" in row[4]


def test_words_are_escaped():
    text = render(many(4))
    assert "a&lt;b&gt;.xyz" in text and "&lt;in&gt;" in text and "2000 &lt;environments&gt;" in text
    assert not re.search("<(b>|in|environments|H|cause)[.>]", text.replace("<b>", "")) and "a<b>" not in text


@pytest.mark.parametrize(
    "options, words",
    [
        ({"lacking": "No <positions>."}, "No &lt;positions&gt;. Therefore the page has no 3D view"),
        ({"shown": None}, "install chemiscope"),
        ({"basis": BasisAdvice(missing="Left <out>.")}, "<p>Left &lt;out&gt;.</p>"),
        ({"attributes": {"complete": 0}}, "20 of 20 environments in the store are done"),
    ],
)
def test_missing_parts_are_explained(options, words):
    text = render(many(4), **{"shown": None} | options)
    assert words in text and 'id="scenes"' not in text
    assert ("Cause and cure" in text) == ("lacking" not in options)


def test_ambiguous_environments_count_under_that_name():
    doubtful = record(sigma=(2.0, 1.0, 1e-16)) | {"status": "ambiguous", "null": {"symmetry": 1, "other": 2}}
    text = render([doubtful, record()])
    (shown,) = [row for row in rows_of(text) if row[0] == "ambiguous" and "Show" in row]
    assert shown[7] == "ambiguous 3"
    assert ["ambiguous", "1", "50.0 %", "3"] in [row[:4] for row in rows_of(text)]
    assert "1 environments are ambiguous" in text and "1 of them have null directions" in text


def test_a_sweep_without_sensitivities_says_so():
    text = render([record(status="empty")], basis=BasisAdvice(missing="Left out."))
    assert text.count("No environment has a direction that is not rigid.") == 2
