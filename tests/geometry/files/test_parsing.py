"""Words, types and masses are elements, or the message says which option names the elements."""

import pytest
from file_texts import H2O, HEAVY, PLAIN, assert_refused, assert_same, write

from jaxfeat import read
from jaxfeat.geometry.files.parsing import element_of_mass

REFUSED = {
    "deuterium": ("a.xyz", HEAVY, {}, "frame 0, line 4: 'D' is not a chemical symbol; deuterium .* --types D=H"),
    "a ghost": ("a.xyz", PLAIN + PLAIN.replace("O ", "Bq "), {}, "frame 1, line 8: Bq is a ghost .* --skip-ghosts"),
    "numbers": ("a.xyz", PLAIN.replace("O ", "8 ").replace("H ", "1 "), {}, "line 3: '8' .* --types 8=O 1=H"),
    "the names of atoms": ("a.xyz", PLAIN.replace("O ", "OW "), {}, "line 3: 'OW' is not .* --types OW=SYMBOL"),
    "CA": ("a.xyz", PLAIN.replace("O ", "CA "), {}, "line 3: 'CA' may be Ca or the name of an atom"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals_name_the_place_and_the_cure(tmp_path, case):
    assert_refused(tmp_path, *REFUSED[case])


READ = {
    "small letters": ("a.xyz", PLAIN.replace("O ", "o "), {}, [H2O]),
    "deuterium that is told": ("a.xyz", HEAVY, {"types": {"D": "H"}}, [H2O]),
    "numbers that are told": (
        "a.xyz",
        PLAIN.replace("O ", "8 ").replace("H ", "1 "),
        {"types": {8: "O", "1": "H"}},
        [H2O],
    ),
    "ghosts of other names": (
        "a.xyz",
        "8\n\nX1 1 1 1\nGh(O) 2 1 1\nO-Bq 2 2 1\n@O 2 2 2\nH: 2 2 3\n" + PLAIN[8:],
        {"ignore": "X"},
        [H2O],
    ),
}


@pytest.mark.parametrize("case", READ)
def test_structures_are_read_whole(tmp_path, case):
    name, text, options, expected = READ[case]
    assert_same(read(write(tmp_path, name, text), **options), *expected)


def test_masses_name_an_element_or_none():
    rounded = {1: "1.008", 6: "12.0", 7: "14", 8: "16", 17: "35.45", 27: "58.93", 28: "58.69", 83: "208.98", 92: None}
    for number, mass in rounded.items():
        assert mass is None or element_of_mass(mass) == number
    # In reduced units, of deuterium, of a united atom, of an atom between two.
    assert [element_of_mass(mass) for mass in ("1.0", "2.014", "15.035", "58.8", "238.03", "C")] == [None] * 6
