"""Structures of crystallographic information files.

ASE takes sites that are occupied in part for whole atoms, leaves out rows of a wrong length, and finds fluorine in FE1.
"""

from __future__ import annotations

import io
import re
import shlex
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from jaxfeat.geometry.files.elements import numbers_of
from jaxfeat.geometry.files.options import ParseError, ReadOptions
from jaxfeat.geometry.species import SYMBOLS

if TYPE_CHECKING:
    from ase import Atoms

_SYMBOL = re.compile(r"([A-Z][a-z]?)(?![A-Za-z]).*")
_PLACES = ("_atom_site_fract_x", "_atom_site_cartn_x")

_OPERATIONS = (
    "_space_group_symop_operation_xyz",
    "_space_group_symop.operation_xyz",
    "_symmetry_equiv_pos_as_xyz",
)
_SITES = ("_atom_site_label", "_atom_site_type_symbol", "_atom_site_occupancy")
_CELL = [f"_cell_length_{axis}" for axis in "abc"] + [f"_cell_angle_{angle}" for angle in ("alpha", "beta", "gamma")]
_SETTINGS = ("_space_group_crystal_system", "_symmetry_cell_setting")
_TWO_ORIGINS = {48, 50, 59, 68, 70, 85, 86, 88, 125, 126, 129, 130, 133, 134, 137, 138, 141, 142, 201, 203, 222, 224,
                227, 228}  # fmt: skip
_TWO_AXES = {146, 148, 155, 160, 161, 166, 167}
"""Space groups with two choices of the origin, or of the axes, in International Tables A."""

SAME = 1e-2
"""Å: what a site may be from the atom that it stands for."""


def blocks(file: IO[bytes]) -> Iterator[tuple[Any, int | None]]:
    """Yield blocks that hold a structure, and how many sites each lists where that can be told."""
    from ase.io.cif import parse_cif

    text = file.read()
    try:
        structures = [block for block in parse_cif(io.BytesIO(text)) if any(place in block for place in _PLACES)]
    except (AssertionError, IndexError, RuntimeError, ValueError) as error:
        raise ParseError(f"the file is no CIF ({error!r:.100}); mend it, or name its format with --format.") from error
    if not structures and re.search(rb"^_atom_site\.", text, re.MULTILINE):
        raise ParseError("the file is mmCIF, which ASE does not read; convert it to PDB or extended xyz.")
    listed: list[int | None] = [*_listed(text.decode("latin1"))]
    if len(listed) != len(structures):
        listed = [None] * len(structures)
    yield from zip(structures, listed, strict=True)


def parse(found: tuple[Any, int | None], reading: ReadOptions) -> Atoms:
    """Make atoms of a block. **Raises:** `ParseError` for sites that are no atoms, or that would be lost."""
    from ase.io.cif import CIFBlock
    from ase.spacegroup.spacegroup import SpacegroupError

    block, listed = found
    places: Any = next(block[name] for name in _PLACES if name in block)
    _check_sites(block, places, listed)
    numbers = _numbers(block, reading)
    kept = [k for k, number in enumerate(numbers) if number not in reading.ignored]
    # ASE makes one atom of those that share a place: what is to be left out must go before.
    tags = {
        name: _of(kept, len(places), value) if name.startswith("_atom_site_") else value
        for name, value in block.items()
    }
    block = CIFBlock(block.name, {**tags, "_atom_site_type_symbol": [SYMBOLS[numbers[k]] for k in kept]})
    if not reading.whole:
        _check_whole(block)
    try:
        _check_setting(block)
        atoms = block.get_atoms()
    except (AssertionError, AttributeError, KeyError, TypeError, ValueError, SpacegroupError) as error:
        raise ParseError(f"data_{block.name} makes no crystal ({error}); mend its cell or symmetry.") from error
    _check_kept(block, atoms, reading)
    return atoms


