"""Files that are written whole or not at all."""

import json
import os

from jaxfeat.cli import main


def test_a_folder_that_may_not_be_written_to(tmp_path, capsys, monkeypatch, no_scan):
    # Modes of folders would not stop root.
    monkeypatch.setattr(os, "access", lambda path, mode: (path, mode) != (tmp_path, os.W_OK))
    assert main(["scan", "random-methane:1", "--json", str(tmp_path / "s.json")]) == 2
    assert "not yours to write to" in capsys.readouterr().err


def test_a_file_takes_its_place_only_when_complete(tmp_path, monkeypatch, scanned):
    def fail(*_, **__):
        raise OSError("no space left on device")

    monkeypatch.setattr(json, "dumps", fail)
    (tmp_path / "s.json").write_text("precious")
    assert main(["scan", "random-methane:1", "--json", str(tmp_path / "s.json")]) == 1
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("s.json", "precious")]
