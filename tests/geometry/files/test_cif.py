"""CIF files give ordered crystals, or are refused with the site."""

import pytest
from ase import Atoms
from ase.spacegroup import crystal
from file_texts import CIF, PLAIN, WHOLE, assert_refused, assert_same, write

from jaxfeat import read

SHARED = CIF.format(a="Sr1 Sr 0 0 0 0.5", b="La1 La 0 0 0 0.5")

SPLIT = CIF.format(a="Sr1 Sr 0 0 0 0.5", b="Sr2 Sr 0.01 0 0 0.5")

DIAMOND = """data_d
_cell_length_a 3.567
_cell_length_b 3.567
_cell_length_c 3.567
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_symmetry_Int_Tables_number 227
{loop}loop_
_atom_site_label
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
C1 {x} {x} {x}
"""

REFUSED = {
    "another format": ("w.xyz", PLAIN, {"format": "cif"}, "the file is not a CIF.*, or name its format with --format"),
    "shared sites": ("s.cif", SHARED, {}, r"data_x the site Sr1 has the occupancy 0.5; .*--ignore occupancies"),
    "split sites": ("s.cif", SPLIT, {}, r"data_x the site Sr1 has the occupancy 0.5; .*--ignore occupancies"),
    "sites on each other": ("s.cif", SHARED.replace("0.5\n", "1\n"), {}, "data_x the site .* coincides with another"),
    "a row too short": ("s.cif", WHOLE.replace(" 0 0 1\nO1", " 0\nO1"), {}, "has 3 sites, of which 2 cannot be read"),
    "a site that is nowhere": (
        "s.cif",
        WHOLE.replace("0.5 0 0 1", "0.5 ? 0 1"),
        {},
        "the site La1 has '\\?' for _atom_s",
    ),
    "a site of no kind": ("s.cif", WHOLE.replace("La3+", "?"), {}, "'\\?' is not a chemical symbol"),
    "mmCIF": ("p.cif", "data_p\nloop_\n_atom_site.id\n_atom_site.Cartn_x\n1 0.5\n", {}, "the file is mmCIF, which"),
    "no cell of a CIF": ("s.cif", WHOLE.replace("_cell_length_b 4", ""), {}, "data_x has no cell of six numbers"),
    "no space group": ("s.cif", DIAMOND.format(x=0, loop="").replace("227", "300"), {}, "data_d makes no crystal"),
    "an origin": ("s.cif", DIAMOND.format(x=0.125, loop=""), {}, "which of two origins of space group 227"),
    "axes": ("s.cif", DIAMOND.replace("227", "166").format(x=0.125, loop=""), {}, "of two axes of space group 166"),
    "FE1": ("s.cif", WHOLE.replace("Sr2+", "FE1"), {}, "'FE1' is not a chemical symbol; .* --types FE1=SYMBOL"),
    "OW": ("s.cif", WHOLE.replace("Sr2+", "OW"), {}, "'OW' is not a chemical symbol"),
    "deuterium of a CIF": ("s.cif", WHOLE.replace("Sr2+", "D"), {}, "deuterium is hydrogen"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals_name_the_place_and_the_cure(tmp_path, case):
    assert_refused(tmp_path, *REFUSED[case])


READ = {
    "a crystal": (
        "s.cif",
        WHOLE,
        {},
        [Atoms("SrLaO", [[0, 0, 0], [2, 0, 0], [2, 2, 2]], cell=[4, 4, 4], pbc=True)],
    ),
    "an origin that is told": (
        "s.cif",
        DIAMOND.format(x=0, loop="_symmetry_space_group_setting 1\n"),
        {},
        [crystal("C", [[0, 0, 0]], spacegroup=227, cellpar=[3.567] * 3 + [90] * 3)],
    ),
    "sites read as whole": (
        "s.cif",
        SPLIT,
        {"ignore": "occupancies"},
        [Atoms("Sr2O", [[0, 0, 0], [0.04, 0, 0], [2, 2, 2]], cell=[4, 4, 4], pbc=True)],
    ),
    "a shared site of which one is left": (
        "s.cif",
        SHARED,
        {"ignore": ["La", "occupancies"]},
        [Atoms("SrO", [[0, 0, 0], [2, 2, 2]], cell=[4, 4, 4], pbc=True)],
    ),
}


@pytest.mark.parametrize("case", READ)
def test_structures_are_read_whole(tmp_path, case):
    name, text, options, expected = READ[case]
    assert_same(read(write(tmp_path, name, text), **options), *expected)
