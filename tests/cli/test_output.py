"""Files that are written whole or not at all, and what goes to which stream."""

import json
import os
import sys

import pytest

from jaxfeat.cli import main
from jaxfeat.cli.output import format_bytes

FAST = ["--nu", "1", "--n-max", "2", "--centers", "C"]


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


def test_json_goes_to_stdout_and_tables_to_stderr(capsys):
    assert main(["scan", "random-methane:1", *FAST, "--json", "-"]) == 0
    captured = capsys.readouterr()
    assert len(json.loads(captured.out)) == 1
    assert "1 environment: " in captured.err and "wrote" not in captured.err


def test_quiet_commands_say_nothing_but_their_result_and_errors(capsys):
    assert main(["scan", "random-methane:1", *FAST, "--quiet"]) == 0
    captured = capsys.readouterr()
    assert captured.err == "" and "1 environment: " in captured.out
    assert main(["scan", "nowhere.xyz", "-q"]) == 2
    assert capsys.readouterr().err.startswith("jaxfeat: nowhere.xyz: there is no such file")


def test_a_pipe_gets_plain_lines_and_the_whole_verdict_in_the_last(capsys):
    assert main(["scan", "random-methane:1", *FAST]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert not [line for line in lines if line != line.rstrip() or "\x1b" in line]
    assert lines[-1].startswith("1 environment: ") and lines[-1].endswith(".") and len(lines[-1]) > 80


def test_a_reader_that_has_gone_is_no_failure(capsys):
    reader, writer = os.pipe()
    os.close(reader)
    with pytest.MonkeyPatch.context() as patch, open(writer, "w") as stdout:
        patch.setattr(sys, "stdout", stdout)
        assert main(["scan", "random-methane:1", *FAST, "--quiet"]) == 141
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "n, text", [(0, "0 bytes"), (999, "999 bytes"), (1234, "1.23 kB"), (999_600, "1 MB"), (2.5e9, "2.5 GB")]
)
def test_sizes_have_a_unit(n, text):
    assert format_bytes(n) == text
