"""Tables and pictures of sweeps and searches, from made-up results."""

import io

import numpy as np
import pytest
import xarray
from rich.console import Console

from jaxfeat.report.families import plot_families, print_families
from jaxfeat.report.sweep_plot import plot_sweep
from jaxfeat.report.sweep_table import print_sweep

CAUSES = ["rigid", "symmetry", "incompleteness", "truncation", "other"]


def swept(names, n_zeros):
    """A data set as a sweep returns it: a valley along the first parameter, with zeros on it."""
    shape = (5, 6)[: len(names)]
    grid = np.meshgrid(*(np.linspace(0.5, 1.0, n) for n in shape), indexing="ij")
    sigma = np.stack([np.ones(shape), np.abs(grid[0] - 0.7) + 1e-9], -1)
    p = len(names)
    at = np.linspace(0.6, 0.9, max(n_zeros, 1))[:n_zeros, None] * np.ones(p)
    curve = np.zeros(n_zeros, int)
    high = at.copy()
    if p == 2 and n_zeros:
        curve[-1], high[-1, 1] = 1, 1.0
    null = np.zeros((n_zeros, 5), int)
    null[:, 0] = 3
    null[np.arange(n_zeros), np.arange(n_zeros) % 3 + 1] = 1
    sentences = ["symmetry (C_s): physics", "incompleteness: ν = 3 lifts it", "truncation: l_max >= 5 lifts it"]
    units = dict(zip(names, ("rad", "Å"), strict=False))
    return xarray.Dataset(
        {
            "sigma": ((*names, "value"), sigma),
            "sigma_equilibrated": ((*names, "value"), sigma),
            "floor": (names, np.full(shape, 1e-13)),
            "floor_equilibrated": (names, np.full(shape, 1e-13)),
            "n_values": (names, np.full(shape, 2)),
            "null": ((*names, "cause"), np.broadcast_to([3, 0, 0, 0, 0], (*shape, 5))),
            "status": (names, np.full(shape, "ok")),
            "zero_at": (("zero", "parameter"), at.reshape(n_zeros, p)),
            "zero_low": (("zero", "parameter"), at.reshape(n_zeros, p)),
            "zero_high": (("zero", "parameter"), high.reshape(n_zeros, p)),
            "zero_error": ("zero", np.full(n_zeros, 1e-12)),
            "zero_dimension": ("zero", curve),
            "zero_ratio": ("zero", np.full(n_zeros, 1e-16)),
            "zero_null": (("zero", "cause"), null),
            "zero_cause": ("zero", np.asarray([sentences[k % 3] for k in range(n_zeros)], str)),
            "zero_point": (("point", "parameter"), np.concatenate([at, high]).reshape(2 * n_zeros, p)),
            "zero_of_point": ("point", np.tile(np.arange(n_zeros), 2)),
        },
        coords={
            name: (name, np.linspace(0.5, 1.0, n), {"units": units[name]}) for name, n in zip(names, shape, strict=True)
        }
        | {"cause": CAUSES, "parameter": list(names)},
        attrs={"n_generic": 0},
    )


def printed(show, *arguments):
    text = io.StringIO()
    show(*arguments, Console(file=text, width=100))
    return text.getvalue()


@pytest.mark.parametrize("names", [("F",), ("F", "z")])
@pytest.mark.parametrize("n_zeros", [0, 3])
def test_sweeps_are_printed_and_drawn(names, n_zeros):
    ds = swept(names, n_zeros)
    text = printed(print_sweep, ds)
    axes = plot_sweep(ds, "title").axes[0]
    assert axes.get_xlabel() == "F (π)"
    if not n_zeros:
        assert "σ_min vanishes nowhere on the grid." in text
        return
    assert f"{0.6 / np.pi:.10f}" in text and "F (π)" in text
    assert "incompleteness: ν = 3 lifts it (row 2)" in text
    if len(names) == 2:
        assert axes.get_ylabel() == "z (Å)"
        assert "0.9000 … 1.0000" in text


def test_what_is_null_everywhere_is_said_once():
    ds = swept(("F",), 0)
    ds["null"] = ds["null"] + xarray.DataArray([0, 0, 0, 1, 0], dims="cause")
    ds.attrs["n_generic"] = 1
    assert "null at every point: 1; causes in the median: truncation 1" in printed(print_sweep, ds)


def test_kinds_of_points_are_printed_and_drawn():
    example = {
        "positions": np.random.default_rng(0).normal(size=(4, 3)),
        "direction": np.ones((4, 3)),
        "symbols": ["H", "H", "O", "Xe"],
        "sigma_ratio": 1e-16,
    }
    counts = {"rigid": 3, "symmetry": 0, "incompleteness": 2, "truncation": 0}
    family = {
        "cause": counts,
        "symmetry": "C1",
        "dimension": 6,
        "points": 5,
        "distinct": 4,
        "cure": ["incompleteness: ν = 3 lifts it"],
        "example": example,
    }
    text = printed(print_families, [family] * 2, ["landed"] * 5 + ["stalled"])
    assert "6 starts: 5 landed, 1 stalled" in text
    assert "incompleteness 2" in text
    assert "incompleteness: ν = 3 lifts it (row 1, 2)" in text
    assert [axes.get_title().split(":")[0] for axes in plot_families([family] * 8, "title").axes] == list("123456")
    assert plot_families([]).texts[0].get_text() == "no start landed on a singular point"
