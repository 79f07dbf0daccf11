"""Structures to files, for viewers; and whether there is a place for a file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from jaxfeat.errors import ReadError
from jaxfeat.geometry.environment import Environment


def check_folder(path: Path) -> None:
    """Raise `ReadError` for a file in a folder that is not there, or not to be written to."""
    if not path.parent.is_dir():
        raise ReadError(f"{path} cannot be written: there is no folder {path.parent}; make it first.")
    if not os.access(path.parent, os.W_OK):
        raise ReadError(f"{path} cannot be written: the folder {path.parent} is not yours to write to.")


def write_extxyz(
    file: IO[bytes], environments: Environment, vectors: np.ndarray, info: Sequence[dict[str, Any]]
) -> None:
    """Environments as molecules, their center first and at the origin, in extended xyz.

    **Arguments:**

    - `vectors`: `(b, n, 3)`, written as the array `forces`, which viewers draw as arrows; zero at the center.
    - `info`: what the comment line of each says.
    """
    import io

    import ase.io
    from ase import Atoms
    from ase.calculators.singlepoint import SinglePointCalculator

    frames = []
    for env, arrows, words in zip(environments, vectors, info, strict=True):
        mask = np.asarray(env.mask)
        # X, a point where no atom sits, has atomic number 0.
        numbers = np.append(int(env.center_species), np.asarray(env.species)[mask])
        atoms = Atoms(numbers=numbers, positions=np.vstack([np.zeros(3), np.asarray(env.positions)[mask]]))
        atoms.calc = SinglePointCalculator(atoms, forces=np.vstack([np.zeros(3), np.asarray(arrows)[mask]]))
        atoms.info.update(words)
        frames.append(atoms)
    text = io.StringIO()
    ase.io.write(text, frames, format="extxyz")
    file.write(text.getvalue().encode())
