"""Parts that scans of environments and of structures share: the choice of those that are classified, and records."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxfeat.errors import BasisError, GeometryError, SizeError
from jaxfeat.features.structure_map import FeatureMap
from jaxfeat.geometry.structure import Item
from jaxfeat.nulls.causes import NullSpace
from jaxfeat.nulls.classify import classify_item
from jaxfeat.nulls.jacobian_nulls import DecomposedJacobian
from jaxfeat.nulls.near import NearGroup

RARE_CAUSES = ("locality", "other", "width")  # causes that a record lists only if it has null directions of them

CLASSIFY_BELOW = 1e-5
"""Items without null directions are classified only if their equilibrated σ_min/σ_max is below this. Rounded
coordinates make less of an exact null direction, so nearly symmetric ones are found."""

CLASSIFIED = 64
"""Items without null directions that are classified by default. In a liquid nearly all are below
`CLASSIFY_BELOW`."""

LEAST_SENSITIVE = 12  # items that are classified in any case, because tables list so many


class ScanRecords(list[dict[str, Any]]):
    """The list of records of a scan, which a notebook shows as a table."""

    def _repr_html_(self) -> str:
        from jaxfeat.report.notebook import show_scan

        return show_scan(self)


def choose_classified(n_null: np.ndarray, ratios: np.ndarray, classify: int | None) -> np.ndarray:
    """Choose the indices of the items that are classified, ascending."""
    least = np.argsort(np.where(n_null > 0, np.inf, ratios), kind="stable")
    low = least[: np.count_nonzero(ratios[n_null == 0] < CLASSIFY_BELOW)]
    known = least[: min(LEAST_SENSITIVE, np.isfinite(ratios[n_null == 0]).sum())]
    return np.unique(np.concatenate([np.flatnonzero(n_null), low[:classify], known]))


def classify_for_record(
    f: FeatureMap, at: Item, decomposed: DecomposedJacobian, n_null: int, status: str, tolerance: float
) -> tuple[NullSpace | None, str]:
    """Classify one item of NumPy arrays, whose spectrum has `n_null` null directions and a `status`. Return its null
    space, or `None` if it is refused, and the status of its record."""
    try:
        null = classify_item(f, at, decomposed, tolerance)
    except (BasisError, SizeError):
        # The complete kernel has a limit on the number of neighbors and the order.
        return None, "unclassified" if n_null else status
    except GeometryError:
        # Like atoms are too close for symmetry to tell them apart.
        return None, "ambiguous"
    return null, str(null.status)


def record_group(group: NearGroup) -> dict[str, Any]:
    """Make the record of a group of nearly null directions."""
    return {
        "cause": group.cause,
        "symbol": group.symbol,
        "distance": group.distance,
        "directions": len(group.directions),
        "sigma": [float(group.sigma[-1]), float(group.sigma[0])],
    }


def record_counts(counts: Mapping[str, int]) -> dict[str, int]:
    """Leave out rare causes that have no null directions."""
    return {cause: n for cause, n in counts.items() if n or cause not in RARE_CAUSES}


def count_unclassified(records: Sequence[Mapping[str, Any]], classify: int | None = CLASSIFIED) -> int:
    """Count the records of low sensitivity without null directions that `scan` did not classify."""
    low = 0
    for record in records:
        sigma, null = record["sigma_equilibrated"], sum(record["null"].values()) - record["null"]["rigid"]
        low += bool(sigma) and not null and sigma[-1] < CLASSIFY_BELOW * sigma[0]
    return 0 if classify is None else max(low - max(classify, LEAST_SENSITIVE), 0)
