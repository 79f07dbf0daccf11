"""Spectra in NumPy, for work that is over before a program would be compiled.

The steps and the names are those of `reduce` and `solve`, for environments of one number of neighbors side by side.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from math import sqrt
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, Float, Int

from jaxfeat.features.base import AbstractFeaturizer
from jaxfeat.features.host_work import equal_sizes, put_leading, take_equal_sizes
from jaxfeat.geometry.environment import RADIUS_ROUNDING, Environment
from jaxfeat.geometry.positions import COINCIDENCE_DISTANCE
from jaxfeat.linalg.lapack import one_blas_thread
from jaxfeat.linalg.subspaces import robust_svd
from jaxfeat.spectrum.devices import n_cores
from jaxfeat.spectrum.jacobian import ROUNDINGS_IN_FLOOR
from jaxfeat.spectrum.solve import LEAST_ROUNDING
from jaxfeat.spectrum.spectrum import STATUS_NAMES, Spectrum, Status

EPS = float(np.finfo(float).eps)

MIN_GROUPS_IN_THREADS = 4
"""Groups that are worth the start of a thread for each core. LAPACK lets other threads work beside it."""


def spectra_on_host(
    f: AbstractFeaturizer,
    batch: Environment,
    present: Int[np.ndarray, "b s"],
    scalings: Sequence[bool],
    directions: bool = False,
) -> tuple[Spectrum, ...]:
    """Compute the spectra of environments `(b,)` of NumPy arrays, one `Spectrum` for each of `scalings`.

    Row i of `present` lists the species that item i holds, as `species_present` does.
    """
    b, room = batch.mask.shape
    width = max(3 * room - 2, 0)
    found = tuple(_empty_spectrum(b, width, room, directions) for _ in scalings)

    def compute(indices: np.ndarray) -> None:
        group, of_group = take_equal_sizes(batch, present, indices)
        reduced = reduce_on_host(f, group, of_group)
        for spectrum, equilibrated in zip(found, scalings, strict=True):
            one = decompose_on_host(reduced, group, f, equilibrated=equilibrated, directions=directions)
            jax.tree.map(lambda whole, part: put_leading(whole, indices, part), spectrum, one)

    groups = list(equal_sizes(batch, present, partial(row_bytes, f)))
    with one_blas_thread():
        if len(groups) < MIN_GROUPS_IN_THREADS:
            for group in groups:
                compute(group)
        else:
            with ThreadPoolExecutor(n_cores()) as pool:
                list(pool.map(compute, groups))
    return found


def _empty_spectrum(b: int, width: int, room: int, directions: bool) -> Spectrum:
    return Spectrum(
        values=np.full((b, width), np.nan),
        directions=np.zeros((b, width if directions else 0, room, 3)),
        scale=np.ones((b, room)),
        n_values=np.zeros(b, int),
        n_rigid=np.zeros(b, int),
        floor=np.zeros(b),
        certified=np.zeros(b, bool),
        status=Status(np.zeros(b, int)),
    )


def row_bytes(f: AbstractFeaturizer, n_neighbors: int) -> int:
    """Estimate the bytes of the reduced Jacobian of one environment."""
    return 24 * n_neighbors * f.n_compact_rows(n_neighbors)


class HostRows(NamedTuple):
    """The Jacobians of b environments of n neighbors, each up to an orthogonal matrix from the left.

    **Attributes:** As of `JacobianRows`, with a leading axis b.
    """

    matrix: Float[np.ndarray, "b k m"]
    contributions: Float[np.ndarray, "b n"]
    n_features: int


def reduce_on_host(f: AbstractFeaturizer, batch: Environment, present: Int[np.ndarray, "b s"]) -> HostRows:
    """Reduce the Jacobians of environments as `AbstractFeaturizer.rows_on_host` takes them."""
    finite: Any = np.isfinite(batch.positions).all((1, 2))
    safe: Any = batch.with_positions(np.where(finite[:, None, None], batch.positions, 1))  # type: ignore[arg-type]
    # Features of atoms that are very far away may overflow.
    with np.errstate(all="ignore"):
        rows, n_features = np.zeros((len(batch), 0, 0)), 0
        if batch.max_neighbors:
            rows, n_features = f.rows_on_host(safe, present)
        finite = finite & np.isfinite(rows).all((1, 2))
        rows = np.where(finite[:, None, None], rows, 0)
        if rows.shape[1] > rows.shape[2]:
            rows = np.asarray(np.linalg.qr(rows, mode="r"))
        norms = np.sqrt((rows**2).sum(1).reshape(*batch.mask.shape, 3).sum(2))
        contributions = norms * np.maximum(f.roundings(safe) / ROUNDINGS_IN_FLOOR, 1)
    return HostRows(rows, np.where(finite[:, None], contributions, np.nan), n_features)


def decompose_on_host(
    reduced: HostRows, batch: Environment, f: AbstractFeaturizer | None = None, *, equilibrated: bool, directions: bool
) -> Spectrum:
    """Compute the spectra of environments `(b,)` from their reduced Jacobians, as `solve.decompose` does for one."""
    positions = np.asarray(batch.positions)
    b, n = positions.shape[:2]
    finite = np.isfinite(reduced.contributions).all(1) & np.isfinite(positions).all((1, 2))
    matrix = np.where(finite[:, None, None], reduced.matrix, 0)
    contributions = np.where(finite[:, None], reduced.contributions, 0)
    positions = np.where(finite[:, None, None], positions, 0)
    rounding = max(reduced.n_features, 3 * n, LEAST_ROUNDING) * EPS
    scale = np.ones((b, n))
    if equilibrated:
        norms = np.sqrt((matrix**2).sum(1).reshape(b, n, 3).sum(2))
        largest = contributions.max(1, initial=0)[:, None]
        # Columns that cancelled down to rounding errors must not be blown up to signals.
        norms = np.where(norms > rounding * contributions, norms, contributions)
        scale = np.where(norms > 0, norms, np.where(largest > 0, largest, 1))
    rigid = rotations_on_host(positions, scale if equilibrated else None)
    matrix = rigid.project(matrix / np.repeat(scale, 3, 1)[:, None])

    values = np.full((b, max(3 * n - 2, 0)), np.nan)
    vectors = np.zeros((b, values.shape[1] if directions else 0, n, 3))
    n_values = np.minimum(3 * n - rigid.n_rigid, values.shape[1])
    for n_rigid in np.unique(rigid.n_rigid):
        same = np.flatnonzero(rigid.n_rigid == n_rigid)
        columns = matrix[same][:, :, max(n_rigid - 2, 0) :]
        k = columns.shape[2]
        if not k:
            continue
        if directions:
            found, rows = robust_svd(columns, full_matrices=True)[1:]
            rows = np.concatenate([np.zeros((len(same), k, 3 * n - k)), rows], 2)
            vectors[same, :k] = rigid.lift(rows, same).reshape(len(same), k, n, 3)
        else:
            found = np.linalg.svd(columns, compute_uv=False)
        values[same, :k] = 0
        values[same, : found.shape[1]] = found
    sizes = np.maximum(np.nan_to_num(values).max(1, initial=0), (contributions / scale).max(1, initial=0) / sqrt(3))
    floor = np.where(finite, rounding * sizes / rigid.clearance, np.nan)
    listed = (np.arange(values.shape[1]) < n_values[:, None]) & finite[:, None]
    signal = np.nan_to_num(values).max(1, initial=0) > floor
    return Spectrum(
        values=np.where(listed, values, np.nan),
        directions=np.where(listed[:, : vectors.shape[1], None, None], vectors, 0),
        scale=scale,
        n_values=n_values,
        n_rigid=rigid.n_rigid,
        floor=floor,
        certified=np.ones(b, bool),
        status=_status(f, batch, finite, ~signal & (n_values > 0)),
    )


class HostRotations(NamedTuple):
    """The rotations of b environments of n neighbors as three Householder reflectors each (`geometry.rigid`)."""

    reflectors: Float[np.ndarray, "3 b m"]
    n_rigid: Int[np.ndarray, " b"]
    clearance: Float[np.ndarray, " b"]

    def project(self, matrix: Float[np.ndarray, "b k m"]) -> Float[np.ndarray, "b k c"]:
        """Reflect the columns, and drop the two that are rigid for any neighbors."""
        for v in self.reflectors:
            matrix = matrix - 2 * (matrix @ v[..., None]) * v[:, None]
        return matrix[:, :, 2:]

    def lift(self, rows: Float[np.ndarray, "c k m"], items: Int[np.ndarray, " c"]) -> Float[np.ndarray, "c k m"]:
        """Reflect rows back to displacements of the neighbors."""
        for v in self.reflectors[::-1, items]:
            rows = rows - 2 * (rows @ v[..., None]) * v[:, None]
        return rows


def rotations_on_host(positions: Float[np.ndarray, "b n 3"], weights: np.ndarray | None) -> HostRotations:
    """Compute the rotations of neighbors about their centers, as `geometry.rigid.rigid_motions` does."""
    b, n = positions.shape[:2]
    lengths, frame = _principal_rotations(positions, np.ones((b, n)))
    real = lengths > sqrt(EPS) * np.maximum(lengths[:, :1], np.finfo(float).tiny)
    if weights is not None:
        _, frame = _principal_rotations(positions, weights, np.where(real[:, 2:], 0, 1) * frame[:, :, 2])
    columns = np.where(real[..., None, None], np.cross(frame.swapaxes(1, 2)[:, :, None], positions[:, None]), 0)
    columns = (columns * (1 if weights is None else weights[:, None, :, None])).reshape(b, 3, 3 * n)
    longest = lengths[:, 0]
    clearance = np.where(real, lengths, longest[:, None]).min(1) / np.where(longest > 0, longest, 1)
    return HostRotations(_reflectors(columns), real.sum(1), np.where(longest > 0, clearance, 1))


def _principal_rotations(
    r: Float[np.ndarray, "b n 3"], weights: Float[np.ndarray, "b n"], axis: Float[np.ndarray, "b 3"] | None = None
) -> tuple[Float[np.ndarray, "b 3"], Float[np.ndarray, "b 3 3"]]:
    weighted = r * weights[..., None]
    scale = np.abs(weighted).max((1, 2), initial=0)[:, None, None]
    weighted = weighted / np.where(scale > 0, scale, 1)
    gram = (weighted**2).sum((1, 2))[:, None, None] * np.eye(3) - weighted.swapaxes(1, 2) @ weighted
    if axis is not None:
        across = np.eye(3) * (axis**2).sum(1)[:, None, None] - axis[:, :, None] * axis[:, None]
        gram = gram + np.trace(gram, axis1=1, axis2=2)[:, None, None] * across
    frame = np.linalg.eigh(gram)[1][:, :, ::-1]
    turns = np.cross(frame.swapaxes(1, 2)[:, :, None], r[:, None])
    return np.sqrt((turns**2).sum((2, 3))), frame


def _reflectors(columns: Float[np.ndarray, "b 3 m"]) -> Float[np.ndarray, "3 b m"]:
    """Build the Householder reflector of each column, after the reflectors of the columns before have turned it."""
    columns = columns / _nonzero(np.linalg.norm(columns, axis=2, keepdims=True))
    m = columns.shape[2]
    found = np.zeros((min(3, m), len(columns), m))
    for k in range(len(found)):
        v = np.where(np.arange(m) < k, 0, columns[:, k])
        v[:, k] += np.where(v[:, k] < 0, -1, 1) * np.linalg.norm(v, axis=1)
        v /= _nonzero(np.linalg.norm(v, axis=1, keepdims=True))
        columns = columns - 2 * (columns @ v[..., None]) * v[:, None]
        found[k] = v
    return found


def _nonzero(length: np.ndarray) -> np.ndarray:
    return np.where(length > 0, length, 1)


def _status(
    f: AbstractFeaturizer | None, batch: Environment, finite: Bool[np.ndarray, " b"], no_signal: Bool[np.ndarray, " b"]
) -> Status:
    """Name the first thing that is wrong, in the order of `solve`."""
    r_cut, n = np.asarray(batch.r_cut), batch.max_neighbors
    points = np.concatenate([np.zeros((len(r_cut), 1, 3)), np.asarray(batch.positions)], 1)
    near = np.abs(points[:, :, None] - points[:, None]).max(3) < COINCIDENCE_DISTANCE
    wrong = {
        "unsearchable": r_cut == 0,
        "empty": np.full(len(r_cut), n == 0),
        "non-finite": ~finite,
        "coincident": near.sum((1, 2)) > n + 1,
        "no-signal": no_signal,
    }
    if f is not None:
        least, most = f.accepted_radii
        long = (r_cut > most * (1 + RADIUS_ROUNDING)) & np.isfinite(r_cut)
        wrong["wrong-radius"] = (r_cut < least * (1 - RADIUS_ROUNDING)) | long
        center, known = np.asarray(batch.center_species), np.append(np.asarray(f.species), 0)
        if f.species is not None:
            wrong["unknown-species"] = ~(np.isin(batch.species, known[:-1]).all(1) & np.isin(center, known))
    order = ("unsearchable", "wrong-radius", "empty", "non-finite", "coincident", "unknown-species", "no-signal")
    code = np.full(len(r_cut), STATUS_NAMES.index("ok"))
    for name in reversed(order):
        code = np.where(wrong.get(name, False), STATUS_NAMES.index(name), code)
    return Status(code)
