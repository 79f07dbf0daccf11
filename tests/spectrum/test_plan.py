"""Chunks of about ten seconds."""

import numpy as np
import pytest

from jaxfeat import Environment, PowerSpectrum
from jaxfeat.spectrum import plan


def environments(*counts):
    """Environments of so many neighbors each."""
    rng = np.random.default_rng(0)
    items = [Environment.from_neighbors(rng.normal(size=(n, 3)), ["H"] * n, "O") for n in counts]
    return Environment.stack([one.padded(max(counts)) for one in items])


@pytest.mark.parametrize(
    "f, counts, length",
    [
        (PowerSpectrum(("H", "O"), n_max=8, l_max=6), (4,), 16384),
        (PowerSpectrum(("H", "O"), n_max=6, l_max=6), (55,), 1024),
        (PowerSpectrum(("H", "O"), n_max=3, l_max=3), (55,), 2048),
        # The liquid environment decides, which takes hundreds of times as long.
        (PowerSpectrum(("H", "O"), n_max=6, l_max=6), (4, 55), 2048),
        (PowerSpectrum(("H", "O"), n_max=6, l_max=6), (0,), 16384),
    ],
)
def test_a_chunk_takes_about_ten_seconds(f, counts, length):
    """By the rates measured on one core: 14000 methanes, 120 and 330 liquid environments a second."""
    assert plan.choose_chunk_length(f, environments(*counts)) == length


def test_chunks_have_bounds(monkeypatch):
    monkeypatch.setattr(plan, "CHUNK_SECONDS", 1e-9)
    assert plan.choose_chunk_length(PowerSpectrum(("H", "O")), environments(4)) == 8
