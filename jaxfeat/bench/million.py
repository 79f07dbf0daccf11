"""M: spectra of very many random methanes, a block at a time: nothing grows with their number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jaxfeat.basis.cutoff import NoCutoff
from jaxfeat.bench.works import METHANE, SMOKE
from jaxfeat.features.power_spectrum.featurizer import PowerSpectrum
from jaxfeat.geometry.random import random_environments
from jaxfeat.spectrum.driver import singular_spectrum

BLOCK = 10_000
"""Environments drawn at a time."""
DECADES = np.arange(-16, 1)
"""Of σ_min/σ_max: what is kept of each environment is where it falls among these."""


def counts(smoke: bool) -> tuple[int, ...]:
    # As many as W1e has then: the same program.
    return (4,) if smoke else (10_000, 1_000_000)


def scan(n: int, smoke: bool) -> Callable[[], np.ndarray]:
    """A call that goes through `n` methanes and returns how many have σ_min/σ_max in each decade."""
    f = PowerSpectrum(**(METHANE | SMOKE if smoke else METHANE), cutoff=NoCutoff())

    def run() -> np.ndarray:
        found: Any = np.zeros(len(DECADES) + 1, int)
        for block, start in enumerate(range(0, n, BLOCK)):
            size = min(BLOCK, n - start)
            # W1's law: no smallest distance between hydrogens.
            drawn = random_environments(jax.random.key(block), size, ["H"] * 4, min_distance=0.0)
            batch = jax.tree.map(np.asarray, drawn)
            ratio = np.asarray(singular_spectrum(f, batch, screened=True).ratio)
            found += np.bincount(np.digitize(np.log10(ratio), DECADES), minlength=len(found))
        return found

    return run
