"""Reasons why a sweep cannot begin or resume in a store, each an error that says what to do."""

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from jaxfeat.errors import ReadError
from jaxfeat.geometry.files.write import check_folder
from jaxfeat.store.journal import Journal
from jaxfeat.store.schema import versions
from jaxfeat.store.zarr_arrays import is_group

REMEDY = "overwrite it, or name another store"

IDENTIFY = "give jaxfeat.function a key, or your class a spec,"
"""Ways to give a featurizer an identity, without which no sweep resumes."""


NOT_IN_FORMER_STORES = {"classify": None, "sample": None}  # all were classified, and no sample drawn


def check_place(path: Path, journal: Journal, overwrite: bool) -> None:
    """Raise `ReadError` if no store can be written at `path`, or something else is there."""
    if not path.exists():
        check_folder(path)
    elif not path.is_dir():
        raise ReadError(f"{path} exists and is a file; remove it, or name another store.")
    elif not (journal.folder.is_dir() or not any(path.iterdir()) or (overwrite and is_group(path))):
        remedy = REMEDY if is_group(path) else "name another store"
        raise ReadError(f"{path} exists and holds no sweep of environments to resume; {remedy}.")
    elif not os.access(path, os.W_OK):
        raise ReadError(f"{path} cannot be written: it is not yours to write to.")


def check_same(path: Path, theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> None:
    """Raise `ReadError` if the settings of the sweep in the store differ from those asked for, or may differ."""
    for whose, settings in (("this featurizer", ours), ("the featurizer of the sweep in the store", theirs)):
        if settings["featurizer"] is None:
            cure = f"{IDENTIFY} before the first sweep, and now {REMEDY}"
            raise ReadError(f"{path} cannot be resumed: nothing tells {whose} from others; {cure}.")
    for name, asked in ours.items():
        if theirs[name] != asked:
            if name == "input_hash":
                raise ReadError(f"{path} holds a sweep of another input, or of one read in another way; {REMEDY}.")
            differing, there, here = _difference(name, theirs[name], asked)
            raise ReadError(f"{path} holds a sweep with {differing} {there}, not {here}; {REMEDY}.")


def check_versions(path: Path, theirs: Mapping[str, str]) -> None:
    """Raise `ReadError` if other versions than the installed ones computed the chunks of the store."""
    for name, ours in versions().items():
        if theirs.get(name) != ours:
            raise ReadError(
                f"{path} was begun with {name} {theirs.get(name, 'of an unknown version')}, and this is {ours}, which "
                f"may round differently; install that version to resume, or {REMEDY}."
            )


def _difference(name: str, theirs: Any, ours: Any) -> tuple[str, Any, Any]:
    """Find the innermost field that differs. Return its name and both values."""
    if name == "featurizer":
        with suppress(ValueError):
            theirs, ours = json.loads(theirs), json.loads(ours)
    if isinstance(theirs, dict) and isinstance(ours, dict):
        for key in (*theirs, *ours):
            if theirs.get(key) != ours.get(key):
                return _difference(key if key != "kind" else name, theirs.get(key), ours.get(key))
    return name, theirs, ours
