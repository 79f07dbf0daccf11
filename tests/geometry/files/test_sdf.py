"""Structure-data files are read molecule by molecule."""

import pytest
from file_texts import H2O, SDF, assert_refused, assert_same, write

from jaxfeat import read

REFUSED = {
    "a molecule of V3000": (
        "s.sdf",
        SDF + SDF.replace("V2000", "V3000"),
        {},
        "line 15: .* V2000 has it; convert",
    ),
    "a molecule that breaks off": (
        "s.sdf",
        SDF + SDF[: SDF.rindex("    0.0000   -0.7630")],
        {},
        "frame 1, line 15: there are 2 of 3 atoms",
    ),
    "a list of atoms": (
        "s.sdf",
        SDF.replace("0.1190 O", "0.1190 L"),
        {},
        "frame 0, line 5: 'L' is not a chemical symbol",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals_name_the_place_and_the_cure(tmp_path, case):
    assert_refused(tmp_path, *REFUSED[case])


READ = {
    "every molecule of a file": ("s.sdf", SDF + SDF, {}, [H2O, H2O]),
}


@pytest.mark.parametrize("case", READ)
def test_structures_are_read_whole(tmp_path, case):
    name, text, options, expected = READ[case]
    assert_same(read(write(tmp_path, name, text), **options), *expected)
