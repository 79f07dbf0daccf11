"""The journal of a store: one small file for each finished chunk, written after the chunk itself is on disk. The
journal also holds the settings that all chunks share, and a lock. An entry lists the files of its chunk with their
checksums, so that a resumed sweep finds damaged chunks before it builds on them."""

import json
import os
import shutil
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

from jaxfeat.errors import ReadError

SETTINGS, END = "settings", "end"

Entry = dict[str, Any]
"""The record of one chunk: `n` environments, the hash of its `inputs`, its lengths along `value` and `neighbor`, its
`files` with their checksums, and `after`, the position of the stream behind the chunk."""


class Journal:
    """The journal of the store at `path`."""

    def __init__(self, path: Path) -> None:
        self.store, self.folder = path, path / "journal"

    def create(self) -> None:
        """Create the folder, unless it exists. It is an empty group to zarr, which complains about other folders."""
        self.folder.mkdir(parents=True, exist_ok=True)
        replace_file(self.folder / "zarr.json", b'{"zarr_format":3,"node_type":"group","attributes":{}}')

    def empty_store(self) -> None:
        """Remove everything from the store but the lock, entries first."""
        for file in self.folder.glob("*.json"):
            file.unlink()
        for found in self.store.iterdir():
            if found != self.folder:
                shutil.rmtree(found) if found.is_dir() else found.unlink()
        self.create()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the store for this process. **Raises:** `ReadError` if another process holds it."""
        import fcntl

        handle = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o666)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                cure = "wait for it, or name another store"
                raise ReadError(f"{self.store} is being written by another process; {cure}.") from None
            yield
        finally:
            # Closing the handle releases the lock, and so does the end of the process, however it comes.
            os.close(handle)

    def write(self, name: str | int, content: Entry) -> None:
        """Write an entry: the settings, the end, or a chunk by its number."""
        text = json.dumps(content)
        replace_file(self._file(name), json.dumps({"checksum": zlib.crc32(text.encode()), "content": content}).encode())

    def read(self, name: str | int) -> Entry | None:
        """Read an entry; `None` if it is absent or damaged. `OSError` is raised, because the entry may still exist."""
        try:
            found = json.loads(self._file(name).read_bytes())
            content: Entry = found["content"]
            return content if zlib.crc32(json.dumps(content).encode()) == found["checksum"] else None
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None

    @property
    def numbers(self) -> list[int]:
        """Numbers of the chunks that have an entry, intact or damaged."""
        return sorted(int(file.stem) for file in self.folder.glob("*.json") if file.stem.isdecimal())

    def entries(self) -> dict[int, Entry]:
        """Read the entries of all chunks, by number, leaving out damaged ones."""
        return {k: entry for k in self.numbers if (entry := self.read(k)) is not None}

    def is_intact(self, entry: Entry) -> bool:
        """Tell whether the files of a chunk are there with the content that was written."""
        try:
            return all(_checksum(self.store / name) == written for name, written in entry["files"].items())
        except OSError:
            return False

    def sync(self, files: Iterable[Path]) -> dict[str, int]:
        """Flush files of the store to the disk. Return their checksums by name."""
        found, folders = {}, set()
        for file in files:
            _sync(file)
            folders |= {file.parent, file.parent.parent}
            found[file.relative_to(self.store).as_posix()] = _checksum(file)
        for folder in folders:
            _sync(folder)
        return found

    def _file(self, name: str | int) -> Path:
        return self.folder / (f"{name:08d}.json" if isinstance(name, int) else f"{name}.json")


def replace_file(file: Path, content: bytes) -> None:
    """Write a file at once and flush it to the disk: after a crash, it holds either the old content or the new."""
    partial = file.with_name(f".{file.name}")
    with open(partial, "wb") as handle:
        handle.write(content)
        handle.flush()
        os.fsync(handle.fileno())
    os.replace(partial, file)
    _sync(file.parent)


def _checksum(file: Path) -> int:
    return zlib.crc32(file.read_bytes())


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        # Some file systems refuse to flush folders, and need not be asked to.
        with suppress(OSError) if path.is_dir() else nullcontext():
            os.fsync(handle)
    finally:
        os.close(handle)
