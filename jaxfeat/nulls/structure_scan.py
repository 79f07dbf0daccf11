"""Spectra and null directions of many molecules and crystals as wholes, one record for each."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from jaxfeat.errors import GeometryError, SizeError, SpeciesError
from jaxfeat.features.structure_map import AbstractStructureMap, check_compatible
from jaxfeat.geometry.positions import check_float64
from jaxfeat.geometry.structure import Structure
from jaxfeat.nulls.jacobian_nulls import DecomposedJacobian, decompose_jacobian
from jaxfeat.nulls.near import NEAR_DISTANCE, QUICK
from jaxfeat.nulls.scan_records import (
    CLASSIFIED,
    choose_classified,
    classify_for_record,
    record_counts,
    record_group,
)
from jaxfeat.progress import Progress

NONE_KNOWN = {"symmetry": 0, "incompleteness": 0, "truncation": 0}  # counts before a structure is classified
NO_SPECTRUM = ("empty", "no-signal")  # statuses of spectra that show nothing, although null directions have causes


def scan_structures(
    f: AbstractStructureMap,
    structures: Structure | Sequence[Structure],
    indices: Sequence[int],
    progress: Progress,
    classify: int | None = CLASSIFIED,
    tolerance: float = NEAR_DISTANCE,
) -> list[dict[str, Any]]:
    """Make the records of some structures of a batch or list. Arguments and entries are those of `scan`.

    Structures with null directions are classified at once, because their Jacobian is at hand. That of the least
    sensitive others is computed again, because they are known only at the end.
    """
    records, n_null, ratios = [], np.zeros(len(indices), int), np.full(len(indices), np.inf)
    host = jax.tree.map(np.asarray, structures)
    for k, i in enumerate(indices):
        try:
            check_compatible(f, host[i])
            check_float64(host[i].positions, "positions", "a scan")
            decomposed = decompose_jacobian(f, host[i])
        except (GeometryError, SizeError, SpeciesError) as error:
            raise type(error)(f"structure {i}: {error}") from error
        status = str(decomposed.spectrum.status)
        records.append(_record(i, host[i], decomposed, status))
        if status == "ok":
            n_null[k], ratios[k] = decomposed.null.sum(), decomposed.sensitivity()[1]
        if n_null[k] or status in NO_SPECTRUM:
            _classify(f, host[i], decomposed, records[k], tolerance)
        progress(k + 1 - len(_choose_again(n_null, ratios, classify)), len(indices))
    for k in _choose_again(n_null, ratios, classify):
        i = indices[k]
        _classify(f, host[i], decompose_jacobian(f, host[i]), records[k], tolerance)
    progress(len(indices), len(indices))
    return records


def _choose_again(n_null: np.ndarray, ratios: np.ndarray, classify: int | None) -> list[int]:
    chosen = choose_classified(n_null, ratios, classify)
    return chosen[n_null[chosen] == 0].tolist()


def _record(i: int, structure: Structure, decomposed: DecomposedJacobian, status: str) -> dict[str, Any]:
    known = status == "ok"
    n_values = len(decomposed.values) if known else 0
    return {
        "structure": int(i),
        "n_atoms": int(structure.mask.sum()),
        "sigma": decomposed.raw_values[:n_values].tolist(),
        "sigma_equilibrated": decomposed.values[:n_values].tolist(),
        "floor": decomposed.raw_floor if known else None,
        "floor_equilibrated": float(decomposed.spectrum.floor) if known else None,
        "null": record_counts({"rigid": int(decomposed.spectrum.n_rigid), **NONE_KNOWN}),
        "near": [],
        "status": status,
    }


def _classify(
    f: AbstractStructureMap, at: Structure, decomposed: DecomposedJacobian, record: dict[str, Any], tolerance: float
) -> None:
    """Write the counts, the near causes and the status of one structure to its record."""
    n_null = int(decomposed.null.sum())
    null, record["status"] = classify_for_record(f, at, decomposed, n_null, record["status"], tolerance)
    if null is not None:
        record["near"] = [record_group(group) for group in null.find_near(QUICK)]
    if record["status"] in ("ambiguous", "unclassified"):
        record["null"] = record_counts({**record["null"], "other": n_null})
    elif null is not None:
        record["null"] = record_counts(null.counts)
