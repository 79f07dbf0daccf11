"""The complete-basis kernel: the displacements that no basis of a given body order can see (theory, section 2).

Features of order ν in a complete basis determine, and are determined by, the distribution of the values g_t of all
ordered ν-tuples t of neighbors (`jaxfeat.nulls.coincidences`). So a displacement is unseen if and only if, for every
distinct value, the differentials dg_t add up to nothing over the tuples that share it. That is linear algebra: no
n_max, no l_max.

Dot products are divided by the root mean square distance, triple products by its square: values are then in Å, their
differentials numbers of order one, and scaling positions and tolerance together changes nothing. Moving one neighbor
by ε moves a value by about ε, which is what the tolerance means. Everything runs on the host, in float64.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import coo_array, csr_array, eye_array, vstack

from jaxfeat.errors import BasisError, GeometryError, PrecisionError, SizeError
from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.positions import check_positions
from jaxfeat.geometry.species import atomic_numbers
from jaxfeat.linalg.subspaces import robust_svd
from jaxfeat.nulls.coincidences import Coincidences, Edges, differentials, gradient_rows, merged, slot_products

COINCIDENCE_TOLERANCE = 1e-5
"""Å. Above the rounding of coordinates in files (1e-6 Å) and the landing error of a search; far below the 3e-3 Å that
are to be expected between the two closest of thirty radii, so that chance mergers stay rare for ν = 1. For ν > 1 there
are more values to collide, but a chance merger then loses one condition among many. Finer than the tolerance of
`jaxfeat.geometry.symmetry`, which names point groups: to compare kernel and stabilizer, give both the same."""

MAX_NU = 4
MAX_TUPLES = 100_000
"""Ordered tuples of all centers together, before any are left out; the worst case takes seconds and 0.5 GB."""

_BLOCK_ENTRIES = 2_000_000
_ROUNDING = 1e-13


@dataclass(frozen=True, eq=False)
class Kernel:
    """Displacements of n atoms that complete features of order `nu` do not see to first order; rigid motions included.

    **Attributes:**

    - `nullity`: their number.
    - `directions`: `(nullity, n, 3)`, orthonormal as vectors of 3 n components.
    - `singular_values`: `(3 n,)`, descending, of the differentials of the distinct values. Only that they vanish has a
      meaning: a complete basis has no metric of its own.
    - `gap`: the largest singular value counted as null (0 if none is) and the smallest not (infinity if all are),
      relative to the largest of all. Within two orders of magnitude of each other the count is ambiguous.
    - `floor`: the relative singular value up to which values count as null.
    - `n_clusters`: distinct values, counted up to the order of a tuple's members.
    - `tolerance`: Å. Values closer than this, in every entry, are one; relative singular values below it, over the root
        mean square distance, are null.
    - `spread`: the largest difference inside one merged value, in tolerances. Far below 1 where values are equal by
      construction; above 1 where a chain of near coincidences was merged.
    - `clearance`: the distance of the closest two values that were not merged, in tolerances; infinity if all were.
      Near 1 the answer hangs on the tolerance.
    - `nu`, `pseudoscalars`: as asked for.
    """

    nullity: int
    directions: np.ndarray
    singular_values: np.ndarray
    gap: tuple[float, float]
    floor: float
    n_clusters: int
    tolerance: float
    spread: float
    clearance: float
    nu: int
    pseudoscalars: bool


def complete_kernel(
    env: Environment, nu: int, pseudoscalars: bool = False, tolerance: float = COINCIDENCE_TOLERANCE
) -> Kernel:
    """Kernel N_ν of one environment: the displacements of its n neighbors about a fixed center that order ν cannot see.

    Padding is left out: atoms are those of `env.positions[:n]`. `pseudoscalars` matters from ν = 3, as for features.

    **Raises:** `BasisError` for `nu` outside 1 ... 4; `GeometryError` for a batch, positions that are not finite, or a
    tolerance that is not positive; `SizeError` for too many neighbors; `PrecisionError` for positions that are not
    float64.
    """
    if not isinstance(env, Environment):
        raise GeometryError(
            f"complete_kernel takes one environment, and the input is of type {type(env).__name__}; make one of it."
        )
    if env.batch_shape:
        raise GeometryError(f"complete_kernel takes one environment, got a batch of {env.batch_shape}; index it first.")
    n = int(np.count_nonzero(env.mask))
    vectors = _float64(env.positions)[:n]
    check_positions(vectors, "neighbor", center=True)
    return kernel_of_edges(site_edges(vectors, np.asarray(env.species)[:n]), nu, pseudoscalars, tolerance)


def site_edges(vectors: np.ndarray, species: np.ndarray) -> Edges:
    """Neighbors `(n, 3)` about a fixed center, each displaced by itself."""
    n = len(vectors)
    return Edges(vectors, np.zeros(n, int), species.astype(np.int64), eye_array(3 * n, format="csr"))


def summed_kernel(
    vectors: Any,
    centers: Any,
    neighbors: Any,
    species: Sequence[str | int] | Any,
    nu: int,
    pseudoscalars: bool = False,
    tolerance: float = COINCIDENCE_TOLERANCE,
) -> Kernel:
    """Kernel of features of order ν that are summed over a structure's centers of each species: n atoms displaced.

    The tuples of all centers of one species are one distribution, so values are merged across centers; displacing an
    atom moves it as a neighbor and, the other way, as a center.

    **Arguments:**

    - `vectors`: `(e, 3)`, Å, from a center to each neighbor inside its cutoff; float64.
    - `centers`, `neighbors`: `(e,)`, the atoms at the two ends. Of a periodic image, the atom that it is an image of.
    - `species`: `n` symbols or atomic numbers.

    **Raises:** as `complete_kernel`.
    """
    return kernel_of_edges(summed_edges(vectors, centers, neighbors, species), nu, pseudoscalars, tolerance)


def summed_edges(vectors: Any, centers: Any, neighbors: Any, species: Sequence[str | int] | Any) -> Edges:
    """The edges of a structure, of the kinds that its centers and neighbors make; arguments as of `summed_kernel`."""
    edges = _float64(vectors)
    numbers = atomic_numbers(species).astype(np.int64)
    tails, heads = np.asarray(centers, np.int64), np.asarray(neighbors, np.int64)
    if edges.shape != (len(tails), 3) or len(tails) != len(heads):
        raise GeometryError(f"{edges.shape} vectors, {len(tails)} centers and {len(heads)} neighbors name no edges.")
    if not np.isfinite(edges).all():
        raise GeometryError(f"vector {int(np.argmin(np.isfinite(edges).all(1)))} is not finite; mend its coordinates.")
    kinds = np.unique(np.column_stack([numbers[tails], numbers[heads]]), axis=0, return_inverse=True)[1].ravel()
    rows = np.arange(3 * len(edges))
    ends = [(3 * atoms[:, None] + np.arange(3)).ravel() for atoms in (heads, tails)]
    signs = np.repeat([1.0, -1.0], len(rows))
    moves = coo_array((signs, (np.tile(rows, 2), np.concatenate(ends))), shape=(len(rows), 3 * len(numbers)))
    return Edges(edges, tails, kinds, moves.tocsr())


def _float64(positions: Any) -> np.ndarray:
    array = np.asarray(positions)
    if array.dtype != np.float64:
        raise PrecisionError(
            f"positions are {array.dtype}, too coarse to tell equal from nearly equal; "
            "enable jax_enable_x64 and give them in float64."
        )
    return array


def kernel_of_edges(edges: Edges, nu: int, pseudoscalars: bool, tolerance: float) -> Kernel:
    """The kernel of edges that are known to be sound, on the host."""
    _check(edges.centers, nu, tolerance)
    size, scale = edges.moves.shape[1], edges.scale
    edges, equal = merged(edges, nu, pseudoscalars, tolerance)

    _, found, right = robust_svd(_triangle(_conditions(edges, equal, pseudoscalars) @ edges.moves), full_matrices=True)
    values = np.zeros(size)
    values[: len(found)] = found
    # Rows are means of numbers of order one: if not all of them cancel, as they do between centers of inversion in a
    # crystal, the largest singular value is at least about 1 / sqrt(size), and less than that is rounding.
    largest = max(values.max(initial=0.0), 1 / np.sqrt(max(size, 1)))
    # Moving every atom by the tolerance turns the rows by about tolerance / R. What it cannot tell from zero is null,
    # as what it cannot tell apart is equal: a planar environment rounded to six digits keeps its mirror plane's kernel.
    floor = max(float(np.sqrt(size)) * _ROUNDING, tolerance / scale)
    null = values <= largest * floor
    nullity = int(null.sum())
    return Kernel(
        nullity=nullity,
        directions=right[size - nullity :].reshape(nullity, size // 3, 3),
        singular_values=values,
        gap=(float(values[null].max(initial=0.0) / largest), float(values[~null].min(initial=np.inf) / largest)),
        floor=floor,
        n_clusters=equal.n_clusters,
        tolerance=tolerance,
        spread=equal.spread / tolerance,
        clearance=equal.clearance / tolerance,
        nu=nu,
        pseudoscalars=pseudoscalars,
    )


def too_many(counts: np.ndarray, nu: int) -> bool:
    """Whether order `nu` is beyond this module for centers with these numbers of neighbors."""
    return nu > MAX_NU or (counts.astype(float) ** nu).sum() > MAX_TUPLES


def _check(centers: np.ndarray, nu: int, tolerance: float) -> None:
    if not isinstance(nu, (int, np.integer)) or not 1 <= nu <= MAX_NU:
        raise BasisError(f"the complete kernel has body orders 1 to {MAX_NU}, got nu = {nu!r}.")
    if not tolerance > 0:
        raise GeometryError(f"the coincidence tolerance is {tolerance}; give a positive length in Å.")
    counts = np.bincount(centers, minlength=1)
    n_tuples = int((counts.astype(float) ** nu).sum())
    if too_many(counts, nu):
        limit = int(MAX_TUPLES ** (1 / nu) + 1e-9)
        raise SizeError(
            f"{counts.max()} neighbors and nu = {nu} make {n_tuples} tuples of at most {MAX_TUPLES}, that is {limit} "
            "neighbors of one center; take a smaller cutoff or a lower nu."
        )


def _conditions(edges: Edges, equal: Coincidences, pseudoscalars: bool) -> csr_array:
    """Rows, on displacements of the edges `(·, 3 e)`, that vanish together exactly where every value is kept.

    A tuple alone in its cluster keeps each of its generators, and shares them with other such tuples: written once. A
    cluster of several keeps the mean of theirs, generator by generator.
    """
    alone = np.bincount(equal.clusters, minlength=1)[equal.clusters] == 1
    singles, shared = equal.tuples[alone], equal.tuples[~alone]
    clusters, row, counts = np.unique(equal.clusters[~alone], return_inverse=True, return_counts=True)
    weight = 1 / counts[row]
    width = 3 * len(edges.vectors)
    blocks = []
    for n_factors in (2, 3):
        slots = [s for s in slot_products(equal.tuples.shape[1], pseudoscalars) if len(s) == n_factors]
        if not slots:
            continue
        products = np.unique(np.sort(np.concatenate([singles[:, s] for s in slots]), axis=1), axis=0)
        gradients = differentials(edges.vectors, products, edges.scale)
        blocks.append(gradient_rows(np.arange(len(products)), products, gradients, (len(products), width)))
        for slot in slots if len(shared) else []:
            gradients = weight[:, None, None] * differentials(edges.vectors, shared[:, slot], edges.scale)
            blocks.append(gradient_rows(row, shared[:, slot], gradients, (len(clusters), width)))
    return vstack(blocks, format="csr")


def _triangle(rows: csr_array) -> np.ndarray:
    """A small matrix with the singular values and right singular vectors of a tall sparse one.

    Block by block through QR, which gets small singular values to rounding; a Gram matrix would lose half the digits.
    """
    height = max(_BLOCK_ENTRIES // max(rows.shape[1], 1), rows.shape[1], 1)
    reduced = np.zeros((0, rows.shape[1]))
    for start in range(0, rows.shape[0], height):
        block = np.concatenate([reduced, rows[start : start + height].toarray()])
        reduced = np.asarray(np.linalg.qr(block, mode="r")) if len(block) > rows.shape[1] else block
    return reduced
