"""Texts of small files that many tests read, and how the tests check structures and refusals."""

import numpy as np
import pytest
from ase import Atoms

from jaxfeat import read
from jaxfeat.errors import ReadError

WATER = "3\n{comment}\nO 0.0 0.0 0.119\nH 0.0 0.763 -0.477\nH 0.0 -0.763 -0.477\n"
PLAIN = WATER.format(comment="water")
HEAVY = PLAIN.replace("H ", "D ")
SALT = '2\nenergy=-3.0 {cell} virial="0 0 0 0 0 0 0 0 0" properties=species:S:1:pos:R:3:force:R:3\n'
SALT += "Na 0 0 0 0 0 0\nCl 2 2 1.9 0 0 0\n"
DATA = """LAMMPS data file

3 atoms
2 atom types

0 10 xlo xhi
0 10 ylo yhi
0 10 zlo zhi
{masses}
Atoms{style}

2 {b} 5.0 5.763 4.523
1 {a} 5.0 5.0 5.119
3 {b} 5.0 4.237 4.523
"""

MASSES = "\nMasses\n\n1 15.9994 # O\n2 1.008\n"
FULL = DATA.format(masses=MASSES, style=" # full", a="1 1 -0.8", b="1 2 0.4")
STEP = """ITEM: TIMESTEP
{step}
ITEM: NUMBER OF ATOMS
3
ITEM: BOX BOUNDS pp pp pp
0 10
0 10
0 10
ITEM: ATOMS id {kind} x y z
2 {b} 5.0 5.763 4.523
1 {a} 5.0 5.0 5.119
3 {b} 5.0 4.237 4.523
"""

DUMP = STEP.format(step=0, kind="type", a=2, b=1)
PDB = """CRYST1   20.000   20.000   20.000  90.00  90.00  90.00 P 1
MODEL        1
ATOM      1  N   GLY A   1      -1.200   0.500   0.100  1.00  0.00
ATOM      2  CA  GLY A   1       0.000  -0.300   0.050  1.00  0.00
ATOM      3 1HA  GLY A   1       0.000  -0.950   0.930  1.00  0.00
ENDMDL
MODEL        2
ATOM      1  N   GLY A   1      -1.200   0.500   0.100  1.00  0.00           N
ATOM      2  CA  GLY A   1       0.000  -0.300   0.050  1.00  0.00           C
ATOM      3 1HA  GLY A   1       0.000  -0.950   0.930  1.00  0.00           H
ENDMDL
END
"""

CIF = """data_x
_cell_length_a 4
_cell_length_b 4
_cell_length_c 4
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_symmetry_space_group_name_H-M 'P 1'
loop_
_symmetry_equiv_pos_as_xyz
'x, y, z'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
{a}
{b}
O1 O 0.5 0.5 0.5 1
"""

WHOLE = CIF.format(a="Sr1 Sr2+ 0 0 0 1", b="La1 La3+ 0.5 0 0 1")
SDF = """water

made by hand
  3  2  0  0  0  0  0  0  0  0999 V2000
    0.0000    0.0000    0.1190 O   0  0
    0.0000    0.7630   -0.4770 H   0  0
    0.0000   -0.7630   -0.4770 H   0  0
  1  2  1  0
  1  3  1  0
M  END
$$$$
"""

POSCAR = "{title}\n1.0\n10 0 0\n0 10 0\n0 0 10\n{names}1 2\nCartesian\n5 5 5.119\n5 5.763 4.523\n5 4.237 4.523\n"
H2O = Atoms("OH2", [[0, 0, 0.119], [0, 0.763, -0.477], [0, -0.763, -0.477]])
IN_A_BOX = Atoms("OH2", [[5, 5, 5.119], [5, 5.763, 4.523], [5, 4.237, 4.523]], cell=[10, 10, 10], pbc=True)


def write(folder, name, text):
    """Write a file, text or bytes, and return its path."""
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder / name


def assert_refused(folder, name, text, options, message):
    """Check that reading the file raises one line that names the file and matches the message."""
    path = write(folder, name, text)
    with pytest.raises(ReadError, match=message) as caught:
        read(path, **options)
    assert "\n" not in str(caught.value) and str(caught.value).endswith(".")
    assert path.name in str(caught.value)


def assert_same(found, *expected):
    """Check that a set holds the expected structures: species, positions, cells and periodicity."""
    assert len(found.atoms) == len(expected)
    for mine, theirs in zip(found.atoms, expected, strict=True):
        assert mine.numbers.tolist() == theirs.numbers.tolist()
        np.testing.assert_allclose(mine.positions, theirs.positions, rtol=0, atol=1e-12)
        np.testing.assert_allclose(mine.cell.array, theirs.cell.array, rtol=0, atol=1e-12)
        assert mine.pbc.tolist() == theirs.pbc.tolist()
