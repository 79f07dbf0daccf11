"""Data and dump files of LAMMPS need the elements of their types."""

import pytest
from file_texts import DATA, DUMP, FULL, IN_A_BOX, STEP, assert_refused, assert_same, write

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
    "types of a dump": ("w.dump", DUMP, {}, "frame 0, line 10: the file does not name the elements of the types 1, 2"),
    "one type told": ("w.dump", DUMP, {"types": {2: "O"}}, "the types 1; name them with --types 1=SYMBOL"),
    "C for every type": (
        "w.dump",
        STEP.format(step=0, kind="type element", a="2 C", b="1 C"),
        {},
        r"does not name the elements of the types 1 \(C\), 2 \(C\)",
    ),
    "a dump that breaks off": (
        "w.dump",
        DUMP + DUMP[:-25],
        {"types": {1: "H", 2: "O"}},
        "frame 1, line 21: there are 2 of 3 atoms",
    ),
    "a time step without atoms": (
        "w.dump",
        DUMP[: DUMP.index("ITEM: ATOMS")] + DUMP,
        {"types": {1: "H", 2: "O"}},
        "frame 0, line 1: .* no",
    ),
    "reduced units": (
        "w.dump",
        "ITEM: UNITS\nlj\n" + DUMP,
        {"types": {1: "H", 2: "O"}},
        "lengths of the style lj are not in Å",
    ),
    "atomic units": ("w.dump", "ITEM: UNITS\nelectron\n" + DUMP, {"types": {1: "H", 2: "O"}}, "say .* --units bohr"),
    "a column twice": (
        "w.dump",
        DUMP.replace("x y z", "x x z"),
        {"types": {1: "H", 2: "O"}},
        "two columns have the same",
    ),
    "a box of words": (
        "w.dump",
        DUMP.replace("0 10", "0 L", 1),
        {"types": {1: "H", 2: "O"}},
        "frame 0, line 1: ASE cannot read",
    ),
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
    "a dump and its types": ("w.dump", DUMP + DUMP, {"types": {1: "H", 2: "O"}}, [IN_A_BOX] * 2),
    "elements of a dump": ("w.dump", STEP.format(step=0, kind="element", a="O", b="H"), {}, [IN_A_BOX]),
    "masses of a dump": ("w.dump", STEP.format(step=0, kind="type mass", a="2 16.0", b="1 1.008"), {}, [IN_A_BOX]),
    "a dump with units and times": (
        "w.dump",
        "ITEM: UNITS\nmetal\n" + 2 * f"ITEM: TIME\n0.5\n{DUMP}",
        {"types": {1: "H", 2: "O"}},
        [IN_A_BOX] * 2,
    ),
}


@pytest.mark.parametrize("case", READ)
def test_structures_are_read_whole(tmp_path, case):
    name, text, options, expected = READ[case]
    assert_same(read(write(tmp_path, name, text), **options), *expected)
