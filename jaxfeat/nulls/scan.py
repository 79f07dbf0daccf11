"""Spectra and causes of many environments, one record for each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxfeat.errors import BasisError, GeometryError, SizeError
from jaxfeat.features.base import AbstractFeaturizer
from jaxfeat.features.check import check_compatible
from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.species import SYMBOLS
from jaxfeat.nulls.causes import CAUSES, NullSpace
from jaxfeat.nulls.classify import null_space
from jaxfeat.nulls.cure import cure
from jaxfeat.spectrum.blocks import Progress, spectra_in_blocks

RARE = ("locality", "other")
"""Causes that a record lists only where there are null directions of them."""

CLASSIFY_BELOW = 1e-5
"""Equilibrated σ_min/σ_max below which a null space is looked into: well above what rounded coordinates make of an
exact null direction. That tells which environments are nearly symmetric."""


def scan(
    f: AbstractFeaturizer, batch: Environment, progress: Progress | None = None, screened: bool = False
) -> list[dict[str, Any]]:
    """One record per environment of `batch`, in its order.

    **Arguments:**

    - `f`: a featurizer.
    - `batch`: environments, `(b,)`.
    - `progress`: called with the number of environments done and their total.
    - `screened`: take the values of what is well above its floor from JᵀJ, as `singular_spectrum` does: faster, and
      `certified` says where.

    Null directions are those whose equilibrated singular values lie at or below their floor, rigid motions apart. They
    are told apart by cause, as `null_space` does, and the counts by cause add up to their number. Where the status is
    not "ok" the cause is not certain, and all of them count as `other`.

    **Returns:** dictionaries of plain numbers: `structure` and `center` (where the environment came from), `species`,
    `n_neighbors`, `sigma` and `sigma_equilibrated` (descending, features per Å; empty unless the status is ok),
    `floor` and `floor_equilibrated`, `certified` (only where screened), `null` (how many null directions by cause:
    `rigid`, `symmetry`, `incompleteness`, `truncation`; where there are any, `locality`, of neighbors out of reach, and
    `other`, where the cause cannot be told), `status` (that of the spectrum; "ambiguous", as of `null_space`, and for
    like neighbors that its tolerance cannot tell apart;
    "unclassified" where there are too many neighbors for it).

    **Raises:** `SpeciesError` and `GeometryError`, as the featurizer does.
    """
    found = scan_arrays(f, batch, progress, screened)
    origin = {
        "structure": np.asarray(batch.structure_index),
        "center": np.asarray(batch.center_index),
        "species": np.asarray(batch.center_species),
    }
    counts = np.asarray(batch.n_neighbors)
    records = []
    for i, status in enumerate(found.status.tolist()):
        known = bool(np.isfinite(found.floor[i]))
        listed = slice(int(found.n_values[i]) if known else 0)
        null = {cause: int(n) for cause, n in zip(CAUSES, found.null[i], strict=True) if n or cause not in RARE}
        records.append(
            {
                "structure": int(origin["structure"][i]),
                "center": int(origin["center"][i]),
                "species": SYMBOLS[origin["species"][i]],
                "n_neighbors": int(counts[i]),
                "sigma": found.sigma[i][listed].tolist(),
                "sigma_equilibrated": found.sigma_equilibrated[i][listed].tolist(),
                "floor": float(found.floor[i]) if known else None,
                "floor_equilibrated": float(found.floor_equilibrated[i]) if known else None,
                **({"certified": bool(found.certified[i])} if screened else {}),
                "null": null,
                "status": status,
            }
        )
    return records


class ScanArrays(NamedTuple):
    """Spectra and null counts of `b` environments, as arrays.

    **Attributes:** `sigma` and `sigma_equilibrated`, `(b, k)`, NaN past `n_values`; `floor`, `floor_equilibrated`,
    `n_values`, `n_rigid`, `(b,)`, floors NaN unless the spectrum's status is ok; `certified`, `(b,)`, as of a
    `Spectrum`; `null`, `(b, 6)`, null directions by
    the causes of `CAUSES`; `status`, `(b,)`, names as in `scan`.
    """

    sigma: np.ndarray
    sigma_equilibrated: np.ndarray
    floor: np.ndarray
    floor_equilibrated: np.ndarray
    n_values: np.ndarray
    n_rigid: np.ndarray
    certified: np.ndarray
    null: np.ndarray
    status: np.ndarray


def scan_arrays(
    f: AbstractFeaturizer,
    batch: Environment,
    progress: Progress | None = None,
    screened: bool = False,
    chunk: int | None = None,
) -> ScanArrays:
    """What `scan` finds, for those who go on to compute with it.

    `chunk`: of a stream that comes in batches of that many, the last one perhaps shorter. All of them then share their
    programs, and what the featurizer's `check` refuses gives a status rather than an error.
    """
    if chunk is None:
        check_compatible(f, batch)
    host = jax.tree.map(np.asarray, batch)
    n, width = len(batch), 3 * batch.max_neighbors
    f = f.prepared()
    status = np.full(n, "", dtype=object)
    found = ScanArrays(
        sigma=np.full((n, width), np.nan),
        sigma_equilibrated=np.full((n, width), np.nan),
        floor=np.full(n, np.nan),
        floor_equilibrated=np.full(n, np.nan),
        n_values=np.zeros(n, int),
        n_rigid=np.zeros(n, int),
        certified=np.zeros(n, bool),
        null=np.zeros((n, len(CAUSES)), int),
        status=status,
    )
    done = 0
    for indices, spectra in spectra_in_blocks(f, host, screened, chunk):
        m = len(indices)
        raw, equilibrated = spectra
        known = raw.status.names == "ok"
        k = min(raw.values.shape[1], width)
        found.sigma[indices, :k] = np.where(known[:, None], raw.values[:, :k], np.nan)
        found.sigma_equilibrated[indices, :k] = np.where(known[:, None], equilibrated.values[:, :k], np.nan)
        found.floor[indices] = np.where(known, raw.floor, np.nan)
        found.floor_equilibrated[indices] = np.where(known, equilibrated.floor, np.nan)
        found.n_values[indices], found.n_rigid[indices] = raw.n_values, raw.n_rigid
        found.certified[indices] = raw.certified
        found.null[indices, CAUSES.index("rigid")] = raw.n_rigid
        status[indices] = raw.status.names
        for row in np.flatnonzero(known & ((equilibrated.ratio < CLASSIFY_BELOW) | (equilibrated.n_null > 0))):
            i = indices[row]
            found.null[i], status[i] = _classified(f, host[i], found.null[i], int(equilibrated.n_null[row]))
        done += m
        if progress is not None:
            progress(done, n)
    return found


def explain_environments(f: AbstractFeaturizer, batch: Environment, indices: Iterable[int]) -> list[str]:
    """Why some environments of a batch have null directions or little sensitivity, and what would lift that, in a
    sentence each."""
    return [explain_null_space(f, jax.tree.map(np.asarray, batch[i])) for i in indices]


def explain_null_space(f: AbstractFeaturizer, env: Environment, null: NullSpace | None = None) -> str:
    """The same for one environment, and what `null_space` says of it, if at hand."""
    try:
        return "; ".join(cure(f, env, null).values())
    except (BasisError, SizeError) as error:
        return f"unclassified: {error}"
    except GeometryError as error:
        return f"ambiguous: {error}"


def _classified(f: AbstractFeaturizer, env: Environment, rigid: np.ndarray, n_null: int) -> tuple[np.ndarray, str]:
    """Counts by cause and the status of one environment, which has `n_null` null directions by its spectrum.

    Whatever the causes, they add up to that many.
    """
    unknown = rigid + n_null * (np.asarray(CAUSES) == "other")
    try:
        null = null_space(f, env)
    except (BasisError, SizeError):
        # More neighbors, or a higher order, than the complete kernel can be worked out for.
        return unknown, "unclassified" if n_null else "ok"
    except GeometryError:
        # Like neighbors are too close for symmetry to tell them apart.
        return unknown, "ambiguous"
    counts = np.asarray([getattr(null, cause) for cause in CAUSES])
    if null.status == "ok" and counts.sum() - null.rigid == n_null:
        return counts, "ok"
    # Causes within a tolerance, as of nearly symmetric positions, have more directions than J has null ones.
    return unknown, "ambiguous" if null.status == "ok" else str(null.status)
