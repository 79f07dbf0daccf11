"""Spectra in NumPy, for work that is over before a program would be compiled. The steps and the names are those of
`reduce` and `solve`. Environments of equally many neighbors go side by side, and structures one by one."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from math import sqrt
from typing import Any, NamedTuple

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Bool, Float, Int

from jaxfeat.features.base import AbstractFeaturizer
from jaxfeat.features.host_work import by_atoms_on_host, equal_sizes, put_leading, smooth_on_host, take_equal_sizes
from jaxfeat.features.joint import AbstractJointFeaturizer
from jaxfeat.features.structure_map import AbstractStructureMap, FeatureMap
from jaxfeat.geometry.environment import RADIUS_ROUNDING, Environment
from jaxfeat.geometry.host_rigid import EPS, rigid_motions_on_host
from jaxfeat.geometry.positions import COINCIDENCE_DISTANCE
from jaxfeat.geometry.structure import Item, Structure, species_present
from jaxfeat.linalg.lapack import one_blas_thread
from jaxfeat.linalg.subspaces import robust_svd
from jaxfeat.spectrum.devices import n_cores
from jaxfeat.spectrum.jacobian import ROUNDINGS_IN_FLOOR
from jaxfeat.spectrum.solve import LEAST_ROUNDING
from jaxfeat.spectrum.spectrum import STATUS_NAMES, Spectrum, Status

MIN_GROUPS_IN_THREADS = 4  # Groups worth a thread for each core. LAPACK lets other threads work beside it.


def spectra_on_host(
    f: AbstractFeaturizer,
    batch: Environment,
    present: Int[np.ndarray, "b s"],
    scalings: Sequence[bool],
    directions: bool = False,
) -> tuple[Spectrum, ...]:
    """Compute the spectra of environments `(b,)` of NumPy arrays, one `Spectrum` for each of `scalings`. Row i of
    `present` lists the species that item i holds, as `species_present` does."""
    b, room = batch.mask.shape
    width = max(3 * room - 2, 0)
    found = tuple(_empty_spectrum(b, width, room, directions) for _ in scalings)

    def compute(indices: np.ndarray) -> None:
        group, of_group = take_equal_sizes(batch, present, indices)
        reduced = reduce_on_host(f, group, of_group, room)
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


def structure_spectra_on_host(
    f: AbstractStructureMap, batch: Structure, scalings: Sequence[bool], directions: bool = False
) -> tuple[Spectrum, ...]:
    """Compute the spectra of structures `(b,)` of NumPy arrays, one `Spectrum` for each of `scalings`."""
    b, room = batch.mask.shape
    found = tuple(_empty_spectrum(b, 3 * room, room, directions) for _ in scalings)
    with one_blas_thread():
        for i, structure in enumerate(batch):
            one = without_padding(structure)
            reduced = reduce_structure_on_host(f, one)[0]
            for spectrum, equilibrated in zip(found, scalings, strict=True):
                part = decompose_on_host(reduced, add_axis(one), f, equilibrated=equilibrated, directions=directions)
                jax.tree.map(lambda whole, part, i=i: put_leading(whole, np.asarray([i]), part), spectrum, part)
    return found


def without_padding(structure: Structure) -> Structure:
    """Return one structure of NumPy arrays without the room for further atoms, which comes last."""
    n = int(structure.mask.sum())
    atoms = structure.positions[:n], structure.species[:n], structure.mask[:n]
    return eqx.tree_at(lambda one: (one.positions, one.species, one.mask), structure, atoms)


def add_axis(item: Any) -> Any:
    """Return an item as a batch of one."""
    return jax.tree.map(lambda leaf: np.asarray(leaf)[None], item)


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
    """Estimate the bytes of the rows of one environment."""
    n_rows = f.n_compact_rows(n_neighbors)
    return 24 * n_neighbors * (n_rows if f.runs_on_host else f.n_features_if_known or n_rows)


class HostRows(NamedTuple):
    """The Jacobians of b environments of n neighbors, with the fields of `ReducedJacobian`."""

    matrix: Float[np.ndarray, "b k m"]
    contributions: Float[np.ndarray, "b n"]
    n_features: int
    noise: tuple[float, float] = (0.0, 0.0)  # as of a featurizer

    def rounding(self, least: int = 0) -> float:
        """Return the error of a singular value relative to the largest: as many rounding errors as J has rows or
        columns, or `least`, or more if its errors exceed those of float64."""
        return max(max(self.n_features, self.matrix.shape[2], least) * EPS, self.noise[0])


def reduce_on_host(f: AbstractFeaturizer, batch: Environment, present: Int[np.ndarray, "b s"], room: int) -> HostRows:
    """Reduce the Jacobians of environments as `AbstractFeaturizer.rows_on_host` takes them."""
    finite: Any = np.isfinite(batch.positions).all((1, 2))
    safe: Any = batch.with_positions(np.where(finite[:, None, None], batch.positions, 1))  # type: ignore[arg-type]
    # Features of atoms that are very far away may overflow.
    with np.errstate(all="ignore"):
        rows, n_features = np.zeros((len(batch), 0, 0)), 0
        if batch.max_neighbors:
            rows, n_features = f.rows_on_host(safe, present, room)
        finite = finite & np.isfinite(rows).all((1, 2))
        rows = np.where(finite[:, None, None], rows, 0)
        if rows.shape[1] > rows.shape[2]:
            rows = np.asarray(np.linalg.qr(rows, mode="r"))
        norms = np.sqrt((rows**2).sum(1).reshape(*batch.mask.shape, 3).sum(2))
        contributions = norms * _cancellation(f, safe)
    return HostRows(rows, np.where(finite[:, None], contributions, np.nan), n_features, f.noise)


def _cancellation(f: AbstractFeaturizer, batch: Environment) -> np.ndarray:
    return np.maximum(f.roundings(batch) / ROUNDINGS_IN_FLOOR, 1)


def reduce_structure_on_host(
    f: AbstractStructureMap, structure: Structure
) -> tuple[HostRows, Float[np.ndarray, "c k"]]:
    """Reduce one structure's Jacobian to rows, for a batch of one, and return norms for each center's neighbors."""
    environments, featurizer = structure.environments(), f.environment_featurizer
    of_centers: Any
    (c, k), n = environments.mask.shape, len(structure.positions)
    joint = isinstance(featurizer, AbstractJointFeaturizer)
    if f.adds_centers or featurizer.only_on_host or joint:
        # Centers of one species share their rows, so that no center has rows of its own to reduce.
        of_centers, norms = featurizer.structure_jacobian_on_host(structure)
        known: Any = np.nan_to_num(environments.positions, posinf=0, neginf=0)
        norms = norms * _cancellation(featurizer, environments.with_positions(known))
        counts = np.where(structure.center_mask, of_centers.shape[1], 0)
    else:
        present = species_present(featurizer.species, environments)
        norms, counts, rows = np.zeros((c, k)), np.zeros(c, int), np.zeros((c, 3 * k, 3 * k))
        for indices in equal_sizes(environments, present, partial(row_bytes, featurizer)):
            reduced = reduce_on_host(featurizer, *take_equal_sizes(environments, present, indices), k)
            put_leading(norms, indices, reduced.contributions)
            counts[indices] = reduced.n_features
            put_leading(rows, indices, reduced.matrix)
        of_centers = by_atoms_on_host(rows.reshape(c, rows.shape[1], k, 3), structure)
    finite = np.isfinite(norms).all() & np.isfinite(of_centers).all()
    # One row that is not finite makes the whole Jacobian worthless.
    whole: Any = f.collect(of_centers if finite else np.zeros_like(of_centers), structure)
    matrix = np.asarray(whole).reshape(len(whole), 3 * n)
    n_features = len(matrix) if f.adds_centers else int(counts.sum())
    if len(matrix) > 3 * n:
        matrix = np.asarray(np.linalg.qr(matrix, mode="r"))
    added = np.zeros(n)
    np.add.at(added, structure.neighbor, norms**2)
    np.add.at(added, structure.center, (norms**2).sum(1))
    return HostRows(matrix[None], np.where(finite, np.sqrt(added), np.nan)[None], n_features, featurizer.noise), norms


def decompose_on_host(
    reduced: HostRows, at: Item, f: FeatureMap | None = None, *, equilibrated: bool, directions: bool
) -> Spectrum:
    """Compute the spectra of items `(b,)` from their reduced Jacobians, as `solve.decompose` does for one. The items
    are environments of one number of neighbors, or one structure, without padding."""
    positions: Any = np.asarray(at.positions)
    b, n = positions.shape[:2]
    finite = np.isfinite(reduced.contributions).all(1) & np.isfinite(positions).all((1, 2))
    matrix: Any = np.where(finite[:, None, None], reduced.matrix, 0)
    contributions = np.where(finite[:, None], reduced.contributions, 0)
    if reduced.noise[1]:
        # The columns of atoms of hardly any weight have errors as large as those of the others.
        contributions = np.maximum(contributions, reduced.noise[1] * contributions.max(1, keepdims=True, initial=0))
    positions = np.where(finite[:, None, None], positions, 0)
    rounding = reduced.rounding(LEAST_ROUNDING)
    scale: Any = np.ones((b, n))
    if equilibrated:
        norms = np.sqrt((matrix**2).sum(1).reshape(b, n, 3).sum(2))
        largest = contributions.max(1, initial=0)[:, None]
        # Columns that cancelled down to rounding errors must not be blown up to signals.
        norms = np.where(norms > rounding * contributions, norms, contributions)
        scale = np.where(norms > 0, norms, np.where(largest > 0, largest, 1))
    of_structure = isinstance(at, Structure)
    rigid = rigid_motions_on_host(
        positions,
        scale if equilibrated else None,
        translations=of_structure,
        rotations=not (isinstance(at, Structure) and at.periodic),
    )
    matrix = rigid.project(matrix / np.repeat(scale, 3, 1)[:, None])
    values = np.full(matrix.shape[::2], np.nan)
    vectors = np.zeros((b, values.shape[1] if directions else 0, n, 3))
    n_values = np.minimum(3 * n - rigid.n_rigid, values.shape[1])
    for n_rigid in np.unique(rigid.n_rigid):
        same = np.flatnonzero(rigid.n_rigid == n_rigid)
        columns = matrix[same][:, :, max(n_rigid - rigid.n_dropped, 0) :]
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
        status=_status(f, at, finite, ~signal & (n_values > 0)),
    )


def _status(
    f: FeatureMap | None, at: Item, finite: Bool[np.ndarray, " b"], no_signal: Bool[np.ndarray, " b"]
) -> Status:
    """Name the first thing that is wrong, in the order of `solve`."""
    environments: Any = at if isinstance(at, Environment) else at[0].environments()
    r_cut, mask = np.asarray(environments.r_cut), np.asarray(environments.mask)
    present = np.concatenate([np.ones((len(mask), 1), bool), mask], 1)
    points = np.concatenate([np.zeros((len(mask), 1, 3)), np.asarray(environments.positions)], 1)
    near = np.abs(points[:, :, None] - points[:, None]).max(3) < COINCIDENCE_DISTANCE
    wrong = {
        "unsearchable": r_cut == 0,
        "coincident": (near & present[:, None] & present[:, :, None]).sum((1, 2)) > present.sum(1),
    }
    if f is not None:
        featurizer = f.environment_featurizer
        least, most = featurizer.accepted_radii
        long = (r_cut > most * (1 + RADIUS_ROUNDING)) & np.isfinite(r_cut)
        wrong["wrong-radius"] = (r_cut < least * (1 - RADIUS_ROUNDING)) | long
        wrong["not-smooth"] = ~smooth_on_host(featurizer, environments)
        if featurizer.species is not None:
            known = np.asarray(featurizer.species)
            strange = (~np.isin(environments.species, known) & mask).any(1)
            wrong["unknown-species"] = strange | ~np.isin(environments.center_species, [*known, 0])
    empty = ~mask.any(1)
    if isinstance(at, Structure):
        # A structure has the faults of any of its centers, and is empty if all are.
        wrong, empty = {name: holds.any(keepdims=True) for name, holds in wrong.items()}, empty.all(keepdims=True)
    wrong |= {"empty": empty, "non-finite": ~finite, "no-signal": no_signal}
    order = ("unsearchable", "wrong-radius", "empty", "non-finite", "coincident", "unknown-species", "not-smooth")
    code = np.full(len(finite), STATUS_NAMES.index("ok"))
    for name in reversed((*order, "no-signal")):
        code = np.where(wrong.get(name, False), STATUS_NAMES.index(name), code)
    return Status(code)
