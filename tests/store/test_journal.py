"""The journal of a store: one process writes at a time, and a damaged journal empties no store."""

import json
import subprocess
import sys

import pytest
from stores import copy_without, sweep_methanes

from jaxfeat.errors import ReadError
from jaxfeat.nulls.scan import scan_arrays
from jaxfeat.store.journal import Journal

HELD = """
import fcntl, sys
handle = open(sys.argv[1])
fcntl.flock(handle, fcntl.LOCK_EX)
print(flush=True)
sys.stdin.read()
"""


def test_a_second_process_is_refused(whole, tmp_path, never):
    path = copy_without(whole, tmp_path)
    process = subprocess.Popen(
        [sys.executable, "-c", HELD, str(path / "journal" / "lock")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    process.stdout.readline()
    with pytest.raises(ReadError, match="is being written by another process"):
        sweep_methanes(path)
    process.kill()
    process.communicate()
    sweep_methanes(path)


def test_a_store_whose_journal_is_damaged_is_not_emptied(whole, tmp_path):
    path = copy_without(whole, tmp_path)
    for file in (path / "journal").glob("*.json"):
        if file.name != "zarr.json":
            file.write_text("damaged")
    with pytest.raises(ReadError, match="its settings cannot be read; overwrite it"):
        sweep_methanes(path)
    assert (path / "sigma" / "c" / "0" / "0").exists()


def test_a_lost_settings_file_is_damage(whole, tmp_path, never):
    path = copy_without(whole, tmp_path)
    (path / "journal" / "settings.json").write_text("")
    with pytest.raises(ReadError, match="is damaged: its settings cannot be read; overwrite it"):
        sweep_methanes(path)


def test_the_files_are_those_of_former_versions(whole):
    """A change here leaves stores behind that no sweep resumes."""
    journal = Journal(whole)
    assert set(journal.read("settings")) == {"compared", "widths", "attributes"}
    compared = "featurizer input_hash r_cut centers precision screened classify chunk positions".split()
    assert set(journal.read("settings")["compared"]) == set(compared)
    assert journal.read("end") == {"chunks": 7, "environments": 50}
    assert journal.numbers == list(range(7))
    entry = journal.read(6)
    assert set(entry) == {"n", "inputs", "value", "neighbor", "files", "after"}
    assert (entry["n"], entry["value"], entry["neighbor"], entry["after"]) == (2, 9, 4, [50, 0])
    assert {"sigma/c/6/0", "positions/c/6/0/0", "status/c/6"} <= set(entry["files"])
    names = {file.relative_to(whole).as_posix() for file in whole.rglob("*") if file.is_file()}
    assert {"zarr.json", "sigma/zarr.json", "cause/zarr.json", "journal/00000006.json", "journal/end.json"} <= names
    assert json.loads((whole / "journal" / "end.json").read_text())["checksum"]


def test_a_sweep_begun_before_classify_was_a_setting_classifies_all(whole, tmp_path, monkeypatch):
    path = copy_without(whole, tmp_path, 3)
    journal = Journal(path)
    settings = journal.read("settings")
    del settings["compared"]["classify"]
    journal.write("settings", settings)
    given = []
    monkeypatch.setattr(
        "jaxfeat.store.chunk.scan_arrays", lambda *args, **how: given.append(args) or scan_arrays(*args, **how)
    )
    sweep_methanes(path)
    assert [args[4] for args in given] == [None]
