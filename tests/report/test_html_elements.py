"""Cells of a table have classes by their columns, rows and lengths."""

from jaxfeat.report.html_elements import LONG_CELL, fill_template, format_number, make_table, mark_count, read_resource


def test_cells_have_classes():
    long = "<b>" + "x" * (LONG_CELL + 1)
    text = make_table(("a", "b"), [("1", "2"), ("3", long)], caption="c", numbers=[1], marked=[1])
    assert "<caption>c</caption>" in text and '<th scope="col">a</th><th scope="col" class="number">b</th>' in text
    assert '<tr><th scope="row">1</th><td class="number">2</td></tr>' in text
    assert f'<tr class="marked"><th scope="row">3</th><td class="number text">{long}</td></tr>' in text
    assert "<thead>" not in make_table((), [("x" * LONG_CELL,)]) and 'class="text"' not in text


def test_counts_stand_out_unless_they_are_0():
    assert mark_count(0) == "0" and mark_count(12345) == '<b class="some">12\u202f345</b>'
    assert format_number(1234567) == "1\u202f234\u202f567"


def test_parts_of_a_template_may_hold_dollars():
    text = fill_template("viewer.html", arrow_length="1", scenes="$x", script="${y}", own="$$")
    assert "<script>${y}</script>\n<script>$$</script>" in text and "$x" in text
    assert "table" in read_resource("page.css")
