"""A page tells what a summary holds, escapes all words, and says what is missing."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest
from matplotlib.figure import Figure
from records import ATOMIC_NUMBERS, GRID, many, record, summarize

from jaxfeat.report import page
from jaxfeat.report.exhibit_cards import Exhibit
from jaxfeat.report.page import BasisAdvice, render_page
from jaxfeat.report.viewer import Move, make_scene

SYMBOLS = ["X"] * 9
for name, number in ATOMIC_NUMBERS.items():
    SYMBOLS[number] = name


SCENE = make_scene("C 0 <of> 1", np.eye(3), ["H", "O", "H"], "C", [Move("symmetry", "symmetry", np.eye(3)[::-1])])


def render(records, near=None, **options):
    summary = summarize(records, 30)
    exhibits = [Exhibit(example, "2 <H>", "a <cause>", SCENE, near or {}) for example in summary.examples()]
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
    }
    return render_page(**given | options)


@pytest.fixture(autouse=True)
def plain_histograms(monkeypatch, request):
    """Leave out the histograms, which take most of the time, but in one test."""
    if "screen_reader" not in request.node.name:
        monkeypatch.setattr(page, "plot_distributions", lambda *_, **__: Figure())
        monkeypatch.setattr(page, "to_svg", lambda *_: "<svg></svg>")


def rows_of(text):
    """Split all rows of tables into cells without tags."""
    rows = re.findall(r"<tr[^>]*>(.*?)</tr>", text)
    return [[re.sub("<[^>]*>", "", cell) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row)] for row in rows]


def headline(text):
    """Read the kind and the words of the verdict's headline."""
    return re.search(r'<div class="verdict (\w+)"><p class="headline">(.*?)</p>', text).groups()


def blind_record(cause, structure=0, **options):
    return record(structure, sigma=(1.0, 1e-14)) | {"null": {"rigid": 3, "symmetry": 0, cause: 1}} | options


def test_a_page_holds_the_summary_the_examples_and_the_advice():
    text = render(many(20))
    rows = rows_of(text)
    assert ["Environments", "100"] in rows and ["command", "-"] in rows and ["report made", "now"] in rows
    assert "PowerSpectrum, species C H, sigma 0.3 Å" in text
    cards = re.findall(r"<article.*?</article>", text)
    assert len(cards) == 8 and all("<dd>2 &lt;H&gt;</dd>" in card and "a &lt;cause&gt;" in card for card in cards)
    assert re.findall(r'data-scene="(\d+)"', text) == [str(k) for k in range(8)]
    (own,) = [row for row in rows if "°" in row[3:4] or row[3:4] == ["+°"]]
    assert own[:3] == ["4", "4", "80"] and "Take n_max 4, l_max 4" in text
    assert "not complete" not in text


@pytest.mark.parametrize(
    "records, near, expected",
    [
        ([record()], {}, ("clear", "Nothing to cure. The features see every displacement in all 1 environment.")),
        (
            [blind_record("symmetry"), record(1)],
            {},
            ("physics", "Nothing to cure. Symmetry alone hides directions, in 1 of 2 environments."),
        ),
        (
            [blind_record("symmetry"), blind_record("width", 1), blind_record("truncation", 2)],
            {},
            ("fault", "2 of 3 environments have blind spots that can be cured."),
        ),
        (
            [blind_record("other"), record(1)],
            {},
            ("fault", "1 of 2 environments has null directions of unclear cause."),
        ),
        (
            [record()],
            {"incompleteness": 5e-5},
            ("fault", "At least 1 of 1 environment has a curable blind spot, which only rounded coordinates hide."),
        ),
        ([record()], {"incompleteness": 5e-2, "symmetry": 5e-5, "locality": 1e-6}, ("clear", None)),
        ([record(status="empty")], {}, ("clear", "No environment has a direction that is not rigid.")),
    ],
)
def test_the_verdict_is_red_for_blind_spots_that_are_no_symmetry(records, near, expected):
    text = render(records, near, basis=BasisAdvice(missing="Left out."))
    kind, words = headline(text)
    assert kind == expected[0] and expected[1] in (words, None)
    assert ('<b class="fault">' in text) == (kind == "fault" and not near)


def test_the_verdict_tells_what_is_behind_symmetry():
    records = [blind_record("symmetry"), record(1)]
    words = "symmetry (O_h): 5 of 19 second-order responses are invisible to ν = 2; ν = 3 sees all"
    found = [Exhibit(one, cause=words if one.group == "symmetry" else "") for one in summarize(records, 30).examples()]
    text = render(records, exhibits=found)
    assert headline(text) == (
        "physics", "Nothing to cure to first order. Symmetry alone hides directions, in 1 of 2 environments."
    )  # fmt: skip
    assert (
        "at least 1 has second-order responses that a higher order would see" in text
        and "symmetry (O<sub>h</sub>): 5 of" in text
    )


