"""Streams of environments from files and sets of any size."""

import functools
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxfeat.geometry.ase_input import find_centers, parse_centers, resolve_r_cut, select_centers
from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.files.frame_environments import cut_clusters, cut_frames
from jaxfeat.geometry.files.options import parse_read_options
from jaxfeat.geometry.files.read import SETS, label_frame, locate_source, make_set, parse_random_methane
from jaxfeat.geometry.files.trajectory import iterate_frames
from jaxfeat.geometry.random import METHANES_PER_STREAM, draw_evenly, draw_methanes
from jaxfeat.geometry.species import SYMBOLS, Atoms
from jaxfeat.progress import Progress, show_progress

FRAMES_PER_SEARCH = 32  # frames whose neighbors are searched for together
ATOMS_PER_SEARCH = 4096  # atoms that are enough for one search, however few the frames


class FramesSurvey(NamedTuple):
    """The chemical symbols of the atoms of all frames, by atomic number, and the numbers of environments, `(k,)`."""

    species: list[str]
    counts: np.ndarray


class Frames(NamedTuple):
    """Environments of a file or of a built-in set, read when they are asked for.

    **Attributes:**

    - `name`: The source as it was given.
    - `r_cut`: The radius in Å.
    - `centers`: Symbols or indices of the centers; `None` for every atom.
    - `identity`: A hash of the content, of the options of reading, and of `centers`.
    - `total`: The number of environments; `None` if it is known only at the end.
    - `batches`: `batches(k)` yields the environments of frames k, k + 1 ... in batches of whole frames, on the host.
      `structure_index` counts frames from the first.
    - `survey`: `survey(progress)` goes through all frames and returns their `species`, the chemical symbols by atomic
      number, and the `counts` of their environments. `progress` is as in `read`.
    - `label`: `label(k)` names frame k for messages and tables.
    """

    name: str
    r_cut: float
    centers: list[Any] | None
    identity: str
    total: int | None
    batches: Callable[[int], Iterator[Environment]]
    survey: Callable[..., FramesSurvey]
    label: Callable[[int], str]

    def species(self, progress: Callable[[int], None] | None = None) -> list[str]:
        """Go through all frames, and list their chemical symbols by atomic number.

        The optional `progress` is called with the number of frames so far.
        """
        return self.survey(None if progress is None else lambda k, _: progress(k)).species

    def sampled(self, size: int, seed: int = 0) -> "Frames":
        """Draw `size` of the environments at random, one from each of as many equal parts of their sequence.

        This goes through all frames once, unless `survey` remembers them.
        """
        species, counts = self.survey()
        ends = np.cumsum(counts)
        drawn = draw_evenly(int(counts.sum()), size, seed)

        def batches(start: int = 0) -> Iterator[Environment]:
            for batch in self.batches(start):
                frame = np.asarray(batch.structure_index)
                within = np.arange(len(frame)) - np.searchsorted(frame, frame)
                kept = np.flatnonzero(np.isin(ends[frame] - counts[frame] + within, drawn))
                if len(kept):
                    yield batch[kept].trimmed()

        survey = FramesSurvey(species, np.bincount(np.searchsorted(ends, drawn, "right"), minlength=len(counts)))
        return self._replace(total=len(drawn), batches=batches, survey=lambda progress=None: survey)

    def __repr__(self) -> str:
        centers = "every atom" if self.centers is None else ", ".join(map(str, self.centers))
        total = "" if self.total is None else f", {self.total} environments"
        return f"Frames({self.name!r}, r_cut = {self.r_cut:g} Å, centers: {centers}{total})"


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
    """Stream the environments of a file or of a built-in set, for sweeps that do not fit into memory.

    A faulty frame does not stop the others. If positions are not finite, atoms coincide, or the neighbor search fails,
    each environment of the frame shows only the fault, and the status of its spectrum names the fault. Ghosts stay as
    atoms of an unknown species, unless the options leave them out.

    **Arguments:**

    - `source`: A path or the name of a built-in set, as in `read`.
    - `within`, `r_cut`: The radius in Å, or the featurizer that has it, as in `environments`.
    - `centers`: Symbols or indices, as in `environments`. By default the centers of the built-in set, or every atom.
    - `format`, `index`, `types`, `units`, `skip_ghosts`, `ignore`: Options of files, as in `read`.

    **Returns:** A `Frames` whose environments have float64 positions in Å. A file has only been hashed so far.

    **Raises:** `ReadError` if there is nothing to read; `GeometryError` and `SpeciesError` for a radius or centers that
    make no sense. The batches raise `ReadError` for a frame that cannot be read, and `GeometryError` for a frame
    without an index in `centers`; both name the frame.
    """
    radius, wanted = resolve_r_cut(within, r_cut), parse_centers(centers)
    chosen: list[Any] | None = None if wanted is None else wanted.tolist()
    place, options = locate_source(source, parse_read_options(format, index, types, units, skip_ghosts, ignore))
    if isinstance(place, Path):
        with open(place, "rb") as file:
            content = hashlib.file_digest(file, "sha256").digest() + options.identity
        if options.ghosts == "refuse":
            options = options._replace(ghosts="keep")
        read_from = functools.partial(iterate_frames, place, options)
        return _stream_atoms(str(source), radius, chosen, content, read_from, lambda k: label_frame(k, options))
    if place not in SETS:
        return _stream_random_methanes(place, radius, chosen or ["C"])
    found = make_set(place)
    if chosen is None and found.centers is not None:
        chosen = [found.centers]
    arrays = [(atoms.numbers, atoms.positions, atoms.cell.array, atoms.pbc) for atoms in found.atoms]
    hashes = [hashlib.sha256(b"".join(part.tobytes() for part in parts)).digest() for parts in arrays]
    content = hashlib.sha256(b"".join(hashes)).digest()
    return _stream_atoms(place, radius, chosen, content, lambda k: iter(found.atoms[k:]), found.names.__getitem__)


