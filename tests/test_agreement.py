"""Records, tables, pictures, stores, reports and grids of bases count the same things alike."""

import io
import re

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from matplotlib.text import Text
from records import printed, row
from rich.console import Console

import jaxfeat
from jaxfeat.cli import main, report
from jaxfeat.nulls.scan import scan
from jaxfeat.report.advice import explain_bases
from jaxfeat.report.scan_plot import plot_scan
from jaxfeat.report.scan_table import print_store, species_table
from jaxfeat.report.sensitivity import count_null
from jaxfeat.report.store_summary import StoreSummary
from jaxfeat.store.reader import StoreReader

F = jaxfeat.PowerSpectrum(("H", "P", "C"), n_max=2, l_max=3, weights=(1, 1, 3e-13))
"""Carbon has so small a weight that rounding decides whether a neighbor is seen: no geometry tells the cause."""

SYMBOLS = ["X", "H", *"?" * 4, "C", *"?" * 8, "P"]


@pytest.fixture(scope="module")
def batch():
    """Three neighbors each: symmetric, symmetric but for rounding, not symmetric, and a carbon that is hardly seen, in
    a flat molecule and in another one."""
    rounded, generic = molecule("PH3"), molecule("PH3")
    generic.rattle(0.1, seed=0)
    angles = 2 * np.pi * np.arange(3) / 3
    exact = Atoms("PH3", [[0, 0, 0], *np.stack([np.cos(angles), np.sin(angles), np.full(3, 0.5)], -1)])
    flat = Atoms("CH3", [[0, 0, 0], [1.0, 0.1, 0], [-0.6, 0.9, 0], [-0.7, -0.8, 0]])
    bent = flat.copy()
    bent.positions[:2, 2] = 0.4, 0.1
    return jaxfeat.environments([rounded, generic, exact, flat, bent], 4.0)


@pytest.fixture(scope="module")
def records(batch):
    return [{**record, "name": str(record["structure"])} for record in scan(F, batch)]


@pytest.fixture(scope="module")
def store(batch, tmp_path_factory):
    path = tmp_path_factory.mktemp("stores") / "s.zarr"
    jaxfeat.sweep(F, batch, out=path)
    return path


def summarize(store):
    stored = StoreReader(store)
    summary = StoreSummary(stored.causes)
    for columns in stored.row_slices():
        summary.add(columns)
    return summary


def test_causes_add_up_to_the_values_below_the_floor(records):
    for record in records:
        below = sum(value <= record["floor_equilibrated"] for value in record["sigma_equilibrated"])
        assert sum(record["null"].values()) - record["null"]["rigid"] == count_null(record) == below
        assert record["status"] == "ok" or record["null"]["symmetry"] == 0
    kinds = {(record["status"], count_null(record) > 0) for record in records}
    assert kinds == {("ok", True), ("ok", False), ("ambiguous", True), ("ambiguous", False)}


def test_tables_and_pictures_count_alike(records, store):
    directions, blind = sum(map(count_null, records)), sum(count_null(record) > 0 for record in records)
    summary = summarize(store)
    text = printed(species_table(records))
    assert sum(int(n) for name in ("H", "P", "C") for n in row(text, name)[-4:]) == directions
    console = Console(file=io.StringIO(), width=100)
    print_store(summary, [""] * len(summary.examples()), str, SYMBOLS, console)
    for name in ("H", "P", "C"):
        assert row(console.file.getvalue(), name) == row(text, name)
    said = " ".join(text.get_text() for text in plot_scan(records)[0].figure.findobj(Text))
    assert f"{blind} of {len(records)} have null directions" in said
    assert sum(summary.blind.values()) == blind and sum(summary.directions.values()) == directions


def test_a_report_adds_up(records, store, tmp_path, monkeypatch):
    monkeypatch.setattr(report, "_make_exhibits", lambda *_: [])
    assert main(["report", str(store), "--no-advice", "-o", str(tmp_path / "r.html")]) == 0
    text = (tmp_path / "r.html").read_text()
    rows = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", line) for line in re.findall(r"<tr[^>]*>.*?</tr>", text)]
    rows = [[re.sub("<[^>]*>", "", cell) for cell in row] for row in rows]
    (first,) = [k for k, row in enumerate(rows) if row[0] == "Cause"]
    last = [row[0] for row in rows].index("all")
    kinds = {row[0]: (int(row[1]), int(row[3])) for row in rows[first + 1 : last + 1]}
    total = kinds.pop("all")
    assert total == tuple(map(sum, zip(*kinds.values(), strict=True)))
    assert total == (sum(count_null(record) > 0 for record in records), sum(map(count_null, records)))
    ambiguous = [record for record in records if record["status"] == "ambiguous"]
    assert kinds["ambiguous"] == (sum(count_null(r) > 0 for r in ambiguous), sum(map(count_null, ambiguous)))
    assert f"{len(ambiguous)} environments are ambiguous" in text
    by_species = [row for row in rows if row[0] in ("H", "P", "C") and len(row) > 4]
    assert sum(int(n) for row in by_species for n in row[4:]) == total[0]


def test_a_grid_of_bases_calls_symmetric_what_a_scan_does(batch, records):
    batch, records = batch[:12], records[:12]  # without carbon
    (found,) = jaxfeat.converge(F, batch, [2], [3])
    ok = [record for record in records if record["status"] == "ok"]
    near = [any(one["cause"] == "symmetry" and one["distance"] < 1e-5 for one in record["near"]) for record in ok]
    symmetric = [record["null"]["symmetry"] > 0 for record in ok]
    assert 0 < found["symmetric"] <= sum(symmetric)
    assert found["symmetric"] + found["nearly"] == sum(map(any, zip(near, symmetric, strict=True)))
    assert found["truncation"] == sum(record["null"]["truncation"] for record in ok)
    said = " ".join(explain_bases([found]))
    assert f"{found['symmetric']} of {len(records)} environments have directions that symmetry hides" in said
    assert f"{found['nearly']} of {len(records)} environments are nearly, but not exactly, symmetric" in said
    # The two ratios differ where symmetry hides something, and have names of their own.
    assert found["equilibrated"]["least"]["known"] and "σ_min" not in said and "σ_vis" in said
