"""Frames of a file, one after another, from any frame on."""

from __future__ import annotations

import io
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING

from jaxfeat.errors import ReadError

if TYPE_CHECKING:
    from ase import Atoms


def check_file(path: Path) -> None:
    """Raise `ReadError` where there is no file to read structures from."""
    if not path.exists():
        raise ReadError(f"{path}: there is no such file.")
    if path.is_dir():
        raise ReadError(f"{path} is a folder; give a file of structures.")


def atoms_of(path: Path, start: int = 0) -> Iterator[Atoms]:
    """The frames of a file that ASE reads, from frame `start` on, one at a time.

    **Raises:** `ReadError`, which names the frame, where one cannot be read; the ones before it have been yielded.
    """
    from ase import Atoms

    check_file(path)
    count = start
    try:
        if path.stat().st_size == 0:
            raise ReadError(f"{path} is empty; give a file that holds structures.")
        for frame in _frames(path, start):
            if not isinstance(frame, Atoms):
                raise ReadError(f"{path} holds no structures.")
            yield frame
            count += 1
    except ReadError:
        raise
    # ASE's readers raise whatever their parsers stumble over, from OSError to KeyError and sqlite3.Error.
    except Exception as error:
        place = f" at frame {count}" if count else ""
        reason = " ".join(str(error).split())[:200]
        raise ReadError(f"{path} cannot be read{place}: {type(error).__name__}: {reason}") from error
    if not count:
        raise ReadError(f"{path} holds no structures.")


def _frames(path: Path, start: int) -> Iterator[Atoms]:
    import ase.io
    from ase.io.formats import filetype, get_ioformat, open_with_compression

    kind = filetype(str(path))
    if kind == "extxyz":
        # ASE goes through the whole file before it reads the first frame, and remembers where each of them is.
        with open_with_compression(str(path), "r") as file:
            for text in islice(_xyz(file), start, None):
                yield from ase.io.iread(io.StringIO(text), ":", format="extxyz")
    elif not start:
        yield from ase.io.iread(path, ":", do_not_split_by_at_sign=True)
    elif not get_ioformat(kind).single:
        yield from ase.io.iread(path, f"{start}:", do_not_split_by_at_sign=True)


def _xyz(file: IO[str]) -> Iterator[str]:
    """The lines of each frame of an extended xyz file."""
    line = file.readline()
    while line.strip():
        n_lines = int(line) + 1
        body = list(islice(file, n_lines))
        if len(body) < n_lines:
            raise EOFError(f"the file ends after {max(len(body) - 1, 0)} of {n_lines - 1} atoms.")
        frame, line = [line, *body], file.readline()
        while line.lstrip().startswith("VEC"):
            frame.append(line)
            line = file.readline()
        yield "".join(frame)
