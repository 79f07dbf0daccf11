"""Environments of many structures as they come: files and sets that are never held whole."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import equinox as eqx
import numpy as np

from jaxfeat.errors import GeometryError, SpeciesError
from jaxfeat.geometry.bounds import BoundsError
from jaxfeat.geometry.centers import find_centers, indices_of_species, parse_centers
from jaxfeat.geometry.environment import Environment, concatenate_on_host
from jaxfeat.geometry.faults import find_cell_fault
from jaxfeat.geometry.files.options import parse_read_options
from jaxfeat.geometry.files.read import (
    is_builtin,
    label_frame,
    locate_source,
    parse_random_methane,
    read,
)
from jaxfeat.geometry.files.trajectory import iterate_frames
from jaxfeat.geometry.neighbors import ImagesError, cut_environments
from jaxfeat.geometry.positions import find_coincident_atoms
from jaxfeat.geometry.radius import resolve_r_cut
from jaxfeat.geometry.random import METHANES_PER_STREAM, draw_methanes
from jaxfeat.geometry.species import SYMBOLS, atomic_number

if TYPE_CHECKING:
    from ase import Atoms

TOGETHER = 32
"""Frames that are read before their neighbors are looked for."""
ATOMS = 4096
"""Atoms that are enough, however few the frames."""


class Frames(NamedTuple):
    """The environments of a file or set, read as they are asked for.

    **Attributes:**

    - `name`: what they come from, as it was given.
    - `r_cut`: Å.
    - `centers`: symbols or indices that are centers, `None` for every atom.
    - `identity`: a hash of the file's content and of how it is read, or of what the set is made of, and of `centers`.
    - `total`: how many environments there are; `None` where that is known only in the end.
    - `batches`: `batches(k)` yields the environments of frames k, k + 1 ..., always of whole frames, a few dozen or
      a few thousand at a time, as host arrays. `structure_index` counts frames from the first.
    - `species`: a call that goes through everything and returns the symbols that occur, by atomic number; it calls
      back, if asked to, with the number of frames seen.
    - `label`: what a reader would call a frame, by its index.
    """

    name: str
    r_cut: float
    centers: list[Any] | None
    identity: str
    total: int | None
    batches: Callable[[int], Iterator[Environment]]
    species: Callable[..., list[str]]
    label: Callable[[int], str]


def frames(
    source: str | Path,
    within: Any = None,
    centers: str | int | Sequence[str] | Sequence[int] | None = None,
    *,
    r_cut: float | None = None,
    format: str | None = None,
    index: str | int | slice | None = None,
    types: Mapping[Any, str] | None = None,
    units: str = "angstrom",
    skip_ghosts: bool = False,
    ignore: str | Sequence[str] = (),
) -> Frames:
    """The environments of a file or of a named set, to be swept without ever being held together.

    A frame whose positions are not finite, where atoms coincide, or whose neighbors cannot be looked for does not stop
    the others: in place of each of its environments there is one that stands for the fault, which the spectrum's status
    names. Ghosts are atoms of no species that a featurizer knows, unless they are left out.

    **Arguments:** `source` and options of files as in `read`; `within`, `r_cut` and `centers` as in `environments`,
    centers by default those of the set.

    **Raises:** `ReadError` where there is nothing to be read, `GeometryError` and `SpeciesError` for a radius or for
    centers that make no sense. While it is read: `ReadError` for a frame that cannot be read, `GeometryError` for one
    that does not have the asked centers; both name it.
    """
    radius, text = resolve_r_cut(within, r_cut), str(source)
    wanted = parse_centers(centers)
    if wanted is not None and wanted.dtype.kind == "U":
        for symbol in wanted:
            atomic_number(str(symbol))
    asked: list[Any] | None = None if wanted is None else wanted.tolist()
    place, how = locate_source(source, parse_read_options(format, index, types, units, skip_ghosts, ignore))
    if isinstance(place, str):
        if not is_builtin(place):
            return _methanes(text, radius, asked or ["C"])
        found = read(text)
        asked = [found.centers] if asked is None and found.centers is not None else asked
        each = [_content(atoms) for atoms in found.atoms]
        return _of_atoms(text, radius, asked, _hash(*each), lambda k: iter(found.atoms[k:]), found.names.__getitem__)
    with open(place, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").digest() + how.identity
    if how.ghosts == "refuse":
        how = how._replace(ghosts="keep")
    return _of_atoms(
        text, radius, asked, digest, lambda k: iterate_frames(place, how, k), lambda k: label_frame(k, how)
    )


def _of_atoms(
    name: str,
    r_cut: float,
    centers: Any,
    content: bytes,
    atoms: Callable[[int], Iterator[Atoms]],
    label: Callable[[int], str],
) -> Frames:
    def batches(start: int = 0) -> Iterator[Environment]:
        for first, structures in _together(atoms(start), start):
            block = _block(structures, first, r_cut, centers, partial(_place, name, label, first))
            if block is not None:
                yield block

    def species(progress: Callable[[int], None] | None = None) -> list[str]:
        held: set[int] = set()
        for k, structure in enumerate(atoms(0), 1):
            held |= set(structure.numbers.tolist())
            if progress is not None:
                progress(k)
        return [SYMBOLS[number] for number in sorted(held) if 0 < number < len(SYMBOLS)]

    return Frames(name, r_cut, centers, _identity(content, centers), None, batches, species, label)


def _place(name: str, label: Callable[[int], str], first: int, k: int) -> str:
    """Name the k-th frame after the first, for messages."""
    return f"{name}: {label(first + k)}"


def _together(atoms: Iterator[Atoms], start: int) -> Iterator[tuple[int, list[Atoms]]]:
    """Frames, a few dozen at a time, with the index of the first; those before one that cannot be read come first."""
    error: Exception | None = None
    kept: list[Atoms] = []
    while error is None:
        try:
            for frame in islice(atoms, TOGETHER):
                kept.append(frame)
                if sum(map(len, kept)) >= ATOMS:
                    break
            else:
                if len(kept) < TOGETHER:
                    break
        except Exception as caught:
            error = caught
            break
        yield start, kept
        start, kept = start + len(kept), []
    if kept:
        yield start, kept
    if error is not None:
        raise error


def _block(
    structures: list[Atoms], first: int, r_cut: float, centers: Any, label: Callable[[int], str]
) -> Environment | None:
    """Environments of frames `first`, `first + 1` ...; `None` where there are none."""
    sound: list[int] = []
    parts: list[Environment] = []
    for k, structure in enumerate(structures):
        if not len(structure):
            continue
        wrong = _wrong(structure)
        if find_cell_fault(structure) is not None:
            parts.append(_unsearched(structure, k, _chosen(structure, centers, label(k))))
        elif wrong is None:
            sound.append(k)
        else:
            parts.append(_stand_ins(structure, k, _chosen(structure, centers, label(k)), *wrong))
    parts += _of_sound(structures, sound, r_cut, centers, label)
    if not sum(map(len, parts)):
        return None
    size = max(part.max_neighbors for part in parts)
    together = concatenate_on_host([part.padded(size) for part in parts])
    together = together[np.argsort(together.structure_index, kind="stable")]
    return _at(together, together.structure_index + np.int32(first))


def _of_sound(
    structures: list[Atoms], which: list[int], r_cut: float, centers: Any, label: Callable[[int], str]
) -> list[Environment]:
    """Environments of structures that nothing is wrong with, but perhaps that images of atoms coincide, or that their
    neighbors cannot be looked for."""
    if not which:
        return []
    chosen = [_chosen(structures[k], centers, label(k)) for k in which]
    try:
        found = cut_environments([structures[k] for k in which], chosen, r_cut, lambda k: label(which[k]))
    except (BoundsError, ImagesError) as error:
        if len(which) > 1:
            return [part for k in which for part in _of_sound(structures, [k], r_cut, centers, label)]
        (k,) = which
        if isinstance(error, BoundsError):
            return [_unsearched(structures[k], k, chosen[0])]
        pair = np.asarray(error.atoms)
        at = structures[k].positions[pair[:1]].repeat(2, 0)
        return [_stand_ins(structures[k], k, chosen[0], at, structures[k].numbers[pair], pair)]
    return [_at(_without_ghosts(found), np.asarray(which, np.int32)[found.structure_index])]


def _without_ghosts(found: Environment) -> Environment:
    """Have the environments of ghosts stand for that fault, as those do which hold one: of atoms of no species.

    An environment whose center is no atom would be one of points in space.
    """
    ghosts = np.asarray(found.center_species) == 0
    return eqx.tree_at(lambda env: env.species, found, np.where(ghosts[:, None], 0, found.species).astype(np.int32))


def _chosen(structure: Atoms, centers: Any, label: str) -> np.ndarray:
    wanted = parse_centers(centers)
    if wanted is not None and wanted.dtype.kind == "U":
        # Other frames may hold what this one does not.
        return indices_of_species(structure, [atomic_number(str(symbol)) for symbol in wanted])
    return find_centers([structure], centers, lambda _: label)[0]


def _wrong(structure: Atoms) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Positions, atomic numbers and indices of the atoms that make a structure faulty, if any do."""
    positions, cell = np.asarray(structure.positions, float), structure.cell.array[structure.pbc]
    finite = np.isfinite(positions).all(-1)
    if not (finite.all() and np.isfinite(cell).all()):
        bad = np.asarray([int(np.argmin(finite))])
        return np.full((1, 3), np.nan), structure.numbers[bad], bad
    pair = find_coincident_atoms(positions)
    return None if pair is None else (positions[list(pair)], structure.numbers[list(pair)], np.asarray(pair))


