"""The search of `tune`: candidates are halved on growing samples, and the sensitive ones are changed further."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np

from jaxfeat.choose.sample import Sample
from jaxfeat.choose.space import Space, Spec, build, changes_between, count_features, key
from jaxfeat.errors import BasisError, SizeError
from jaxfeat.features.density import DensityFeaturizer

RUNGS = (0.25, 0.5, 1.0)  # shares of the sample on which candidates are compared, the better half of them on the next
SHORTLIST = 40  # combinations of changes that the search begins with
PER_SIZE = 2  # combinations for each n_max and l_max among them
PROMISING = 4.0  # a size is worth a trial if its predicted level is within this factor of the front
ROUNDS = 3  # rounds of further changes to the best candidate
LEAST_GAIN = 1.05  # factor that makes a round, or a change, worth it. Levels of a sample are no more certain.
UNDONE = ("weights", "radial_scaling", "include_center", "sigma", "cutoff", "radial")  # the least telling change first
MOST_FEATURES = 2.5  # features of the front, relative to those of the descriptor
LEAST_FEATURES = 0.6  # share of the allowed features below which sizes are not tried in these rounds


@dataclass
class Candidate:
    """A descriptor that is tried: its spec and featurizer, and its sensitivities on the first environments of a sample.
    `level` is the median over the least sensitive share, NaN as long as it is unknown. Only descriptors that are
    `allowed` may be recommended."""

    spec: Spec
    f: DensityFeaturizer
    n_features: int
    allowed: bool
    values: np.ndarray = field(default_factory=lambda: np.zeros(0))
    level: float = float("nan")


class Search:
    """Candidates that were tried on a sample, until a time is over. Only changes in the `space` are allowed."""

    def __init__(self, own: Spec, space: Space, sample: Sample, share: float, end: float, progress: Any) -> None:
        self.own, self.space = own, space
        self.sample, self.share, self.end, self.progress = sample, share, end, progress
        self.tried: dict[str, Candidate] = {}
        self.refused: dict[str, str] = {}
        self.n_done = 0

    @property
    def is_over(self) -> bool:
        """True if the time is over."""
        return time.monotonic() >= self.end

    def candidate(self, spec: Spec) -> Candidate | None:
        """Return the candidate of a spec; `None` if there is no such basis, whose reason is kept."""
        name = key(spec)
        if name not in self.tried and name not in self.refused:
            try:
                f = build(spec)
                f.check_table_memory()
                self.tried[name] = Candidate(spec, f, f.n_features, self._allows(spec))
            except (BasisError, SizeError) as error:
                self.refused[name] = str(error)
        return self.tried.get(name)

    def _allows(self, spec: Spec) -> bool:
        changes = changes_between(self.own, spec)
        return spec["kind"] == self.own["kind"] and all(value in self.space[name] for name, value in changes.items())

    def evaluate(self, candidate: Candidate, share_of_sample: float = 1.0) -> float:
        """Compute the level of a candidate on the beginning of the sample."""
        n, known = max(round(share_of_sample * len(self.sample.species)), 1), len(candidate.values)
        if n > known:
            new = self.sample.at(candidate.f, np.arange(known, n))
            candidate.values = np.concatenate([candidate.values, new])
            self.n_done += 1
            self.progress(self.n_done, None)
        level = self.sample.level(candidate.values[:n], self.share)
        if n == len(self.sample.species):
            candidate.level = level
        return level

    def halve(self, candidates: Sequence[Candidate]) -> None:
        """Evaluate candidates on growing samples, each time the half of them that is nearest to the front."""
        for share in RUNGS:
            scored = []
            for one in candidates:
                if self.is_over:
                    return
                scored.append((one.n_features, self.evaluate(one, share)))
            kept = rank_by_front(scored)[: max(-(-len(candidates) // 2), 4)]
            candidates = [candidates[k] for k in kept]

    @property
    def known(self) -> list[Candidate]:
        """The candidates that are allowed and whose level is known."""
        return [one for one in self.tried.values() if one.allowed and np.isfinite(one.level)]

    def best(self, limit: int) -> Candidate:
        """Return the most sensitive candidate of at most `limit` features; of equal ones that with the fewest."""
        return max((one for one in self.known if one.n_features <= limit), key=lambda c: (c.level, -c.n_features))

    def run(self, own: Candidate) -> None:
        """Search the space for the front, and for the best candidate of no more features than the descriptor has."""
        limit = own.n_features
        self.halve(self._make_all(self._shortlist(own)))
        before = self.best(limit)
        for _ in range(ROUNDS):
            self.halve(self._make_all(_neighbors(before, own, self.space)))
            after = self.best(limit)
            if not after.level > LEAST_GAIN * before.level:
                break
            before = after
        simple = self._simplify(own, self.best(limit))
        self.halve(self._make_all(self._sizes(own, simple)))

    def simplest(self, own: Candidate) -> Candidate:
        """Return the candidate with the fewest changes that is nearly as sensitive as the best one of no more features
        than the descriptor has."""
        best = self.best(own.n_features)
        nearly = [
            one for one in self.known if one.n_features <= best.n_features and one.level * LEAST_GAIN >= best.level
        ]
        return min(nearly, key=lambda one: (len(changes_between(own.spec, one.spec)), -one.level))

    def _simplify(self, own: Candidate, best: Candidate) -> Candidate:
        """Undo changes of the best candidate, one after the other, that hardly make it more sensitive."""
        for name in UNDONE:
            one = self.candidate({**best.spec, name: own.spec[name]}) if name in own.spec else None
            if one is not None and one is not best and not self.is_over:
                self.evaluate(one)
                best = one if one.level * LEAST_GAIN >= best.level else best
        return best

    def _sizes(self, own: Candidate, best: Candidate) -> list[Spec]:
        """List the best candidate in the other sizes of the space, for the front."""
        values = [[own.spec[name], *self.space[name]] for name in ("n_max", "l_max")]
        specs = [{**best.spec, "n_max": n, "l_max": l} for n, l in product(*values)]
        return [spec for spec in specs if 0 < count_features(own.f, spec) <= MOST_FEATURES * own.n_features]

    def _make_all(self, specs: Iterable[Spec]) -> list[Candidate]:
        """Make candidates without a known level, as long as there is time: a radial basis takes up to seconds."""
        made = (self.candidate(spec) for spec in specs if not self.is_over)
        return [one for one in made if one is not None and not np.isfinite(one.level)]

    def _shortlist(self, own: Candidate) -> list[Spec]:
        """Combine the changes whose gains multiply to the most, for each size near the predicted front."""
        axes = [name for name in self.space if name in own.spec]
        gains = [self._gains(own, name) for name in axes]
        sizes = [axes.index(name) for name in ("n_max", "l_max") if name in axes]
        shapes = [k for k in range(len(axes)) if k not in sizes]
        best_shapes = sorted(product(*(gains[k] for k in shapes)), key=lambda way: -sum(g for _, g in way))[:PER_SIZE]
        by_size = [(sum(g for _, g in way), [value for value, _ in way]) for way in product(*(gains[k] for k in sizes))]
        specs = [{**own.spec, **dict(zip((axes[k] for k in sizes), values, strict=True))} for _, values in by_size]
        counts = [count_features(own.f, spec) for spec in specs]
        usable = [k for k, count in enumerate(counts) if 0 < count <= MOST_FEATURES * own.n_features]
        front = [max(by_size[j][0] for j in usable if counts[j] <= counts[k]) for k in usable]
        short = []
        for k, most in zip(usable, front, strict=True):
            if by_size[k][0] >= most - np.log(PROMISING):
                for way in best_shapes:
                    change = {axes[k]: value for k, (value, _) in zip(shapes, way, strict=True)}
                    short.append((most - by_size[k][0], {**specs[k], **change}))
        short.sort(key=lambda entry: entry[0])
        return [spec for _, spec in short[:SHORTLIST]]

    def _gains(self, own: Candidate, name: str) -> list[tuple[Any, float]]:
        """List the known log gains of the values of one axis, the own value first."""
        found = [(own.spec[name], 0.0)]
        for value in self.space[name]:
            one = self.tried.get(key({**own.spec, name: value}))
            if one is not None and np.isfinite(one.level):
                found.append((value, float(np.log(one.level / own.level))))
        return found


def _neighbors(best: Candidate, own: Candidate, space: Space) -> list[Spec]:
    """List the candidates that differ from the best one in one argument, in radial basis and σ, or in its sizes."""
    specs: dict[str, Spec] = {}
    limit = own.n_features
    least = min(LEAST_FEATURES * limit, best.n_features)

    def add(**changes: Any) -> None:
        changed = {**best.spec, **changes}
        if least <= count_features(own.f, changed) <= limit:
            specs[key(changed)] = changed

    values = {name: [own.spec[name], *space[name]] for name in space if name in own.spec}
    for n_max, l_max in product(values.get("n_max", ()), values.get("l_max", ())):
        add(n_max=n_max, l_max=l_max)
    for radial, sigma in product(values["radial"], values["sigma"]):
        add(radial=radial, sigma=sigma)
    for name in values.keys() - {"n_max", "l_max", "radial", "sigma"}:
        for value in values[name]:
            add(**{name: value})
    return list(specs.values())


def rank_by_front(points: Sequence[tuple[int, float]]) -> list[int]:
    """Order candidates of (features, level): first the front, then the front of the rest, and so on. Of one front the
    most sensitive come first, and unknown levels come last."""
    known = [k for k, (_, level) in enumerate(points) if np.isfinite(level)]
    left = sorted(known, key=lambda k: (points[k][0], -points[k][1]))
    ordered: list[int] = []
    while left:
        front: list[int] = []
        for k in left:
            if not front or points[k][1] > points[front[-1]][1]:
                front.append(k)
        left = [k for k in left if k not in front]
        ordered += reversed(front)
    return ordered + [k for k in range(len(points)) if k not in known]


def pareto_front(candidates: Sequence[Candidate]) -> list[Candidate]:
    """List the candidates that no other one with as few features matches in sensitivity, by their features."""
    front: list[Candidate] = []
    for one in sorted(candidates, key=lambda c: (c.n_features, -c.level)):
        if not front or one.level > front[-1].level:
            front.append(one)
    return front