def test_sections_follow_from_what_can_be_cured_to_floors_and_provenance():
    text = render(
        [blind_record("symmetry"), blind_record("truncation", 1), blind_record("incompleteness", 2), record(3)]
    )
    assert text.index('class="verdict') < text.index("<main>") < text.index("<h2")
    assert re.findall("<h2[^>]*>(.*?)</h2>", text) == [
        "What can be cured", "What symmetry hides", "The least sensitive environments",
        "Which basis these environments need", "Floors and certification", "Provenance",
    ]  # fmt: skip
    heads = [re.sub("<[^>]*>", "", head) for head in re.findall("<h3[^>]*>(.*?)</h3>", text)]
    assert heads[:2] == ["incompleteness: 1 environment", "truncation: 1 environment"]
    causes = [re.sub(".*var\\(|\\).*", "", style) for style in re.findall(r'class="card"[^>]*style="([^"]*)"', text)]
    assert causes == ["--cause-incompleteness", "--cause-truncation", "--cause-symmetry", "--cause-none"]
    assert all(f"{cause}: #" in text for cause in causes)


class Outline(HTMLParser):
    """Levels of headings, names of elements, and elements that lack a label."""

    def __init__(self, text):
        super().__init__()
        self.levels, self.names, self.references, self.landmarks, self.unlabelled = [], [], [], [], []
        self._cells = 0
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        if re.fullmatch("h[1-6]", tag):
            self.levels.append(int(tag[1]))
        if tag in ("header", "main", "nav"):
            self.landmarks.append(tag)
        self.names += [found["id"]] if "id" in found else []
        for name in ("aria-labelledby", "aria-describedby"):
            self.references += found.get(name, "").split()
        if found.get("href", "").startswith("#"):
            self.references.append(found["href"][1:])
        named = {"aria-label", "aria-labelledby"} & found.keys()
        if (
            tag in ("section", "article", "figure", "svg", "select", "nav", "table") or "tabindex" in found
        ) and not named:
            self.unlabelled.append((tag, attrs))
        if tag == "th" and found.get("scope") not in ("row", "col"):
            self.unlabelled.append((tag, attrs))


@pytest.mark.parametrize("records", [many(20), [blind_record("width"), record(1)]])
def test_a_screen_reader_finds_its_way(records):
    text = render(records)
    outline = Outline(text.split('<script type="application/json"')[0])
    assert '<html lang="en">' in text and outline.landmarks == ["header", "nav", "main"]
    assert outline.levels[0] == 1 and outline.levels.count(1) == 1
    assert all(after <= before + 1 for before, after in zip(outline.levels, outline.levels[1:], strict=False))
    assert len(set(outline.names)) == len(outline.names) and {*outline.references} <= {*outline.names}
    assert not outline.unlabelled


def test_a_page_about_a_model_says_what_is_curable_in_a_model():
    text = render([blind_record("width"), record(1)], of_model=True, ordered=False)
    (row,) = [row for row in rows_of(text) if row[0] == "width" and len(row) == 4]
    assert row[1:] == ["1", "50.0 %", "1"] and "for example channels" in text
    assert "1 with fewer features than directions, 0 of unknown or uncertain cause" in text
    assert "incompleteness" not in re.sub("<style>.*?</style>", "", text, flags=re.S)
    text = render([blind_record("incompleteness")], of_model=True)
    assert "a higher correlation order or another layer does" in text


def test_words_are_escaped():
    text = render(many(4))
    assert "a&lt;b&gt;.xyz" in text and "&lt;in&gt;" in text and "2000 &lt;environments&gt;" in text
    assert "C 0 &lt;of&gt; 1" in text
    assert not re.search("<(b>|in|environments|H|cause|of)[.>]", text.replace("<b>", "")) and "a<b>" not in text


@pytest.mark.parametrize(
    "options, words",
    [
        ({"lacking": "No <positions>."}, "No &lt;positions&gt;. Therefore the page has no pictures"),
        ({"basis": BasisAdvice(missing="Left <out>.")}, "<p>Left &lt;out&gt;.</p>"),
        ({"attributes": {"complete": 0}}, "20 of 20 environments in the store are done"),
    ],
)
def test_missing_parts_are_explained(options, words):
    assert words in render(many(4), **options)


def test_exhibits_without_scenes_have_no_pictures():
    summary = summarize(many(4), 30)
    text = render(many(4), exhibits=[Exhibit(example) for example in summary.examples()])
    assert 'id="scenes"' not in text and "<script" not in text and 'id="view-keys"' not in text
    assert text.count("<article") == len(summary.examples())


def test_ambiguous_environments_count_under_that_name():
    doubtful = record(sigma=(2.0, 1.0, 1e-16)) | {"status": "ambiguous", "null": {"symmetry": 1, "other": 2}}
    text = render([doubtful, record()])
    assert "<dd>ambiguous 3</dd>" in text and "ambiguous</span>: 1 environment<" in text
    assert ["ambiguous", "1", "50.0 %", "3"] in [row[:4] for row in rows_of(text)]
    assert "1 environments are ambiguous" in text and "1 of them have null directions" in text