def _stand_ins(
    structure: Atoms, k: int, chosen: np.ndarray, at: np.ndarray, numbers: np.ndarray, indices: np.ndarray
) -> Environment:
    """In place of a faulty structure's environments: of each center only the atoms that are at fault."""
    mask = np.broadcast_to(indices, (len(chosen), len(indices))) != chosen[:, None]
    if np.isnan(at).any():
        mask = np.ones_like(mask)
    # Neighbors come first: where the center itself is the first of the two, they change places.
    order = np.argsort(~mask, axis=1, kind="stable")
    centers = np.nan_to_num(structure.positions[chosen])
    for index, position in zip(indices, at, strict=True):
        # Of images, the center is the one that is at fault.
        centers[chosen == index] = np.nan_to_num(position)
    mask, vectors = np.take_along_axis(mask, order, 1), at[order] - centers[:, None]
    arrays: dict[str, Any] = {
        "positions": np.where(mask[..., None], vectors, 0.0),
        "species": np.where(mask, numbers[order], 0).astype(np.int32),
        "mask": mask,
        "center_species": structure.numbers[chosen].astype(np.int32),
        "structure_index": np.full(len(chosen), k, np.int32),
        "center_index": chosen.astype(np.int32),
    }
    return Environment(**arrays)


def _unsearched(structure: Atoms, k: int, chosen: np.ndarray) -> Environment:
    """In place of the environments of a structure whose neighbors cannot be looked for: centers without any."""
    arrays: dict[str, Any] = {
        "positions": np.zeros((len(chosen), 1, 3)),
        "species": np.zeros((len(chosen), 1), np.int32),
        "mask": np.zeros((len(chosen), 1), bool),
        "center_species": structure.numbers[chosen].astype(np.int32),
        "structure_index": np.full(len(chosen), k, np.int32),
        "center_index": chosen.astype(np.int32),
        "r_cut": np.zeros(len(chosen)),
    }
    return Environment(**arrays)


