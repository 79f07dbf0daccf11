"""Tables of a scan count environments and null directions, and name the most blind."""

import io
import subprocess
import sys

import pytest
from records import ATOMIC_NUMBERS, many, printed, record, row, summarize
from rich.console import Console

from jaxfeat.report.scan_table import (
    blind_table,
    count_causes,
    most_blind_examples,
    print_scan,
    print_store,
    species_table,
    structure_table,
)
from jaxfeat.report.tables import highlight_count

NULL = (2.0, 1.0, 1e-16)


def test_summary_rows():
    records = [
        record(0, 0, "CH4", "C", sigma=(1.0, 0.5, 0.25), raw=(1.0, 0.01)),
        record(0, 1, "CH4", "H", sigma=NULL),
        record(0, 2, "CH4", "H", sigma=(1.0, 1e-17, 1e-17)),
        record(1, 0, "CO", "C", sigma=(1.0, 0.125)),
        record(1, 1, "CO", "O", status="non-finite"),
    ]
    text = printed(species_table(records))
    assert row(text, "C") == ["2", "1.2e-01", "1.2e-01", "1.0e-02", "1.0e-02", "0", "0", "0"]
    assert row(text, "H") == ["2", "<2e-13", "<2e-13", "<2e-13", "<2e-13", "3", "0", "0"]
    assert row(text, "O") == ["1", "-", "-", "-", "-", "0", "0", "0"]
    text = printed(structure_table(records))
    assert row(text, "CH4") == ["3", "<2e-13", "<2e-13", "<2e-13", "<2e-13", "3", "0", "0"]
    assert row(text, "CO") == ["2", "1.2e-01", "1.2e-01", "1.2e-01", "1.2e-01", "0", "0", "0"]
    text = printed(records)
    assert "Without a spectrum: 1 non-finite." in text
    assert "not certain" not in text
    assert "4 most blind of 4 environments" in text


def test_the_most_blind_environments_are_named():
    records = [record(0, 3, "CH3CH2OH", sigma=NULL), record(1, 1, "H2O", "H", sigma=(1.0, 0.5), n_neighbors=7)]
    text = printed(blind_table(records, {0: "symmetry (C_s): physics"}))
    assert row(text, "C3 of CH3CH2OH") == ["2", "<2e-13", "<2e-13", "1", "symmetry", "(C_s):", "physics"]
    assert row(text, "H1 of H2O") == ["7", "5.0e-01", "5.0e-01", "0"]
    assert text.index("H1 of") < text.index("C3 of")  # Symmetry, which nothing cures, comes last.


def test_two_structures_of_one_name_are_two():
    text = printed(structure_table([record(0, 0), record(1, 0)]))
    assert sum(line.strip().startswith("CH4") for line in text.splitlines()) == 2


@pytest.mark.parametrize("n, shown, title", [(10, 10, "By structure"), (11, 10, "10 most blind of 11 structures")])
def test_long_lists_of_structures_are_cut_and_say_so(n, shown, title):
    table = structure_table(many(n))
    assert table.row_count == shown
    assert title in printed(table)
    assert ("--json FILE writes all." in printed(table)) == (n > shown)
    assert ("s.json holds all." in printed(structure_table(many(n), written="s.json"))) == (n > shown)


def test_a_scan_of_many_structures_fits_on_a_screen_and_ends_with_the_verdict():
    lines = printed(many(148, species=("H", "C")), width=100).splitlines()
    assert len(lines) < 60 and lines[-1].endswith(".") and "740 environments: " in " ".join(lines[-3:])


def test_long_causes_stand_below_a_narrow_table_once_and_beside_a_wide_one():
    long = "cutoff: a neighbor is near r_cut, and hardly weighs anything, so that its displacement is hardly seen"
    records = [record(k, 0, f"m{k}", sigma=(1.0, 0.1 + k / 100)) for k in range(8)]
    causes = {k: f"{long} in {k}" for k in range(8)} | {1: "its own"}
    narrow = printed(blind_table(records, causes), width=80)
    assert row(narrow, "1  C0 of m0") == ["2", "1.0e-01", "1.0e-01", "0"]
    assert "1, 3, 4, 5, 6, 7, 8  cutoff" in narrow
    assert " ".join(narrow.split()).count("is hardly seen in 0 (the numbers are those of row 1)") == 1
    assert all(len(line) <= 80 for line in narrow.splitlines())
    wide = printed(blind_table(records, causes), width=200)
    assert wide.count(long) == 7 and row(wide, "C0 of m1")[4:] == ["its", "own"]


