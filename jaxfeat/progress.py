"""Progress of long work: a bar on a terminal or in a notebook, and elsewhere a line now and then."""

import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Event, Thread, current_thread, main_thread
from types import FrameType
from typing import Any, TextIO

Progress = Callable[[int, Any], None]  # called with the numbers of finished and all items, perhaps `None`
LINE_SECONDS = 30.0  # seconds between two lines without a terminal or notebook, as in the log of a job
NOTEBOOK_SECONDS = 1.0  # seconds between two changes of the bar in a notebook, and before it appears
BAR_SECONDS = 0.5  # seconds between two changes of a bar, and before it appears: most work is over by then


@contextmanager
def show_progress(
    progress: Progress | bool | None,
    items: str,
    total: int | None = None,
    *,
    resumes: bool = False,
    stream: TextIO | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Progress]:
    """Show the progress of the work in a `with` block. Yield a function that the work calls.

    - `progress`: True to show a bar or lines; a function to call instead; or `None` to show nothing.
    - `items`: The items of the work, in the plural. `total` is their number.
    - `resumes`: True if items that are done at the first call were done before and do not count in the rate.
    - `stream`: By default stderr.

    **Raises:** `KeyboardInterrupt` with the number of finished items, at the next call if its first exception got lost.
    """
    if not isinstance(progress, bool) or not progress:
        yield progress or (lambda done, total: None)
        return
    count = Count(items, total, resumes, clock)
    with _interruptible() as raise_if_interrupted, _shown(count, sys.stderr if stream is None else stream):

        def update(done: int, total: int | None) -> None:
            raise_if_interrupted()
            count.update(done, total)

        try:
            yield update
        except KeyboardInterrupt as interrupt:
            raise KeyboardInterrupt(str(interrupt) or f"interrupted after {count.finished}.") from None


class Count:
    """A count of finished items, with the time since it began."""

    def __init__(
        self, items: str, total: int | None, resumes: bool = False, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.items, self.total, self.resumes, self.clock = items, total, resumes, clock
        self.done, self.before, self.start = 0, 0, clock()

    def update(self, done: int, total: int | None) -> None:
        """Count the items that are done. If the work resumes, those of the first call were done before."""
        if self.resumes:
            self.before, self.resumes = done, False
        self.done, self.total = done, total

    @property
    def finished(self) -> str:
        """The number of finished items in words."""
        of_all = "" if self.total is None else f" of {self.total:,}"
        return f"{self.done:,}{of_all} {self.items}"

    def __str__(self) -> str:
        # The rate is the mean over the whole time, compilation included.
        seconds, new = self.clock() - self.start, self.done - self.before
        if not new or seconds <= 0:
            return f"{self.finished}, {_describe_time(seconds)} so far"
        rate = new / seconds
        per_second = f"{self.finished}, {rate:.0f}/s" if rate >= 10 else f"{self.finished}, {rate:.2g}/s"
        if self.total is None:
            return per_second
        if self.done >= self.total:
            return f"{per_second}, {_describe_time(seconds)} in all"
        return f"{per_second}, {_describe_time((self.total - self.done) / rate)} left"


def _describe_time(seconds: float) -> str:
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 1.5 * length:
            return f"{seconds / length:.{0 if seconds >= 10 * length else 1}f} {unit}"
    return f"{seconds:.0f} s"


class _Lines:
    """A new line for each change. If the work is soon over, there is none."""

    def __init__(self, count: Count, stream: TextIO) -> None:
        self.count, self.stream, self.seconds = count, stream, LINE_SECONDS
        self.any = False

    def show(self) -> None:
        self.any = True
        # The reader of a pipe may have gone.
        with suppress(OSError, ValueError):
            self.stream.write(f"jaxfeat: {self.count}\n")
            self.stream.flush()

    def close(self) -> None:
        if self.any:
            self.show()


class _Output:
    """A bar in the output of a notebook's cell, which changes in place. When the work is over, only words stay."""

    def __init__(self, count: Count) -> None:
        self.count, self.seconds, self.over = count, NOTEBOOK_SECONDS, False
        self.handle: Any = None

    def show(self) -> None:
        from IPython.display import display

        # Front ends without HTML show the words.
        if self.handle is None:
            self.handle = display(self, display_id=True)
        else:
            self.handle.update(self)

    def close(self) -> None:
        self.over = True
        if self.handle is not None:
            self.show()

    def __repr__(self) -> str:
        return f"jaxfeat: {self.count}"

    def _repr_html_(self) -> str:
        done, total = self.count.done, self.count.total
        place = "" if total is None else f' value="{done}" max="{max(total, 1)}"'
        bar = "" if self.over else f'<progress style="width:16em;vertical-align:middle"{place}></progress> '
        return f'<div style="font-size:13px">{bar}{self!r}</div>'


class _Bar:
    """A bar of rich, which is loaded if the work takes long enough for a bar."""

    def __init__(self, count: Count, stream: TextIO) -> None:
        self.count, self.stream, self.seconds = count, stream, BAR_SECONDS
        self.bar: Any = None

    def show(self) -> None:
        if self.bar is None:
            self.bar = _make_bar(self.count, self.stream)
            self.bar.start()
        (task,) = self.bar.tasks
        self.bar.update(task.id, completed=self.count.done, total=self.count.total, refresh=True)

    def close(self) -> None:
        if self.bar is not None:
            self.show()
            self.bar.stop()


def _make_bar(count: Count, stream: TextIO) -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, ProgressColumn, Task
    from rich.text import Text

    class Words(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(str(count))

    # Bar and words have to fit into 80 columns.
    bar = Progress(BarColumn(24), Words(), console=Console(file=stream), auto_refresh=False)
    bar.add_task("", total=count.total)
    return bar


@contextmanager
def _shown(count: Count, stream: TextIO) -> Iterator[None]:
    """Bring a view of a count up to date every few seconds in a thread, because the work may make no call for long."""
    view: _Bar | _Lines | _Output = _Bar(count, stream) if stream.isatty() else _Lines(count, stream)
    if type(stream).__module__.startswith("ipykernel"):
        view = _Output(count)
    over = Event()

    def keep_showing() -> None:
        while not over.wait(view.seconds):
            view.show()

    thread = Thread(target=keep_showing, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        view.close()


@contextmanager
def _interruptible() -> Iterator[Callable[[], None]]:
    """Yield a function that raises `KeyboardInterrupt` if Ctrl-C, or SIGTERM if that raises the same, got lost. Python
    drops exceptions in callbacks of its garbage collector, and JAX has one."""
    pressed = False

    def press(number: int, frame: FrameType | None) -> None:
        nonlocal pressed
        pressed = True
        raise KeyboardInterrupt

    def raise_if_pressed() -> None:
        if pressed:
            raise KeyboardInterrupt

    # Other handlers than Python's own are left in place.
    usual = [
        number
        for number in (signal.SIGINT, signal.SIGTERM)
        if current_thread() is main_thread() and signal.getsignal(number) is signal.default_int_handler
    ]
    for number in usual:
        signal.signal(number, press)
    try:
        yield raise_if_pressed
    finally:
        for number in usual:
            signal.signal(number, signal.default_int_handler)
