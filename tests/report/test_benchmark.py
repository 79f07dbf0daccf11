"""Speeds are shown in tables and a picture, and whatever is missing is explained."""

import io

from benchmark_results import benchmark_results, stages
from rich.console import Console

from jaxfeat.report.benchmark import STAGES, list_rows, plot_rates, print_benchmark


def test_tables_have_rates_ratios_and_what_is_missing():
    apart = {"certified": {"of_largest": 1e-10, "each": 2e-9}, "screened": None}
    variant = {
        "stages": stages(features=0.5, jacobian=0.5, values=0.5, screened=0.25, vectors=0.5),
        "beside": ["dscribe"],
    }
    variant |= {"differences": {"dscribe": apart}, "lists": 1.5}
    measured = benchmark_results({"variants": {"gto": variant}})
    peer = next(row for row in list_rows(measured["works"]["W1"]) if row.name == "DScribe")
    assert peer.ratios == {"features": 2, "jacobian": 4, "values": 8, "screened": 16, "vectors": 16}
    assert len(plot_rates(measured)[0].get_lines()) == len(STAGES) + 1
    # In a narrow terminal every column is there.
    found = io.StringIO()
    print_benchmark(measured, Console(file=found, width=80))
    for text in ("features", "Jacobian", "singular", "screened", "U, S, V", "W1, some: 100 configurations", "[peers]"):
        assert text in found.getvalue()


def test_calls_that_were_dropped_are_counted_in_the_printed_table():
    measured = benchmark_results({"failed": "out of luck"})
    measured["works"]["W1"]["packages"]["dscribe"]["stages"]["values"] |= {"calls": 4, "dropped": 2}
    found = io.StringIO()
    print_benchmark(measured, Console(file=found, width=120))
    # The three other stages have five calls each.
    assert "DScribe: 2 of 21 calls had less than 0.9 of the core and were dropped." in found.getvalue()
