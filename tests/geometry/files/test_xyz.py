"""Files of xyz and extended xyz are read whole, or refused with the line."""

import pytest
from ase import Atoms
from file_texts import DUMP, H2O, PLAIN, SALT, WATER, assert_refused, assert_same, write

from jaxfeat import read

QM9 = "2\ngdb 1\t157.7\nH\t0.0\t 0.0\t 0.0\t-0.5\nH\t 1.9761*^-6\t0.0\t0.7\t0.5\n1341.3\t1341.4\nC\tC\nInChI=1S/CH4\n"

NACL = Atoms("NaCl", [[0, 0, 0], [2, 2, 1.9]], cell=[4, 4, 4], pbc=True)

REFUSED = {
    "half a number": (
        "a.xyz",
        PLAIN.replace("0.119", "***"),
        {},
        r"line 3: '\*\*\*' in the column pos is not a number",
    ),
    "Fortran": ("a.xyz", PLAIN.replace("0.119", "1.19D-1"), {}, "line 3: '1.19D-1' .* write 1.19e-1"),
    "QM9": ("a.xyz", QM9, {}, r"frame 0, line 4: '1.9761\*\^-6' .* write 1.9761e-6"),
    "QM9's end": (
        "a.xyz",
        QM9.replace("*^", "e"),
        {},
        "frame 1, line 5: '1341.3 1341.4' stands in place of a frame's number of atoms",
    ),
    "a count too small": (
        "a.xyz",
        PLAIN.replace("3", "2", 1),
        {},
        "frame 1, line 5: 'H 0.0 -0.763 -0.477' stands in place",
    ),
    "a count too large": (
        "a.xyz",
        PLAIN.replace("3", "4", 1) + PLAIN,
        {},
        "frame 0, line 6: the line has 1 column instead of 4",
    ),
    "too few atoms": ("a.xyz", PLAIN + PLAIN[:-20], {}, "frame 1, line 6: the file ends after 2 of 3 atoms"),
    "another file": (
        "a.xyz",
        DUMP,
        {},
        "frame 0, line 1: 'ITEM: TIMESTEP' stands in place .* name its format with --format",
    ),
    "eight numbers": ("a.xyz", SALT.format(cell='LATTICE="4 0 0 0 4 0 0 0"'), {}, "line 2: Lattice is '4 .* nine|9"),
    "two lattices": ("a.xyz", SALT.format(cell="lattice=1 Lattice=2"), {}, "line 2: Lattice is given twice"),
    "a cell of another name": ("a.xyz", SALT.format(cell='Cell="4 0 0 0 4 0 0 0 4"'), {}, "line 2: .* write Lattice"),
    "i-PI": (
        "a.xyz",
        WATER.format(comment="# CELL(abcABC): 9 9 9 90 90 90 Step: 0 positions{atomic_unit}"),
        {},
        r"line 2: 'CELL\(abcABC\):' gives a cell in a form that extended xyz does not know",
    ),
    "a box": ("a.xyz", WATER.format(comment="box = 10 10 10"), {}, "line 2: 'box = 10 10 1' gives a cell"),
    "units of i-PI": (
        "a.xyz",
        WATER.format(comment="# CELL(abcABC): 9 9 9 90 90 90 positions{atomic_unit}"),
        {"ignore": "cell"},
        "line 2: the positions are in units of atomic_unit; say so with --units bohr",
    ),
    "pbc of words": ("a.xyz", WATER.format(comment='pbc="no no yes"'), {}, "line 2: pbc is 'no no yes'; write T or F"),
    "no positions": ("a.xyz", WATER.format(comment="Properties=species:S:1:xyz:R:3"), {}, "line 2: Properties lacks"),
    "odd properties": ("a.xyz", WATER.format(comment="Properties=species:S:1:pos:X:3"), {}, "line 2: Properties has"),
    "more columns than told": (
        "a.xyz",
        WATER.format(comment="Properties=species:S:1:pos:R:3").replace(".119", ".119 1"),
        {},
        "line 3: the line has 5 columns instead of 4",
    ),
    "Z and species": (
        "a.xyz",
        "1\nProperties=species:S:1:Z:I:1:pos:R:3\nC 7 0 0 0\n",
        {},
        "line 3: C is not the element of number 7",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals_name_the_place_and_the_cure(tmp_path, case):
    assert_refused(tmp_path, *REFUSED[case])


READ = {
    "blank lines before": ("a.xyz", "\n \n" + PLAIN + PLAIN, {}, [H2O, H2O]),
    "blank lines between": ("a.xyz", PLAIN + "\n\n" + PLAIN + "\n\n", {}, [H2O, H2O]),
    "a blank comment": ("a.xyz", WATER.format(comment="") + PLAIN, {}, [H2O, H2O]),
    "a comment of words": ("a.xyz", WATER.format(comment="stress and virial of the Lattice, pbc"), {}, [H2O]),
    "columns that are not told": ("a.xyz", PLAIN.replace("0.119\n", "0.119 -0.8 7\n"), {}, [H2O]),
    "two colons": (
        "a.xyz",
        WATER.format(comment='Properties=species:S:1:pos:R:3:mtt::aux::q:R:1 pbc="F F F"')
        .replace(".119", ".119 1")
        .replace("-0.477", "-0.477 2"),
        {},
        [H2O],
    ),
    "keys in small letters": ("a.xyz", SALT.format(cell='lattice="4 0 0 0 4 0 0 0 4"'), {}, [NACL]),
    "keys in capitals": ("a.xyz", SALT.format(cell='LATTICE="4 0 0 0 4 0 0 0 4" PBC="t T 1"'), {}, [NACL]),
    "a virial of six": (
        "a.xyz",
        SALT.format(cell='Lattice="4 0 0 0 4 0 0 0 4"').replace("0 0 0 0 0 0 0 0 0", "0 0 0 0 0 0"),
        {},
        [NACL],
    ),
    "a cell that is left out": (
        "a.xyz",
        SALT.format(cell='Lattice="4 0 0 0 4 0 0 0 4"'),
        {"ignore": "cell"},
        [Atoms("NaCl", NACL.positions)],
    ),
    "a cell of no kind that is left out": (
        "a.xyz",
        SALT.format(cell="box=[4,4,4]"),
        {"ignore": ["cell"]},
        [Atoms("NaCl", NACL.positions)],
    ),
    "cell vectors of ADF": (
        "a.xyz",
        "1\n\nHe 0 0 0\nVEC1 3 0 0\nVEC2 0 3 0\n",
        {},
        [Atoms("He", cell=[3, 3, 0], pbc=[1, 1, 0])],
    ),
    "a box that does not matter": ("a.xyz", WATER.format(comment='box="4 4 4" pbc="F F F"'), {}, [H2O]),
    "numbers in Z": ("a.xyz", "1\nProperties=Z:I:1:pos:R:3\n8 1 2 3\n", {}, [Atoms("O", [[1, 2, 3]])]),
}


@pytest.mark.parametrize("case", READ)
def test_structures_are_read_whole(tmp_path, case):
    name, text, options, expected = READ[case]
    assert_same(read(write(tmp_path, name, text), **options), *expected)
