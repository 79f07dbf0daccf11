"""Data files of LAMMPS need the elements of their types."""

import pytest
from file_texts import DATA, FULL, IN_A_BOX, assert_refused, assert_same, write

from jaxfeat import read

BARE = DATA.format(masses="", style=" # atomic", a="1", b="2")

REFUSED = {
    "types of a data file": (
        "w.data",
        BARE,
        {"format": "lammps-data"},
        "the types 1, 2; name them with --types 1=SYMBOL 2=SYMBOL",
    ),
    "masses of no element": (
        "w.data",
        FULL.replace("15.9994", "15.035"),
        {"format": "lammps-data"},
        r"types 1 \(mass 15.035\), 2 \(mass 1.008\)",
    ),
    "no box": ("w.data", FULL.replace("zlo zhi", ""), {"format": "lammps-data"}, "no number of atom types, or no box"),
    "half an atom": (
        "w.data",
        FULL.replace("5.119", "x"),
        {"format": "lammps-data"},
        "line 15: ASE cannot read the structure .*name their style",
    ),
    "atoms that are missing": ("w.data", FULL.replace("3 atoms", "4 atoms"), {"format": "lammps-data"}, "are 3 of 4"),
    "more atoms than told": ("w.data", FULL.replace("3 atoms", "2 atoms"), {"format": "lammps-data"}, "are 3 of 2"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals_name_the_place_and_the_cure(tmp_path, case):
    assert_refused(tmp_path, *REFUSED[case])


READ = {
    "a data file": ("w.data", FULL, {"format": "lammps-data"}, [IN_A_BOX]),
    "a data file and its types": ("w", BARE, {"format": "lammps-data", "types": {1: "O", 2: "H"}}, [IN_A_BOX]),
    "labels of types": (
        "w",
        DATA.format(masses="\nAtom Type Labels\n\n1 O\n2 hw\n", style=" # atomic", a="O", b="hw"),
        {"format": "lammps-data", "types": {"hw": "H"}},
        [IN_A_BOX],
    ),
}


@pytest.mark.parametrize("case", READ)
def test_structures_are_read_whole(tmp_path, case):
    name, text, options, expected = READ[case]
    assert_same(read(write(tmp_path, name, text), **options), *expected)
