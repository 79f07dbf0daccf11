"""PDB files need elements and whole atoms."""

import pytest
from ase import Atoms
from file_texts import PDB, assert_refused, assert_same, write

from jaxfeat import read

GLY = Atoms("NCH", [[-1.2, 0.5, 0.1], [0, -0.3, 0.05], [0, -0.95, 0.93]], cell=[20, 20, 20], pbc=True)

REFUSED = {
    "calcium or not": (
        "p.pdb",
        PDB.replace(" CA  GLY", "CA   GLY"),
        {},
        "frame 0, line 4: the atom CA has no element in .* --types CA=SYMBOL",
    ),
    "an ion": ("p.pdb", PDB.replace(" CA  GLY", " CA   CA"), {}, "frame 0, line 4: the atom CA has no element"),
    "an element of a PDB": ("p.pdb", PDB.replace("           N", "           D"), {}, "frame 1, line 8: 'D' .* D=H"),
    "no coordinate": ("p.pdb", PDB.replace("-0.300", "******"), {}, r"line 4: '\*\*\*\*\*\*' in the columns of the"),
    "a part of an atom": (
        "p.pdb",
        PDB.replace("0.930  1.00", "0.930  0.40"),
        {},
        "line 5: the atom 1HA has the occupancy 0.4",
    ),
    "two places": ("p.pdb", PDB.replace(" N   GLY", " CA BGLY"), {}, "line 4: the atom CA is listed at several places"),
    "no cell of a PDB": ("p.pdb", PDB.replace("20.000", "  none"), {}, "line 1: the cell needs six numbers"),
    "a space group": ("p.pdb", PDB.replace(" P 1", " P 21 21 21"), {}, "line 1: .* space group P 21 21 21.* expand it"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals_name_the_place_and_the_cure(tmp_path, case):
    assert_refused(tmp_path, *REFUSED[case])


READ = {
    "a protein, and the cell of each model": ("p.pdb", PDB, {}, [GLY, GLY]),
    "models without an end": ("p.pdb", PDB.replace("ENDMDL\n", ""), {}, [GLY, GLY]),
    "a cell that is none": (
        "p.pdb",
        PDB.replace("20.000", " 1.000"),
        {"index": 1},
        [Atoms("NCH", GLY.positions)],
    ),
    "an asymmetric unit as a molecule": (
        "p.pdb",
        PDB.replace(" P 1", " P 21"),
        {"ignore": "cell", "index": 0},
        [Atoms("NCH", GLY.positions)],
    ),
    "names that are told": ("p.pdb", PDB.replace(" CA  GLY", "CA   GLY"), {"types": {"CA": "C"}}, [GLY, GLY]),
    "occupancies of 0": ("p.pdb", PDB.replace("1.00  0.00", "0.00  0.00"), {}, [GLY, GLY]),
}


@pytest.mark.parametrize("case", READ)
def test_structures_are_read_whole(tmp_path, case):
    name, text, options, expected = READ[case]
    assert_same(read(write(tmp_path, name, text), **options), *expected)
