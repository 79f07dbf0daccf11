"""What a sweep of any size comes to, added up a portion at a time: memory does not grow with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from jaxfeat.report.sensitivity import Sensitivity

FINE = 1000
"""Bins of a histogram in a factor of ten: medians are right to 0.12 %, more than is printed of them."""
LOWEST = -24
"""Exponent of ten at which histograms begin; no ratio of float64 values gets there."""

AMBIGUOUS = "ambiguous"

GROUPS = ("incompleteness", "truncation", "locality", "other", AMBIGUOUS, "symmetry", "none")
"""What an environment suffers from most: a blind spot rather than physics, physics rather than nothing. An environment
whose status is ambiguous is one of that group, with null directions or nearly so."""

EXAMPLES = 4
"""Environments of each group that are shown."""

Columns = Mapping[str, np.ndarray]
Pair = tuple[np.ndarray, np.ndarray]
"""Ratios, and whether they are above their floors."""


@dataclass
class Distribution:
    """Ratios of some environments: those above their floors by value, the others by number."""

    counts: np.ndarray = field(default_factory=lambda: np.zeros(-LOWEST * FINE, np.int64))
    below: int = 0
    highest_floor: float = 0.0
    least: float = np.inf
    most: float = 0.0

    def add(self, ratios: np.ndarray, known: np.ndarray) -> None:
        """`ratios`, `(b,)`, hold the floor where they are not `known`."""
        values, floors = ratios[known], ratios[~known]
        places = (np.log10(np.maximum(values, 10.0**LOWEST)) - LOWEST) * FINE
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
        """The smallest ratio, or the highest of the floors that some lie below."""
        if self.below:
            return Sensitivity(False, self.highest_floor)
        return Sensitivity(True, self.least) if self.total else None

    def median(self) -> Sensitivity | None:
        """The median; of an even number the lower of the middle two."""
        if not self.total:
            return None
        place = (self.total - 1) // 2 - self.below
        if place < 0:
            return Sensitivity(False, self.highest_floor)
        return Sensitivity(
            True, 10 ** (LOWEST + (int(np.searchsorted(np.cumsum(self.counts), place + 1)) + 0.5) / FINE)
        )

    def coarse(self, low: int, high: int, per_decade: int) -> np.ndarray:
        """Counts in `per_decade` bins a factor of ten, between two exponents of ten."""
        start = (low - LOWEST) * FINE
        return self.counts[start : start + (high - low) * FINE].reshape(-1, FINE // per_decade).sum(1)

    def __add__(self, other: Distribution) -> Distribution:
        return Distribution(
            self.counts + other.counts,
            self.below + other.below,
            max(self.highest_floor, other.highest_floor),
            min(self.least, other.least),
            max(self.most, other.most),
        )


class Example(NamedTuple):
    """One environment that is to be shown: its place in the store, and what the columns say of it. They sort by
    blindness, as in the tables of a scan."""

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
    """Everything that a report says of a sweep, but for what has to be computed anew.

    **Attributes:**

    - `causes`: names of the causes that null directions are counted by; `rigid` counts for nothing here.
    - `total`: environments that there are to be, `done` that there are; `structures`, how many those are of.
    - `statuses`: how many environments have which; `doubtful`: the same of those that have a spectrum, "ok" apart.
    - `certified`: how many have values by QR.
    - `environments`: by species, those with and without a spectrum.
    - `equilibrated`, `raw`: distributions by species and group; `floors`, of floors over σ_max, by the same two names.
    - `kinds`: the causes, rigid motions apart, and "ambiguous", of environments whose status that is.
    - `directions`: by species and kind, null directions: equilibrated singular values at or below their floor.
    - `blind`: by species and group, environments that have null directions. Each counts once, so that groups add up.
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
        """Some environments in a row: variables and coordinates of a store by name, `(b, ...)`."""
        start, self.total = self.total, self.total + len(columns["status"])
        # What has not been worked out yet has no status.
        done = np.flatnonzero(columns["status"] != "")
        if not done.size:
            return
        columns = {name: column[done] for name, column in columns.items()}
        rows = start + done
        self.done += len(done)
        self.certified += int(columns["certified"].sum())
        self.statuses.update(_counted(columns["status"]))
        self.environments.update(_counted(columns["center_species"]))
        self._note_structures(columns["structure_index"])
        seen, equilibrated, raw = _ratios(columns)
        if not seen.size:
            return
        columns = {name: column[seen] for name, column in columns.items()}
        self.doubtful.update({name: n for name, n in _counted(columns["status"]).items() if name != "ok"})
        species = columns["center_species"]
        group, kinds = self._group(columns), self._by_kind(columns)
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
        self._pick(rows[seen], columns, group, equilibrated, raw)

    def distributions(self, number: int | None = None) -> tuple[Distribution, Distribution]:
        """Of equilibrated and raw ratios, of one species of the center or of all."""
        equilibrated, raw = (
            sum((part for (n, _), part in kept.items() if number in (n, None)), Distribution())
            for kept in (self.equilibrated, self.raw)
        )
        return equilibrated, raw

    def examples(self) -> list[Example]:
        """The most blind environments of each group, group by group; of one structure one for each species."""
        return [example for group in GROUPS for example in self._examples[group]]

    def _note_structures(self, indices: np.ndarray) -> None:
        room = int(indices.max()) + 1
        if room > len(self._structures):
            self._structures = np.pad(
                self._structures, (0, max(room, 2 * len(self._structures)) - len(self._structures))
            )
        self._structures[indices[indices >= 0]] = True

    def _group(self, columns: Columns) -> np.ndarray:
        group = np.full(len(columns["status"]), GROUPS.index("none"))
        for k, name in reversed(list(enumerate(GROUPS))):
            if name in self.causes:
                group[columns["null"][:, self.causes.index(name)] > 0] = k
        group[columns["status"] == AMBIGUOUS] = GROUPS.index(AMBIGUOUS)
        return group

    def _by_kind(self, columns: Columns) -> np.ndarray:
        """Null directions of each environment by `kinds`, `(b, kinds)`."""
        counts = columns["null"][:, [cause != "rigid" for cause in self.causes]]
        ambiguous = (columns["status"] == AMBIGUOUS)[:, None]
        return np.concatenate([np.where(ambiguous, 0, counts), np.where(ambiguous, counts.sum(1)[:, None], 0)], 1)

    def _pick(self, rows: np.ndarray, columns: Columns, group: np.ndarray, equilibrated: Pair, raw: Pair) -> None:
        counted = np.asarray([cause != "rigid" for cause in self.causes])
        n_null = columns["null"][:, counted].sum(1)
        # Of two ratios below the floor neither is the smaller one: then the number of null directions decides.
        blindness = (equilibrated[1], np.where(equilibrated[1], equilibrated[0], 0), -n_null, raw[1], raw[0], rows)
        for k, name in enumerate(GROUPS):
            members = np.flatnonzero(group == k)
            if not members.size:
                continue
            # Equal atoms of one structure say one thing only: of each kind, the first after sorting.
            order = members[np.lexsort([key[members] for key in reversed(blindness)])]
            kinds = np.stack([columns["structure_index"][order], columns["center_species"][order]], -1)
            first = np.sort(np.unique(kinds, axis=0, return_index=True)[1])[: 2 * EXAMPLES]
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
            self._examples[name] = list(kept.values())[:EXAMPLES]


def _counted(column: np.ndarray) -> dict[Any, int]:
    values, counts = np.unique(column, return_counts=True)
    return dict(zip(values.tolist(), counts.tolist(), strict=True))


def _ratios(columns: Columns) -> tuple[np.ndarray, Pair, Pair]:
    """Which environments have ratios, and those: equilibrated and raw, each with whether it is above its floor."""
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
