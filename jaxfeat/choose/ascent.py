"""Tuning of a descriptor's quantities by gradient: σ, r_cut, the cutoff's width, radial scaling and weights follow the
gradient of the mean log sensitivity of the least sensitive environments."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int

from jaxfeat.choose.search import LEAST_GAIN, Candidate, Search
from jaxfeat.choose.sensitivities import select_lowest
from jaxfeat.choose.space import Space, Spec
from jaxfeat.features.density import DensityFeaturizer
from jaxfeat.geometry.cutting import cut_at_radius
from jaxfeat.geometry.environment import Environment
from jaxfeat.progress import Progress
from jaxfeat.spectrum.log_sensitivity import log_sensitivity

STEPS = 18  # steps of Adam, by default
ROUNDS = 3  # after each of which the environments are chosen that are now the least sensitive ones
LEARNING_RATE = 0.1  # of Adam on logarithms: a step changes a quantity by up to about a tenth
MAX_ENVIRONMENTS = 32  # environments whose sensitivities are averaged
MAX_ENTRIES = 5_000_000  # entries of their Jacobians together, with which a step takes seconds
RANGE = 4.0  # factor up to which a quantity may grow or shrink
LEAST_WIDTH = 1 / 60  # σ / r_cut. A compiled program expands no sharper functions.
DIGITS = 3  # significant digits of quantities in the spec

Gradient = Callable[[list[Array], Environment], list[Array]]


@dataclass(frozen=True)
class Quantity:
    """A quantity that may change: its place in a spec, and bounds of the shape of its values."""

    path: tuple[str, ...]
    least: Any
    most: Any

    def of(self, f: DensityFeaturizer) -> Any:
        """Return the field of a featurizer."""
        path = ("center_weight",) if self.path == ("include_center",) else self.path
        return reduce(getattr, path, f)

    def write(self, candidate: Spec, value: Float[np.ndarray, "..."]) -> Spec:
        """Return the spec with another value, rounded to a few digits within the bounds."""
        rounded = [float(f"{x:.{DIGITS}g}") for x in np.ravel(value)]
        numbers = np.clip(rounded, np.ravel(self.least), np.ravel(self.most)).tolist()
        name, *inner = self.path
        new = numbers if np.ndim(value) else numbers[0]
        return {**candidate, name: {**candidate[name], inner[0]: new} if inner else new}


class Ascent(NamedTuple):
    """The most sensitive candidate on the way uphill, the number of steps, and why there are no more."""

    best: Candidate
    n_steps: int
    note: str | None


def list_quantities(start: Candidate, space: Space, reach: float) -> list[Quantity]:
    """List the quantities of a candidate whose axis has values in the space. The cutoff's width and r_cut stay within
    these values, and r_cut within `reach`, the radius at which environments were cut, because narrow windows and small
    radii always look more sensitive. All others stay within a factor of `RANGE`."""
    f, own, found = start.f, start.spec, []
    r_cut, sigma = float(f.r_cut), float(f.sigma)
    radii = [r_cut, *(radius for radius in space.get("r_cut", []) if radius <= reach)]
    sharp = sigma < LEAST_WIDTH * r_cut

    def add(*path: str, least: float = 0.0, most: float = np.inf) -> None:
        value = np.asarray(Quantity(path, 0.0, 0.0).of(f))
        bounds = np.maximum(value / RANGE, least), np.minimum(value * RANGE, most)
        if space.get(path[0]) and (value > 0).all() and (bounds[0] < bounds[1]).all():
            found.append(Quantity(path, *bounds))

    if not sharp:
        add("sigma", least=LEAST_WIDTH * max(radii))
        add("r_cut", least=max(min(radii), r_cut / RANGE), most=min(max(radii), sigma / LEAST_WIDTH))
    if "width" in own["cutoff"]:
        widths = [cutoff["width"] for cutoff in (own["cutoff"], *space.get("cutoff", [])) if "width" in cutoff]
        add("cutoff", "width", least=min(widths), most=min(max(widths), *radii))
    if own["radial_scaling"] is not None:
        for name in ("scale", "rate", "exponent"):
            add("radial_scaling", name)
    add("include_center")
    if len(f.species) > 1:
        add("weights")
    return found


def ascend(search: Search, start: Candidate, n_steps: int, progress: Progress) -> Ascent:
    """Follow the gradient from a candidate by `n_steps` steps of Adam. Return the candidate of the highest level on the
    sample, which is `start` if no other one is clearly more sensitive."""
    every = search.sample.at.batch
    quantities = list_quantities(start, search.space, float(np.min(every.r_cut)))
    if not n_steps or not quantities:
        return Ascent(start, 0, "no quantity may change" if n_steps else None)
    largest = max(float(np.max(q.most)) for q in quantities if q.path == ("r_cut",)) if _moves(quantities) else None
    room = search.sample.at.at_radius(float(start.f.r_cut) if largest is None else largest).max_neighbors
    count = min(MAX_ENVIRONMENTS, MAX_ENTRIES // max(start.n_features * 3 * room, 1))
    if not count:
        return Ascent(start, 0, "the Jacobian of one environment is too large")
    gradient = _compiled_gradient(start.f, quantities, search.sample.at.equilibrated)
    optimizer = optax.adam(optax.cosine_decay_schedule(LEARNING_RATE, n_steps))
    # All quantities are positive, and steps change their logarithms.
    logs = [jnp.log(jnp.asarray(q.of(start.f))) for q in quantities]
    bounds = [(np.log(q.least), np.log(q.most)) for q in quantities]
    state, last, best, done = optimizer.init(logs), start, start, 0
    for steps in np.array_split(np.arange(n_steps), min(ROUNDS, n_steps)):
        chosen = _least_sensitive(search, last, count)
        for _ in steps:
            if search.is_over:
                return Ascent(_clearly_better(best, start), done, "the time is over")
            r_cut = np.clip(float(_replaced(start.f, quantities, logs).r_cut), 0, np.min(every.r_cut))
            batch = cut_at_radius(every[chosen], float(r_cut)).padded(room)
            try:
                slopes = jax.block_until_ready(gradient(logs, jax.device_put(batch)))
            except RuntimeError:
                return Ascent(_clearly_better(best, start), done, "a compiled program cannot expand such functions")
            # Adam multiplies numbers of several types.
            with jax.numpy_dtype_promotion("standard"):
                updates, state = optimizer.update([-slope for slope in slopes], state)
            logs = [jnp.clip(log + update, *ends) for log, update, ends in zip(logs, updates, bounds, strict=True)]
            done += 1
            progress(done, n_steps)
        spec = start.spec
        for q, log in zip(quantities, logs, strict=True):
            spec = q.write(spec, np.exp(np.asarray(log)))
        candidate = search.candidate(spec)
        if candidate is None:
            break
        search.evaluate(candidate)
        last, best = candidate, max(best, candidate, key=lambda one: np.nan_to_num(one.level))
    return Ascent(_clearly_better(best, start), done, None)


def _moves(quantities: list[Quantity]) -> bool:
    return any(q.path == ("r_cut",) for q in quantities)


def _clearly_better(best: Candidate, start: Candidate) -> Candidate:
    return best if best.level >= LEAST_GAIN * start.level else start


def _least_sensitive(search: Search, candidate: Candidate, count: int) -> Int[np.ndarray, " count"]:
    """Choose environments evenly among the least sensitive share, some of them more than once if there are few."""
    sample, values = search.sample, candidate.values
    weights = select_lowest(values, sample.weights(np.arange(len(values))), sample.species, search.share)
    lowest = np.flatnonzero(weights)
    lowest = lowest[np.argsort(values[lowest], kind="stable")]
    return lowest[np.linspace(0, len(lowest) - 1, count).round().astype(int)]


def _replaced(f: DensityFeaturizer, quantities: list[Quantity], logs: list[Array]) -> DensityFeaturizer:
    return eqx.tree_at(lambda f: [q.of(f) for q in quantities], f, [jnp.exp(log) for log in logs])


def _compiled_gradient(f: DensityFeaturizer, quantities: list[Quantity], equilibrated: bool) -> Gradient:
    """Compile the gradient of the mean log sensitivity over environments by logarithms of quantities. Environments in
    which a direction is null have no gradient and do not count."""

    def mean(logs: list[Array], batch: Environment) -> Float[Array, ""]:
        values = log_sensitivity(_replaced(f, quantities, logs), batch, equilibrated)
        known = jnp.isfinite(values)
        return jnp.where(known, values, 0).sum() / jnp.maximum(known.sum(dtype=values.dtype), 1)

    return jax.jit(jax.grad(mean))
