"""The k features of a featurizer that keep most of its sensitivity on given environments."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from jaxfeat.errors import BasisError, GeometryError
from jaxfeat.features.base import AbstractFeaturizer
from jaxfeat.features.host_work import flatten_on_host
from jaxfeat.features.selected import SelectedFeatures
from jaxfeat.features.structure_map import check_compatible
from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.host_rigid import EPS, rigid_motions_on_host
from jaxfeat.linalg.lapack import one_blas_thread
from jaxfeat.linalg.subspaces import robust_svd
from jaxfeat.memory import check_memory
from jaxfeat.spectrum.jacobian import ROUNDINGS_IN_FLOOR, jacobians_on_host

START = 0.1  # Share of the direction of σ_min that counts as kept before the first choice. Measured.
BLOCK_BYTES = 64_000_000  # bytes of Jacobians that are computed together


class Response(NamedTuple):
    """Features of one environment that respond to displacements, by index, and their rows of U (S/σ_min)^½."""

    features: Int[np.ndarray, " f"]
    rows: Float[np.ndarray, "f d"]


def select(f: AbstractFeaturizer, batch: Environment, k: int, sample: int = 32) -> SelectedFeatures:
    """Choose the k features that keep most of the sensitivity over given environments.

    Let U S Vᵀ be the Jacobian of an environment without rigid motions and null directions, with the columns of each
    neighbor divided by their joint norm, and R the rows of U that belong to the chosen features. Features are chosen
    one after the other, each time the one by which the sum over environments of log tr (S^½ RᵀR S^½)⁻¹ falls most.
    RᵀR says which share of each direction is kept, in no unit. Its inverse lets the share decide that is kept least. A
    pivoted QR decomposition keeps volume instead, in which large shares make up for small ones. In the trace a
    direction of the singular value σ counts as 1/σ: as 1, σ_min is kept less, and as 1/σ² nearly null directions, as
    they occur beside symmetric points, count alone. Because of the logarithm each environment counts the same, whether
    it is sensitive or not. This is a greedy A-optimal design.

    On held-out environments of 3bpa, a tenth of the features of a default power spectrum keeps 0.83 of σ_min in the
    median. A random tenth keeps 0.19 (experiments/selection).

    **Arguments:**

    - `f`: The featurizer. A `SelectedFeatures` is narrowed further.
    - `batch`: Environments that stand for the data, of any batch shape. Species that no environment has beside each
        other get no features in common.
    - `k`: Number of features. At least as many as the environment with most visible directions has, and better twice
        as many.
    - `sample`: Number of environments on which the choice is made. They are taken evenly from all kinds (the species of
        the center and of the neighbors) and from small to large; each kind gives at least one. Others are not looked
        at. With 60 for 20 a variant of this choice kept hardly more on 3bpa. Time and memory grow in proportion.

    **Returns:** A `SelectedFeatures` that computes these features alone, in the order of the choice. The first features
    of a larger result are those of a smaller one.

    **Raises:** `BasisError` if there are fewer than k features, or if k or `sample` is too small. `GeometryError` if no
    environment has a visible direction, if positions are not finite, or if environments were cut at a wrong radius.
    `SpeciesError` if they hold an element that `f` does not know. `SizeError` if the sample does not fit into memory.

    **Source:** docs/theory, "Numerics"; Pukelsheim, Optimal Design of Experiments, SIAM (2006), chapter 6.
    """
    mapped: Any = f
    if not isinstance(mapped, AbstractFeaturizer) or not isinstance(batch, Environment):
        kinds = f"{type(f).__name__} and {type(batch).__name__}"
        raise GeometryError(f"select takes a featurizer and environments, and got {kinds}; see jaxfeat.environments.")
    check_compatible(f, batch)
    for name, count in (("k", k), ("sample", sample)):
        if not isinstance(count, (int, np.integer)) or count < 1:
            raise BasisError(f"{name} is {count!r}; it must be an integer of at least 1.")
    n_features = f.n_features
    if k > n_features:
        raise BasisError(f"k is {k}, and the featurizer has {n_features} features; take at most as many.")
    flat = flatten_on_host(batch)
    if not np.isfinite(flat.positions[flat.mask]).all():
        raise GeometryError("positions of the environments are not finite; leave these environments out.")
    responses = _responses(f, flat[_draw(flat, sample)].trimmed())
    n_directions = max((one.rows.shape[1] for one in responses), default=0)
    if not n_directions:
        raise GeometryError("no environment has a direction that these features see; give others or a larger radius.")
    if k < n_directions:
        raise BasisError(f"k is {k}, and an environment has {n_directions} visible directions; take at least as many.")
    chosen = _choose(responses, n_features, k)
    if isinstance(f, SelectedFeatures):
        return SelectedFeatures(f.featurizer, [f.kept[index] for index in chosen])
    return SelectedFeatures(f, chosen)


def _draw(flat: Environment, sample: int) -> Int[np.ndarray, " s"]:
    """Draw environments `(b,)` evenly from each kind, ordered from small to large, with the largest of each kind."""
    kinds: dict[tuple[int, ...], list[int]] = {}
    for index, (center, species, mask) in enumerate(zip(flat.center_species, flat.species, flat.mask, strict=True)):
        if mask.any():
            kinds.setdefault((int(center), *np.unique(species[mask]).tolist()), []).append(index)
    sizes, drawn = flat.mask.sum(1), []
    for members in kinds.values():
        ordered = np.asarray(members)[np.argsort(sizes[members], kind="stable")]
        n_drawn = min(max(round(sample * len(members) / len(flat)), 1), len(members))
        drawn.append(ordered[np.linspace(len(members) - 1, 0, n_drawn).round().astype(int)])
    found = np.concatenate(drawn) if drawn else np.zeros(0, int)
    return found[np.argsort(sizes[found], kind="stable")]


def _responses(f: AbstractFeaturizer, sample: Environment) -> list[Response]:
    """Compute how environments `(b,)` respond, in blocks of Jacobians."""
    f, room, n_features = f.prepared(), sample.max_neighbors, f.n_features
    entries = n_features * sum(max(3 * int(n) - 3, 1) for n in sample.mask.sum(1))
    cure = "take a smaller sample, or a featurizer with fewer features"
    check_memory(16 * entries, f"the selection from {n_features:,} features on {len(sample):,} environments", cure)
    length = max(BLOCK_BYTES // max(24 * n_features * room, 1), 4)
    found = []
    with one_blas_thread():
        for start in range(0, len(sample), length):
            block = sample[start : start + length]
            for env, jacobian in zip(block, jacobians_on_host(f, block), strict=True):
                found.append(_respond(f, env, jacobian))
    return [one for one in found if one.rows.shape[1]]


def _respond(f: AbstractFeaturizer, env: Environment, jacobian: Float[np.ndarray, "d n 3"]) -> Response:
    norms = np.sqrt((jacobian**2).sum((0, 2)))
    seen = norms > EPS * norms.max(initial=0)
    features = np.flatnonzero((jacobian != 0).any((1, 2)))
    if not seen.any():
        return Response(features, np.zeros((len(features), 0)))
    matrix = (jacobian[features][:, seen] / norms[seen, None]).reshape(1, len(features), 3 * int(seen.sum()))
    rigid = rigid_motions_on_host(np.asarray(env.positions)[None, seen], norms[None, seen])
    left, values, _ = robust_svd(rigid.project(matrix)[0])
    roundings = max(float(np.asarray(f.roundings(env))[seen].max()), ROUNDINGS_IN_FLOOR)
    n = int((values > 4 * roundings * EPS * values[0]).sum())
    return Response(features, left[:, :n] * np.sqrt(values[:n] / values[n - 1]))


def _choose(responses: list[Response], n_features: int, k: int) -> list[int]:
    """Choose features one by one, each the one by which Σ log tr M⁻¹ falls most. M is `START` plus AᵀA of the chosen
    rows A of an environment."""
    # For each environment all rows times M⁻¹ are kept. By Sherman and Morrison's formula one more row a lowers the
    # trace of M⁻¹ by |M⁻¹a|² / (1 + a·M⁻¹a), and changes M⁻¹ by a matrix of rank one.
    inverse = [one.rows / START for one in responses]
    traces = [one.rows.shape[1] / START for one in responses]
    place = np.full((len(responses), n_features), -1)
    for of_one, one in zip(place, responses, strict=True):
        of_one[one.features] = np.arange(len(one.features))
    squares, inner = (
        [np.einsum("fd,fd->f", left, right) for left, right in zip(lefts, inverse, strict=True)]
        for lefts in (inverse, [one.rows for one in responses])
    )
    free, chosen = np.ones(n_features, bool), list[int]()
    for _ in range(k):
        gains = np.zeros(n_features)
        for e, one in enumerate(responses):
            gains[one.features] -= np.log1p(-np.minimum(squares[e] / (1 + inner[e]) / traces[e], 1 - EPS))
        best = int(np.argmax(np.where(free, gains, -1)))
        free[best] = False
        chosen.append(best)
        for e in np.flatnonzero(place[:, best] >= 0).tolist():
            rows, row = responses[e].rows, int(place[e, best])
            step, growth = inverse[e][row].copy(), 1 + inner[e][row]
            traces[e] -= step @ step / growth
            along = rows @ step
            inverse[e] -= np.outer(along, step / growth)
            squares[e] = np.einsum("fd,fd->f", inverse[e], inverse[e])
            inner[e] = inner[e] - along**2 / growth
    return chosen
