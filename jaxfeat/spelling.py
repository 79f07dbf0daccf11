"""Proposals for words that are misspelled."""

import re
from collections.abc import Iterable
from difflib import get_close_matches

LEAST_SIMILAR = 0.6  # similarity from which on a known word is proposed, as `difflib` measures it


def find_similar(word: str, known: Iterable[str]) -> str | None:
    """Find the known word that is most like a word, whatever their capitals, dashes and underscores; `None` if none
    is."""
    plain = {_plain(one): one for one in known}
    found = get_close_matches(_plain(word), plain, 1, LEAST_SIMILAR)
    return plain[found[0]] if found else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Write "; did you mean X?" with the known word that is most like a word; an empty string if none is."""
    similar = find_similar(word, known)
    return "" if similar is None else f"; did you mean {similar}?"


def _plain(word: str) -> str:
    return re.sub("[-_]", "", word).lower()
