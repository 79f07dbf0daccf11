"""Environments as files for viewers, and a check of the folder that a file goes to."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from jaxfeat.errors import ReadError
from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.species import SYMBOLS, Atoms


def check_folder(path: Path) -> None:
    """Raise `ReadError` if the folder of a file does not exist, or may not be written to."""
    if not path.parent.is_dir():
        raise ReadError(f"{path} cannot be written: there is no folder {path.parent}; make it first.")
    if not os.access(path.parent, os.W_OK):
        raise ReadError(f"{path} cannot be written: the folder {path.parent} is not yours to write to.")


def write_extxyz(
    file: IO[bytes], environments: Environment, vectors: np.ndarray, info: Sequence[dict[str, Any]]
) -> None:
    """Write environments `(b,)` as molecules in extended xyz, with the center first, in 17 digits. `vectors`,
    `(b, n, 3)`, become the array `forces`, which viewers draw as arrows; `info` holds what the comment lines say."""
    from ase.io.extxyz import key_val_dict_to_str

    for env, arrows, keys in zip(environments, vectors, info, strict=True):
        mask = np.asarray(env.mask)
        # An empty center has the atomic number 0 and the symbol X.
        numbers = np.append(int(env.center_species), np.asarray(env.species)[mask])
        columns = np.zeros((len(numbers), 6))
        columns[1:, :3], columns[1:, 3:] = np.asarray(env.positions)[mask], np.asarray(arrows)[mask]
        comment = f'Properties=species:S:1:pos:R:3:forces:R:3 {key_val_dict_to_str(keys)} pbc="F F F"'
        lines = [str(len(numbers)), comment]
        for number, row in zip(numbers, columns.tolist(), strict=True):
            lines.append(f"{SYMBOLS[number]:<2} {' '.join(f'{value:24.17g}' for value in row)}")
        file.write("".join(f"{line}\n" for line in lines).encode())


def write_features_of_atoms(
    file: IO[bytes], atoms: Atoms, features: np.ndarray, centers: np.ndarray, info: dict[str, Any]
) -> None:
    """Append a structure to a file in extended xyz, with the features `(b, d)` of its `centers` as an array of the
    atoms, in 17 digits, or 9 for float32. Other atoms have NaN. `info` goes into the comment line."""
    from ase.io.extxyz import key_val_dict_to_str

    digits = 17 if features.dtype == np.float64 else 9
    columns = np.full((len(atoms), features.shape[1]), np.nan)
    columns[centers] = features
    cell = " ".join(f"{value:.17g}" for value in atoms.cell.array.ravel())
    lattice = f'Lattice="{cell}" ' if atoms.cell.rank else ""
    kinds = f"Properties=species:S:1:pos:R:3:features:R:{features.shape[1]}"
    pbc = " ".join("FT"[int(periodic)] for periodic in atoms.pbc)
    lines = [str(len(atoms)), f'{lattice}{kinds} {key_val_dict_to_str(info)} pbc="{pbc}"']
    for symbol, position, row in zip(atoms.symbols, atoms.positions.tolist(), columns.tolist(), strict=True):
        numbers = [f"{value:.17g}" for value in position] + [f"{value:.{digits}g}" for value in row]
        lines.append(f"{symbol:<2} {' '.join(numbers)}")
    file.write("".join(f"{line}\n" for line in lines).encode())
