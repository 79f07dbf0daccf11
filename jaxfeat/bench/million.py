"""Workload M: spectra of a million random methanes, drawn and computed block by block in constant memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jaxfeat.bench.workloads import METHANE, SMOKE
from jaxfeat.cutoffs import NoCutoff
from jaxfeat.features.power_spectrum.featurizer import PowerSpectrum
from jaxfeat.geometry.random import random_environments
from jaxfeat.spectrum.driver import singular_spectrum

BLOCK_ITEMS_DRAWN = 10_000
"""Environments that are drawn at a time."""

DECADES = np.arange(-16, 1)
"""Limits of the decades of σ_min/σ_max. Of each environment, only its decade is kept."""


def sizes(smoke: bool) -> tuple[int, ...]:
    """Return the numbers of environments to time. A smoke run takes as many as that of W1e, to share its program."""
    return (4,) if smoke else (10_000, 1_000_000)


def decade_counter(n: int, smoke: bool) -> Callable[[], np.ndarray]:
    """Return a function that counts the environments in each decade of σ_min/σ_max, for `n` methanes."""
    f = PowerSpectrum(**(METHANE | SMOKE if smoke else METHANE), cutoff=NoCutoff())

    def count() -> np.ndarray:
        counts: Any = np.zeros(len(DECADES) + 1, int)
        for block, start in enumerate(range(0, n, BLOCK_ITEMS_DRAWN)):
            size = min(BLOCK_ITEMS_DRAWN, n - start)
            # Hydrogens may come close to each other, as in W1.
            drawn = random_environments(jax.random.key(block), size, ["H"] * 4, min_distance=0.0)
            batch = jax.tree.map(np.asarray, drawn)
            ratio = np.asarray(singular_spectrum(f, batch, screened=True).ratio)
            counts += np.bincount(np.digitize(np.log10(ratio), DECADES), minlength=len(counts))
        return counts

    return count
