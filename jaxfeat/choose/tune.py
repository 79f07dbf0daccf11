"""Which descriptor given data need: the gain of each change, the front of sensitivity over the number of features, and
a recommendation that follows the gradient and that fresh environments confirm."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from jaxfeat.choose.ascent import STEPS, Ascent, ascend
from jaxfeat.choose.gains import Record, cost_of, gains_of
from jaxfeat.choose.sample import Drawn, cut_data, draw_stratified, list_elements
from jaxfeat.choose.search import Candidate, Search, pareto_front
from jaxfeat.choose.sensitivities import lowest_level
from jaxfeat.choose.space import (
    AXES,
    Spec,
    changes_between,
    check_density,
    default_space,
    format_change,
    restrict_space,
    searched_space,
)
from jaxfeat.errors import GeometryError
from jaxfeat.features.base import AbstractFeaturizer
from jaxfeat.features.power_spectrum.featurizer import PowerSpectrum
from jaxfeat.features.spec import spec
from jaxfeat.geometry.positions import check_float64
from jaxfeat.progress import Progress, show_progress


@dataclass(frozen=True)
class Tuning:
    """Gains of changes to a descriptor, and a recommended descriptor.

    **Attributes:**

    - `recommended`: The spec of the most sensitive descriptor that was found with no more features than `f`
        (`jaxfeat.from_spec` makes it). `reason`: why, in one sentence.
    - `gains`: A list with one record for each single change of `f`.
    - `ascent`: The last step, along the gradient. `f` and `best`: spec, level and features at its start and at its end.
        `words`: the quantities that changed. `sample_gain`, `check_gain`: the ratios of the two levels on the
        environments of the search and of the check. `kept`: True if the end is recommended. `n_steps`, and `note`: why
        there were fewer, or `None`.
    - `front`: A list of records: the descriptors for which no other one with as few features is as sensitive.
    - `check`: `f` and the recommended descriptor on fresh environments, each with its own least sensitive share.
    - `f`, `best`: The records of the descriptor that was tuned and of the recommended one. `tried`: features and levels
        of all descriptors that were tried.
    - `sample`: The numbers of environments, and the settings of the sample.
    - `complete`: False if the budget ended the search.
    """

    recommended: Spec
    reason: str
    gains: list[Record]
    ascent: Record
    front: list[Record]
    check: Record
    f: Record
    best: Record
    tried: list[Record] = field(repr=False)
    sample: Record
    complete: bool

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain values that JSON can hold."""
        return asdict(self)

    def __repr__(self) -> str:
        return f"Tuning({len(self.gains)} changes, {len(self.front)} on the front; {self.reason})"


