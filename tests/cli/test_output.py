"""Files that are written whole or not at all, and Ctrl-C under a progress bar."""

import contextlib
import json
import os
import signal

import pytest

from jaxfeat.cli import main
from jaxfeat.cli.output import progress_bar


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


def test_ctrl_c_is_not_lost(ctrl_c):
    with progress_bar("environments", 3) as progress:
        progress(1, 3)
        with contextlib.suppress(KeyboardInterrupt):
            # As in a callback of the garbage collector, whose exceptions Python drops.
            signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            progress(2, 3)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
