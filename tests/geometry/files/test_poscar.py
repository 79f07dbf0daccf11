"""POSCAR files need an element for each kind of atoms."""

import pytest
from file_texts import IN_A_BOX, POSCAR, assert_refused, assert_same, write

from jaxfeat import read

REFUSED = {
    "VASP 4": (
        "POSCAR",
        POSCAR.format(title="In a box", names=""),
        {},
        "frame 0, line 6: .* --types 1=SYMBOL 2=SYMBOL",
    ),
    "a row of VASP": (
        "POSCAR",
        POSCAR.format(title="", names="O H\n").replace("5.763", "x"),
        {},
        "line 10: the line should hold 3 numbers",
    ),
    "fewer elements": (
        "POSCAR",
        POSCAR.format(title="", names="O\n"),
        {},
        "line 6: the elements are 1 and the numbers of atoms 2",
    ),
    "deuterium of VASP": ("POSCAR", POSCAR.format(title="", names="O D\n"), {}, "line 6: 'D' .* --types D=H"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals_name_the_place_and_the_cure(tmp_path, case):
    assert_refused(tmp_path, *REFUSED[case])


READ = {
    "potentials of VASP": ("POSCAR", POSCAR.format(title="", names="O_s/12ab H\n"), {}, [IN_A_BOX]),
    "symbols in a title of VASP 4": ("POSCAR", POSCAR.format(title="O H", names=""), {}, [IN_A_BOX]),
    "the kinds of VASP 4": (
        "POSCAR",
        POSCAR.format(title="H O", names=""),
        {"types": {1: "O", 2: "H"}},
        [IN_A_BOX],
    ),
}


@pytest.mark.parametrize("case", READ)
def test_structures_are_read_whole(tmp_path, case):
    name, text, options, expected = READ[case]
    assert_same(read(write(tmp_path, name, text), **options), *expected)
