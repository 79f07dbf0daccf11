"""What tables and pictures of a sweep read from its data set."""

from __future__ import annotations

from typing import Any

import numpy as np


def sweep_sensitivity(ds: Any, name: str) -> np.ndarray:
    """σ_min/σ_max of the directions that are not null everywhere; `of_others` says so where there are others."""
    sigma, n_values = ds[name].values, ds["n_values"].values
    last = np.maximum(n_values - 1 - int(ds.attrs["n_generic"]), 0)
    return np.take_along_axis(sigma, last[..., None], -1)[..., 0] / sigma[..., 0]


def of_others(ds: Any) -> str:
    """What to add to σ_min/σ_max where directions that are null everywhere are left out of it."""
    return " (of those not null everywhere)" if int(ds.attrs["n_generic"]) else ""


def cause_of(ds: Any, k: int) -> str:
    """The worst of the causes at a zero: a blind spot rather than physics."""
    counts = dict(zip(ds["cause"].values.tolist(), ds["zero_null"].values[k].tolist(), strict=True))
    return next((cause for cause in ("incompleteness", "truncation", "symmetry") if counts[cause]), "other")


def unit(ds: Any, name: str) -> str:
    unit = str(ds[name].attrs.get("units", ""))
    return "π" if unit == "rad" else unit


def scaled(ds: Any, name: str, values: np.ndarray) -> np.ndarray:
    return values / np.pi if unit(ds, name) == "π" else values


def label(ds: Any, name: str) -> str:
    return f"{name} ({unit(ds, name)})" if unit(ds, name) else name
