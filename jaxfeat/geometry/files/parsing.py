"""Parts of a text file, and errors that know their line."""

from __future__ import annotations

from typing import NamedTuple


class ParseError(Exception):
    """A frame that cannot be read: the reason, the cure, and the number of the line in the file if one is at fault.

    `trajectory` turns it into a `ReadError`, which also names file and frame.
    """

    def __init__(self, reason: str, line: int | None = None) -> None:
        super().__init__(reason)
        self.line = line


class Lines(NamedTuple):
    """Lines of one frame, and the number that the first of them has in the file."""

    first: int
    lines: list[str]
