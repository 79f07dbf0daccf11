"""Sweeps into stores that cannot be, and what is in their way."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from jaxfeat.errors import BasisError, ReadError
from jaxfeat.features.base import AbstractFeaturizer
from jaxfeat.features.spec import spec
from jaxfeat.geometry.files.write import check_folder
from jaxfeat.store.arrays import is_group
from jaxfeat.store.journal import Journal
from jaxfeat.store.schema import versions

COMPARED = ("featurizer", "input_hash", "r_cut", "centers", "precision", "screened", "chunk", "positions")
"""What has to be as it was for a sweep to be gone on with. A featurizer is its identity, `None` where it has none."""

MEND = "overwrite it, or name another store"

IDENTIFY = "give jaxfeat.function a key, or a class of yours a spec,"
"""What makes a featurizer one that a sweep can be gone on with."""


def check_place(path: Path, journal: Journal, overwrite: bool) -> None:
    """Raise `ReadError` for a place where no store can be, or where something else is."""
    if not path.exists():
        check_folder(path)
    elif not path.is_dir():
        raise ReadError(f"{path} exists and is a file; remove it, or name another store.")
    elif not (journal.exists or not any(path.iterdir()) or (overwrite and is_group(path))):
        what = MEND if is_group(path) else "name another store"
        raise ReadError(f"{path} exists and holds no sweep of environments to go on with; {what}.")
    elif not os.access(path, os.W_OK):
        raise ReadError(f"{path} cannot be written: it is not yours to write to.")


def check_goes_anywhere(f: AbstractFeaturizer) -> None:
    """Raise `BasisError` for a featurizer that no other process could make."""
    try:
        spec(f)
    except BasisError as error:
        raise BasisError(f"workers make the featurizer from its spec; {error}") from error


def check_same(path: Path, theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> None:
    """Raise `ReadError` where the sweep that a store holds is not the one that is asked for, or may not be."""
    for whose, settings in (("this featurizer", ours), ("the featurizer of the sweep that it holds", theirs)):
        if settings["featurizer"] is None:
            raise ReadError(
                f"{path} cannot be gone on with: nothing tells {whose} from others; {IDENTIFY} before the first sweep, "
                f"and now {MEND}."
            )
    for name in COMPARED:
        if theirs[name] != ours[name]:
            if name == "input_hash":
                raise ReadError(f"{path} holds a sweep of another input, or of one read in another way; {MEND}.")
            what, there, here = _difference(name, theirs[name], ours[name])
            raise ReadError(f"{path} holds a sweep with {what} {there}, not {here}; {MEND}.")


def check_versions(path: Path, theirs: Mapping[str, str]) -> None:
    """Raise `ReadError` where what a store holds was computed by other versions than those that are installed."""
    for name, ours in versions().items():
        if theirs.get(name) != ours:
            raise ReadError(
                f"{path} was begun with {name} {theirs.get(name, 'of an unknown version')}, and this is {ours}, which "
                f"may round differently; install that version to go on, or {MEND}."
            )


def _difference(name: str, theirs: Any, ours: Any) -> tuple[str, Any, Any]:
    """What differs, as precisely as it can be said, and the two values."""
    if name == "featurizer":
        with suppress(ValueError):
            theirs, ours = json.loads(theirs), json.loads(ours)
    if isinstance(theirs, dict) and isinstance(ours, dict):
        for key in (*theirs, *ours):
            if theirs.get(key) != ours.get(key):
                return _difference(key if key != "kind" else name, theirs.get(key), ours.get(key))
    return name, theirs, ours
