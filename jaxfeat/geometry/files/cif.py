"""Structures of crystallographic information files. ASE reads sites with partial occupancy as whole atoms, drops rows
of a wrong length, and takes FE1 for fluorine. The parser in this module refuses these files."""

import io
import re
import shlex
from collections.abc import Iterator
from typing import IO, Any, NamedTuple

import numpy as np

from jaxfeat.geometry.files.options import ReadOptions
from jaxfeat.geometry.files.parsing import ParseError, describe_exception, parse_elements
from jaxfeat.geometry.species import SYMBOLS, Atoms

_SYMBOL = re.compile(r"([A-Z][a-z]?)(?![A-Za-z]).*")
_COORDINATES = ("_atom_site_fract_x", "_atom_site_cartn_x")

_OPERATIONS = ("_space_group_symop_operation_xyz", "_space_group_symop.operation_xyz", "_symmetry_equiv_pos_as_xyz")
_SITES = ("_atom_site_label", "_atom_site_type_symbol", "_atom_site_occupancy")
_SETTINGS = ("_space_group_crystal_system", "_symmetry_cell_setting")

_TWO_ORIGINS = {48, 50, 59, 68, 70, 85, 86, 88, 125, 126, 129, 130, 133, 134, 137, 138, 141, 142, 201, 203, 222, 224,
                227, 228}  # fmt: skip
"""Space groups that International Tables A lists with two origins."""

SITE_TOLERANCE = 1e-2  # Å between a site and its atom in the cell that ASE makes
FULL_OCCUPANCY = 0.999  # occupancies from this value on count as full, because files round them


class Block(NamedTuple):
    """A block of a file that holds a structure, and the number of sites that it lists, if that can be counted."""

    tags: Any
    n_listed: int | None


def split(file: IO[str]) -> Iterator[Block]:
    """Split a file into blocks, and skip blocks without a structure. **Raises:** `ParseError` if ASE cannot."""
    from ase.io.cif import parse_cif

    text = file.read().encode("utf-8", "surrogateescape")
    try:
        blocks = [tags for tags in parse_cif(io.BytesIO(text)) if any(name in tags for name in _COORDINATES)]
    except (AssertionError, IndexError, RuntimeError, ValueError) as error:
        told = f" (ASE: {describe_exception(error)})" if str(error) else ""
        raise ParseError(f"the file is not a CIF{told}; fix it, or name its format with --format.") from error
    if not blocks and re.search(rb"^_atom_site\.", text, re.MULTILINE):
        raise ParseError("the file is mmCIF, which ASE does not read; convert it to PDB or extended xyz.")
    n_listed: list[int | None] = [*_count_sites(text.decode("latin1"))]
    if len(n_listed) != len(blocks):
        n_listed = [None] * len(blocks)
    yield from map(Block, blocks, n_listed)


def parse(block: Block, options: ReadOptions) -> Atoms:
    """Make atoms of a block. **Raises:** `ParseError` for sites that are not atoms, or that ASE would lose."""
    from ase.io.cif import CIFBlock

    tags = block.tags
    n_sites = _check_sites(tags, block.n_listed)
    numbers = _parse_numbers(tags, options)
    kept = [k for k, number in enumerate(numbers) if number not in options.ignored]
    # ASE merges the atoms that share a site, so ignored atoms must go before.
    columns = {
        name: [column[k] for k in kept] if isinstance(column, list) and len(column) == n_sites else column
        for name, column in tags.items()
        if name.startswith("_atom_site_")
    }
    tags = CIFBlock(tags.name, {**tags, **columns, "_atom_site_type_symbol": [SYMBOLS[numbers[k]] for k in kept]})
    if not options.whole_sites:
        _check_occupancies(tags)
    try:
        choice, atoms = _find_open_choice(tags), tags.get_atoms()
    # ASE raises whatever its computations stumble over.
    except Exception as error:
        raise ParseError(f"data_{tags.name} makes no crystal ({error}); fix its cell or symmetry.") from error
    if choice:
        raise ParseError(f"data_{tags.name} leaves open which of two {choice} it uses; list the symmetry operations.")
    if not options.whole_sites:
        _check_merged(tags, atoms)
    return atoms


