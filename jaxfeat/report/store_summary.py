"""Summary of a sweep of any size, added up slice by slice in constant memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from jaxfeat.report.sensitivity import Sensitivity

BINS_PER_DECADE = 1000
"""Bins of a histogram in a factor of ten. Medians are right to 0.12 %, and tables print fewer digits."""

LOWEST_EXPONENT = -24
"""Exponent of ten at which histograms begin. No ratio of two singular values in float64 is smaller."""

AMBIGUOUS = "ambiguous"

GROUPS = ("incompleteness", "truncation", "locality", "other", AMBIGUOUS, "symmetry", "none")
"""Groups of environments by their worst cause: blind spots are worse than physics, and physics is worse than none. An
environment with the status "ambiguous" is in the group of this name, whether or not it has null directions."""

EXAMPLES_PER_GROUP = 4
"""Environments of each group that a page shows."""

Columns = Mapping[str, np.ndarray]
Sensitivities = tuple[np.ndarray, np.ndarray]
"""Ratios σ_min/σ_max, and whether they are above their floors."""


@dataclass
class Distribution:
    """Histogram of ratios above their floors, and the number of ratios below."""

    counts: np.ndarray = field(default_factory=lambda: np.zeros(-LOWEST_EXPONENT * BINS_PER_DECADE, np.int64))
    below: int = 0
    highest_floor: float = 0.0
    least: float = np.inf
    most: float = 0.0

    def add(self, ratios: np.ndarray, known: np.ndarray) -> None:
        """Add ratios `(b,)`, which hold the floor if they are not `known`."""
        values, floors = ratios[known], ratios[~known]
        places = (np.log10(np.maximum(values, 10.0**LOWEST_EXPONENT)) - LOWEST_EXPONENT) * BINS_PER_DECADE
        bins = np.minimum(places.astype(int), len(self.counts) - 1)
        self.counts += np.bincount(bins, minlength=len(self.counts))
        self.below += len(floors)
        self.highest_floor = max(self.highest_floor, float(floors.max(initial=0.0)))
        self.least = min(self.least, float(values.min(initial=np.inf)))
        self.most = max(self.most, float(values.max(initial=0.0)))

    @property
    def total(self) -> int:
        return self.below + int(self.counts.sum())

    def smallest(self) -> Sensitivity | None:
        """Return the smallest ratio, or the highest floor if any ratio is below its floor."""
        if self.below:
            return Sensitivity(False, self.highest_floor)
        return Sensitivity(True, self.least) if self.total else None

    def median(self) -> Sensitivity | None:
        """Return the median; of an even number, the lower of the middle two."""
        if not self.total:
            return None
        place = (self.total - 1) // 2 - self.below
        if place < 0:
            return Sensitivity(False, self.highest_floor)
        middle = int(np.searchsorted(np.cumsum(self.counts), place + 1)) + 0.5
        return Sensitivity(True, 10 ** (LOWEST_EXPONENT + middle / BINS_PER_DECADE))

    def coarse(self, low: int, high: int, per_decade: int) -> np.ndarray:
        """Count ratios in `per_decade` bins a factor of ten, between two exponents of ten."""
        start = (low - LOWEST_EXPONENT) * BINS_PER_DECADE
        return (
            self.counts[start : start + (high - low) * BINS_PER_DECADE]
            .reshape(-1, BINS_PER_DECADE // per_decade)
            .sum(1)
        )

    def __add__(self, other: Distribution) -> Distribution:
        return Distribution(
            self.counts + other.counts,
            self.below + other.below,
            max(self.highest_floor, other.highest_floor),
            min(self.least, other.least),
            max(self.most, other.most),
        )


class Example(NamedTuple):
    """An environment to show: its row in the store, and its columns. Examples sort by blindness, as tables do."""

    key: tuple[Any, ...]
    row: int
    group: str
    structure: int
    center: int
    species: int
    n_neighbors: int
    equilibrated: Sensitivity
    raw: Sensitivity
    null: tuple[int, ...]
    status: str


class StoreSummary:
    """Counts and distributions of a sweep, for tables and pages.

    **Attributes:**

    - `causes`: Causes of null directions, as the store names them. Directions of the cause `rigid` are not counted.
    - `total`: The number of environments in the store.
    - `done`: The number of environments with a status.
    - `structures`: The number of structures that these belong to.
    - `certified`: The number of environments whose values are certified by QR.
    - `statuses`: Environments by status.
    - `doubtful`: Environments that have a spectrum and a status other than "ok", by status.
    - `environments`: Environments by species of the center, with or without a spectrum.
    - `equilibrated`, `raw`: Distributions of σ_min/σ_max by species and group.
    - `floors`: Distributions of the floor over σ_max, under the keys `equilibrated` and `raw`.
    - `kinds`: The causes without `rigid`, and "ambiguous" for all directions of ambiguous environments.
    - `directions`: Null directions by species and kind.
    - `blind`: Environments with null directions by species and group. Each counts once, so that groups add up.
    """

    def __init__(self, causes: Sequence[str]) -> None:
        self.causes = tuple(causes)
        self.kinds = (*(cause for cause in self.causes if cause != "rigid"), AMBIGUOUS)
        self.total = self.done = self.certified = 0
        self.statuses: Counter[str] = Counter()
        self.doubtful: Counter[str] = Counter()
        self.environments: Counter[int] = Counter()
        self.equilibrated: dict[tuple[int, str], Distribution] = {}
        self.raw: dict[tuple[int, str], Distribution] = {}
        self.floors = {"equilibrated": Distribution(), "raw": Distribution()}
        self.directions: Counter[tuple[int, str]] = Counter()
        self.blind: Counter[tuple[int, str]] = Counter()
        self._structures = np.zeros(0, bool)
        self._examples: dict[str, list[Example]] = {group: [] for group in GROUPS}

    @property
    def structures(self) -> int:
        return int(self._structures.sum())

    def add(self, columns: Columns) -> None:
        """Add the next environments of a store: variables and coordinates `(b, ...)` by name."""
        start, self.total = self.total, self.total + len(columns["status"])
        # An environment that is not done has no status.
        done = np.flatnonzero(columns["status"] != "")
        if not done.size:
            return
        columns = {name: column[done] for name, column in columns.items()}
        rows = start + done
        self.done += len(done)
        self.certified += int(columns["certified"].sum())
        self.statuses.update(_count_values(columns["status"]))
        self.environments.update(_count_values(columns["center_species"]))
        self._note_structures(columns["structure_index"])
        seen, equilibrated, raw = _find_ratios(columns)
        if not seen.size:
            return
        columns = {name: column[seen] for name, column in columns.items()}
        self.doubtful.update({name: n for name, n in _count_values(columns["status"]).items() if name != "ok"})
        species = columns["center_species"]
        group, kinds = self._find_groups(columns), self._count_by_kind(columns)
        null = kinds.sum(1) > 0
        for number in np.unique(species).tolist():
            for k, name in enumerate(GROUPS):
                among = (species == number) & (group == k)
                if among.any():
                    for kept, (values, known) in ((self.equilibrated, equilibrated), (self.raw, raw)):
                        kept.setdefault((number, name), Distribution()).add(values[among], known[among])
                    self.blind[number, name] += int(null[among].sum())
            for name, counts in zip(self.kinds, kinds[species == number].sum(0).tolist(), strict=True):
                self.directions[number, name] += counts
        for name, suffix in (("equilibrated", "_equilibrated"), ("raw", "")):
            relative = columns[f"floor{suffix}"] / columns[f"sigma{suffix}"][:, 0]
            self.floors[name].add(relative, np.ones(len(relative), bool))
        self._keep_examples(rows[seen], columns, group, equilibrated, raw)

    def distributions(self, number: int | None = None) -> tuple[Distribution, Distribution]:
        """Return the distributions of equilibrated and raw ratios, for one species of the center or for all."""
        equilibrated, raw = (
            sum((part for (n, _), part in kept.items() if number in (n, None)), Distribution())
            for kept in (self.equilibrated, self.raw)
        )
        return equilibrated, raw

    def examples(self) -> list[Example]:
        """List the most blind environments of each group; a structure gives one for each species."""
        return [example for group in GROUPS for example in self._examples[group]]

    def _note_structures(self, indices: np.ndarray) -> None:
        room = int(indices.max()) + 1
        if room > len(self._structures):
            self._structures = np.pad(
                self._structures, (0, max(room, 2 * len(self._structures)) - len(self._structures))
            )
        self._structures[indices[indices >= 0]] = True

    def _find_groups(self, columns: Columns) -> np.ndarray:
        group = np.full(len(columns["status"]), GROUPS.index("none"))
        for k, name in reversed(list(enumerate(GROUPS))):
            if name in self.causes:
                group[columns["null"][:, self.causes.index(name)] > 0] = k
        group[columns["status"] == AMBIGUOUS] = GROUPS.index(AMBIGUOUS)
        return group

    def _count_by_kind(self, columns: Columns) -> np.ndarray:
        """Count the null directions of each environment by kind, `(b, kinds)`."""
        counts = columns["null"][:, [cause != "rigid" for cause in self.causes]]
        ambiguous = (columns["status"] == AMBIGUOUS)[:, None]
        return np.concatenate([np.where(ambiguous, 0, counts), np.where(ambiguous, counts.sum(1)[:, None], 0)], 1)

    def _keep_examples(
        self, rows: np.ndarray, columns: Columns, group: np.ndarray, equilibrated: Sensitivities, raw: Sensitivities
    ) -> None:
        counted = np.asarray([cause != "rigid" for cause in self.causes])
        n_null = columns["null"][:, counted].sum(1)
        # Two ratios below their floors have no order, so the number of null directions decides.
        blindness = (equilibrated[1], np.where(equilibrated[1], equilibrated[0], 0), -n_null, raw[1], raw[0], rows)
        for k, name in enumerate(GROUPS):
            members = np.flatnonzero(group == k)
            if not members.size:
                continue
            # Equal atoms of a structure are redundant, so only the first of each species stays.
            order = members[np.lexsort([key[members] for key in reversed(blindness)])]
            kinds = np.stack([columns["structure_index"][order], columns["center_species"][order]], -1)
            first = np.sort(np.unique(kinds, axis=0, return_index=True)[1])[: 2 * EXAMPLES_PER_GROUP]
            found = [
                Example(
                    tuple(key[i].item() for key in blindness),
                    int(rows[i]),
                    name,
                    int(columns["structure_index"][i]),
                    int(columns["center_index"][i]),
                    int(columns["center_species"][i]),
                    int(columns["n_neighbors"][i]),
                    Sensitivity(bool(equilibrated[1][i]), float(equilibrated[0][i])),
                    Sensitivity(bool(raw[1][i]), float(raw[0][i])),
                    tuple(columns["null"][i].tolist()),
                    str(columns["status"][i]),
                )
                for i in order[first]
            ]
            kept: dict[tuple[int, int], Example] = {}
            for example in sorted([*self._examples[name], *found]):
                kept.setdefault((example.structure, example.species), example)
            self._examples[name] = list(kept.values())[:EXAMPLES_PER_GROUP]


def _count_values(column: np.ndarray) -> dict[Any, int]:
    values, counts = np.unique(column, return_counts=True)
    return dict(zip(values.tolist(), counts.tolist(), strict=True))


def _find_ratios(columns: Columns) -> tuple[np.ndarray, Sensitivities, Sensitivities]:
    """Find the environments that have ratios, and their equilibrated and raw ratios."""
    last = np.maximum(columns["n_values"] - 1, 0)[:, None]
    usable, found = columns["n_values"] > 0, []
    for suffix in ("_equilibrated", ""):
        sigma, floor = columns[f"sigma{suffix}"], columns[f"floor{suffix}"]
        if not sigma.shape[1]:
            nothing = np.zeros(0), np.zeros(0, bool)
            return np.zeros(0, int), nothing, nothing
        largest, smallest = sigma[:, 0], np.take_along_axis(sigma, last, 1)[:, 0]
        usable = usable & (largest > 0) & np.isfinite(floor)
        found.append((largest, smallest, floor))
    seen = np.flatnonzero(usable)
    equilibrated, raw = [
        (np.maximum(smallest, floor)[seen] / largest[seen], (smallest > floor)[seen])
        for largest, smallest, floor in found
    ]
    return seen, equilibrated, raw
