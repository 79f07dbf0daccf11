"""What commands show while they work, and the files that they leave."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from jaxfeat.errors import ReadError

PICTURES = (".pdf", ".png", ".svg")


@contextmanager
def progress_bar(what: str, total: int | None) -> Iterator[Callable[[int, int], None]]:
    """A bar with rate and time left on a terminal; elsewhere one line."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TimeRemainingColumn
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            # Over the whole time, compilation included: what rich calls speed forgets slow beginnings.
            rate = task.completed / task.elapsed if task.elapsed else 0.0
            return Text(f"{rate:.0f}/s" if rate >= 10 else f"{rate:.1f}/s", style="progress.data.speed")

    console = Console(stderr=True)
    if not console.is_terminal:
        console.print(f"{what} ...", highlight=False)
        yield lambda done, total: None
        return
    columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), Rate(), TimeRemainingColumn())
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def check_targets(data: Path | None, picture: Path | None) -> None:
    """Raise `ReadError` for files that could not be written once everything is computed."""
    for target in filter(None, (data, picture)):
        _check_target(target)
    if picture is not None and picture.suffix not in PICTURES:
        raise ReadError(f"{picture} names no picture; end it in {', '.join(PICTURES)}.")


def _check_target(path: Path) -> None:
    if path.is_dir():
        raise ReadError(f"{path} is a folder; name a file in it.")
    if not path.parent.is_dir():
        raise ReadError(f"{path} cannot be written: there is no folder {path.parent}; make it first.")
    if not os.access(path.parent, os.W_OK):
        raise ReadError(f"{path} cannot be written: the folder {path.parent} is not yours to write to.")


@contextmanager
def written(path: Path) -> Iterator[IO[bytes]]:
    """A file that takes its place when it is complete, and not before."""
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


def finite(value: Any) -> Any:
    """The same with null for what JSON has no number for."""
    if isinstance(value, dict):
        return {key: finite(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
