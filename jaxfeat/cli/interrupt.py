"""Ctrl-C that is not lost."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread
from types import FrameType


@contextmanager
def interruptible() -> Iterator[Callable[[], None]]:
    """Ctrl-C interrupts, as ever; where the exception got lost, what this yields raises it.

    Python drops exceptions in callbacks of its garbage collector, and JAX has such a callback.
    """
    pressed = False

    def press(number: int, frame: FrameType | None) -> None:
        nonlocal pressed
        pressed = True
        raise KeyboardInterrupt

    def go_on() -> None:
        if pressed:
            raise KeyboardInterrupt

    # Where there is another handler, its owner sees to it.
    usual = current_thread() is main_thread() and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if usual:
        signal.signal(signal.SIGINT, press)
    try:
        yield go_on
    finally:
        if usual:
            signal.signal(signal.SIGINT, signal.default_int_handler)
