"""jaxfeat prove: lines, files and the exit status."""

import json

import ase.io
import pytest
from ase import Atoms
from null_cases import PARSAEIFARD_GOEDECKER

from jaxfeat import check_certificate
from jaxfeat.cli import main


@pytest.fixture
def methanes(tmp_path):
    """A file of a singular methane and of one that is off."""
    frames = [Atoms("CH4", [(0, 0, 0), *PARSAEIFARD_GOEDECKER]) for _ in range(2)]
    frames[1].positions[1] += 0.01
    path = tmp_path / "methanes.xyz"
    ase.io.write(path, frames)
    return path


def test_environments_are_proved_and_certificates_are_checked(methanes, tmp_path, capsys):
    out, records = tmp_path / "certificate.json", tmp_path / "records.json"
    assert main(["prove", str(methanes), "--index", "0", "--out", str(out), "--json", str(records)]) == 0
    assert "center 0 (C): proved: A_1 within 5.43e-7 Å, null for ν = 2, seen by ν = 3." in capsys.readouterr().out
    certificate = json.loads(out.read_text())
    (record,) = json.loads(records.read_text())
    assert record["certificate"] == certificate and record["statement"] == check_certificate(certificate)
    assert (record["structure"], record["center"], record["stratum"], record["seen_by"]) == (0, 0, "A_1", 3)
    assert main(["prove", "--check", str(out), str(records)]) == 0
    printed = capsys.readouterr().out
    assert f"verified. {certificate['statement']}" in printed and "2 of 2 verified." in printed
    certificate["radius"] = "1e-9"
    out.write_text(json.dumps([certificate, record["certificate"]]))
    assert main(["prove", "--check", str(out), "--json", str(records)]) == 1
    assert f"{out}, certificate 0: wrong: the exact point may be farther away" in capsys.readouterr().out
    assert [one["verified"] for one in json.loads(records.read_text())] == [False, True]


def test_what_is_not_proved_has_a_reason_and_a_status(methanes, tmp_path, capsys):
    out, records = tmp_path / "certificates.json", tmp_path / "records.json"
    words = ["prove", str(methanes), "--centers", "0", "--json", str(records), "--out", str(out)]
    assert main(words) == 1
    printed = capsys.readouterr().out
    assert "not proved: no displacement is hidden beyond symmetry" in printed and "1 of 2 proved." in printed
    found = json.loads(records.read_text())
    assert [one["proved"] for one in found] == [True, False] and "hidden" in found[1]["reason"]
    assert main(["prove", "--check", str(records)]) == 0
    assert main(["prove", str(methanes), "--index", "0", "--radius", "1e-8"]) == 1


def test_bad_words_say_so(methanes, tmp_path, capsys):
    broken = tmp_path / "broken.json"
    broken.write_text("{")
    for words, message in (
        (["prove", "--check", str(tmp_path / "none.json")], "there is no such file"),
        (["prove", "--check", str(broken)], "holds no JSON"),
        (["prove", str(methanes), str(methanes)], "several files are for --check only"),
    ):
        assert main(words) == 2
        assert message in " ".join(capsys.readouterr().err.split())
