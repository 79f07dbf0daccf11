"""How well a complete basis sees a displacement that it does see.

The complete-basis kernel tells null from not null. Next to a symmetric or singular point, complete features see some
displacements by the distance to that point only, or by a power of it: 1e-5 Å from an octahedron, the least visible one
moves them by 1e-15 of the most visible. No basis lifts such a direction above rounding, although it is not null.

Random waves in the invariants of tuples stand in for the complete basis. Tuples of clearly different values are told
apart without loss, by phases of their own, because some basis can. Tuples of nearly equal values share their phase: a
smooth function tells them apart only by its slope, and the waves are as smooth as features are.
"""

from __future__ import annotations

import numpy as np

from jaxfeat.linalg.subspaces import robust_svd
from jaxfeat.nulls.coincidences import Edges, differentials, generators, gradient_rows, merged, slot_products

SMOOTHING_LENGTH = 3e-2
"""Å. Values closer than this are nearly equal. Eight radii that 1e-2 Å part are then one cluster, because no basis
tells them apart. Of 80 random neighbors every displacement is still seen: at order 1 by 1e-9 or more, at order 2 by
1e-2."""

WAVE_NUMBER = 2.0
"""Of the waves, the standard deviation of each component, 1/Å. Next to symmetric points the least visible displacements
then come out as power spectra of n_max 8, l_max 9, σ 0.3 Å see them, within a factor of about 5."""

_ENTRIES = 2_000_000


def wave_gradients(edges: Edges, nu: int, pseudoscalars: bool, tolerance: float) -> np.ndarray:
    """Derivatives of random waves in the values of ν-tuples, `(w, 3 n)`, with more waves than coordinates.

    Their singular values, relative to the largest, say how well a complete basis of order ν sees displacements.
    """
    edges, near = merged(edges, nu, pseudoscalars, max(SMOOTHING_LENGTH, tolerance))
    slots = slot_products(nu, pseudoscalars)
    values = generators(edges.vectors, near.tuples, edges.scale, pseudoscalars)
    each, shape = np.arange(len(values)), (len(values), 3 * len(edges.vectors))
    slopes = []
    for slot in slots:
        gradients = differentials(edges.vectors, near.tuples[:, slot], edges.scale)
        slopes.append(gradient_rows(each, near.tuples[:, slot], gradients, shape))

    rng = np.random.default_rng(0)
    missing = 2 * edges.moves.shape[1] + 32
    portion = max(_ENTRIES // max(len(values), 1), 1)
    rows = []
    while missing > 0:
        n_waves = min(portion, missing)
        missing -= n_waves
        numbers = rng.normal(scale=WAVE_NUMBER, size=(len(slots), n_waves))
        phases = rng.uniform(0, 2 * np.pi, (near.n_clusters, n_waves))
        waves = np.cos(values @ numbers + phases[near.clusters])
        moved = sum((slope.T @ (waves * number)).T for slope, number in zip(slopes, numbers, strict=True))
        rows.append((edges.moves.T @ np.asarray(moved).T).T)
    return np.concatenate(rows)


def least_visibility(rows: np.ndarray, directions: np.ndarray) -> tuple[float, float]:
    """How well the rows of `sight` see the least visible combination of orthonormal directions, `(k, 3 n)`.

    **Returns:** what it moves them by, over what the most visible displacement does; and the value up to which that is
    rounding.
    """
    values = robust_svd(rows @ directions.T)[1]
    largest = max(robust_svd(rows)[1].max(initial=0.0), np.finfo(float).tiny)
    return float(values.min(initial=np.inf) / largest), max(rows.shape) * float(np.finfo(float).eps)
