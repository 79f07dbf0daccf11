"""Files say what they hold, or are refused with the place, the reason and the cure: nothing is guessed or left out."""

import gzip
from random import Random

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.spacegroup import crystal
from ase.units import Bohr

from jaxfeat import frames, read
from jaxfeat.errors import ReadError
from jaxfeat.geometry.files.elements import number_of_mass
from jaxfeat.geometry.files.read import per_atom_arrays

WATER = "3\n{comment}\nO 0.0 0.0 0.119\nH 0.0 0.763 -0.477\nH 0.0 -0.763 -0.477\n"
PLAIN = WATER.format(comment="water")
HEAVY = PLAIN.replace("H ", "D ")
SALT = '2\nenergy=-3.0 {cell} virial="0 0 0 0 0 0 0 0 0" properties=species:S:1:pos:R:3:force:R:3\n'
SALT += "Na 0 0 0 0 0 0\nCl 2 2 1.9 0 0 0\n"
QM9 = "2\ngdb 1\t157.7\nH\t0.0\t 0.0\t 0.0\t-0.5\nH\t 1.9761*^-6\t0.0\t0.7\t0.5\n1341.3\t1341.4\nC\tC\nInChI=1S/CH4\n"

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
BARE = DATA.format(masses="", style=" # atomic", a="1", b="2")

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
SHARED = CIF.format(a="Sr1 Sr 0 0 0 0.5", b="La1 La 0 0 0 0.5")
SPLIT = CIF.format(a="Sr1 Sr 0 0 0 0.5", b="Sr2 Sr 0.01 0 0 0.5")
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

GRO = """glycine, and sodium
    3
    1GLY      N    1   0.000   0.000   0.000
    1GLY     CA    2   0.000   0.000   0.147
    2NA      NA    3   0.500   0.000   0.000
   2.00000   2.00000   2.00000
"""