def tune(
    data: Any,
    f: AbstractFeaturizer | None = None,
    *,
    space: Mapping[str, Sequence[Any]] | None = None,
    centers: Any = None,
    share: float = 0.1,
    equilibrated: bool = True,
    most: int = 64,
    sample: int = 1000,
    seed: int = 0,
    steps: int = STEPS,
    budget: float | None = None,
    progress: Progress | bool | None = None,
) -> Tuning:
    """Find out which change of a descriptor buys how much sensitivity on given data, and recommend a descriptor.

    The measure is σ_vis/σ_max of the least sensitive environments: σ_vis is the smallest singular value without the
    directions that symmetry or the order hides from every basis. The level of a descriptor is the median over its own
    least sensitive `share` of the environments of each species.

    **Arguments:**

    - `data`: `ase.Atoms`, a list of them, or a result of `jaxfeat.read`, of which some structures are drawn if they
        have more than 20,000 atoms together; or environments with one leading axis, in float64, whose radius limits
        the radii that can be tried.
    - `f`: The descriptor to begin with, a featurizer of the density. By default a `PowerSpectrum` of all elements in
        the data. Power spectra are computed by NumPy; other featurizers compile a program for each size.
    - `space`: Values to try for some arguments of the descriptor, as in `{"radial": ["gto", "laplacian"]}`; an empty
        list keeps the own value. The names are those of the constructor, and "nu" (`[]` leaves out ν + 1). Unless named
        here, r_cut, a center of weight 0 and `NoCutoff` have gains, but are not recommended.
    - `centers`: Centers of structures, as `jaxfeat.environments` takes them.
    - `share`: The share of least sensitive environments of each species, above 0 and up to 1.
    - `equilibrated`: If True, take equilibrated singular values (`jaxfeat.singular_spectrum`).
    - `most`: The number of least sensitive environments that are compared. Twice as many of the others control whether
        a change makes other environments the least sensitive ones.
    - `sample`: The number of environments from which these are drawn; 0 for all.
    - `seed`: The seed of all draws.
    - `steps`: The number of steps along the gradient of the mean `jaxfeat.log_sensitivity` that follow the search, by
        σ, the cutoff's width, radial scaling, and the weights of the center and of species, as far as their axes are in
        the space, and by r_cut if it is named there. They need a compiled program. The number of features stays. 0 for
        none.
    - `budget`: Seconds after which no further descriptor is tried; `None` for no limit.
    - `progress`: True to show progress on stderr or in the notebook; or a function, called as `progress(done, None)`
        with numbers of evaluations.

    **Returns:** A `Tuning`. Each record of `gains` has

    - `axis`, `value`, `words`: The change. `note`: a warning, or the reason why the change is impossible, or `None`.
    - `gain`: "median", "10%" and "90%" over environments of `f`'s least sensitive share, of the ratio of σ_vis/σ_max
        after and before the change. After a change of r_cut, other environments are the least sensitive ones, so that
        this gain is large in any case.
    - `level`: The level of the changed descriptor. `lowest`: the ratio of this level to that of `f`.
    - `n_features`: The number of features. `features_seconds`, `gradients_seconds`: CPU seconds per environment;
        `route`: "numpy" or "compiled".
    - `at`: The sizes at which ν + 1 was compared with ν; `None` for all other changes.

    **Raises:** `BasisError` for featurizers without a basis and for an unknown axis. `GeometryError` for environments
    of a smaller radius than a descriptor needs, for data without a spectrum, and for a `share` or `most` out of range.
    `SpeciesError` if the data hold an element that `f` does not know. `PrecisionError` without float64.
    """
    end = time.monotonic() + (np.inf if budget is None else budget)
    if not 0 < share <= 1 or most < 1:
        raise GeometryError(f"share is {share:g} and most is {most}; give a share up to 1, and at least 1 environment.")
    if steps < 0:
        raise GeometryError(f"steps is {steps}; give a number of steps, or 0 for none.")
    given = dict(space or {})
    default: Any = PowerSpectrum
    f = check_density(default(tuple(list_elements(data))) if f is None else f)
    own = spec(f)
    radii = [*given.get("r_cut", default_space(f, np.inf)["r_cut"]), own["r_cut"]]
    every = cut_data(data, max(radii), centers, seed)
    check_float64(every.positions, "positions", "a sensitivity")
    whole = restrict_space(default_space(f, float(every.r_cut.min())), given, own)
    settings: Any = {"share": share, "most": most, "sample": sample, "equilibrated": equilibrated, "seed": seed}
    with show_progress(progress, "environments in the sample") as report:
        drawn = draw_stratified(f, every, **settings, progress=report)
    with show_progress(progress, "evaluations of descriptors") as report:
        search = Search(own, searched_space(whole, given), drawn.sample, share, end, report)
        base = search.candidate(own)
        assert base is not None
        search.evaluate(base)
        gains = [record for name in AXES for record in gains_of(search, base, name, whole[name])]
        search.run(base)
        complete = not search.is_over
        found = search.simplest(base)
    search.progress = lambda *_: None
    with show_progress(progress if steps else None, "steps along the gradient", steps) as report:
        ascent = ascend(search, found, steps, report)
    best, check = _check(base, found, ascent.best, drawn, share)
    # Quantities on the way uphill are no values of the space. The front takes the one that the check confirms.
    best.allowed = True
    climb = _describe_ascent(found, ascent, best, check.pop("levels"))
    compared = drawn.sample.species
    facts = {"environments": len(every), "compared": len(compared), "least": int(drawn.sample.least.sum())}
    return Tuning(
        recommended=best.spec,
        reason=_explain(search, base, best, check, climb),
        gains=gains,
        ascent=climb,
        front=[_describe_candidate(search, base, one) for one in pareto_front(search.known)],
        check=check,
        f=_describe_candidate(search, base, base),
        best=_describe_candidate(search, base, best),
        tried=[{"n_features": one.n_features, "level": one.level} for one in search.known],
        sample={**facts, **settings},
        complete=complete,
    )