def _check_sites(tags: Any, n_listed: int | None) -> int:
    """Count the sites. **Raises:** `ParseError` for missing sites, elements, coordinates or cells."""
    block = f"data_{tags.name}"
    sites: Any = next(tags[name] for name in _COORDINATES if name in tags)
    if not isinstance(sites, list):
        raise ParseError(f"{block} lists one site outside a loop; list sites in a loop.")
    if n_listed is not None and len(sites) != n_listed:
        raise ParseError(f"{block} has {n_listed} sites, of which {n_listed - len(sites)} cannot be read; fix them.")
    if not any(name in tags for name in ("_atom_site_type_symbol", "_atom_site_label")):
        raise ParseError(f"{block} does not name the elements of its sites; add _atom_site_type_symbol.")
    axes = [name[:-1] + axis for axis in "xyz" for name in _COORDINATES if name in tags]
    names = [*axes, *(name for name in _SITES if name in tags)]
    if any(len(tags.get(name, [])) != len(sites) for name in names):
        raise ParseError(f"{block} has columns of sites with different lengths; fix the loop.")
    cell = tags.get_cellpar() or [None]
    if "_atom_site_fract_x" in tags and not all(isinstance(number, (int, float)) for number in cell):
        raise ParseError(f"{block} has no cell of six numbers; fix the items _cell_length and _cell_angle.")
    for k, label in enumerate(_labels(tags)):
        for axis in axes:
            if not isinstance(tags[axis][k], (int, float)):
                raise ParseError(f"in {block} the site {label} has {tags[axis][k]!r} for {axis}; write a number.")
    return len(sites)


def _labels(tags: Any) -> list[str]:
    return [str(label) for label in tags.get("_atom_site_label", tags.get("_atom_site_type_symbol"))]


def _parse_numbers(tags: Any, options: ReadOptions) -> list[int]:
    words, labels = [], _labels(tags)
    for label, kind in zip(labels, map(str, tags.get("_atom_site_type_symbol", labels)), strict=True):
        match = _SYMBOL.fullmatch(kind)
        given = next((word for word in (label, kind) if word in options.types), None)
        words.append(given or (kind if match is None else match[1]))
    try:
        return parse_elements(words, options).tolist()
    except ParseError as error:
        raise ParseError(f"in data_{tags.name}, {error}") from None


def _check_occupancies(tags: Any) -> None:
    labels = _labels(tags)
    for label, occupancy in zip(labels, tags.get("_atom_site_occupancy", [1] * len(labels)), strict=True):
        if isinstance(occupancy, (int, float)) and occupancy < FULL_OCCUPANCY:
            cure = "write an ordered structure, or read every listed site as a whole atom with --ignore occupancies"
            raise ParseError(f"in data_{tags.name} the site {label} has the occupancy {occupancy:g}; {cure}.")


def _find_open_choice(tags: Any) -> str:
    """Name the choice that a block leaves open, or return an empty string. ASE takes the first of two choices."""
    from ase.io.cif import rhombohedral_spacegroups

    if any(name in tags for name in (*_OPERATIONS, "_symmetry_space_group_setting")) or not tags.get_cell().rank:
        return ""
    number = tags.get_spacegroup(True).no
    if number in _TWO_ORIGINS:
        return f"origins of space group {number}"
    hexagonal = abs(tags["_cell_angle_gamma"] - 120) <= 1e-3
    if number in rhombohedral_spacegroups and not hexagonal and not any(name in tags for name in _SETTINGS):
        return f"axes of space group {number}"
    return ""


def _check_merged(tags: Any, atoms: Atoms) -> None:
    """Raise `ParseError` for a site without an atom: ASE drops a site that coincides with another."""
    if not atoms.cell.rank:
        return
    sites = tags.get_unsymmetrized_structure()
    of_sites, of_atoms = (one.get_scaled_positions(wrap=False) for one in (sites, atoms))
    for label, number, site in zip(_labels(tags), sites.numbers, of_sites, strict=True):
        shift = of_atoms[atoms.numbers == number] - site
        shift -= np.rint(shift)
        if not (np.linalg.norm(shift @ atoms.cell.array, axis=-1) < SITE_TOLERANCE).any():
            raise ParseError(f"in data_{tags.name} the site {label} coincides with another; remove one of them.")


def _count_sites(text: str) -> Iterator[int]:
    """Count the sites of each loop of sites by its entries, because ASE drops rows that have more or fewer."""
    headers: list[str] = []
    entries, in_loop = 0, False
    for line in [*text.split("\n"), "loop_"]:
        word = line.strip()
        if not line or word.startswith("#"):
            continue
        if word.startswith("_") and in_loop and not entries:
            headers.append(word.split()[0].lower())
        elif not word or word.startswith("_") or word.lower().startswith(("loop_", "data_")):
            if entries:
                yield -(-entries // len(headers))
            headers, entries, in_loop = [], 0, word.lower().startswith("loop_")
        elif any(name in headers for name in _COORDINATES):
            entries += len(shlex.split(word.split(" #")[0], posix=False))