@pytest.fixture
def written(tmp_path):
    def write(name, text):
        (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        return tmp_path / name

    return write


REFUSED = {
    "deuterium": ("a.xyz", HEAVY, {}, "frame 0, line 4: 'D' is no chemical symbol; deuterium .* --types D=H"),
    "a ghost": ("a.xyz", PLAIN + PLAIN.replace("O ", "Bq "), {}, "frame 1, line 8: Bq is a ghost .* --skip-ghosts"),
    "numbers": ("a.xyz", PLAIN.replace("O ", "8 ").replace("H ", "1 "), {}, "line 3: '8' .* --types 8=O 1=H"),
    "a picture": ("a.pov", PLAIN, {}, "its name and beginning tell no format; name it with --format"),
    "the names of atoms": ("a.xyz", PLAIN.replace("O ", "OW "), {}, "line 3: 'OW' is no .* --types OW=SYMBOL"),
    "CA": ("a.xyz", PLAIN.replace("O ", "CA "), {}, "line 3: 'CA' may be Ca or the name of an atom"),
    "half a number": ("a.xyz", PLAIN.replace("0.119", "***"), {}, r"line 3: '\*\*\*' in the column pos is no number"),
    "Fortran": ("a.xyz", PLAIN.replace("0.119", "1.19D-1"), {}, "line 3: '1.19D-1' .* write 1.19e-1"),
    "QM9": ("a.xyz", QM9, {}, r"frame 0, line 4: '1.9761\*\^-6' .* write 1.9761e-6"),
    "QM9's end": ("a.xyz", QM9.replace("*^", "e"), {}, "frame 1, line 5: '1341.3 1341.4' is where the number of atoms"),
    "a count too small": ("a.xyz", PLAIN.replace("3", "2", 1), {}, "frame 1, line 5: 'H 0.0 -0.763 -0.477' is where"),
    "a count too large": ("a.xyz", PLAIN.replace("3", "4", 1) + PLAIN, {}, "frame 0, line 6: there are 1 columns and"),
    "too few atoms": ("a.xyz", PLAIN + PLAIN[:-20], {}, "frame 1, line 6: the file ends after 2 of 3 atoms"),
    "another file": ("a.xyz", DUMP, {}, "frame 0, line 1: 'ITEM: TIMESTEP' is where .* name its format with --format"),
    "UTF-16": ("a.xyz", PLAIN.encode("utf-16"), {"format": "xyz"}, "line 1: the file is text in UTF-16; save it in"),
    "eight numbers": ("a.xyz", SALT.format(cell='LATTICE="4 0 0 0 4 0 0 0"'), {}, "line 2: Lattice is '4 .* nine|9"),
    "two lattices": ("a.xyz", SALT.format(cell="lattice=1 Lattice=2"), {}, "line 2: Lattice is given twice"),
    "a cell of another name": ("a.xyz", SALT.format(cell='Cell="4 0 0 0 4 0 0 0 4"'), {}, "line 2: .* write Lattice"),
    "i-PI": (
        "a.xyz",
        WATER.format(comment="# CELL(abcABC): 9 9 9 90 90 90 Step: 0 positions{atomic_unit}"),
        {},
        r"line 2: 'CELL\(abcABC\):' gives a cell in a way that is not that of extended xyz",
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
        "line 3: there are 5 columns and should be 4",
    ),
    "Z and species": (
        "a.xyz",
        "1\nProperties=species:S:1:Z:I:1:pos:R:3\nC 7 0 0 0\n",
        {},
        "line 3: C is not the element of number 7",
    ),
    "a data file": ("w.data", FULL, {}, "its name ends as one of runnerdata does.*name it with --format lammps-data"),
    "a data file of no kind": ("w.lmp", FULL, {}, "tell no format; name it with --format lammps-data"),
    "a log of something": ("w.log", "3\nno output of Gaussian\n", {}, "its name ends as one of gaussian-out does"),
    "another format": ("w.xyz", PLAIN, {"format": "cif"}, "the file is no CIF .*, or name its format with --format"),
    "no format": ("w.xyz", PLAIN, {"format": "lammps"}, "'lammps' is no format that ASE reads; .* lammps-data"),
    "types of a data file": ("w.data", BARE, {"format": "lammps-data"}, "types 1, 2; say .* --types 1=SYMBOL 2=SYMBOL"),
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
        "line 15: the atoms cannot be read",
    ),
    "atoms that are missing": ("w.data", FULL.replace("3 atoms", "4 atoms"), {"format": "lammps-data"}, "are 3 of 4"),
    "more atoms than told": ("w.data", FULL.replace("3 atoms", "2 atoms"), {"format": "lammps-data"}, "are 3 of 2"),
    "types of a dump": ("w.dump", DUMP, {}, "frame 0, line 10: no element is told of the types 1, 2"),
    "one type told": ("w.dump", DUMP, {"types": {2: "O"}}, "the types 1; say which they are with --types 1=SYMBOL"),
    "C for every type": (
        "w.dump",
        STEP.format(step=0, kind="type element", a="2 C", b="1 C"),
        {},
        r"no element is told of the types 1 \(C\), 2 \(C\)",
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
    "reduced units": ("w.dump", "ITEM: UNITS\nlj\n" + DUMP, {"types": {1: "H", 2: "O"}}, "style lj are not in Å"),
    "atomic units": ("w.dump", "ITEM: UNITS\nelectron\n" + DUMP, {"types": {1: "H", 2: "O"}}, "say .* --units bohr"),
    "calcium or not": (
        "p.pdb",
        PDB.replace(" CA  GLY", "CA   GLY"),
        {},
        "frame 0, line 4: the atom CA has no element in .* --types CA=SYMBOL",
    ),
    "an ion": ("p.pdb", PDB.replace(" CA  GLY", " CA   CA"), {}, "frame 0, line 4: the atom CA has no element"),
    "an element of a PDB": ("p.pdb", PDB.replace("           N", "           D"), {}, "frame 1, line 8: 'D' .* D=H"),
    "no coordinate": ("p.pdb", PDB.replace("-0.300", "******"), {}, r"line 4: '\*\*\*\*\*\*' in the columns of the"),
    "a box of words": (
        "w.dump",
        DUMP.replace("0 10", "0 L", 1),
        {"types": {1: "H", 2: "O"}},
        "frame 0, line 1: the time",
    ),
    "a part of an atom": ("p.pdb", PDB.replace("0.930  1.00", "0.930  0.40"), {}, "line 5: the atom 1HA is there in"),
    "two places": ("p.pdb", PDB.replace(" N   GLY", " CA BGLY"), {}, "line 4: the atom CA is listed at several places"),
    "no cell of a PDB": ("p.pdb", PDB.replace("20.000", "  none"), {}, "line 1: the cell is not one of six numbers"),
    "a space group": ("p.pdb", PDB.replace(" P 1", " P 21 21 21"), {}, "line 1: .* space group P 21 21 21.* expand it"),
    "shared sites": ("s.cif", SHARED, {}, r"data_x the site Sr1 is occupied in part \(0.5\).*--ignore occupancies"),
    "split sites": ("s.cif", SPLIT, {}, r"data_x the site Sr1 is occupied in part \(0.5\).*--ignore occupancies"),
    "sites on each other": ("s.cif", SHARED.replace("0.5\n", "1\n"), {}, "data_x the site .* sits on another one"),
    "a row too short": ("s.cif", WHOLE.replace(" 0 0 1\nO1", " 0\nO1"), {}, "has 3 sites, of which 2 cannot be read"),
    "a site that is nowhere": (
        "s.cif",
        WHOLE.replace("0.5 0 0 1", "0.5 ? 0 1"),
        {},
        "the site La1 has '\\?' for _atom_s",
    ),
    "a site of no kind": ("s.cif", WHOLE.replace("La3+", "?"), {}, "'\\?' is no chemical symbol"),
    "mmCIF": ("p.cif", "data_p\nloop_\n_atom_site.id\n_atom_site.Cartn_x\n1 0.5\n", {}, "the file is mmCIF, which"),
    "no cell of a CIF": ("s.cif", WHOLE.replace("_cell_length_b 4", ""), {}, "data_x has no cell of six numbers"),
    "no space group": ("s.cif", DIAMOND.format(x=0, loop="").replace("227", "300"), {}, "data_d makes no crystal"),
    "an origin": ("s.cif", DIAMOND.format(x=0.125, loop=""), {}, "which of two origins of space group 227"),
    "axes": ("s.cif", DIAMOND.replace("227", "166").format(x=0.125, loop=""), {}, "of two axes of space group 166"),
    "FE1": ("s.cif", WHOLE.replace("Sr2+", "FE1"), {}, "'FE1' is no chemical symbol; .* --types FE1=SYMBOL"),
    "OW": ("s.cif", WHOLE.replace("Sr2+", "OW"), {}, "'OW' is no chemical symbol"),
    "deuterium of a CIF": ("s.cif", WHOLE.replace("Sr2+", "D"), {}, "deuterium is hydrogen"),
    "names of GROMACS": ("g.gro", GRO, {}, "frame 0: 'CA' may be Ca or the name of an atom; .* --types CA=SYMBOL NA="),
    "a molecule of V3000": ("s.sdf", SDF + SDF.replace("V2000", "V3000"), {}, "frame 1, line 15: .* V2000; convert it"),
    "a molecule that breaks off": (
        "s.sdf",
        SDF + SDF[: SDF.rindex("    0.0000   -0.7630")],
        {},
        "frame 1, line 15: there are 2 of 3 atoms",
    ),
    "a list of atoms": ("s.sdf", SDF.replace("0.1190 O", "0.1190 L"), {}, "frame 0, line 5: 'L' is no chemical symbol"),
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
        "line 10: there should",
    ),
    "fewer elements": ("POSCAR", POSCAR.format(title="", names="O\n"), {}, "line 6: there are 1 elements for 2 kinds"),
    "deuterium of VASP": ("POSCAR", POSCAR.format(title="", names="O D\n"), {}, "line 6: 'D' .* --types D=H"),
    "steps back": ("a.xyz", PLAIN, {"index": slice(None, None, -1)}, "index goes in steps of -1"),
    "no index": ("a.xyz", PLAIN, {"index": "last"}, "index is 'last'; write one frame or a range"),
    "two indices": ("a.xyz@0", None, {"index": 0}, "chooses frames, and so does the index"),
    "no such frame": ("a.xyz", PLAIN, {"index": 1}, "holds no frames of that index"),
    "other units": ("a.xyz", PLAIN, {"units": "nm"}, "units is 'nm'; choose angstrom or bohr"),
    "units of a CIF": ("s.cif", WHOLE, {"units": "bohr"}, "files of cif have a unit of length of their own"),
    "types of a trajectory": ("a.json", None, {"types": {1: "O"}}, "files of json name elements; leave out --types"),
    "a type of no element": ("a.xyz", PLAIN, {"types": {"D": "Q"}}, "types has D=Q, which is no element"),
    "what cannot be ignored": ("a.xyz", PLAIN, {"ignore": "blanks"}, "ignore has 'blanks', .* occupancies or cell"),
}


