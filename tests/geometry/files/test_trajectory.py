"""Frames are read one by one, an error names file and frame, and the format is found or has to be named."""

import gzip
from pathlib import Path
from random import Random

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.units import Bohr
from file_texts import (
    DUMP,
    FULL,
    H2O,
    HEAVY,
    PDB,
    PLAIN,
    POSCAR,
    SALT,
    SDF,
    WATER,
    WHOLE,
    assert_refused,
    assert_same,
    write,
)

from jaxfeat import frames, read
from jaxfeat.errors import ReadError

GRO = """glycine, and sodium
    3
    1GLY      N    1   0.000   0.000   0.000
    1GLY     CA    2   0.000   0.000   0.147
    2NA      NA    3   0.500   0.000   0.000
   2.00000   2.00000   2.00000
"""

MOLECULES = [molecule("CH4"), molecule("CH3CH2OH")]

REFUSED = {
    "UTF-16": ("a.xyz", PLAIN.encode("utf-16"), {"format": "xyz"}, "a.xyz is text in UTF-16; save it in UTF-8"),
    "no such frame": ("a.xyz", PLAIN, {"index": 1}, "holds no frame with that index"),
    "a picture": (
        "a.pov",
        PLAIN,
        {},
        "neither its name nor its beginning shows the format; name the format with --format",
    ),
    "a data file": (
        "w.data",
        FULL,
        {},
        "its name ends like that of a runnerdata file.*name the format with --format lammps-data",
    ),
    "a data file of no kind": ("w.lmp", FULL, {}, "shows the format; name the format with --format lammps-data"),
    "a log of something": ("w.log", "3\nno output of Gaussian\n", {}, "its name ends like that of a gaussian-out file"),
    "units of a CIF": ("s.cif", WHOLE, {"units": "bohr"}, "the format cif has its own unit of length"),
    "names of GROMACS": ("g.gro", GRO, {}, "frame 0: 'CA' may be Ca or the name of an atom; .* --types CA=SYMBOL NA="),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals_name_the_place_and_the_cure(tmp_path, case):
    assert_refused(tmp_path, *REFUSED[case])


READ = {
    "a byte order mark": ("a.xyz", PLAIN.encode("utf-8-sig"), {}, [H2O]),
    "lines of Windows": ("a.xyz", PLAIN.replace("\n", "\r\n"), {}, [H2O]),
    "a comment in Latin": ("a.xyz", WATER.format(comment="1 Å").encode("latin-1"), {}, [H2O]),
    "compressed": ("a.xyz.gz", gzip.compress(PLAIN.encode()), {}, [H2O]),
    "ghosts left out": ("a.xyz", PLAIN.replace("3", "4", 1) + "Bq 0 0 3\n", {"skip_ghosts": True}, [H2O]),
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


SOUND = [("a.xyz", PLAIN * 2, {}), ("a.xyz", SALT.format(cell='Lattice="4 0 0 0 4 0 0 0 4"'), {}), ("p.pdb", PDB, {}),
        ("w", FULL, {"format": "lammps-data"}), ("w.dump", DUMP * 2, {"types": {1: "H", 2: "O"}}), ("s.cif", WHOLE, {}),
        ("s.sdf", SDF * 2, {}), ("POSCAR", POSCAR.format(title="", names="O H\n"), {})]  # fmt: skip


@pytest.mark.filterwarnings("ignore:.*:UserWarning")
@pytest.mark.parametrize("name, text, options", SOUND)
def test_a_file_with_an_error_is_read_or_refused_in_a_sentence(tmp_path, name, text, options):
    """One line is dropped, repeated, cut or misspelt; whether that is an error depends on the line."""
    random, n_refused = Random(0), 0
    for _ in range(60):
        lines, k = text.split("\n"), random.randrange(text.count("\n"))
        misspelt = lines[k].replace(*random.choice([("0", "x"), (" ", ""), ("1", "nan"), (".", "\t")]))
        cut = lines[k][: random.randrange(len(lines[k]) + 1)]
        replaced = random.choice([[], [random.choice(lines), lines[k]], [cut], [misspelt]])
        path = write(tmp_path, name, "\n".join([*lines[:k], *replaced, *lines[k + 1 :]]) or "\n")
        try:
            read(path, **options)
        except ReadError as error:
            n_refused += 1
            assert "\n" not in str(error) and str(error).startswith(str(path)) and str(error).endswith(".")
            assert "which its name or beginning shows" not in str(error)
    assert n_refused > 10


@pytest.mark.parametrize("name", ["many.extxyz", "many.traj", "many.pdb", "many.cif", "many.dump"])
def test_frames_of_an_index_are_labelled_by_their_places(tmp_path, name):
    cell = bulk("Cu", cubic=True)
    images = []
    for k in range(7):
        images.append(cell.copy())
        images[-1].positions[0, 0] += 0.01 * k
    if name.endswith("dump"):
        write(tmp_path, name, "".join(DUMP.replace("5.763", f"5.7{k}3") for k in range(7)))
    else:
        ase.io.write(tmp_path / name, images)
    options = {"types": {1: "H", 2: "O"}} if name.endswith("dump") else {}
    every = read(tmp_path / name, **options).atoms
    assert len(every) == 7
    for index, expected in (("2::2", [2, 4, 6]), ("-3:", [4, 5, 6]), (5, [5]), (":2", [0, 1]), ("-5:-1:2", [2, 4])):
        found = read(tmp_path / name, index=index, **options)
        assert_same(found, *[every[k] for k in expected])
        if index != ":2":
            assert [one.split(",")[0] for one in found.names] == [f"frame {k}" for k in expected]
        source = frames(tmp_path / name, 3.0, index=index, **options)
        assert [source.label(k) for k in range(len(expected))] == [f"frame {k}" for k in expected]
        batches = list(source.batches(1))
        assert sum(map(len, batches)) == len(every[0]) * (len(expected) - 1)
        assert not batches or batches[0].structure_index[0] == 1


def test_an_error_names_the_place_of_its_frame(tmp_path):
    path = write(tmp_path, "a.xyz", PLAIN * 3 + HEAVY + PLAIN)
    assert len(read(path, index=":3").atoms) == 3
    with pytest.raises(ReadError, match="at frame 3, line 19: 'D'"):
        read(path, index="1::2")
    batches = frames(path, 3.0, index="1::2").batches(0)
    assert len(next(batches)) == 3
    with pytest.raises(ReadError, match="at frame 3, line 19: 'D'"):
        next(batches)


@pytest.mark.parametrize("name", ["many.extxyz", "many.xyz", "many.traj", "many.db", "many.json"])
def test_files_of_many_frames(tmp_path, name):
    ase.io.write(tmp_path / name, MOLECULES)
    source = read(str(tmp_path / name))
    assert source.names == ["frame 0, CH4", "frame 1, C2H6O"]
    assert source.centers is None
    for mine, theirs in zip(source.atoms, MOLECULES, strict=True):
        assert np.allclose(mine.positions, theirs.positions, rtol=0, atol=1e-6)


def test_an_at_sign_in_a_file_name_is_a_letter(tmp_path):
    ase.io.write(tmp_path / "me@home.xyz", MOLECULES)
    assert len(read(tmp_path / "me@home.xyz").atoms) == 2


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("empty.xyz", b"", "empty.xyz is empty"),
        ("empty", b"", "empty is empty"),
        ("junk.txt", b"Lorem ipsum dolor sit amet", "junk.txt cannot be read"),
        ("junk.xyz", b"Lorem ipsum dolor sit amet", "junk.xyz cannot be read"),
        ("POSCAR", b"Cu\n1\ngarbage", "POSCAR cannot be read"),
        ("noise.traj", bytes(range(256)), "noise.traj cannot be read"),
        ("noise.db", bytes(range(256)), "noise.db cannot be read"),
        ("noise", bytes(range(255, 0, -1)), "noise cannot be read"),
        ("void.cif", b"data_void\n", "void.cif holds no structures"),
        ("other.json", b'{"a": 1}', "other.json cannot be read"),
        (
            "junk.gen",
            b"hello\n",
            r"junk.gen cannot be read in the format gen, which its name or beginning shows \(ASE: invalid literal for "
            r"int.* 'hello'\); fix the file, or name its format with --format\.",
        ),
        ("none.json", b'{"1": {}}', r"in the format json.*\(ASE: [^()]+\); fix the file"),
    ],
)
def test_files_that_hold_no_structure(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ReadError, match=message) as caught:
        read(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    path = tmp_path / "secret.xyz"
    ase.io.write(path, MOLECULES)

    # Modes of files would not stop root.
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ReadError, match=r"secret.xyz cannot be read: Permission denied"):
        read(path)


def test_types_are_refused_for_formats_that_name_elements(tmp_path):
    ase.io.write(tmp_path / "a.json", H2O)
    with pytest.raises(ReadError, match="the format json names elements; leave out --types"):
        read(tmp_path / "a.json", types={1: "O"})
