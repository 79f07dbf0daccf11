"""Quadratic responses of features: the forms d²F(u, u) on a space of displacements u, of a complete basis of order ν
and of actual features (docs/theory, "Behind symmetry").

The forms are invariant, so each is a combination of a few known ones. Its values on somewhat more random displacements
than there are invariant forms give the coordinates, and what is left over gives their error.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Float

from jaxfeat.errors import GeometryError, SizeError
from jaxfeat.features.base import NEIGHBORS_TOGETHER, AbstractFeaturizer
from jaxfeat.features.host_work import is_smooth
from jaxfeat.geometry.environment import Environment
from jaxfeat.linalg.batching import together
from jaxfeat.linalg.subspaces import Gap, robust_svd
from jaxfeat.nulls.coincidences import Coincidences, Edges, find_coincidences, invariant_slots
from jaxfeat.nulls.kernel import check_tuples

OVERSAMPLING = 1.25  # displacements for each invariant form. Coordinates then lose about one digit.
MAX_OPERATIONS = 20_000_000_000  # to reduce responses of tuples, which take about 10 s
VALUES_TOGETHER = 4_000_000  # in one block: 32 MB for each invariant
ROUNDING = 1e-11  # relative singular value of forms of tuples up to which it is rounding


class Probes(NamedTuple):
    """Displacements `(k, 3 n)` on which forms are evaluated, the invariant forms' values there, `(k, a)`, and the
    pseudoinverse of these values, `(a, k)`."""

    displacements: np.ndarray
    values: np.ndarray
    inverse: np.ndarray


class Responses(NamedTuple):
    """Spans of forms in coordinates of the invariant ones: those that are `seen`, `(s, a)`, with their singular
    `values`, `(s,)`, and the `missing` ones orthogonal to them, `(a - s, a)`. `gap`: the largest singular value taken
    for zero and the smallest other one; `floor`: the value up to which they are taken for zero. All are relative to the
    largest."""

    seen: np.ndarray
    values: np.ndarray
    missing: np.ndarray
    gap: Gap
    floor: float


def make_probes(forms: np.ndarray, space: np.ndarray) -> Probes:
    """Draw displacements of a space, `(z, 3 n)`, for forms `(a, z, z)` in its coordinates."""
    n_forms, size = len(forms), len(space)
    number = int(np.ceil(OVERSAMPLING * n_forms)) + 8
    coordinates = np.random.default_rng(0).normal(size=(number, size))
    values = np.zeros((number, n_forms))
    for a, form in enumerate(forms):
        values[:, a] = ((coordinates @ form) * coordinates).sum(1)
    return Probes(coordinates @ space, values, np.linalg.pinv(values))


def tuple_responses(
    edges: Edges, nu: int, pseudoscalars: bool, tolerance: float, probes: Probes, most: float = MAX_OPERATIONS
) -> Responses:
    """Span the responses of a complete basis of order ν, in `most` operations.

    Its features are sums over ν-tuples of any function of their invariants. So for each set of tuples of equal value
    and each invariant g_p, the sum of d²g_p is a response, and for each pair of invariants the sum of dg_p dg_q.
    """
    check_tuples(edges.centers, nu, tolerance)
    edges, equal = find_coincidences(edges, nu, pseudoscalars, tolerance)
    slots = invariant_slots(nu, pseudoscalars)
    size, n_rows = probes.values.shape[1], equal.n_clusters * len(slots) * (len(slots) + 3) / 2
    n_operations = n_rows * size * len(probes.displacements)
    if n_operations > most:
        raise SizeError(
            f"{len(edges.vectors)} neighbors and nu = {nu} have {n_rows:.0f} responses in {size} invariant forms, and "
            f"at most {most / size / len(probes.displacements):.0f} are possible; take a smaller cutoff or a "
            "lower nu."
        )
    rows = np.zeros((0, size))
    values = _tuple_values(edges, equal, slots, probes.displacements)
    # Blocks are reduced by QR, as the rows of a complete kernel are.
    height = max(VALUES_TOGETHER // max(len(probes.displacements), 1), 4 * size, 1)
    for start in range(0, len(values), height):
        rows = np.concatenate([rows, values[start : start + height] @ probes.inverse.T])
        rows = np.asarray(np.linalg.qr(rows, mode="r")) if len(rows) > size else rows
    return span_responses(rows, max(ROUNDING, 10 * equal.spread / edges.scale))


def _tuple_values(
    edges: Edges, equal: Coincidences, slots: list[tuple[int, ...]], displacements: np.ndarray
) -> np.ndarray:
    """Evaluate the responses of all clusters of tuples, `(r, k)`, without unit, on displacements `(k, 3 n)`."""
    order = np.argsort(equal.clusters, kind="stable")
    tuples, clusters = equal.tuples[order], equal.clusters[order]
    starts = np.searchsorted(clusters, np.arange(equal.n_clusters))
    weights = 1 / np.sqrt(np.diff(np.append(starts, len(clusters))))[:, None]
    n_rows = len(slots) * (len(slots) + 3) // 2
    values = np.zeros((equal.n_clusters, n_rows, len(displacements)))
    if not len(tuples):
        return values.reshape(0, len(displacements))
    step = max(VALUES_TOGETHER // len(tuples), 1)
    for start in range(0, len(displacements), step):
        block = slice(start, start + step)
        moved = (edges.moves @ displacements[block].T).reshape(len(edges.vectors), 3, -1)
        slopes, bends = zip(*_derivatives(edges, moved, tuples, slots), strict=True)
        rows = [*bends, *(slopes[p] * slopes[q] for p in range(len(slots)) for q in range(p + 1))]
        for row, value in enumerate(rows):
            values[:, row, block] = weights * np.add.reduceat(value, starts, axis=0)
    return values.reshape(equal.n_clusters * n_rows, len(displacements))


def _derivatives(
    edges: Edges, moved: np.ndarray, tuples: np.ndarray, slots: list[tuple[int, ...]]
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Compute the first and second derivatives `(t, k)` of each invariant of tuples along displacements of the edges,
    `(e, 3, k)`. Lengths are divided by the scale of the edges, and displacements are not, so neither has a unit once
    the second derivative is multiplied by the scale."""
    r, scale = edges.vectors, edges.scale
    across = np.einsum("eak,fa->efk", moved, r, optimize=True) / scale
    across, both = across + across.swapaxes(0, 1), 2 * np.einsum("eak,fak->efk", moved, moved, optimize=True)
    found = []
    for slot in slots:
        members = [tuples[:, s] for s in slot]
        if len(slot) == 2:
            found.append((across[members[0], members[1]], both[members[0], members[1]]))
            continue
        x, y, z = (r[m] for m in members)
        u, v, w = (moved[m] for m in members)
        normals = np.cross(y, z), np.cross(z, x), np.cross(x, y)
        slope = sum(np.einsum("tak,ta->tk", a, b) for a, b in zip((u, v, w), normals, strict=True))
        pairs = (v, w, x), (w, u, y), (u, v, z)
        bend = sum(np.einsum("tak,ta->tk", np.cross(a, b, axis=1), c) for a, b, c in pairs)
        found.append((slope / scale**2, 2 * bend / scale))
    return found


