"""The format is found by name and content, or has to be named."""

import ase.io
import pytest
from ase import Atoms
from file_texts import FULL, H2O, PLAIN, WATER, WHOLE, assert_refused, assert_same, write

from jaxfeat import read
from jaxfeat.errors import ReadError

GRO = """glycine, and sodium
    3
    1GLY      N    1   0.000   0.000   0.000
    1GLY     CA    2   0.000   0.000   0.147
    2NA      NA    3   0.500   0.000   0.000
   2.00000   2.00000   2.00000
"""

REFUSED = {
    "a picture": ("a.pov", PLAIN, {}, "neither its name nor its beginning shows the format; name it with --format"),
    "a data file": (
        "w.data",
        FULL,
        {},
        "its name ends like that of a runnerdata file.*name the format with --format lammps-data",
    ),
    "a data file of no kind": ("w.lmp", FULL, {}, "shows the format; name it with --format lammps-data"),
    "a log of something": ("w.log", "3\nno output of Gaussian\n", {}, "its name ends like that of a gaussian-out file"),
    "units of a CIF": ("s.cif", WHOLE, {"units": "bohr"}, "the format cif has its own unit of length"),
    "names of GROMACS": ("g.gro", GRO, {}, "frame 0: 'CA' may be Ca or the name of an atom; .* --types CA=SYMBOL NA="),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals_name_the_place_and_the_cure(tmp_path, case):
    assert_refused(tmp_path, *REFUSED[case])


READ = {
    "words of other programs": ("a.xyz", WATER.format(comment="MOLECULE of GAMESS, Program PWSCF"), {}, [H2O]),
    "a name of other programs": ("CONFIG_POSCAR.xyz", PLAIN, {}, [H2O]),
    "names of GROMACS": (
        "g.gro",
        GRO,
        {"types": {"CA": "C", "NA": "Na"}},
        [Atoms("NCNa", [[0, 0, 0], [0, 0, 1.47], [5, 0, 0]], cell=[20, 20, 20], pbc=True)],
    ),
}


@pytest.mark.parametrize("case", READ)
def test_structures_are_read_whole(tmp_path, case):
    name, text, options, expected = READ[case]
    assert_same(read(write(tmp_path, name, text), **options), *expected)


def test_types_are_refused_for_formats_that_name_elements(tmp_path):
    ase.io.write(tmp_path / "a.json", H2O)
    with pytest.raises(ReadError, match="the format json names elements; leave out --types"):
        read(tmp_path / "a.json", types={1: "O"})
