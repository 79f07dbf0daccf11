"""Tables of structures as wholes."""

import io

from rich.console import Console

from jaxfeat.report import structure_table
from jaxfeat.report.structure_table import most_blind_structures, print_structures


def record(name, sigma, status="ok", **null):
    return {
        "structure": 0,
        "name": name,
        "n_atoms": 4,
        "sigma": sigma,
        "sigma_equilibrated": sigma,
        "floor": 1e-12,
        "floor_equilibrated": 1e-12,
        "null": {"rigid": 6, "symmetry": 0, "incompleteness": 0, "truncation": 0, **null},
        "near": [],
        "status": status,
    }


RECORDS = [
    record("generic", [1.0, 0.1]),
    record("symmetric", [1.0, 1e-14], symmetry=1),
    record("short [basis]", [1.0, 1e-14], truncation=1),
    record("crystal", [], "no-signal", symmetry=3),
    record("atom", [], "empty"),
]


def test_curable_structures_come_first_and_physics_last():
    assert most_blind_structures(RECORDS) == [2, 0, 3, 1]


def test_tables_name_structures_causes_and_the_verdict(monkeypatch):
    def shown():
        out = io.StringIO()
        print_structures(RECORDS, {2: "l_max >= 7 lifts it"}, Console(file=out, width=200))
        return out.getvalue()

    text = shown()
    assert "short [basis]" in text and "l_max >= 7 lifts it" in text
    assert "5 structures: 2 hide something by symmetry (nothing to cure), 0 incomplete, 1 truncated" in text
    assert "1 no-signal, 1 empty" in text
    monkeypatch.setattr(structure_table, "MOST_STRUCTURES", 2)
    assert "The 2 most blind of 5 structures" in shown()
