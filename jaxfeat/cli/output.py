"""Progress bars, and files that are written whole or not at all."""

import json
import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import current_thread, main_thread
from types import FrameType
from typing import IO, Any

from jaxfeat.errors import ReadError

PICTURES = (".pdf", ".png", ".svg")


@contextmanager
def progress_bar(subject: str, total: int | None, resumes: bool = False) -> Iterator[Callable[[int, int | None], None]]:
    """Show a bar with rate and remaining time on a terminal, and a single line elsewhere.

    Yield a function of the number of items done and their total. If `resumes`, items that are done at its first call
    were done before and do not count in the rate.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TimeRemainingColumn
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            # The mean over the whole time, compilation included. The speed of rich forgets slow beginnings.
            rate = (task.completed - task.fields["before"]) / task.elapsed if task.elapsed else 0.0
            return Text(f"{rate:.0f}/s" if rate >= 10 else f"{rate:.1f}/s", style="progress.data.speed")

    console = Console(stderr=True)
    if not console.is_terminal:
        console.print(f"{subject} ...", highlight=False)
        with _interruptible() as raise_if_interrupted:
            yield lambda done, total: raise_if_interrupted()
        return
    columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), Rate(), TimeRemainingColumn())
    with Progress(*columns, console=console) as bar, _interruptible() as raise_if_interrupted:
        task = bar.add_task(subject, total=total, before=0)
        first = resumes

        def show(done: int, total: int | None) -> None:
            nonlocal first
            raise_if_interrupted()
            if first:
                bar.update(task, before=done)
                first = False
            bar.update(task, completed=done, total=total)

        yield show


@contextmanager
def _interruptible() -> Iterator[Callable[[], None]]:
    """Yield a function that raises `KeyboardInterrupt` if Ctrl-C was pressed and its exception got lost.

    Python drops exceptions in callbacks of its garbage collector, and JAX has one.
    """
    pressed = False

    def press(number: int, frame: FrameType | None) -> None:
        nonlocal pressed
        pressed = True
        raise KeyboardInterrupt

    def raise_if_pressed() -> None:
        if pressed:
            raise KeyboardInterrupt

    # Another handler than Python's own is left in place.
    usual = current_thread() is main_thread() and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if usual:
        signal.signal(signal.SIGINT, press)
    try:
        yield raise_if_pressed
    finally:
        if usual:
            signal.signal(signal.SIGINT, signal.default_int_handler)


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


def save_figure(path: Path, figure: Any) -> None:
    """Write a matplotlib figure in the format of the file's suffix."""
    with open_replacement(path) as file:
        figure.savefig(file, format=path.suffix[1:])
