"""Spectra and null directions of many environments, one record for each."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxfeat.errors import GeometryError
from jaxfeat.features.base import AbstractFeaturizer
from jaxfeat.features.structure_map import AbstractStructureMap, FeatureMap, check_compatible, stacked
from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.random import draw_evenly
from jaxfeat.geometry.species import SYMBOLS
from jaxfeat.geometry.structure import Structure
from jaxfeat.nulls.behind_symmetry import Hidden, find_hidden, find_second_orders
from jaxfeat.nulls.causes import CAUSES, NullSpace
from jaxfeat.nulls.classify import POSITION_TOLERANCE
from jaxfeat.nulls.jacobian_nulls import ITEMS_TOGETHER, decompose_jacobians
from jaxfeat.nulls.near import NEAR_DISTANCE, QUICK, examine_together
from jaxfeat.nulls.scan_records import (
    CLASSIFIED,
    ScanRecords,
    choose_classified,
    classify_for_record,
    record_counts,
    record_group,
)
from jaxfeat.nulls.structure_scan import scan_structures
from jaxfeat.progress import Progress, show_progress
from jaxfeat.spectrum.driver import spectra_in_blocks


def scan(
    f: FeatureMap,
    batch: Environment | Structure | Sequence[Structure],
    progress: Progress | bool | None = None,
    screened: bool = False,
    classify: int | None = CLASSIFIED,
    sample: int | None = None,
    seed: int = 0,
    tolerance: float = NEAR_DISTANCE,
) -> list[dict[str, Any]]:
    """Compute singular spectra and null directions by cause of every environment of a batch, or of every structure.

    A direction is null if its equilibrated singular value is at or below the floor. Rigid motions are counted apart.

    **Arguments:**

    - `f`: A featurizer, or a structure map.
    - `batch`: Environments (for a featurizer) with one leading axis, in float64. For a structure map, structures with
        one leading axis, or a list of single ones of any kind and size.
    - `progress`: True to show progress on stderr or in the notebook; or a function, called as `progress(done, total)`
        with numbers of environments or structures.
    - `screened`: If True, take values well above their floor from JᵀJ, which is faster (`jaxfeat.singular_spectrum`).
    - `classify`: All environments with null directions are classified. Of the others with an equilibrated
        σ_min/σ_max below 1e-5, so many of the least sensitive are looked at for symmetric or singular points nearby;
        `None` for all of them. The 12 least sensitive environments are classified in any case.
    - `tolerance`: Å, the distance up to which exact symmetric and singular points are near.
    - `sample`: Compute only so many environments: the batch is cut into as many parts of equal length, and one
        environment is drawn at random from each. A trajectory is so covered evenly. `None` for all environments.
    - `seed`: The seed of the draw.

    **Returns:** a list with one dictionary of plain numbers for each environment or structure, in the given order. A
    notebook shows it as a table.

    - `structure`, `center`: The structure and the atom that the environment belongs to.
    - `species`: The symbol of the center. `n_neighbors`: the number of its neighbors. Structures have `n_atoms` in the
        place of these and of `center`.
    - `sigma`, `sigma_equilibrated`: Singular values, descending: features per Å, and without unit. Empty lists if the
        spectrum has another status than "ok".
    - `floor`, `floor_equilibrated`: The values up to which singular values mean nothing. `None` if there is no
        spectrum.
    - `certified`: True if the values come from rows of J, or from JᵀJ without loss. Given only if `screened`.
    - `null`: The number of null directions by cause: `rigid`, `symmetry`, `incompleteness` and `truncation`, and, if
        there are any, `locality`, `other` and `width`. The counts add up to the number of null directions. If the
        status is not "ok", their causes are not certain and all but the rigid ones are under `other`. Structures
        without a signal have causes too.
    - `near`: A list of the groups of directions that exact points nearby hide, as in `NullSpace.near`: dictionaries
        with `cause`, `symbol`, `distance` (Å), `directions` (their number) and `sigma` (the least and the largest
        value, features per Å). Empty for environments that are not classified.
    - `second_order`: The quadratic responses on the directions that symmetry hides: `symbol` of the symmetry and
        `distance` (Å) from it, 0 or below 1e-3; the `order` ν of the features; and the numbers of responses: `allowed`,
        `seen_by_order`, and `seen_by_next_order` (`None` if not needed or not known). Given only for environments with
        symmetry, of up to 50 neighbors and 400 invariant quadratic forms of all displacements, and only for 12 kinds of
        them (those with most hidden directions) whose cubed numbers of neighbors add up to 200,000 at most.
        `jaxfeat.second_order` has wider limits.
    - `status`: The status of the spectrum; "ambiguous" as in `jaxfeat.null_space`; "unclassified" if there are too many
        neighbors for it.

    **Raises:** `SpeciesError` if the batch holds an element that `f` does not know. `GeometryError` if it was cut at
    another radius, or does not go with `f`, and for a sample of none. `SizeError` for a structure whose Jacobian does
    not fit into memory. `ValueError` for structures with `screened`, because their spectra are always certified.
    """
    if isinstance(f, AbstractFeaturizer) and f.describes_structures and not isinstance(batch, Environment):
        f = stacked(f)
    if isinstance(f, AbstractStructureMap):
        if screened:
            raise ValueError("spectra of structures as wholes are certified; leave out screened.")
        if isinstance(batch, Environment) or getattr(batch, "batch_shape", None) == ():
            check_compatible(f, batch)
            raise GeometryError("this is one structure; give a batch, or a list of structures.")
        indices = np.arange(len(batch)) if sample is None else draw_evenly(len(batch), sample, seed)
        with show_progress(progress, "structures", len(indices)) as report:
            return ScanRecords(scan_structures(f, batch, indices.tolist(), report, classify, tolerance))
    environments: Any = batch
    if sample is not None:
        environments = environments[draw_evenly(len(environments), sample, seed)]
    with show_progress(progress, "environments", len(environments)) as report:
        found = scan_arrays(f, environments, report, screened, classify, tolerance=tolerance)
    host = jax.tree.map(np.asarray, environments)
    origin = host.structure_index, host.center_index, host.center_species, host.n_neighbors
    structures, centers, species, n_neighbors = (x.tolist() for x in origin)
    records = []
    for i, status in enumerate(found.status.tolist()):
        known = bool(np.isfinite(found.floor[i]))
        n_values = found.n_values[i] if known else 0
        records.append(
            {
                "structure": structures[i],
                "center": centers[i],
                "species": SYMBOLS[species[i]],
                "n_neighbors": n_neighbors[i],
                "sigma": found.sigma[i, :n_values].tolist(),
                "sigma_equilibrated": found.sigma_equilibrated[i, :n_values].tolist(),
                "floor": float(found.floor[i]) if known else None,
                "floor_equilibrated": float(found.floor_equilibrated[i]) if known else None,
                **({"certified": bool(found.certified[i])} if screened else {}),
                "null": record_counts(dict(zip(CAUSES, found.null[i].tolist(), strict=True))),
                "near": found.near[i],
                **({"second_order": found.second_order[i]} if i in found.second_order else {}),
                "status": status,
            }
        )
    return ScanRecords(records)


class ScanArrays(NamedTuple):
    """Spectra and null directions of b environments, as arrays: values `(b, k)`, NaN from `n_values` on; floors, NaN
    unless the status of the spectrum is "ok"; `null`, `(b, 7)`, the number of null directions for each of `CAUSES`;
    `near`, the records of the groups of nearly null directions; `second_order`, what is behind symmetry, by index."""

    sigma: np.ndarray
    sigma_equilibrated: np.ndarray
    floor: np.ndarray
    floor_equilibrated: np.ndarray
    n_values: np.ndarray
    n_rigid: np.ndarray
    certified: np.ndarray
    null: np.ndarray
    status: np.ndarray
    near: list[list[dict[str, Any]]]
    second_order: dict[int, dict[str, Any]]


def scan_arrays(
    f: AbstractFeaturizer,
    batch: Environment,
    progress: Progress | None = None,
    screened: bool = False,
    classify: int | None = CLASSIFIED,
    chunk: int | None = None,
    tolerance: float = NEAR_DISTANCE,
    near: bool = True,
) -> ScanArrays:
    """Compute the arrays behind the records of `scan`, in batches of `chunk`. Refused environments get a status. If
    `near` is False, nearly null directions and the second order are left out."""
    if chunk is None:
        check_compatible(f, batch)
    host = jax.tree.map(np.asarray, batch)
    n, width = len(batch), 3 * batch.max_neighbors
    f = f.prepared()
    found = ScanArrays(
        sigma=np.full((n, width), np.nan),
        sigma_equilibrated=np.full((n, width), np.nan),
        floor=np.full(n, np.nan),
        floor_equilibrated=np.full(n, np.nan),
        n_values=np.zeros(n, int),
        n_rigid=np.zeros(n, int),
        certified=np.zeros(n, bool),
        null=np.zeros((n, len(CAUSES)), int),
        status=np.full(n, "", dtype=object),
        near=[[] for _ in range(n)],
        second_order={},
    )
    # The equilibrated σ_min/σ_max of all that have a spectrum, and infinity for the others.
    ratios, n_null = np.full(n, np.inf), np.zeros(n, int)
    computed = 0
    for indices, (raw, equilibrated) in spectra_in_blocks(f, host, screened, chunk):
        known, k = raw.status.names == "ok", min(raw.values.shape[1], width)
        for spectrum, sigma, floor in (
            (raw, found.sigma, found.floor),
            (equilibrated, found.sigma_equilibrated, found.floor_equilibrated),
        ):
            sigma[indices, :k] = np.where(known[:, None], spectrum.values[:, :k], np.nan)
            floor[indices] = np.where(known, spectrum.floor, np.nan)
        found.n_values[indices], found.n_rigid[indices] = raw.n_values, raw.n_rigid
        found.certified[indices], found.status[indices] = raw.certified, raw.status.names
        found.null[indices, CAUSES.index("rigid")] = raw.n_rigid
        n_null[indices] = np.where(known, equilibrated.n_null, 0)
        ratios[indices] = np.where(known, equilibrated.ratio, np.inf)
        computed += len(indices)
        if progress is not None:
            progress(computed - len(choose_classified(n_null, ratios, classify)), n)
    chosen, hidden = choose_classified(n_null, ratios, classify), dict[int, Hidden]()
    for start in range(0, len(chosen), ITEMS_TOGETHER):
        together = chosen[start : start + ITEMS_TOGETHER]
        spaces = _classify_together(f, host, together, found, n_null, tolerance)
        if near:
            examine_together([null.nearby for null in spaces.values() if null.nearby is not None])
            for i, null in spaces.items():
                groups = null.find_near(QUICK)
                found.near[i] = list(map(record_group, groups))
                if (behind := find_hidden(null, groups, POSITION_TOLERANCE)) is not None:
                    hidden[i] = behind
        if progress is not None:
            progress(n - len(chosen) + min(start + ITEMS_TOGETHER, len(chosen)), n)
    found.second_order.update(find_second_orders(f, host, hidden, found.sigma_equilibrated))
    return found


def _classify_together(
    f: AbstractFeaturizer,
    batch: Environment,
    chosen: np.ndarray,
    found: ScanArrays,
    n_null: np.ndarray,
    tolerance: float,
) -> dict[int, NullSpace]:
    """Classify the `chosen` environments of a batch, write counts and statuses to `found`, and return null spaces."""
    spaces = {}
    for i, decomposed in zip(chosen.tolist(), decompose_jacobians(f, batch[chosen]), strict=True):
        null, found.status[i] = classify_for_record(f, batch[i], decomposed, int(n_null[i]), "ok", tolerance)
        if null is not None:
            spaces[i] = null
        if found.status[i] != "ok":
            found.null[i, CAUSES.index("other")] = n_null[i]
        elif null is not None:
            found.null[i] = list(null.counts.values())
    return spaces
