"""Structures to files, for viewers; and whether there is a place for a file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from jaxfeat.errors import ReadError
from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.species import SYMBOLS


def check_folder(path: Path) -> None:
    """Raise `ReadError` for a file in a folder that is not there, or not to be written to."""
    if not path.parent.is_dir():
        raise ReadError(f"{path} cannot be written: there is no folder {path.parent}; make it first.")
    if not os.access(path.parent, os.W_OK):
        raise ReadError(f"{path} cannot be written: the folder {path.parent} is not yours to write to.")


def write_extxyz(
    file: IO[bytes], environments: Environment, vectors: np.ndarray, info: Sequence[dict[str, Any]]
) -> None:
    """Write environments as molecules, their center first and at the origin, in extended xyz.

    Positions have 17 significant digits, so that the same numbers are read again.

    **Arguments:**

    - `vectors`: `(b, n, 3)`, written as the array `forces`, which viewers draw as arrows; zero at the center.
    - `info`: what the comment line of each says.
    """
    from ase.io.extxyz import key_val_dict_to_str

    for env, arrows, words in zip(environments, vectors, info, strict=True):
        mask = np.asarray(env.mask)
        # X, a point where no atom sits, has atomic number 0.
        numbers = np.append(int(env.center_species), np.asarray(env.species)[mask])
        columns = np.zeros((len(numbers), 6))
        columns[1:, :3], columns[1:, 3:] = np.asarray(env.positions)[mask], np.asarray(arrows)[mask]
        keys = key_val_dict_to_str(words)
        lines = [str(len(numbers)), f'Properties=species:S:1:pos:R:3:forces:R:3 {keys} pbc="F F F"']
        for number, row in zip(numbers, columns.tolist(), strict=True):
            lines.append(f"{SYMBOLS[number]:<2} {' '.join(f'{value:24.17g}' for value in row)}")
        file.write("".join(f"{line}\n" for line in lines).encode())
