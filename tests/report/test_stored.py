"""Tables of a store say what those of the same records do."""

import io

import numpy as np
import pytest
import xarray
from rich.console import Console

from jaxfeat.report import stored
from jaxfeat.report.ratio import n_null, ratios
from jaxfeat.report.table import most_blind
from tests.report.records import many, record

SYMBOLS = ["X", "H", "He", "Li", "Be", "B", "C", "N", "O"]


def dataset(records):
    causes = ["rigid", "symmetry", "incompleteness", "truncation"]
    width = max(len(one["sigma"]) for one in records)

    def rows(name):
        return np.asarray([[*one[name], *[np.nan] * (width - len(one[name]))] for one in records])

    return xarray.Dataset(
        {
            "sigma": (("environment", "value"), rows("sigma")),
            "sigma_equilibrated": (("environment", "value"), rows("sigma_equilibrated")),
            "floor": ("environment", np.asarray([one["floor"] for one in records], float)),
            "floor_equilibrated": ("environment", np.asarray([one["floor_equilibrated"] for one in records], float)),
            "n_values": ("environment", [len(one["sigma"]) for one in records]),
            "n_neighbors": ("environment", [one["n_neighbors"] for one in records]),
            "null": (("environment", "cause"), [[one["null"].get(cause, 0) for cause in causes] for one in records]),
            "status": ("environment", np.asarray([one["status"] for one in records], object)),
            "center_species": ("environment", [SYMBOLS.index(one["species"]) for one in records]),
            "structure_index": ("environment", [one["structure"] for one in records]),
            "center_index": ("environment", [one["center"] for one in records]),
        },
        coords={"cause": causes},
    )


@pytest.mark.parametrize("block", [7, 1000])
def test_summaries_are_those_of_the_records(monkeypatch, block):
    monkeypatch.setattr(stored, "BLOCK", block)
    records = [*many(20), record(structure=20, status="empty"), record(structure=21, status="coincident")]
    records[3]["status"] = "ambiguous"
    ds = dataset(records)
    summary = stored.Summary(ds)
    assert (summary.n, summary.n_seen) == (102, 100)
    assert summary.most_blind == most_blind(records)
    assert dict(summary.status) == {"ok": 99, "ambiguous": 1, "empty": 1, "coincident": 1}
    for number, tally in summary.by_center.items():
        own = [one for one in records if one["species"] == SYMBOLS[number]]
        assert tally.n == len(own)
        assert sum(n for cause, n in tally.null.items() if cause != "rigid") == sum(map(n_null, own))
        for kind, equilibrated in enumerate((True, False)):
            ascending = ratios(own, equilibrated=equilibrated)
            assert tally.least[kind] == ascending[0]
            middle = ascending[(len(ascending) - 1) // 2]
            if middle.known:
                assert float(tally.median(kind)) == pytest.approx(middle.value, rel=0.06)
    names = ("structure", "center", "species", "n_neighbors", "sigma", "sigma_equilibrated", "floor", "status")
    for found, expected in zip(stored.records(ds, summary.most_blind, SYMBOLS), most_blind(records), strict=True):
        assert {name: found[name] for name in names} == {name: records[expected][name] for name in names}


def test_a_summary_is_printed():
    records = [record(structure=k, sigma=(1.0, 10.0**-k)) for k in range(1, 4)] + [record(status="non-finite")]
    ds, text = dataset(records), io.StringIO()
    summary = stored.Summary(ds)
    blind = [{**one, "name": "CH4"} for one in stored.records(ds, summary.most_blind, SYMBOLS)]
    stored.print_store(summary, blind, {0: "symmetry"}, SYMBOLS, Console(file=text, width=100))
    assert "The 3 most blind of 3 environments" in text.getvalue()
    assert "Without a spectrum: 1 non-finite." in text.getvalue()
    assert "1.0e-03" in text.getvalue() and "symmetry" in text.getvalue()
