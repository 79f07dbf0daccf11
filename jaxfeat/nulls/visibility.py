"""How clearly a complete basis of one order sees displacements.

The complete-basis kernel only tells null from not null. At a distance d from a symmetric or singular point, complete
features see some displacements by a power of d: at 1e-5 Å from an octahedron, the least visible one by 1e-15 of the
most visible. It is not null, and yet no basis lifts it above rounding. Visibility is therefore computed as well, with
random waves in the invariants of tuples in place of a complete basis. Tuples of nearly equal values share their phase,
because a smooth function tells them apart only by its slope; clearly different values have phases of their own.
"""

import numpy as np

from jaxfeat.linalg.subspaces import robust_svd
from jaxfeat.nulls.coincidences import Edges, find_coincidences, gradient_rows, invariant_slots, tuple_invariants
from jaxfeat.nulls.kernel import highest_order
from jaxfeat.nulls.sites import Sites

CLEAR_RATIO = 100.0  # two values are clearly apart if one is this many times the other

SMOOTHING_LENGTH = 3e-2
"""Å. Values closer than this are nearly equal. Eight radii that differ by 1e-2 Å are then one cluster, because no basis
tells them apart. Of 80 random neighbors every displacement is still seen, at order 1 by 1e-9 or more and at order 2 by
1e-2."""

WAVE_NUMBER = 2.0
"""1/Å, the standard deviation of each component of the waves. Next to symmetric points the least visible displacements
are then seen as by power spectra of n_max 8, l_max 9 and σ 0.3 Å, within a factor of about 5."""

_ENTRIES = 2_000_000  # entries of the largest array of waves: 16 MB


def visibility_rows(sites: Sites, nu: int) -> np.ndarray:
    """Make rows `(w, 3 n)` whose singular values say how clearly complete features of order ν see displacements. If
    order ν has too many tuples, the rows are those of a lower order, which sees less."""
    chiral, tolerance = sites.group == "SO3", sites.tolerance
    counts = [len(site.vectors) for site in sites.sites]
    if sites.summed:
        return sites.embed(wave_gradients(sites.summed_edges(), highest_order(counts, nu), chiral, tolerance))
    parts = [
        site.rows_on_atoms(wave_gradients(site.edges, highest_order([count], nu), chiral, tolerance))
        for site, count in zip(sites.sites, counts, strict=True)
        if count
    ]
    return np.concatenate(parts) if parts else np.zeros((0, sites.at.positions.size))


def wave_gradients(edges: Edges, nu: int, pseudoscalars: bool, tolerance: float) -> np.ndarray:
    """Differentiate random waves in the values of ν-tuples: `(w, 3 n)`, with more waves than coordinates."""
    edges, near = find_coincidences(edges, nu, pseudoscalars, max(SMOOTHING_LENGTH, tolerance))
    slots = invariant_slots(nu, pseudoscalars)
    values = tuple_invariants(edges.vectors, near.tuples, edges.scale, pseudoscalars)
    each = np.arange(len(values))
    slopes = [gradient_rows(edges, near.tuples[:, slot], each, len(each)) for slot in slots]
    rng = np.random.default_rng(0)
    missing = 2 * edges.moves.shape[1] + 32
    at_once = max(_ENTRIES // max(len(values), 1), 1)
    rows = []
    while missing > 0:
        n_waves = min(at_once, missing)
        missing -= n_waves
        numbers = rng.normal(scale=WAVE_NUMBER, size=(len(slots), n_waves))
        phases = rng.uniform(0, 2 * np.pi, (near.n_clusters, n_waves))
        waves = np.cos(values @ numbers + phases[near.clusters])
        moved = sum((slope.T @ (waves * number)).T for slope, number in zip(slopes, numbers, strict=True))
        rows.append((edges.moves.T @ np.asarray(moved).T).T)
    return np.concatenate(rows)


def least_visibility(rows: np.ndarray, directions: np.ndarray) -> tuple[float, float]:
    """Compute how clearly the least visible combination of orthonormal directions, `(k, 3 n)`, is seen: its effect on
    `visibility_rows` over that of the most visible displacement. Return also the value up to which this is rounding."""
    values = robust_svd(rows @ directions.T)[1]
    largest = max(robust_svd(rows)[1].max(initial=0.0), np.finfo(float).tiny)
    return float(values.min(initial=np.inf) / largest), max(rows.shape) * float(np.finfo(float).eps)
