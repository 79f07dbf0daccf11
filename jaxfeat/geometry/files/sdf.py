"""Molecules of structure-data files. ASE reads only the first molecule."""

from collections.abc import Iterable, Iterator

from jaxfeat.geometry.files.options import ReadOptions
from jaxfeat.geometry.files.parsing import Lines, ParseError, is_number, parse_elements
from jaxfeat.geometry.species import Atoms


def split(file: Iterable[str]) -> Iterator[Lines]:
    """Split a file into molecules, which end with four dollar signs."""
    lines: list[str] = []
    first = 1
    for number, line in enumerate(file, 1):
        if line.startswith("$$$$"):
            yield Lines(first, lines)
            lines, first = [], number + 1
        else:
            lines.append(line)
    if any(line.strip() for line in lines):
        yield Lines(first, lines)


def parse(molecule: Lines, options: ReadOptions) -> Atoms:
    """Make atoms of a molecule. **Raises:** `ParseError` for anything that is missing or makes no sense."""
    from ase import Atoms

    counts, at = (molecule.lines[3] if len(molecule.lines) > 3 else ""), molecule.first + 3
    # The number of atoms has three columns. The number of bonds may follow without a blank.
    if "V3000" in counts or not counts[:3].strip().isdecimal():
        raise ParseError("the line has no number of atoms as the format V2000 has it; convert the file to V2000.", at)
    n_atoms = int(counts[:3])
    rows = [line.split() for line in molecule.lines[4 : 4 + n_atoms]]
    if len(rows) < n_atoms:
        raise ParseError(f"there are {len(rows)} of {n_atoms} atoms; complete or remove the molecule.", at)
    for number, row in enumerate(rows, at + 1):
        if len(row) < 4 or not all(map(is_number, row[:3])):
            raise ParseError("an atom needs three numbers and a symbol; fix the line.", number)
    numbers = parse_elements([row[3] for row in rows], options, range(at + 1, at + 1 + n_atoms))
    return Atoms(numbers=numbers, positions=[[float(x) for x in row[:3]] for row in rows])
