"""The arrays of a store whose metadata is damaged or cannot be read."""

import errno
from pathlib import Path

import pytest
from stores import assert_same, attributes, contents, copy_without, load, sweep_methanes


def test_damaged_metadata_is_written_again_and_chunks_are_kept(whole, tmp_path, never):
    path = copy_without(whole, tmp_path)
    (path / "sigma" / "zarr.json").write_text("{")
    (path / "cause" / "zarr.json").unlink()
    assert_same(sweep_methanes(path).load(), load(whole))


@pytest.mark.parametrize("name", ["zarr.json", "sigma/zarr.json", "journal/settings.json", "journal/00000000.json"])
def test_an_error_in_reading_deletes_nothing(whole, tmp_path, monkeypatch, name):
    path = copy_without(whole, tmp_path, 1)
    before, read = contents(path), Path.read_bytes

    def failing(file):
        if file == path / name:
            raise OSError(errno.EIO, "Input/output error")
        return read(file)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", failing)
        with pytest.raises(OSError, match="Input/output error"):
            sweep_methanes(path)
    assert contents(path) == before
    sweep_methanes(path)
    assert attributes(path)["command"] == "the first command"


@pytest.mark.parametrize("damage", [lambda file: file.unlink(), lambda file: file.write_text("{")])
def test_provenance_outlives_its_file(whole, tmp_path, damage):
    path = copy_without(whole, tmp_path, 1)
    before = attributes(path)
    damage(path / "zarr.json")
    sweep_methanes(path, command="another command")
    assert attributes(path) == before and before["command"] == "the first command"
