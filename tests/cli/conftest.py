"""Commands that tell what they would compute, or that may compute nothing."""

import math

import pytest

import jaxfeat
from jaxfeat.cli import main


@pytest.fixture
def no_scan(monkeypatch):
    """No scan may start."""

    def fail(*_, **__):
        raise AssertionError("a scan was started")

    monkeypatch.setattr(jaxfeat, "scan", fail)


@pytest.fixture
def scanned(monkeypatch):
    """A function of the words of `jaxfeat scan` that returns the featurizer and the batch that would be scanned."""
    calls = []

    def fake(f, batch, progress, screened):
        calls.append((f, batch))
        origin = zip(batch.structure_index.tolist(), batch.center_index.tolist(), strict=True)
        rest = {"species": "C", "n_neighbors": 0, "sigma": [], "sigma_equilibrated": [], "floor": math.nan,
                "floor_equilibrated": math.inf, "status": "empty",
                "null": {"rigid": 0, "symmetry": 0, "incompleteness": 0, "truncation": 0}}  # fmt: skip
        return [{"structure": structure, "center": center, **rest} for structure, center in origin]

    def ask(*words):
        assert main(["scan", *map(str, words)]) == 0
        return calls.pop()

    monkeypatch.setattr(jaxfeat, "scan", fake)
    return ask
