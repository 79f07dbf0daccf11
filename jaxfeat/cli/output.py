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


def say_written(*paths: Path | None) -> None:
    """Name the files that a command has written. `None` stands for a file that was not asked for."""
    if written := ", ".join(str(path) for path in paths if path is not None):
        say(f"wrote {written}.")


def check_targets(data: Path | None, picture: Path | None) -> None:
    """Raise `ReadError` if a file could not be written after the computation."""
    from jaxfeat.geometry.files.write import check_folder

    for target in filter(None, (data, picture)):
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


def write_json(path: Path, value: Any) -> None:
    """Write a value as JSON, with null for NaN and infinity."""
    with open_replacement(path) as file:
        finite = json.loads(json.dumps(value), parse_constant=lambda _: None)
        file.write(json.dumps(finite).encode())


def save_figure(path: Path, axes: Sequence[Any]) -> None:
    """Write the figure of some axes in the format of the file's suffix. Text in vector formats stays text."""
    from jaxfeat.report.figures import style

    with open_replacement(path) as file, style():
        axes[0].figure.savefig(file, format=path.suffix[1:])