def _stream_atoms(
    name: str,
    r_cut: float,
    centers: list[Any] | None,
    content: bytes,
    atoms: Callable[[int], Iterator[Atoms]],
    label: Callable[[int], str],
) -> Frames:
    """Stream frames. `atoms(k)` yields those from number k on, `label(k)` names one, and `content` is their hash."""
    wanted = parse_centers(centers)

    def batches(start: int = 0) -> Iterator[Environment]:
        for first, structures in _group(atoms(start), start):
            labels = [f"{name}: {label(first + k)}" for k in range(len(structures))]
            batch = cut_frames(structures, first, r_cut, centers, labels.__getitem__)
            if batch is not None:
                yield batch

    def survey(progress: Progress | bool | None = None) -> FramesSurvey:
        numbers: set[int] = set()
        counts: list[int] = []
        with show_progress(progress, "frames read") as report:
            for k, structure in enumerate(atoms(0)):
                numbers |= set(structure.numbers.tolist())
                chosen = select_centers(structure.numbers, wanted, k, lambda k: f"{name}: {label(k)}")
                counts.append(len(chosen))
                report(k + 1, None)
        species = [SYMBOLS[number] for number in sorted(numbers) if 0 < number < len(SYMBOLS)]
        return FramesSurvey(species, np.asarray(counts, int))

    return Frames(name, r_cut, centers, _hash_input(content, centers), None, batches, survey, label)


def _group(atoms: Iterator[Atoms], start: int) -> Iterator[tuple[int, list[Atoms]]]:
    """Group frames for one search each, with the index of the first. An error is raised after the frames before it."""
    kept: list[Atoms] = []
    try:
        for frame in atoms:
            kept.append(frame)
            if len(kept) == FRAMES_PER_SEARCH or sum(map(len, kept)) >= ATOMS_PER_SEARCH:
                yield start, kept
                start, kept = start + len(kept), []
    except Exception:
        if kept:
            yield start, kept
        raise
    if kept:
        yield start, kept


def _stream_random_methanes(name: str, r_cut: float, centers: list[Any]) -> Frames:
    n, seed = parse_random_methane(name)
    numbers = np.asarray([6, 1, 1, 1, 1], np.int32)
    (chosen,) = find_centers([numbers], centers, lambda _: name)

    def batches(start: int = 0) -> Iterator[Environment]:
        for first, hydrogens in draw_methanes(n, seed, start):
            atoms = np.concatenate([np.zeros((len(hydrogens), 1, 3)), hydrogens], 1)
            yield cut_clusters(atoms, numbers, chosen, r_cut, first)

    # Stores hold this hash, so the text must stay the same.
    content = hashlib.sha256(f"{n} random methanes of seed {seed}, blocks of {METHANES_PER_STREAM}".encode()).digest()

    def survey(progress: Progress | bool | None = None) -> FramesSurvey:
        return FramesSurvey(["H", "C"], np.full(n, len(chosen)))

    identity, label = _hash_input(content, centers), "random CH4 {}".format
    return Frames(name, r_cut, centers, identity, n * len(chosen), batches, survey, label)


def _hash_input(content: bytes, centers: list[Any] | None) -> str:
    return hashlib.sha256(content + json.dumps(centers).encode()).hexdigest()
