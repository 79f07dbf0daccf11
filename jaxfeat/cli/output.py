"""Lines on stderr, and files that are written whole or not at all."""

import json
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from jaxfeat.errors import ReadError

PICTURES = (".pdf", ".png", ".svg")


def say(message: str) -> None:
    """Print a line on stderr, where it does not mix with the tables."""
    print(f"jaxfeat: {message}", file=sys.stderr)


class StandardOutput:
    """A target of JSON: the stdout of the process. It keeps the stream, because tables are printed elsewhere then."""

    def __init__(self) -> None:
        self.stream = sys.stdout

    def __str__(self) -> str:
        return "stdout"


Target = Path | StandardOutput


def parse_target(text: str) -> Target:
    """Parse the path of a file, or - for stdout."""
    return StandardOutput() if text == "-" else Path(text)


def say_written(*targets: Target | None) -> None:
    """Name the files that a command has written, and their sizes. `None` stands for one that was not asked for."""
    paths = [target for target in targets if isinstance(target, Path)]
    if paths:
        say(f"wrote {', '.join(f'{path} ({format_bytes(_count_bytes(path))})' for path in paths)}.")


def _count_bytes(path: Path) -> int:
    """Count the bytes of a file, or of all files in a folder."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def format_bytes(n: float) -> str:
    """Write a number of bytes with a unit."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if n >= 0.9995 * size:
            return f"{n / size:.3g} {unit}"
    return f"{n:.0f} bytes"


def check_targets(data: Target | None, picture: Path | None) -> None:
    """Raise `ReadError` if a file could not be written after the computation."""
    from jaxfeat.geometry.files.write import check_folder

    for target in (target for target in (data, picture) if isinstance(target, Path)):
        if target.is_dir():
            raise ReadError(f"{target} is a folder; name a file in it.")
        check_folder(target)
    if picture is not None and picture.suffix not in PICTURES:
        raise ReadError(f"{picture} names no picture; end it in {', '.join(PICTURES)}.")


@contextmanager
def open_replacement(path: Path) -> Iterator[IO[bytes]]:
    """Open a file that replaces `path` when it is complete. If there is an error, `path` stays as it was."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        try:
            yield file
        except BaseException:
            os.unlink(file.name)
            raise
    umask = os.umask(0)
    os.umask(umask)
    os.chmod(file.name, 0o666 & ~umask)
    os.replace(file.name, path)


def write_json(target: Target, value: Any) -> None:
    """Write a value as JSON, with null for NaN and infinity."""
    if isinstance(target, StandardOutput):
        target.stream.write(f"{_dump_finite(value)}\n")
        target.stream.flush()
        return
    with open_replacement(target) as file:
        file.write(_dump_finite(value).encode())


def _dump_finite(value: Any) -> str:
    return json.dumps(json.loads(json.dumps(value), parse_constant=lambda _: None))


def save_figure(path: Path, axes: Sequence[Any]) -> None:
    """Write the figure of some axes in the format of the file's suffix. Text in vector formats stays text."""
    from jaxfeat.report.figures import style

    with open_replacement(path) as file, style():
        axes[0].figure.savefig(file, format=path.suffix[1:])
