"""Summary of a sweep of any size, added up slice by slice in constant memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from jaxfeat.report.sensitivity import Sensitivity

BINS_PER_DECADE = 1000
"""Bins of a histogram in a factor of ten. Medians are right to 0.12 %; tables print fewer digits."""

LOWEST_EXPONENT = -24  # Exponent of ten at which histograms begin. No ratio of singular values in float64 is smaller.
AMBIGUOUS = "ambiguous"

GROUPS = ("incompleteness", "truncation", "locality", "width", "other", AMBIGUOUS, "symmetry", "none")
"""Groups of environments by their worst cause: blind spots are worse than physics, and physics is worse than none. An
environment with the status "ambiguous" is in the group of this name, whether or not it has null directions."""

EXAMPLES_PER_GROUP = 4  # environments of each group that a page shows
SUFFIXES = {"equilibrated": "_equilibrated", "raw": ""}  # suffixes of the columns of equilibrated and of raw spectra
Columns = Mapping[str, np.ndarray]  # variables and coordinates of environments `(b, ...)`, by their names in a store


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
        start, end = ((exponent - LOWEST_EXPONENT) * BINS_PER_DECADE for exponent in (low, high))
        return self.counts[start:end].reshape(-1, BINS_PER_DECADE // per_decade).sum(1)

    def __add__(self, other: Distribution) -> Distribution:
        counts, floor = self.counts + other.counts, max(self.highest_floor, other.highest_floor)
        least, most = min(self.least, other.least), max(self.most, other.most)
        return Distribution(counts, self.below + other.below, floor, least, most)


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
    """Counts and distributions of a sweep, for tables and pages."""

    def __init__(self, causes: Sequence[str]) -> None:
        self.causes = tuple(causes)
        # "ambiguous" stands for all directions of ambiguous environments.
        self.kinds = (*(cause for cause in self.causes if cause != "rigid"), AMBIGUOUS)
        self.total = self.done = self.certified = 0  # environments: all, with a status, with values certified by QR
        self.statuses: Counter[str] = Counter()
        self.doubtful: Counter[str] = Counter()  # environments with a spectrum and a status other than "ok", by status
        self.environments: Counter[int] = Counter()  # by species of the center, with or without a spectrum
        self.equilibrated: dict[tuple[int, str], Distribution] = {}  # σ_min/σ_max by species and group
        self.raw: dict[tuple[int, str], Distribution] = {}
        self.floors = {"equilibrated": Distribution(), "raw": Distribution()}  # floor over σ_max
        self.directions: Counter[tuple[int, str]] = Counter()  # null directions by species and kind
        self.blind: Counter[tuple[int, str]] = Counter()  # environments with null directions by species and group
        self._structures = np.zeros(0, bool)
        self._examples: dict[str, list[Example]] = {group: [] for group in GROUPS}

    @property
    def structures(self) -> int:
        """The number of structures that the environments belong to."""
        return int(self._structures.sum())

    def add(self, columns: Columns) -> None:
        """Add the next environments of a store."""
        start, self.total = self.total, self.total + len(columns["status"])
        # An environment that is not done has no status.
        columns = _select({**columns, "row": np.arange(start, self.total)}, columns["status"] != "")
        self.done += len(columns["row"])
        self.certified += int(columns["certified"].sum())
        self.statuses.update(columns["status"].tolist())
        self.environments.update(columns["center_species"].tolist())
        indices = columns["structure_index"]
        missing = int(indices.max(initial=-1)) + 1 - len(self._structures)
        if missing > 0:
            self._structures = np.pad(self._structures, (0, max(missing, len(self._structures))))
        self._structures[indices[indices >= 0]] = True
        columns = _select(columns, _have_ratios(columns))
        if len(columns["row"]):
            self._add_spectra(columns)

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

    def _add_spectra(self, columns: dict[str, np.ndarray]) -> None:
        for suffix in SUFFIXES.values():
            sigma, floor = columns[f"sigma{suffix}"], columns[f"floor{suffix}"]
            smallest = np.take_along_axis(sigma, columns["n_values"][:, None] - 1, 1)[:, 0]
            columns[f"known{suffix}"] = smallest > floor
            columns[f"ratio{suffix}"] = np.maximum(smallest, floor) / sigma[:, 0]
        status, species, group = columns["status"], columns["center_species"], self._find_groups(columns)
        self.doubtful.update(status[status != "ok"].tolist())
        counts = columns["null"][:, [cause != "rigid" for cause in self.causes]]
        n_null, ambiguous = counts.sum(1), status == AMBIGUOUS
        counts = np.column_stack([np.where(ambiguous[:, None], 0, counts), np.where(ambiguous, n_null, 0)])
        for key in sorted(set(zip(species.tolist(), group.tolist(), strict=True))):
            among = (species == key[0]) & (group == key[1])
            for name, suffix in SUFFIXES.items():
                part = getattr(self, name).setdefault(key, Distribution())
                part.add(columns[f"ratio{suffix}"][among], columns[f"known{suffix}"][among])
            self.blind[key] += int((n_null[among] > 0).sum())
            for kind, n in zip(self.kinds, counts[among].sum(0).tolist(), strict=True):
                self.directions[key[0], kind] += n
        for name, suffix in SUFFIXES.items():
            relative = columns[f"floor{suffix}"] / columns[f"sigma{suffix}"][:, 0]
            self.floors[name].add(relative, np.ones(len(relative), bool))
        self._keep_examples(columns, group, n_null)

    def _find_groups(self, columns: Columns) -> np.ndarray:
        members = {AMBIGUOUS: columns["status"] == AMBIGUOUS}
        for name in GROUPS:
            if name in self.causes:
                members[name] = columns["null"][:, self.causes.index(name)] > 0
        return np.select(list(members.values()), list(members), "none")

    def _keep_examples(self, columns: Columns, group: np.ndarray, n_null: np.ndarray) -> None:
        known, ratio = columns["known_equilibrated"], columns["ratio_equilibrated"]
        # Two ratios below their floors have no order, so the number of null directions decides.
        keys = (known, np.where(known, ratio, 0), -n_null, columns["known"], columns["ratio"], columns["row"])
        order = np.lexsort(keys[::-1])
        for name in set(group.tolist()):
            members = order[group[order] == name]
            # Equal atoms of a structure are redundant, so only the first of each species stays.
            sites = np.stack([columns["structure_index"][members], columns["center_species"][members]], -1)
            first = np.sort(np.unique(sites, axis=0, return_index=True)[1])[:EXAMPLES_PER_GROUP]
            found = [
                Example(
                    tuple(key[i].item() for key in keys),
                    int(columns["row"][i]),
                    name,
                    int(columns["structure_index"][i]),
                    int(columns["center_index"][i]),
                    int(columns["center_species"][i]),
                    int(columns["n_neighbors"][i]),
                    Sensitivity(bool(known[i]), float(ratio[i])),
                    Sensitivity(bool(columns["known"][i]), float(columns["ratio"][i])),
                    tuple(columns["null"][i].tolist()),
                    str(columns["status"][i]),
                )
                for i in members[first]
            ]
            kept: dict[tuple[int, int], Example] = {}
            for example in sorted([*self._examples[name], *found]):
                kept.setdefault((example.structure, example.species), example)
            self._examples[name] = list(kept.values())[:EXAMPLES_PER_GROUP]


def _select(columns: Columns, chosen: np.ndarray) -> dict[str, np.ndarray]:
    return {name: column[chosen] for name, column in columns.items()}


def _have_ratios(columns: Columns) -> np.ndarray:
    found = columns["n_values"] > 0
    for suffix in SUFFIXES.values():
        # A store of environments without neighbors has no column of singular values.
        largest = columns[f"sigma{suffix}"][:, :1]
        found = found & (largest > 0).any(1) & np.isfinite(columns[f"floor{suffix}"])
    return found