def check_smooth(f: AbstractFeaturizer, env: Environment) -> None:
    """Raise an error if the features have no derivatives at one environment."""
    if not is_smooth(f, env):
        raise GeometryError("the features have no second derivatives here, because levels cross by symmetry.")


def feature_responses(f: AbstractFeaturizer, env: Environment, neighbors: np.ndarray, probes: Probes) -> Responses:
    """Span the responses of features at one environment of NumPy arrays. Probes displace its `neighbors`, `(n,)`."""
    whole = np.zeros((len(probes.displacements), *env.positions.shape))
    whole[:, neighbors] = probes.displacements.reshape(len(whole), -1, 3)
    values = second_derivatives(f, env, whole)
    coordinates = probes.inverse @ values
    # Invariance forbids this part, so it holds nothing but errors of the derivatives.
    error = np.linalg.norm(values - probes.values @ coordinates)
    n_forms, spare = len(coordinates), len(values) - len(coordinates)
    rows = np.asarray(np.linalg.qr(coordinates.T, mode="r"))
    largest = np.linalg.norm(rows, 2) if rows.size else 0.0
    error *= np.linalg.norm(probes.inverse, 2) * np.sqrt(n_forms / spare) if n_forms else 0.0
    return span_responses(rows, max(10 * error / (largest or 1.0), np.finfo(float).eps * np.sqrt(n_forms)))


def second_derivatives(f: AbstractFeaturizer, env: Environment, displacements: np.ndarray) -> np.ndarray:
    """Compute d²F(u, u), `(k, d)`, of one environment along displacements `(k, n, 3)`, some at a time."""
    size = max(together(NEIGHBORS_TOGETHER) // max(env.max_neighbors, 1), 1)
    prepared, blocks = f.prepared(), []
    for start in range(0, len(displacements), size):
        # Blocks of one length share a program.
        block = np.zeros((size, *displacements.shape[1:]))
        part = displacements[start : start + size]
        block[: len(part)] = part
        blocks.append(np.asarray(_second_derivatives(prepared, env, block))[: len(part)])
    return np.concatenate(blocks)


@eqx.filter_jit
def _second_derivatives(f: AbstractFeaturizer, env: Any, displacements: Any) -> Float[Array, "k d"]:
    def slope(positions: Array, u: Array) -> Array:
        return jax.jvp(lambda x: f.features(env.with_positions(x)), (positions,), (u,))[1]

    def bend(u: Array) -> Array:
        return jax.jvp(lambda positions: slope(positions, u), (env.positions,), (u,))[1]

    return jax.vmap(bend)(displacements)


def span_responses(rows: np.ndarray, floor: float) -> Responses:
    """Split the space of invariant forms, by rows `(r, a)` of coordinates, into the span of these and the rest."""
    size = rows.shape[1]
    _, found, right = robust_svd(rows, full_matrices=True)
    values = np.pad(found, (0, size - len(found)))
    values /= values.max(initial=0.0) or 1.0
    null = values <= floor
    gap = float(values[null].max(initial=0.0)), float(values[~null].min(initial=np.inf))
    return Responses(right[~null], values[~null], right[null], gap, floor)
