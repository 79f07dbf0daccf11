"""Pictures for notebooks: each function draws what a function of `jaxfeat` returns, in given or new axes."""

import subprocess
import sys
from types import SimpleNamespace

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch
from records import GRID, many, sweep_data_set

import jaxfeat
from jaxfeat import Environment, PowerSpectrum, plot

F = PowerSpectrum(("H", "C"), n_max=3, l_max=3)


@pytest.fixture(scope="module")
def planar():
    """A planar environment, whose mirror hides two directions."""
    positions = np.asarray([[1.0, 0, 0], [-0.3, 1.1, 0], [-0.6, -0.9, 0], [0.5, -1.5, 0]])
    return Environment.from_neighbors(positions, ["H", "H", "C", "H"], "C")


def numbers_of_axes(n):
    return list(Figure().subplots(1, n, squeeze=False).flat)


PICTURES = {
    "alike": (2, {"pairs": [], "compared": {k: {key: [1.0] for key in ("distance", "feature_distance", "ratio")}
                                            for k in ("random", "nearest", "kept")}}),
    "converge": (2, GRID),
    "scan": (2, many(9)),
    "sweep": (1, sweep_data_set(("F", "z"), 3)),
}  # fmt: skip


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_are_drawn_in_the_axes_that_are_given(name):
    n, found = PICTURES[name]
    axes = numbers_of_axes(n)
    drawn = getattr(plot, name)(found, ax=axes[0] if n == 1 else axes, title="a title")
    assert (drawn if isinstance(drawn, list) else [drawn]) == axes
    assert axes[0].get_title(loc="left").startswith("a title") and all(one.has_data() for one in axes)
    with pytest.raises(ValueError, match=f"ax holds 3 axes, and the picture has {n}"):
        getattr(plot, name)(found, ax=numbers_of_axes(3))


def test_a_new_figure_is_one_of_pyplot_and_settings_stay():
    from matplotlib import pyplot

    before = dict(matplotlib.rcParams)
    left, _ = plot.scan(many(5), title="a title")
    try:
        assert pyplot.gcf() is left.figure and left.figure.get_suptitle() == "a title"
        assert dict(matplotlib.rcParams) == before
        with plot.style():
            assert matplotlib.rcParams["axes.spines.top"] is False
        assert dict(matplotlib.rcParams) == before
    finally:
        pyplot.close(left.figure)


def test_a_null_space_is_drawn_with_the_atoms_it_belongs_to(planar):
    null = jaxfeat.null_space(F, planar)
    axes = numbers_of_axes(2)
    plot.null_space(null, ax=axes)
    assert [one.get_title(loc="left") for one in axes] == ["symmetry 1", "symmetry 2"]
    # Null directions that break the mirror move atoms out of the plane, and are seen from the side.
    arrows = [patch for patch in axes[0].patches if isinstance(patch, FancyArrowPatch)]
    assert arrows
    lost = SimpleNamespace(nearby=None, status="empty", directions={})
    with pytest.raises(ValueError, match="status empty"):
        plot.null_space(lost)
    (axes,) = plot.null_space(lost, planar, ax=numbers_of_axes(1))
    assert "no null direction" in axes.texts[0].get_text()


def test_an_item_is_drawn_and_a_batch_is_refused(planar):
    axes = plot.displacement(planar, ax=numbers_of_axes(1), title="planar")
    assert axes.get_title(loc="left") == "planar" and not axes.findobj(FancyArrowPatch)
    assert [text.get_text() for text in axes.texts].count("H") == 3
    with pytest.raises(ValueError, match=r"batch of shape \(2,\); draw one item"):
        plot.displacement(Environment.stack([planar, planar]))
    with pytest.raises(ValueError, match="ax holds 2 axes"):
        plot.displacement(planar, ax=numbers_of_axes(2))


@pytest.mark.parametrize("n", [1, 3, 9])
def test_spectra_are_drawn_above_their_floor(n, planar):
    found = jaxfeat.singular_spectrum(F, Environment.stack([planar] * n) if n > 1 else planar, equilibrated=True)
    axes = plot.spectrum(found, ax=numbers_of_axes(1))
    assert axes.get_ylabel().endswith(", equilibrated")
    floor = float(np.median(np.asarray(found.floor) / np.asarray(found.values)[..., 0]))
    assert min(line.get_ydata()[-1] for line in axes.lines if len(line.get_ydata())) == pytest.approx(
        floor, rel=1e-9, abs=0
    )
    names = [text.get_text() for text in axes.get_legend().get_texts()]
    assert ("median of 9" in names) == (n == 9)


def test_forces_of_one_structure_and_of_a_batch_are_drawn():
    def result(*batch):
        ok = np.full(batch, "ok")
        return SimpleNamespace(
            invisible_share=np.full(batch, 0.1), scale_free=np.full(batch, 1.5), force_norm=np.full(batch, 2.0),
            rigid_share=np.zeros(batch), n_null=np.zeros(batch, int), status=SimpleNamespace(names=ok),
            sigma=np.broadcast_to([2.0, 1.0, np.nan], (*batch, 3)),
            slopes=np.broadcast_to([1, 0.5, np.nan], (*batch, 3)),
        )  # fmt: skip

    for found, n in ((result(), 1), (result(4), 4)):
        left, right = plot.forces(found, ax=numbers_of_axes(2))
        assert len(left.collections[0].get_offsets()) == 2 * n
        assert f"median of {n}" in [text.get_text() for text in right.get_legend().get_texts()]


def test_kinds_of_singular_points_are_drawn(planar):
    kind = SimpleNamespace(members=[1], counts={"rigid": 3, "symmetry": 2}, symbol="Cs")
    points = SimpleNamespace(
        kinds=lambda: [kind], environments=Environment.stack([planar, planar]), directions=np.ones((2, 4, 3)),
    )  # fmt: skip
    (axes,) = plot.singular_points(points, ax=numbers_of_axes(1))
    assert axes.get_title(loc="left") == "1: symmetry 2\n1 point, $C_{\\mathrm{s}}$"


def test_a_sweep_of_environments_is_refused():
    with pytest.raises(ValueError, match="draw the records of"):
        plot.sweep(sweep_data_set(("F",), 1).drop_dims("zero"))


def test_the_module_loads_no_matplotlib_and_pictures_in_given_axes_no_pyplot():
    script = """
import sys
from jaxfeat import plot
assert "matplotlib" not in sys.modules
from matplotlib.figure import Figure
plot.scan([], ax=Figure().subplots(1, 2))
assert "matplotlib.pyplot" not in sys.modules
"""
    finished = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
