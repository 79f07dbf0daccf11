"""The picture of a page has one row for each species, and is an SVG element that needs nothing else."""

import xml.etree.ElementTree as ET

from matplotlib.text import Text
from records import ATOMIC_NUMBERS, many, record, summarize

from jaxfeat.report import distribution_plot
from jaxfeat.report.distribution_plot import name_species, plot_distributions, to_svg

SYMBOLS = ["X"] * 9
for name, number in ATOMIC_NUMBERS.items():
    SYMBOLS[number] = name


def texts(figure):
    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


def test_each_species_has_a_row():
    figure = plot_distributions(summarize(many(20), 30), SYMBOLS)
    assert [panel.get_ylabel() for panel in figure.axes[::2]] == ["H\n40", "C\n20", "N\n20", "O\n20"]
    assert {"symmetry", "no null direction", "raw, all causes"} <= set(texts(figure))


def test_rare_species_share_a_row(monkeypatch):
    monkeypatch.setattr(distribution_plot, "MOST_ROWS", 2)
    figure = plot_distributions(summarize(many(20), 30), SYMBOLS)
    assert [panel.get_ylabel() for panel in figure.axes[::2]] == ["H\n40", "other\n60"]


def test_nothing_below_the_floor_leaves_the_shares_out():
    figure = plot_distributions(summarize(many(20, nulls=False), 30), SYMBOLS)
    assert len(figure.axes) == 4 and "% below the floor" not in texts(figure)


def test_a_narrow_picture_has_the_same_size_of_text():
    wide, narrow = (plot_distributions(summarize(many(20), 30), SYMBOLS, narrow=one) for one in (False, True))
    assert narrow.get_figwidth() < wide.get_figwidth() / 2
    sizes = [{text.get_text(): text.get_fontsize() for text in one.findobj(Text)} for one in (wide, narrow)]
    assert sizes[0]["symmetry"] == sizes[1]["symmetry"] and sizes[0]["H\n40"] == sizes[1]["H\n40"]


def test_ratios_below_the_floor_are_a_share():
    records = [record(k, 0, sigma=(1.0, 1e-17 if k < 3 else 1e-2)) for k in range(9)]
    assert "33.3 %" in texts(plot_distributions(summarize(records, 9), SYMBOLS))
    assert "all below the floor" in texts(plot_distributions(summarize(records[:3], 9), SYMBOLS))


def test_nothing_to_draw_is_no_figure():
    assert plot_distributions(summarize([record(status="empty")], 1), SYMBOLS) is None


def test_the_element_is_complete_and_described():
    text, again = (to_svg(plot_distributions(summarize(many(5), 30), SYMBOLS), "a picture", "wide") for _ in range(2))
    root = ET.fromstring(text)
    assert root.get("aria-label") == "a picture" and root.tag.endswith("svg")
    assert text == again
    assert text.count(' id="') == text.count(' id="wide-') and text.count("#") > text.count("#wide-") > 0


def test_an_empty_center_is_named():
    assert name_species(0, SYMBOLS) == "no atom" and name_species(8, SYMBOLS) == "O"