def _check(
    base: Candidate, found: Candidate, climbed: Candidate, drawn: Drawn, share: float
) -> tuple[Candidate, Record]:
    """Choose the most sensitive one of the descriptor, the best one of the search and the end of the ascent on the
    environments of the check. `levels` are those of the last two."""
    at, every = drawn.check, np.arange(len(drawn.check))
    species, ones = np.asarray(at.batch.center_species), np.ones(len(at))
    levels = {id(one): lowest_level(at(one.f, every), ones, species, share) for one in (base, found, climbed)}
    best = found if levels[id(found)] >= levels[id(base)] else base
    best = climbed if levels[id(climbed)] > levels[id(best)] else best
    before, after = levels[id(base)], levels[id(best)]
    return best, {
        "f": before,
        "recommended": after,
        "ratio": after / before,
        "environments": len(at),
        "apart": drawn.apart,
        "levels": (levels[id(found)], levels[id(climbed)]),
    }


def _explain(search: Search, base: Candidate, best: Candidate, check: Record, ascent: Record) -> str:
    share = f"least sensitive {100 * search.share:g} %"
    few = sum(one.n_features <= base.n_features for one in search.known)
    if best is base:
        return f"None of {few} descriptors with at most {base.n_features:,} features is more sensitive in the {share}."
    changes = changes_between(base.spec, best.spec).items()
    words = ", ".join(format_change(name, value) for name, value in changes)
    where = f"{check['environments']} {'fresh' if check['apart'] else 'of the same'} environments"
    step = f"; a factor of {ascent['check_gain']:.3g} of this is due to the gradient" if ascent["kept"] else ""
    return (
        f"With {words} it has {best.n_features:,} features for {base.n_features:,}, and is the most sensitive of {few} "
        f"descriptors with no more: {check['ratio']:.3g} times as sensitive in the {share} of {where}{step}."
    )


def _describe_ascent(found: Candidate, ascent: Ascent, best: Candidate, levels: tuple[float, float]) -> Record:
    moved = changes_between(found.spec, ascent.best.spec)
    return {
        "f": {"spec": found.spec, "level": found.level, "n_features": found.n_features},
        "best": {"spec": ascent.best.spec, "level": ascent.best.level, "n_features": ascent.best.n_features},
        "words": ", ".join(format_change(name, value) for name, value in moved.items()),
        "sample_gain": ascent.best.level / found.level,
        "check_gain": levels[1] / levels[0],
        "n_steps": ascent.n_steps,
        "kept": ascent.best is best and ascent.best is not found,
        "note": ascent.note,
    }


def _describe_candidate(search: Search, base: Candidate, one: Candidate) -> Record:
    changes = changes_between(base.spec, one.spec)
    return {
        "spec": one.spec,
        "changes": changes,
        "words": ", ".join(format_change(name, value) for name, value in changes.items()),
        "n_features": one.n_features,
        "level": one.level,
        "lowest": one.level / base.level,
        **cost_of(search, one.f),
    }
