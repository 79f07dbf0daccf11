"""Structures to files, for viewers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import IO, Any

import numpy as np

from jaxfeat.geometry.environment import Environment


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