def _check_sites(block: Any, places: Any, listed: int | None) -> None:
    """Raise `ParseError` for sites that are not all there, or not at numbers, and for a cell that is not."""
    where = f"data_{block.name}"
    if not isinstance(places, list):
        raise ParseError(f"{where} lists one site outside a loop; list sites in a loop.")
    if listed is not None and len(places) != listed:
        raise ParseError(f"{where} has {listed} sites, of which {listed - len(places)} cannot be read; mend them.")
    given = next((name for name in ("_atom_site_type_symbol", "_atom_site_label") if name in block), None)
    if given is None:
        raise ParseError(f"{where} does not tell which elements its sites are; add _atom_site_type_symbol.")
    axes = [name[:-1] + axis for axis in "xyz" for name in _PLACES if name in block][:6]
    columns = {name: block.get(name, []) for name in (*axes, *_SITES) if name in axes or name in block}
    if any(len(column) != len(places) for column in columns.values()):
        raise ParseError(f"{where} has columns of sites that are not of one length; mend the loop.")
    numbers = [block[name] for name in _CELL if name in block]
    if "_atom_site_fract_x" in block and [isinstance(number, (int, float)) for number in numbers] != [True] * 6:
        raise ParseError(f"{where} has no cell of six numbers; mend the items _cell_length and _cell_angle.")
    for k, label in enumerate(_labels(block)):
        for axis in axes:
            if not isinstance(block[axis][k], (int, float)):
                raise ParseError(f"in {where} the site {label} has {block[axis][k]!r} for {axis}; write a number.")


def _of(kept: list[int], n: int, column: Any) -> Any:
    return [column[k] for k in kept] if isinstance(column, list) and len(column) == n else column


def _labels(block: Any) -> list[str]:
    return [str(label) for label in block.get("_atom_site_label", block.get("_atom_site_type_symbol"))]


def _numbers(block: Any, reading: ReadOptions) -> list[int]:
    words, labels = [], _labels(block)
    for label, kind in zip(labels, block.get("_atom_site_type_symbol", labels), strict=True):
        match = _SYMBOL.fullmatch(str(kind))
        told = next((word for word in (label, str(kind)) if word in reading.types), None)
        words.append(told or (match[1] if match is not None else str(kind)))
    try:
        return numbers_of(words, reading).tolist()
    except ParseError as fault:
        raise ParseError(f"in data_{block.name}, {fault}") from None


def _check_whole(block: Any) -> None:
    """Raise `ParseError` for sites that are occupied in part."""
    labels = _labels(block)
    for label, occupancy in zip(labels, block.get("_atom_site_occupancy", [1] * len(labels)), strict=True):
        if isinstance(occupancy, (int, float)) and occupancy < 0.999:
            raise ParseError(
                f"in data_{block.name} the site {label} is occupied in part ({occupancy:g}); write an ordered "
                "structure, or read every listed site as a whole atom with --ignore occupancies."
            )


def _check_setting(block: Any) -> None:
    """Raise `ParseError` for a space group whose origin or axes are not told: ASE takes the first of two choices."""
    if any(name in block for name in (*_OPERATIONS, "_symmetry_space_group_setting")) or not block.get_cell().rank:
        return
    number = block.get_spacegroup(True).no
    axes = number in _TWO_AXES and abs(block["_cell_angle_gamma"] - 120) > 1e-3
    if number in _TWO_ORIGINS or (axes and not any(name in block for name in _SETTINGS)):
        what = "axes" if axes else "origins"
        raise ParseError(
            f"data_{block.name} does not tell which of two {what} of space group {number} it means; list the symmetry "
            "operations."
        )


def _check_kept(block: Any, atoms: Atoms, reading: ReadOptions) -> None:
    """Raise `ParseError` for a site that is none of the atoms: ASE leaves out one that sits on another."""
    if reading.whole or not atoms.cell.rank:
        return
    sites = block.get_unsymmetrized_structure()
    of_sites, of_atoms = (one.get_scaled_positions(wrap=False) for one in (sites, atoms))
    for label, number, site in zip(_labels(block), sites.numbers, of_sites, strict=True):
        apart = of_atoms[atoms.numbers == number] - site
        apart -= np.rint(apart)
        if not (np.linalg.norm(apart @ atoms.cell.array, axis=-1) < SAME).any():
            raise ParseError(f"in data_{block.name} the site {label} sits on another one; remove one of them.")


def _listed(text: str) -> Iterator[int]:
    """Count the sites of each loop of sites by its entries, because ASE leaves out rows that have more or fewer."""
    headers: list[str] = []
    entries, looping = 0, False
    for line in [*text.split("\n"), "loop_"]:
        word = line.strip()
        if not line or word.startswith("#"):
            continue
        if word.startswith("_") and looping and not entries:
            headers.append(word.split()[0].lower())
        elif not word or word.startswith("_") or word.lower().startswith(("loop_", "data_")):
            if entries:
                yield -(-entries // len(headers))
            headers, entries, looping = [], 0, word.lower().startswith("loop_")
        elif any(place in headers for place in _PLACES):
            entries += len(shlex.split(word.split(" #")[0], posix=False))