def test_cut_lists_keep_the_worst():
    records = [record(k, 0, f"m{k}", sigma=(1.0, 10 ** (-k / 100))) for k in range(250)]
    records[7] |= {"null": {"rigid": 3, "truncation": 1}}
    text = printed(structure_table(records))
    assert all(f"m{k} " in text for k in (7, *range(241, 250)))
    assert "m240 " not in text


def test_a_formula_that_all_frames_have_is_left_out():
    frames = [record(k, 0, f"frame {k}, C6H6") for k in range(3)]
    text = printed(structure_table(frames))
    assert "frame 2 " in text and "C6H6" not in text
    assert "C6H6" in printed(structure_table(frames[:1])) and "CH4" in printed(structure_table([*frames, record(3, 0)]))


def test_red_is_for_what_can_be_cured():
    def cells(**null):
        return count_causes([{"rigid": 3, **null}])[1][0]

    assert cells(symmetry=4) == ["4", "0", "0"]
    assert cells(incompleteness=2)[1] == highlight_count(2) != "2"


def test_names_are_not_markup():
    assert "[red]" in printed(structure_table([record(name="[red]")]))


def test_causes_that_are_not_certain_are_counted():
    doubtful = record(sigma=NULL) | {"status": "ambiguous", "null": {"rigid": 3, "symmetry": 0, "other": 1}}
    text = printed([doubtful, doubtful, record()])
    assert row(printed(species_table([doubtful, doubtful, record()])), "C")[-4:] == ["0", "0", "0", "2"]
    assert "not certain: 2 ambiguous." in text
    assert "2 most blind of 3" in text and "C0 of CH4 ×2" in text


@pytest.mark.parametrize("cause", ["symmetry", "other", "width"])
def test_eighty_columns_suffice(cause):
    null = {"rigid": 3, "symmetry": 0, cause: 1234}
    text = printed([record(k, 25, f"frame {k}, C12H12N2O", sigma=NULL) | {"null": null} for k in range(3)], width=80)
    assert "1234" in text and "3702" in text
    assert "H12N2O" in text
    assert "…" not in text
    assert all(len(line) <= 80 for line in text.splitlines())


def test_features_without_an_order_have_no_incomplete_directions():
    blind = record(sigma=NULL) | {"null": {"rigid": 3, "symmetry": 0, "other": 1, "width": 2}}
    out = io.StringIO()
    print_scan([blind, record()], {}, Console(file=out, width=100), ordered=False)
    text = " ".join(out.getvalue().split())
    assert "plete" not in text and "trun-" not in text and "width ers" in text
    assert "Width: directions beyond the number of features. Others: beyond the cutoff, or of unknown cause." in text
    assert "1 with fewer features than directions, 1 of unknown or uncertain cause (a higher" in text
    assert row(printed(species_table([blind, record()])), "C")[-5:] == ["0", "0", "0", "2", "1"]


def test_nothing_to_show_is_no_error():
    assert "0 most blind of 0" in printed([record(status="empty")])


def test_the_summary_of_a_store_is_printed_as_tables():
    records = [record(structure=k, sigma=(1.0, 10.0**-k)) for k in range(1, 4)] + [record(structure=9, status="empty")]
    records[0]["status"] = "ambiguous"
    summary, text = summarize(records, 3), io.StringIO()
    symbols = {number: name for name, number in ATOMIC_NUMBERS.items()}
    assert [one.structure for one in most_blind_examples(summary)] == [3, 2, 1]
    print_store(summary, ["why", "", ""], "molecule {}".format, symbols, Console(file=text, width=100))
    found = text.getvalue()
    assert "The most blind of 3 environments" in found and "of molecule 3" in found and "why" in found
    assert "1.0e-03" in found and "certain: 1 ambiguous." in found and "Without a spectrum: 1 empty." in found


def test_reports_need_no_jax_and_tables_no_matplotlib():
    code = """
import sys
from jaxfeat.report import convergence, families, scan_table, sweep_table
assert "matplotlib" not in sys.modules
from jaxfeat.report import page, scan_plot, sweep_plot
assert not {"jax", "matplotlib.pyplot"} & set(sys.modules)
"""
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
