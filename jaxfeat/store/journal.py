"""Which chunks of a store are done: one small file each, written when the chunk itself is on disk.

Beside the entries lie the settings that all chunks share, and a lock. An entry lists the files of its chunk with a
checksum, so that what has since been damaged is found before anything is built on it.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from jaxfeat.errors import ReadError

FOLDER = "journal"
SETTINGS, END = "settings", "end"


class Journal:
    """The journal of the store at `path`, a folder in it."""

    def __init__(self, path: Path) -> None:
        self.store, self.folder = path, path / FOLDER

    @property
    def exists(self) -> bool:
        return self.folder.is_dir()

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        # A group to zarr, and so nothing that it would wonder about.
        place(self.folder / "zarr.json", b'{"zarr_format":3,"node_type":"group","attributes":{}}')

    def clear(self) -> None:
        for file in self.folder.glob("*.json"):
            file.unlink()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the store for this process. **Raises:** `ReadError` where another one does."""
        import fcntl

        handle = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o666)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ReadError(
                    f"{self.store} is being written by another process; wait for it, or name another store."
                ) from None
            yield
        finally:
            # The lock goes with the handle, and with the process however it ends.
            os.close(handle)

    def write(self, name: str | int, content: dict[str, Any]) -> None:
        """Keep an entry; it is there as a whole or not at all."""
        text = json.dumps(content)
        place(self._file(name), json.dumps({"checksum": zlib.crc32(text.encode()), "content": content}).encode())

    def read(self, name: str | int) -> dict[str, Any] | None:
        """Read an entry; `None` where there is none, or one that is damaged.

        **Raises:** `OSError` where the file system fails: an entry that cannot be read now is not gone.
        """
        try:
            kept = json.loads(self._file(name).read_bytes())
            content: dict[str, Any] = kept["content"]
            return content if zlib.crc32(json.dumps(content).encode()) == kept["checksum"] else None
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None

    @property
    def numbers(self) -> list[int]:
        """Numbers of the chunks that have an entry, sound or not."""
        return sorted(int(file.stem) for file in self.folder.glob("*.json") if file.stem.isdecimal())

    def entries(self) -> dict[int, dict[str, Any]]:
        """Sound entries of chunks, by number."""
        return {k: entry for k in self.numbers if (entry := self.read(k)) is not None}

    def sound(self, entry: dict[str, Any]) -> bool:
        """Whether the files of a chunk are those that were written."""
        try:
            return all(checksum(self.store / name) == kept for name, kept in entry["files"].items())
        except OSError:
            return False

    def seal(self, files: Iterable[Path]) -> dict[str, int]:
        """Have files on disk, for good, and their checksums by name."""
        found, folders = {}, set()
        for file in files:
            _flush(file)
            folders |= {file.parent, file.parent.parent}
            found[file.relative_to(self.store).as_posix()] = checksum(file)
        for folder in folders:
            _flush(folder)
        return found

    def _file(self, name: str | int) -> Path:
        return self.folder / (f"{name:08d}.json" if isinstance(name, int) else f"{name}.json")


def checksum(file: Path) -> int:
    return zlib.crc32(file.read_bytes())


def place(file: Path, content: bytes) -> None:
    """Have a file on disk, for good; it is there as a whole or not at all."""
    partial = file.with_name(f".{file.name}")
    with open(partial, "wb") as handle:
        handle.write(content)
        handle.flush()
        os.fsync(handle.fileno())
    os.replace(partial, file)
    _flush(file.parent)


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        # Some file systems cannot do it for folders, and then have no need to.
        with suppress(OSError) if path.is_dir() else _nothing():
            os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _nothing() -> Iterator[None]:
    yield