@pytest.mark.filterwarnings("ignore:Wrong number 10 of tokens:UserWarning")
@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_told_is_refused_with_place_reason_and_cure(written, case):
    name, text, options, message = REFUSED[case]
    path = written("a.xyz", PLAIN).with_name(name)
    if text is not None:
        written(name, text)
    elif name.endswith("json"):
        ase.io.write(path, molecule("H2O"))
    with pytest.raises(ReadError, match=message) as caught:
        read(path, **options)
    assert "\n" not in str(caught.value)
    if "index" not in options and not {"no format", "other units", "what cannot be ignored"} & {case}:
        assert path.stem in str(caught.value) or "is no element" in str(caught.value)


def same(found, *expected):
    assert len(found.atoms) == len(expected)
    for mine, theirs in zip(found.atoms, expected, strict=True):
        assert mine.numbers.tolist() == theirs.numbers.tolist()
        np.testing.assert_allclose(mine.positions, theirs.positions, rtol=0, atol=1e-12)
        np.testing.assert_allclose(mine.cell.array, theirs.cell.array, rtol=0, atol=1e-12)
        assert mine.pbc.tolist() == theirs.pbc.tolist()


H2O = Atoms("OH2", [[0, 0, 0.119], [0, 0.763, -0.477], [0, -0.763, -0.477]])
IN_A_BOX = Atoms("OH2", [[5, 5, 5.119], [5, 5.763, 4.523], [5, 4.237, 4.523]], cell=[10, 10, 10], pbc=True)
NACL = Atoms("NaCl", [[0, 0, 0], [2, 2, 1.9]], cell=[4, 4, 4], pbc=True)
GLY = Atoms("NCH", [[-1.2, 0.5, 0.1], [0, -0.3, 0.05], [0, -0.95, 0.93]], cell=[20, 20, 20], pbc=True)

