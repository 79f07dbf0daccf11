"""The axis of a picture of a scan: decades of σ_min/σ_max, and below them a lane for each cause of null directions."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

from jaxfeat.report.figures import FLOOR_LINE, RATIO
from jaxfeat.report.palette import CAUSE_COLORS
from jaxfeat.report.scan_groups import find_group, is_known
from jaxfeat.report.sensitivity import Record, sensitivity
from jaxfeat.report.store_summary import GROUPS

LANE = 0.075  # height of a lane, over that of the axis
GAP = 1.1  # room above the lanes, over the height of a lane
MOST_TICKS = 7


class ScanAxis(NamedTuple):
    """The axis has no gap between the smallest ratio and the floor, so that a few decades fill it.

    - `low`, `top`: The ends of the decades.
    - `floor`: The median floor.
    - `lanes`: The causes that have a lane, from the highest downwards.
    - `height`: The height of a lane in powers of ten.
    """

    low: float
    top: float
    floor: float
    lanes: tuple[str, ...]
    height: float

    @property
    def edge(self) -> float:
        """The place of the line between ratios and lanes."""
        return self.low / 10 ** (GAP * self.height / 2) if self.lanes else self.low

    def lane(self, cause: str) -> tuple[float, float, float]:
        """Return the lower end, the middle and the upper end of a lane."""
        top = np.log10(self.low) - self.height * (GAP + self.lanes.index(cause))
        low, middle, high = 10.0 ** (top - self.height * np.asarray([0.9, 0.5, 0.1]))
        return float(low), float(middle), float(high)


def known_ratios(records: Sequence[Record], equilibrated: bool) -> np.ndarray:
    """Return σ_min/σ_max of the records where it is above the floor."""
    found = (sensitivity(record, equilibrated=equilibrated) for record in records)
    return np.asarray([one.value for one in found if one is not None and one.known])


def make_axis(seen: Sequence[Record], one_size: bool) -> ScanAxis:
    """Choose the ends of the axis for records with a spectrum. Whole spectra, which are drawn if all records have one
    size, begin at 1."""
    equilibrated, raw = known_ratios(seen, True), known_ratios(seen, False)
    # Raw ratios may have a long tail: a few neighbors next to the cutoff have hardly any weight.
    bulk = np.quantile(raw, (0.1, 0.99)) if len(raw) else np.asarray([1.0, 0.0])
    low = 10.0 ** (np.floor(2 * np.log10(min(equilibrated.min(initial=1.0), bulk[0])) + 1e-9) / 2)
    top = 1.5 if one_size else 1.5 * max(equilibrated.max(initial=low), bulk[1])
    present = {find_group(record) for record in seen if not is_known(record)}
    # Physics is next to the ratios, and faults stand out at the bottom.
    lanes = tuple(group for group in reversed(GROUPS) if group in present)
    decades = max(np.log10(top / low), 1.0)
    height = LANE * decades / (1 - LANE * (len(lanes) + GAP))
    floors = [record["floor_equilibrated"] / record["sigma_equilibrated"][0] for record in seen]
    return ScanAxis(low, top, float(np.median(floors)), lanes, height)


def set_up_axis(axes: Axes, axis: ScanAxis, named: bool = True) -> None:
    """Give axes the decades, and the names of the lanes as ticks, unless their neighbor is `named`."""
    bottom = axis.lane(axis.lanes[-1])[0] if axis.lanes else axis.low
    axes.set_yscale("log")
    axes.set_ylim(bottom, axis.top)
    first, last = int(np.ceil(np.log10(axis.low) - 1e-9)), int(np.floor(np.log10(axis.top)))
    exponents = list(range(last, first - 1, -max(1, round((last - first) / MOST_TICKS))))
    places = [10.0**k for k in exponents] + [axis.lane(cause)[1] for cause in axis.lanes]
    names = [f"$10^{{{k}}}$" for k in exponents] + list(axis.lanes)
    axes.yaxis.set_major_locator(FixedLocator(places))
    axes.yaxis.set_major_formatter(FixedFormatter(names))
    axes.yaxis.set_minor_locator(NullLocator())
    if named:
        axes.set_ylabel(f"sensitivity ratio  {RATIO}")
        for label, cause in zip(axes.yaxis.get_ticklabels()[len(exponents) :], axis.lanes, strict=True):
            label.set_color(CAUSE_COLORS[cause])
    else:
        axes.tick_params(axis="y", length=0, labelleft=False)
    if axis.lanes:
        axes.axhline(axis.edge, **FLOOR_LINE)
        axes.axhspan(bottom, axis.edge, color="#000000", alpha=0.04, lw=0, zorder=0)
