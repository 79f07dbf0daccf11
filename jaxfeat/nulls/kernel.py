"""The complete-basis kernel N_ν: displacements that no basis of body order ν sees (docs/theory, "The complete basis").

Features of order ν in a complete basis know how often each value g_t of the ordered ν-tuples t of neighbors occurs, and
nothing else (`jaxfeat.nulls.coincidences`). So they miss a displacement exactly if, for every distinct value, the
differentials dg_t over the tuples that share it add up to zero. That is linear algebra without n_max and l_max.

Dot products are divided by the root mean square distance, and triple products by its square. Values are then in Å, and
their differentials are numbers of order one: a neighbor that moves by ε moves a value by about ε. Everything runs on
the host, in float64.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import coo_array, csr_array, eye_array, vstack

from jaxfeat.errors import BasisError, GeometryError, SizeError
from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.positions import check_float64, check_positions
from jaxfeat.linalg.subspaces import Gap, robust_svd
from jaxfeat.nulls.coincidences import Coincidences, Edges, find_coincidences, gradient_rows, invariant_slots

COINCIDENCE_TOLERANCE = 1e-5
"""Å; above the rounding of coordinates in files (1e-6 Å), and far below the 3e-3 Å between the two closest of thirty
random radii, so values rarely coincide by chance for ν = 1. For ν > 1 more values collide, but each collision costs one
condition among many. To compare a kernel with a stabilizer, give both the same tolerance."""

MAX_NU = 4  # the largest order ν of a complete kernel
MAX_TUPLES = 100_000  # Ordered tuples of all centers together. The worst case takes seconds and 0.5 GB.
_BLOCK_ENTRIES = 2_000_000
_ROUNDING = 1e-13


@dataclass(frozen=True, eq=False)
class Kernel:
    """Displacements of n atoms that complete features of order ν do not see to first order. Rigid motions are included.

    **Attributes:**

    - `nullity`: The number of directions.
    - `directions`: `(nullity, n, 3)`, orthonormal as vectors of 3 n components.
    - `singular_values`: `(3 n,)`, descending, of the differentials of the distinct values. Only zeros have a meaning,
        because a complete basis has no metric of its own.
    - `gap`: The largest singular value taken for zero (0 if there is none) and the smallest other one (infinity if
        there is none), relative to the largest. If they are within a factor of 100, the nullity is ambiguous.
    - `floor`: The relative singular value up to which values are taken for zero.
    - `n_clusters`: The number of distinct values. Tuples with the same members in another order count once.
    - `tolerance`: Å. Values closer than this in every entry are equal.
    - `spread`: The largest difference inside one distinct value, in tolerances. It is far below 1 if values are equal
        by construction, and above 1 if a chain of near coincidences was merged.
    - `clearance`: The distance of the closest two distinct values, in tolerances; infinity if there is only one. Near 1
        the nullity depends on the tolerance.
    - `nu`, `pseudoscalars`: The order ν, and whether triple products count.
    """

    nullity: int
    directions: np.ndarray
    singular_values: np.ndarray
    gap: Gap
    floor: float
    n_clusters: int
    tolerance: float
    spread: float
    clearance: float
    nu: int
    pseudoscalars: bool

    @property
    def rows(self) -> np.ndarray:
        """The directions as rows `(nullity, 3 n)`."""
        return self.directions.reshape(self.nullity, 3 * self.directions.shape[1])

    def __repr__(self) -> str:
        chiral = ", pseudoscalars" if self.pseudoscalars else ""
        return f"Kernel(nullity={self.nullity} of {3 * self.directions.shape[1]}, ν = {self.nu}{chiral})"


def complete_kernel(
    env: Environment, nu: int, pseudoscalars: bool = False, tolerance: float = COINCIDENCE_TOLERANCE
) -> Kernel:
    """Compute the kernel N_ν of one environment: the displacements that no features of order ν see in any basis.

    The center is fixed. The result depends on the positions alone, not on a featurizer.

    **Arguments:**

    - `env`: One environment with positions in float64. Padding is left out.
    - `nu`: The body order ν, 1 to 4: the number of neighbors that features take at a time.
    - `pseudoscalars`: True if the features tell mirror images apart. This matters from ν = 3 on.
    - `tolerance`: Å. Values of invariants closer than this are equal.

    **Returns:** a `Kernel` with `nullity` and `directions` of shape `(nullity, n, 3)`, where n is the number of
    neighbors without padding. Rigid rotations are included.

    **Raises:** `BasisError` if `nu` is not 1, 2, 3 or 4. `GeometryError` for a batch, for positions that are not
    finite, and for a tolerance that is not positive. `SizeError` for more than 100,000 ν-tuples of neighbors.
    `PrecisionError` if the positions are not float64.

    **Source:** docs/theory, "The complete basis".
    """
    if not isinstance(env, Environment):
        raise GeometryError(
            f"complete_kernel takes one environment, and the input is of type {type(env).__name__}; make one of it."
        )
    if env.batch_shape:
        raise GeometryError(f"complete_kernel takes one environment, got a batch of {env.batch_shape}; index it first.")
    n, vectors = int(np.count_nonzero(env.mask)), np.asarray(env.positions)
    check_float64(vectors, "positions", "a complete kernel")
    check_positions(vectors[:n], "neighbor", center=True)
    return kernel_of_edges(site_edges(vectors[:n], np.asarray(env.species)[:n]), nu, pseudoscalars, tolerance)


def site_edges(vectors: np.ndarray, species: np.ndarray) -> Edges:
    """Make the edges of neighbors `(n, 3)` about a fixed center; each neighbor is displaced by itself."""
    n = len(vectors)
    return Edges(vectors, np.zeros(n, int), species.astype(np.int64), eye_array(3 * n, format="csr"))


def summed_edges(vectors: np.ndarray, tails: np.ndarray, heads: np.ndarray, species: np.ndarray) -> Edges:
    """Make the edges of a structure whose features are summed over the centers of each species. The tuples of all
    centers of one species are one distribution, so values are compared across centers. Edges lead from centers `tails`
    to neighbors `heads`, `(e,)`; an image is the atom that it repeats. `species` are of all atoms."""
    kinds = np.unique(np.column_stack([species[tails], species[heads]]), axis=0, return_inverse=True)[1].ravel()
    rows = np.arange(3 * len(vectors))
    ends = [(3 * atoms[:, None] + np.arange(3)).ravel() for atoms in (heads, tails)]
    signs = np.repeat([1.0, -1.0], len(rows))  # a displaced atom moves the edges to it forwards, those from it back
    moves = coo_array((signs, (np.tile(rows, 2), np.concatenate(ends))), shape=(len(rows), 3 * len(species)))
    return Edges(vectors, tails, kinds, moves.tocsr())


def kernel_of_edges(edges: Edges, nu: int, pseudoscalars: bool, tolerance: float) -> Kernel:
    """Compute the kernel of valid edges."""
    check_tuples(edges.centers, nu, tolerance)
    size, scale = edges.moves.shape[1], edges.scale
    edges, equal = find_coincidences(edges, nu, pseudoscalars, tolerance)
    _, found, right = robust_svd(_triangle(_conditions(edges, equal, pseudoscalars) @ edges.moves), full_matrices=True)
    values = np.pad(found, (0, size - len(found)))
    # Rows are means of numbers of order one. Unless all of them cancel (as they do between centers of inversion in a
    # crystal), the largest singular value is at least about 1 / sqrt(size). Less than that is rounding.
    largest = max(values.max(initial=0.0), 1 / np.sqrt(max(size, 1)))
    # If every atom moves by the tolerance, the rows turn by about tolerance / R. Smaller values are taken for zero, so
    # that a planar environment rounded to six digits keeps the kernel of its mirror plane.
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


def highest_order(counts: ArrayLike, nu: int) -> int:
    """Find the highest order up to ν at which centers with these numbers of neighbors have few enough tuples, or 0."""
    return max((k for k in range(1, min(nu, MAX_NU) + 1) if _count_tuples(counts, k) <= MAX_TUPLES), default=0)


def _count_tuples(counts: ArrayLike, nu: int) -> float:
    return float((np.asarray(counts, float) ** nu).sum())


def check_tuples(centers: np.ndarray, nu: int, tolerance: float) -> None:
    if not isinstance(nu, (int, np.integer)) or not 1 <= nu <= MAX_NU:
        raise BasisError(f"the complete kernel has body orders 1 to {MAX_NU}, got nu = {nu!r}.")
    if not tolerance > 0:
        raise GeometryError(f"the coincidence tolerance is {tolerance}; give a positive length in Å.")
    counts = np.bincount(centers, minlength=1)
    n_tuples = _count_tuples(counts, nu)
    if n_tuples > MAX_TUPLES:
        raise SizeError(
            f"{counts.max()} neighbors and nu = {nu} make {n_tuples:.0f} tuples, and at most {MAX_TUPLES} are possible"
            f", which is {int(MAX_TUPLES ** (1 / nu) + 1e-9)} neighbors of one center; take a smaller cutoff or a "
            "lower nu."
        )


def _conditions(edges: Edges, equal: Coincidences, pseudoscalars: bool) -> csr_array:
    """Make the rows `(r, 3 e)` that vanish on a displacement of the edges exactly if it keeps every distinct value:
    each generator of a tuple alone in its cluster, written once, and the means of those of several tuples."""
    alone = np.bincount(equal.clusters, minlength=1)[equal.clusters] == 1
    singles, shared = equal.tuples[alone], equal.tuples[~alone]
    clusters, row, counts = np.unique(equal.clusters[~alone], return_inverse=True, return_counts=True)
    blocks = []
    for n_factors in (2, 3):
        slots = [s for s in invariant_slots(equal.tuples.shape[1], pseudoscalars) if len(s) == n_factors]
        if not slots:
            continue
        products, shape = np.sort(np.concatenate([singles[:, s] for s in slots])), (len(edges.vectors),) * n_factors
        # Numbers are sorted ten times as fast as rows.
        numbers = np.unique(np.ravel_multi_index(tuple(products.T), shape)) if len(products) else np.zeros(0, int)
        products = np.column_stack(np.unravel_index(numbers, shape))
        blocks.append(gradient_rows(edges, products, np.arange(len(products)), len(products)))
        for slot in slots if len(shared) else []:
            blocks.append(gradient_rows(edges, shared[:, slot], row, len(clusters), 1 / counts[row]))
    return vstack(blocks, format="csr")


def _triangle(rows: csr_array) -> np.ndarray:
    """Reduce a tall sparse matrix to a small one with the same singular values and right singular vectors. Blocks are
    reduced by QR, because a Gram matrix would lose half the digits of small singular values."""
    height = max(_BLOCK_ENTRIES // max(rows.shape[1], 1), rows.shape[1], 1)
    reduced = np.zeros((0, rows.shape[1]))
    for start in range(0, rows.shape[0], height):
        block = np.concatenate([reduced, rows[start : start + height].toarray()])
        reduced = np.asarray(np.linalg.qr(block, mode="r")) if len(block) > rows.shape[1] else block
    return reduced