READ = {
    "blank lines before": ("a.xyz", "\n \n" + PLAIN + PLAIN, {}, [H2O, H2O]),
    "blank lines between": ("a.xyz", PLAIN + "\n\n" + PLAIN + "\n\n", {}, [H2O, H2O]),
    "a blank comment": ("a.xyz", WATER.format(comment="") + PLAIN, {}, [H2O, H2O]),
    "a byte order mark": ("a.xyz", PLAIN.encode("utf-8-sig"), {}, [H2O]),
    "lines of Windows": ("a.xyz", PLAIN.replace("\n", "\r\n"), {}, [H2O]),
    "a comment in Latin": ("a.xyz", WATER.format(comment="1 Å").encode("latin-1"), {}, [H2O]),
    "compressed": ("a.xyz.gz", gzip.compress(PLAIN.encode()), {}, [H2O]),
    "a comment of words": ("a.xyz", WATER.format(comment="stress and virial of the Lattice, pbc"), {}, [H2O]),
    "words of other programs": ("a.xyz", WATER.format(comment="MOLECULE of GAMESS, Program PWSCF"), {}, [H2O]),
    "a name of other programs": ("CONFIG_POSCAR.xyz", PLAIN, {}, [H2O]),
    "small letters": ("a.xyz", PLAIN.replace("O ", "o "), {}, [H2O]),
    "columns that are not told": ("a.xyz", PLAIN.replace("0.119\n", "0.119 -0.8 7\n"), {}, [H2O]),
    "two colons": (
        "a.xyz",
        WATER.format(comment='Properties=species:S:1:pos:R:3:mtt::aux::q:R:1 pbc="F F F"').replace(
            ".119", ".119 1"
        ).replace("-0.477", "-0.477 2"),
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
        "a.xyz", SALT.format(cell='Lattice="4 0 0 0 4 0 0 0 4"'), {"ignore": "cell"}, [Atoms("NaCl", NACL.positions)],
    ),
    "a cell of no kind that is left out": (
        "a.xyz", SALT.format(cell="box=[4,4,4]"), {"ignore": ["cell"]}, [Atoms("NaCl", NACL.positions)],
    ),
    "cell vectors of ADF": (
        "a.xyz", "1\n\nHe 0 0 0\nVEC1 3 0 0\nVEC2 0 3 0\n", {}, [Atoms("He", cell=[3, 3, 0], pbc=[1, 1, 0])],
    ),
    "a box that does not matter": ("a.xyz", WATER.format(comment='box="4 4 4" pbc="F F F"'), {}, [H2O]),
    "numbers in Z": ("a.xyz", "1\nProperties=Z:I:1:pos:R:3\n8 1 2 3\n", {}, [Atoms("O", [[1, 2, 3]])]),
    "deuterium that is told": ("a.xyz", HEAVY, {"types": {"D": "H"}}, [H2O]),
    "numbers that are told": (
        "a.xyz", PLAIN.replace("O ", "8 ").replace("H ", "1 "), {"types": {8: "O", "1": "H"}}, [H2O],
    ),
    "ghosts left out": ("a.xyz", PLAIN.replace("3", "4", 1) + "Bq 0 0 3\n", {"skip_ghosts": True}, [H2O]),
    "ghosts of other names": (
        "a.xyz", "8\n\nX1 1 1 1\nGh(O) 2 1 1\nO-Bq 2 2 1\n@O 2 2 2\nH: 2 2 3\n" + PLAIN[8:],
        {"ignore": "X"}, [H2O],
    ),
    "atoms left out": ("a.xyz", PLAIN, {"ignore": ["O"]}, [H2O[1:]]),
    "bohr": (
        "a.xyz",
        '1\nLattice="4 0 0 0 4 0 0 0 4"\nHe 1 0 0\n',
        {"units": "bohr"},
        [Atoms("He", [[Bohr, 0, 0]], cell=4 * Bohr * np.eye(3), pbc=True)],
    ),
    "one frame": ("a.xyz", PLAIN + HEAVY + PLAIN, {"index": 2}, [H2O]),
    "the last frame": ("a.xyz", HEAVY + PLAIN, {"index": "-1"}, [H2O]),
    "frames in steps": ("a.xyz", PLAIN + HEAVY + PLAIN + HEAVY, {"index": "::2"}, [H2O, H2O]),
    "the last but one": ("a.xyz", PLAIN + HEAVY, {"index": ":-1"}, [H2O]),
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
        "w.dump", "ITEM: UNITS\nmetal\n" + 2 * f"ITEM: TIME\n0.5\n{DUMP}", {"types": {1: "H", 2: "O"}}, [IN_A_BOX] * 2,
    ),
    "a protein, and the cell of each model": ("p.pdb", PDB, {}, [GLY, GLY]),
    "models without an end": ("p.pdb", PDB.replace("ENDMDL\n", ""), {}, [GLY, GLY]),
    "a cell that is none": (
        "p.pdb", PDB.replace("20.000", " 1.000"), {"index": 1}, [Atoms("NCH", GLY.positions)],
    ),
    "an asymmetric unit as a molecule": (
        "p.pdb", PDB.replace(" P 1", " P 21"), {"ignore": "cell", "index": 0}, [Atoms("NCH", GLY.positions)],
    ),
    "names that are told": ("p.pdb", PDB.replace(" CA  GLY", "CA   GLY"), {"types": {"CA": "C"}}, [GLY, GLY]),
    "occupancies of 0": ("p.pdb", PDB.replace("1.00  0.00", "0.00  0.00"), {}, [GLY, GLY]),
    "a crystal": (
        "s.cif", WHOLE, {}, [Atoms("SrLaO", [[0, 0, 0], [2, 0, 0], [2, 2, 2]], cell=[4, 4, 4], pbc=True)],
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
    "every molecule of a file": ("s.sdf", SDF + SDF, {}, [H2O, H2O]),
    "potentials of VASP": ("POSCAR", POSCAR.format(title="", names="O_s/12ab H\n"), {}, [IN_A_BOX]),
    "symbols in a title of VASP 4": ("POSCAR", POSCAR.format(title="O H", names=""), {}, [IN_A_BOX]),
    "the kinds of VASP 4": (
        "POSCAR", POSCAR.format(title="H O", names=""), {"types": {1: "O", 2: "H"}}, [IN_A_BOX],
    ),
    "names of GROMACS": (
        "g.gro",
        GRO,
        {"types": {"CA": "C", "NA": "Na"}},
        [Atoms("NCNa", [[0, 0, 0], [0, 0, 1.47], [5, 0, 0]], cell=[20, 20, 20], pbc=True)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", READ)
def test_what_is_told_is_read_whole(written, case):
    name, text, options, expected = READ[case]
    path = written(name, text)
    same(read(path, **options), *expected)


def test_the_index_may_follow_the_name(written):
    path = written("a.xyz", PLAIN * 5)
    assert read(f"{path}@1::2").names == ["frame 1, H2O", "frame 3, H2O"]
    assert len(read(f"{path}@:3").atoms) == 3
    literal = written("a.xyz@:3", PLAIN)
    assert read(str(literal), format="xyz").names == ["H2O"]
    with pytest.raises(ReadError, match="g2 is a built-in set; leave out the options of files"):
        read("g2@:3")
    with pytest.raises(ReadError, match="is a built-in set"):
        frames("random-methane:3", 4.0, units="bohr")


GOOD = [("a.xyz", PLAIN * 2, {}), ("a.xyz", SALT.format(cell='Lattice="4 0 0 0 4 0 0 0 4"'), {}), ("p.pdb", PDB, {}),
        ("w", FULL, {"format": "lammps-data"}), ("w.dump", DUMP * 2, {"types": {1: "H", 2: "O"}}), ("s.cif", WHOLE, {}),
        ("s.sdf", SDF * 2, {}), ("POSCAR", POSCAR.format(title="", names="O H\n"), {})]  # fmt: skip


@pytest.mark.filterwarnings("ignore:.*:UserWarning")
@pytest.mark.parametrize("name, text, options", GOOD)
def test_a_file_with_an_error_is_read_or_refused_in_a_sentence(written, name, text, options):
    random, refused = Random(0), 0
    for _ in range(60):
        lines, k = text.split("\n"), random.randrange(text.count("\n"))
        wrong = [
            [*lines[:k], *lines[k + 1 :]],
            [*lines[:k], random.choice(lines), *lines[k:]],
            [*lines[:k], lines[k][: random.randrange(len(lines[k]) + 1)]],
            [
                *lines[:k],
                lines[k].replace(*random.choice([("0", "x"), (" ", ""), ("1", "nan"), (".", "\t")])),
                *lines[k + 1 :],
            ],
        ]
        path = written(name, "\n".join(random.choice(wrong)) or "\n")
        try:
            read(path, **options)
        except ReadError as error:
            refused += 1
            assert "\n" not in str(error) and str(error).startswith(str(path)) and str(error).endswith(".")
            assert "it was read as" not in str(error)
    assert refused > 10


def test_masses_name_an_element_or_none():
    rounded = {1: "1.008", 6: "12.0", 7: "14", 8: "16", 17: "35.45", 27: "58.93", 28: "58.69", 83: "208.98", 92: None}
    for number, mass in rounded.items():
        assert mass is None or number_of_mass(mass) == number
    # In reduced units, of deuterium, of a united atom, of an atom between two.
    assert [number_of_mass(mass) for mass in ("1.0", "2.014", "15.035", "58.8", "238.03", "C")] == [None] * 6


def test_other_columns_are_kept_where_ase_keeps_them(written):
    text = "2\nProperties=species:S:1:pos:R:3:forces:R:3:tag:I:1:REF_forces:R:3 energy=-14.2\n"
    text += "X 0 0 3 0 0 9 3 0 0 9\nO 0 0 0 0 0 1 7 0 0 2\n"
    atoms = read(written("a.xyz", text), skip_ghosts=True).atoms[0]
    held = per_atom_arrays(atoms)
    assert (held["forces"].tolist(), held["REF_forces"].tolist(), held["tag"].tolist()) == (
        [[0, 0, 1]],
        [[0, 0, 2]],
        [7],
    )
    atoms = read(written("a.xyz", text.replace("X", "H"))).atoms[0]
    assert atoms.get_potential_energy() == -14.2 and atoms.get_forces().tolist() == [[0, 0, 9], [0, 0, 1]]
    assert per_atom_arrays(atoms)["forces"].tolist() == atoms.get_forces().tolist()


@pytest.mark.parametrize("name", ["many.extxyz", "many.traj", "many.pdb", "many.cif", "many.dump"])
def test_frames_of_an_index_are_labelled_by_their_places(tmp_path, name):
    cell = bulk("Cu", cubic=True)
    images = []
    for k in range(7):
        images.append(cell.copy())
        images[-1].positions[0, 0] += 0.01 * k
    if name.endswith("dump"):
        text = "".join(DUMP.replace("5.763", f"5.7{k}3") for k in range(7))
        (tmp_path / name).write_text(text)
    else:
        ase.io.write(tmp_path / name, images)
    options = {"types": {1: "H", 2: "O"}} if name.endswith("dump") else {}
    every = read(tmp_path / name, **options).atoms
    assert len(every) == 7
    for index, expected in (("2::2", [2, 4, 6]), ("-3:", [4, 5, 6]), (5, [5]), (":2", [0, 1]), ("-5:-1:2", [2, 4])):
        found = read(tmp_path / name, index=index, **options)
        same(found, *[every[k] for k in expected])
        if index != ":2":
            assert [one.split(",")[0] for one in found.names] == [f"frame {k}" for k in expected]
        source = frames(tmp_path / name, 3.0, index=index, **options)
        assert [source.label(k) for k in range(len(expected))] == [f"frame {k}" for k in expected]
        blocks = list(source.batches(1))
        assert sum(map(len, blocks)) == len(every[0]) * (len(expected) - 1)
        assert not blocks or blocks[0].structure_index[0] == 1


def test_a_frame_is_named_by_its_place_where_it_is_at_fault(written):
    path = written("a.xyz", PLAIN * 3 + HEAVY + PLAIN)
    assert len(read(path, index=":3").atoms) == 3
    with pytest.raises(ReadError, match="at frame 3, line 19: 'D'"):
        read(path, index="1::2")
    blocks = frames(path, 3.0, index="1::2").batches(0)
    assert len(next(blocks)) == 3
    with pytest.raises(ReadError, match="at frame 3, line 19: 'D'"):
        next(blocks)


def test_what_is_read_otherwise_has_another_identity(written):
    path = written("a.xyz", PLAIN * 3)
    ways = [{}, {"index": ":2"}, {"index": "1:"}, {"units": "bohr"}, {"types": {"O": "S"}}, {"skip_ghosts": True},
            {"ignore": "H"}, {"ignore": "cell"}, {"ignore": "occupancies"}, {"format": "xyz"}]  # fmt: skip
    identities = [frames(path, 3.0, **way).identity for way in ways]
    assert len(set(identities)) == len(ways)
    assert frames(f"{path}@:2", 3.0).identity == frames(path, 3.0, index=slice(0, 2)).identity == identities[1]
