"""Pictures of results, for notebooks and scripts: each function draws what a function of `jaxfeat` returns.

All functions return Matplotlib axes. They draw in the axes that are passed as `ax`, and else in a new figure of pyplot,
which a notebook shows. Colors are those of causes, the same as in reports. Matplotlib is loaded by the first picture,
and its settings stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxfeat.geometry.unpadded import unpadded_atoms

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from jaxfeat.report.displacement import Scene


@contextmanager
def style() -> Iterator[None]:
    """Apply the style of jaxfeat's pictures to the pictures that are made in a `with` block.

    Matplotlib's settings are as before after the block. A picture that is saved as SVG or PDF inside of the block keeps
    its text as text.

    **Returns:** A context manager.
    """
    from jaxfeat.report import figures

    with figures.style():
        yield


def alike(found: Any, ax: Any = None, title: str | None = None) -> list[Axes]:
    """Draw distances of features against distances of environments, and the ratios by which pairs are ranked.

    **Arguments:**

    - `found`: A result of `jaxfeat.alike`, or the object that `jaxfeat alike --json` writes.
    - `ax`: Two axes, or `None` for a new figure.
    - `title`: A line above the picture.

    **Returns:** A list of two axes.

    **Raises:** `ValueError` if `ax` holds another number of axes.
    """
    from jaxfeat.report.alike_plot import plot_alike

    if not isinstance(found, Mapping):
        found = {"compared": found.compared, "pairs": [vars(pair) for pair in found.pairs]}
    return plot_alike(found, title, ax, _pyplot())


def converge(records: Sequence[Mapping[str, Any]], ax: Any = None, title: str | None = None) -> list[Axes]:
    """Draw the share of truncated environments and the sensitivity by the sizes of the basis.

    **Arguments:**

    - `records`: The list that `jaxfeat.converge` returns.
    - `ax`: Two axes for each order ν, row by row, or `None` for a new figure.
    - `title`: A line above the picture.

    **Returns:** A list with two axes for each order.

    **Raises:** `ValueError` if `ax` holds another number of axes.
    """
    from jaxfeat.report.convergence_plot import plot_convergence

    return plot_convergence(list(map(dict, records)), title, ax, _pyplot())


def displacement(at: Any, direction: Any = None, ax: Any = None, title: str | None = None, cause: str = "none") -> Axes:
    """Draw an environment or a structure, with arrows for a displacement.

    The picture shows the side from which atoms hide each other least and arrows are long. Arrows are scaled, so that
    the longest one can be seen.

    **Arguments:**

    - `at`: One environment or structure. Periodic images are not drawn.
    - `direction`: The displacement of the neighbors or atoms, `(n, 3)`. `None` to draw no arrows.
    - `ax`: Axes, or `None` for a new figure.
    - `title`: A line above the picture.
    - `cause`: The cause whose color the arrows have, such as "symmetry".

    **Returns:** The axes.

    **Raises:** `GeometryError` if `at` is a batch, and `ValueError` if `ax` holds more than one axes.
    """
    from jaxfeat.report.displacement_plot import plot_displacements

    axes = plot_displacements([(title or "", cause, _make_scene(at, direction))], None, ax, _pyplot())
    if len(axes) != 1:
        raise ValueError(f"ax holds {len(axes)} axes, and the picture has 1; pass one.")
    return axes[0]


def forces(found: Any, ax: Any = None, title: str | None = None) -> list[Axes]:
    """Draw the components of forces against singular values, and the share of the force below a singular value.

    **Arguments:**

    - `found`: A result of `jaxfeat.visible_force`, for one structure or a batch with one axis; or the list that
        `jaxfeat scan --forces --json` writes.
    - `ax`: Two axes, or `None` for a new figure.
    - `title`: A line above the picture.

    **Returns:** A list of two axes.

    **Raises:** `ValueError` if `ax` holds another number of axes.
    """
    from jaxfeat.report.force_plot import plot_forces
    from jaxfeat.report.force_table import list_records

    return plot_forces(found if isinstance(found, list) else list_records(found), title, ax, _pyplot())


def null_space(null: Any, at: Any = None, ax: Any = None, title: str | None = None) -> list[Axes]:
    """Draw null directions as arrows on the atoms, in the colors of their causes. Rigid motions are left out.

    Curable causes come first, and symmetry last. A new figure has up to six directions.

    **Arguments:**

    - `null`: A result of `jaxfeat.null_space`.
    - `at`: The environment or structure that it belongs to. `None` to take it from `null`.
    - `ax`: Axes for as many directions as there are axes, or `None` for a new figure.
    - `title`: A line above the picture.

    **Returns:** A list of axes, one for each direction, or one with a sentence if there is no direction.

    **Raises:** `GeometryError` if the atoms are not known, because the null space has a status without a spectrum.
    """
    from jaxfeat.nulls.scenes import list_scenes
    from jaxfeat.report.displacement_plot import PANELS, plot_displacements

    most = PANELS if ax is None else len(np.ravel(np.asarray(ax, object)))
    return plot_displacements(list_scenes(null, at, most), title, ax, _pyplot())


def scan(records: Sequence[Mapping[str, Any]], ax: Any = None, title: str | None = None) -> list[Axes]:
    """Draw distributions of σ_min/σ_max by species, and σ_min/σ_max by the number of neighbors.

    Environments with null directions lie below a line, in one lane for each cause. Their marks on the right have areas
    in proportion to numbers of environments. If all environments have the same number of neighbors, whole spectra are
    drawn on the right.

    **Arguments:**

    - `records`: The list that `jaxfeat.scan` returns.
    - `ax`: Two axes, or `None` for a new figure.
    - `title`: A line above the picture.

    **Returns:** A list of two axes.

    **Raises:** `ValueError` if `ax` holds another number of axes.
    """
    from jaxfeat.report.scan_plot import plot_scan

    return plot_scan(list(map(dict, records)), title, ax, _pyplot())


def singular_points(points: Any, ax: Any = None, title: str | None = None) -> list[Axes]:
    """Draw one example of each kind of singular points, with the null direction that it was found by.

    **Arguments:**

    - `points`: A result of `jaxfeat.find_singular_points`.
    - `ax`: Axes for as many kinds as there are axes, or `None` for a new figure with up to six.
    - `title`: A line above the picture.

    **Returns:** A list of axes, the most frequent kind first, or one with a sentence if no start landed.
    """
    from jaxfeat.report.displacement_plot import plot_families

    families = []
    for kind in points.kinds():
        i = int(kind.members[0])
        example = unpadded_atoms(points.environments[i], points.directions[i])
        families.append(
            {
                "cause": kind.counts or {"other": 1},
                "symmetry": kind.symbol,
                "points": len(kind.members),
                "example": example._asdict(),
            }
        )
    return plot_families(families, title, ax, _pyplot())


def spectrum(found: Any, ax: Any = None, title: str | None = None) -> Axes:
    """Draw singular values over the largest one, with their floor. Hollow marks on the floor are null.

    **Arguments:**

    - `found`: A result of `jaxfeat.singular_spectrum`. Of a batch of more than eight items the quantiles are drawn, and
        the least sensitive item.
    - `ax`: Axes, or `None` for a new figure.
    - `title`: A line above the picture.

    **Returns:** The axes.

    **Raises:** `ValueError` if `ax` holds more than one axes.
    """
    from jaxfeat.report.spectrum_plot import plot_spectra

    values, floors = np.asarray(found.values), np.asarray(found.floor).reshape(-1)
    rows = [row[np.isfinite(row)] for row in values.reshape(len(floors), values.shape[-1])]
    spectra = list(zip(rows, floors.tolist(), strict=True))
    return plot_spectra(spectra, bool((np.asarray(found.scale) != 1).any()), title, ax, _pyplot())[0]


def sweep(ds: Any, ax: Any = None, title: str | None = None) -> Axes:
    """Draw σ_min/σ_max over one or two parameters, and the points and curves where it vanishes.

    Zeros have the colors of their causes. Over two parameters, dark means insensitive.

    **Arguments:**

    - `ds`: The data set of a manifold that `jaxfeat.sweep` returns.
    - `ax`: Axes, or `None` for a new figure.
    - `title`: A line above the picture.

    **Returns:** The axes.

    **Raises:** `ValueError` if `ax` holds more than one axes, or if `ds` is of a batch instead of a manifold.
    """
    from jaxfeat.report.sweep_plot import plot_sweep

    if "zero" not in ds.dims:
        raise ValueError("ds holds environments without parameters; draw the records of `jaxfeat.scan` instead.")
    return plot_sweep(ds, title, ax, _pyplot())[0]


def tune(found: Any, ax: Any = None, title: str | None = None) -> Axes:
    """Draw the sensitivity of all descriptors that were tried, against their numbers of features.

    **Arguments:**

    - `found`: A result of `jaxfeat.tune`, or the object that `jaxfeat tune --json` writes.
    - `ax`: Axes, or `None` for a new figure.
    - `title`: A line above the picture.

    **Returns:** The axes.

    **Raises:** `ValueError` if `ax` holds more than one axes.
    """
    from jaxfeat.report.tuning_plot import plot_tuning

    return plot_tuning(found if isinstance(found, Mapping) else found.as_dict(), title, ax, _pyplot())[0]


def _pyplot() -> Callable[..., Any]:
    """Return the function that makes figures which pyplot knows. It is called only where no axes are given."""

    def make(**options: Any) -> Any:
        from matplotlib import pyplot

        return pyplot.figure(**options)

    return make


def _make_scene(at: Any, direction: Any = None) -> Scene:
    from jaxfeat.report.displacement import make_scene

    return make_scene(*unpadded_atoms(at, direction))
