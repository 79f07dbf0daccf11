"""Cells of a table have classes by their columns, rows and lengths."""

import re

import pytest

from jaxfeat.report.html_elements import (
    FIT_COLUMNS,
    fill_template,
    format_number,
    make_table,
    mark_count,
    read_resource,
    write_formulas,
)


def test_cells_have_classes():
    text = make_table(("a", "b"), [("1", "2"), ("3", "4")], caption="c", numbers=[1], marked=[1])
    assert '<th scope="col">a</th><th scope="col" class="number">b</th>' in text
    assert '<tr><th scope="row">1</th><td class="number">2</td></tr>' in text
    assert '<tr class="marked"><th scope="row">3</th><td class="number">4</td></tr>' in text
    assert "<thead>" not in make_table((), [("1",)], caption="c")


@pytest.mark.parametrize("wide", [False, True])
def test_a_caption_names_its_table(wide):
    text = make_table(("a",), [("1",)], caption="c", wide=wide)
    (name,) = re.findall(r'<p class="caption" id="(\w+)">c</p>', text)
    assert f'<table aria-labelledby="{name}">' in text
    assert (f'class="wide" role="region" tabindex="0" aria-labelledby="{name}"' in text) == wide


def test_many_columns_come_with_a_hint_for_a_phone():
    few, many = (make_table(["a"] * n, [["1"] * n], caption="c", wide=True) for n in (FIT_COLUMNS, FIT_COLUMNS + 1))
    assert "sideways" not in few and 'class="sideways"' in many


def test_indices_stand_below_the_line():
    assert write_formulas("σ_min/σ_max of D_6h, C_s and n_max < 3") == (
        "σ<sub>min</sub>/σ<sub>max</sub> of D<sub>6h</sub>, C<sub>s</sub> and n_max &lt; 3"
    )


def test_counts_stand_out_unless_they_are_0():
    assert mark_count(0) == "0" and mark_count(12345) == '<b class="fault">12\u202f345</b>'
    assert format_number(1234567) == "1\u202f234\u202f567"


def test_parts_of_a_template_may_hold_dollars():
    parts = dict.fromkeys(("title", "verdict", "descriptor", "incomplete", "contents", "sections"), "")
    text = fill_template("page.html", **parts, css="$x", scenes="${y}$$")
    assert "$x</style>" in text and "\n${y}$$\n" in text
    assert "table" in read_resource("page.css")
