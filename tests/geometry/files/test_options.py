"""Options of reading are checked before any file is read."""

import pytest
from file_texts import PLAIN, write

from jaxfeat import frames, read
from jaxfeat.errors import ReadError
from jaxfeat.geometry.files.options import parse_read_options

REFUSED = {
    "no format": ({"format": "lammps"}, "'lammps' is not a format that ASE reads; .* lammps-data"),
    "steps back": ({"index": slice(None, None, -1)}, "index has the step -1"),
    "no index": ({"index": "last"}, "index is 'last'; give one frame or a range"),
    "other units": ({"units": "nm"}, "units is 'nm'; choose angstrom or bohr"),
    "a type of no element": ({"types": {"D": "Q"}}, "types has D=Q, which is not an element"),
    "an unknown word to ignore": ({"ignore": "blanks"}, "ignore has 'blanks', .* occupancies or cell"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals_name_the_option(case):
    options, message = REFUSED[case]
    with pytest.raises(ReadError, match=message):
        parse_read_options(**options)


INDICES = [
    (None, slice(None)),
    (3, slice(3, 4)),
    ("-1", slice(-1, None)),
    (":20", slice(None, 20)),
    ("100::10", slice(100, None, 10)),
    (slice(1, 3), slice(1, 3)),
]


@pytest.mark.parametrize("index, expected", INDICES)
def test_an_index_becomes_a_slice(index, expected):
    assert parse_read_options(index=index).frames == expected


def test_the_index_may_follow_the_name(tmp_path):
    path = write(tmp_path, "a.xyz", PLAIN * 5)
    assert read(f"{path}@1::2").names == ["frame 1, H2O", "frame 3, H2O"]
    assert len(read(f"{path}@:3").atoms) == 3
    literal = write(tmp_path, "a.xyz@:3", PLAIN)
    assert read(str(literal), format="xyz").names == ["H2O"]
    with pytest.raises(ReadError, match="names frames after the @, and the index names frames too"):
        read(f"{path}@0", index=0)


def test_options_that_change_structures_change_the_identity(tmp_path):
    path = write(tmp_path, "a.xyz", PLAIN * 3)
    ways = [{}, {"index": ":2"}, {"index": "1:"}, {"units": "bohr"}, {"types": {"O": "S"}}, {"skip_ghosts": True},
            {"ignore": "H"}, {"ignore": "cell"}, {"ignore": "occupancies"}, {"format": "xyz"}]  # fmt: skip
    identities = [frames(path, 3.0, **way).identity for way in ways]
    assert len(set(identities)) == len(ways)
    assert frames(f"{path}@:2", 3.0).identity == frames(path, 3.0, index=slice(0, 2)).identity == identities[1]


def test_the_identity_stays_the_same_from_version_to_version():
    options = parse_read_options(index="1:", types={"D": "H"}, units="bohr", skip_ghosts=True, ignore=["O", "cell"])
    assert options.identity == b'[[1, null, 1], [["D", 1]], true, "bohr", [8], false, true]'
    assert parse_read_options().identity == b""
