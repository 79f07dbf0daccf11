"""The exit status, and what is said on the way out."""

import subprocess
import sys

import pytest

import jaxfeat
from jaxfeat.cli import main


@pytest.mark.parametrize(
    "error, status, message",
    [
        (RuntimeError("the device is gone\nfor good"), 1, "failed: RuntimeError: the device is gone for good"),
        (MemoryError(), 1, "failed: MemoryError"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_failures_have_a_status_and_leave_no_file(tmp_path, monkeypatch, capsys, error, status, message):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(jaxfeat, "scan", fail)
    (tmp_path / "s.json").write_text("precious")
    assert main(["scan", "random-methane:1", "--json", str(tmp_path / "s.json")]) == status
    assert message in capsys.readouterr().err
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("s.json", "precious")]


@pytest.mark.parametrize(
    "words, status",
    [
        (["--version"], 0),
        (["converge", "g2", "--n-max"], 2),
        (["scan", "--help"], 0),
        ([], 2),
        (["scan"], 2),
        (["scan", "g2", "--nu", "x"], 2),
    ],
)
def test_arguments_are_judged_before_anything_runs(words, status, capsys, no_scan):
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == status
    assert "jaxfeat" in "".join(capsys.readouterr())


def test_the_process_returns_the_status(tmp_path):
    run = subprocess.run([sys.executable, "-m", "jaxfeat", "scan", str(tmp_path)], capture_output=True, text=True)
    assert run.returncode == 2
    said = [f"reading {tmp_path}.", f"{tmp_path} is a folder; give a file of structures."]
    assert run.stderr.splitlines() == [f"jaxfeat: {line}" for line in said]
    assert run.stdout == ""