def _methanes(name: str, r_cut: float, centers: list[Any]) -> Frames:
    """Without ASE: a million structures would take longer to make than their spectra."""
    n, seed = parse_random_methane(name)
    numbers = np.asarray([6, 1, 1, 1, 1], np.int32)
    if isinstance(centers[0], str):
        asked = [atomic_number(symbol) for symbol in centers]
        if set(asked) - {6, 1}:
            raise SpeciesError(f"there is no {SYMBOLS[max(asked)]} among the atoms; choose centers among H, C.")
        chosen = np.flatnonzero(np.isin(numbers, asked))
    else:
        chosen = np.asarray(centers)
        if not 0 <= min(centers) <= max(centers) < len(numbers):
            raise GeometryError(f"centers is {centers!r}; a methane has atoms 0 to {len(numbers) - 1}.")

    def batches(start: int = 0) -> Iterator[Environment]:
        for first, hydrogens in draw_methanes(n, seed, start):
            atoms = np.concatenate([np.zeros((len(hydrogens), 1, 3)), hydrogens], 1)
            yield _of_clusters(atoms, numbers, chosen, r_cut, first)

    content = hashlib.sha256(f"{n} random methanes of seed {seed}, blocks of {METHANES_PER_STREAM}".encode()).digest()
    identity, total = _identity(content, centers), n * len(chosen)
    return Frames(
        name, r_cut, centers, identity, total, batches, lambda _=None: ["H", "C"], lambda k: f"random CH4 {k}"
    )


def _of_clusters(atoms: np.ndarray, numbers: np.ndarray, chosen: np.ndarray, r_cut: float, first: int) -> Environment:
    """Environments of many structures of the same few atoms, `(m, n, 3)`, which do not repeat."""
    m, k, n = len(atoms), len(chosen), len(numbers) - 1
    others = np.stack([np.delete(np.arange(n + 1), center) for center in chosen])
    vectors = (atoms[:, others] - atoms[:, chosen, None]).reshape(m * k, n, 3)
    distance = np.sqrt(vectors[..., 0] ** 2 + vectors[..., 1] ** 2 + vectors[..., 2] ** 2)
    order = np.argsort(distance, axis=1, kind="stable")
    mask = np.take_along_axis(distance, order, 1) < r_cut
    room = max(1, mask.sum(-1).max(initial=0))
    mask, order = mask[:, :room], order[:, :room]
    index = np.take_along_axis(np.tile(others.astype(np.int32), (m, 1)), order, 1)
    arrays: dict[str, Any] = {
        "positions": np.where(mask[..., None], np.take_along_axis(vectors, order[..., None], 1), 0.0),
        "species": np.where(mask, numbers[index], 0),
        "mask": mask,
        "center_species": np.tile(numbers[chosen], m),
        "structure_index": np.repeat(np.arange(first, first + m, dtype=np.int32), k),
        "center_index": np.tile(chosen.astype(np.int32), m),
        "r_cut": np.full(m * k, r_cut),
        "neighbor_index": np.where(mask, index, -1),
    }
    return Environment(**arrays)


def _content(atoms: Atoms) -> bytes:
    return _hash(atoms.numbers.tobytes(), atoms.positions.tobytes(), atoms.cell.array.tobytes(), atoms.pbc.tobytes())


def _hash(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def _identity(content: bytes, centers: Any) -> str:
    return hashlib.sha256(content + json.dumps(centers).encode()).hexdigest()


def _at(env: Environment, structure_index: Any) -> Environment:
    return eqx.tree_at(lambda env: env.structure_index, env, structure_index)
