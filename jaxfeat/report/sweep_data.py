"""Entries of a sweep's data set that its table and its picture share."""

from __future__ import annotations

from typing import Any

import numpy as np


def sweep_sensitivity(ds: Any, name: str) -> np.ndarray:
    """Compute σ_min/σ_max at each point, without the directions that are null at every point."""
    sigma, n_values = ds[name].values, ds["n_values"].values
    last = np.maximum(n_values - 1 - int(ds.attrs["n_generic"]), 0)
    return np.take_along_axis(sigma, last[..., None], -1)[..., 0] / sigma[..., 0]


def note_omitted(ds: Any) -> str:
    """Write the words that σ_min/σ_max needs if directions are null at every point; otherwise an empty string."""
    return " (of directions not null everywhere)" if int(ds.attrs["n_generic"]) else ""


def worst_cause(ds: Any, k: int) -> str:
    """Name the worst cause at zero `k`: blind spots are worse than physics."""
    counts = dict(zip(ds["cause"].values.tolist(), ds["zero_null"].values[k].tolist(), strict=True))
    return next((cause for cause in ("incompleteness", "truncation", "symmetry") if counts[cause]), "other")


def unit_of(ds: Any, name: str) -> str:
    """Name the unit that a parameter is shown in; angles are in units of π."""
    unit = str(ds[name].attrs.get("units", ""))
    return "π" if unit == "rad" else unit


def in_unit(ds: Any, name: str, values: np.ndarray) -> np.ndarray:
    """Convert values of a parameter to the unit that it is shown in."""
    return values / np.pi if unit_of(ds, name) == "π" else values


def label_parameter(ds: Any, name: str) -> str:
    """Write the name of a parameter with its unit."""
    return f"{name} ({unit_of(ds, name)})" if unit_of(ds, name) else name
