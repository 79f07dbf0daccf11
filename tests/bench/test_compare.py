import json

import pytest
from benchmark_results import benchmark_results

from jaxfeat.bench import compare
from jaxfeat.bench.peers import PEERS
from jaxfeat.cli import main


def test_a_smoke_run_times_packages_and_agrees_with_them(tmp_path, capsys):
    pytest.importorskip("dscribe")
    words = ["--works", "W1e", "M", "--json", str(tmp_path / "b.json"), "--plot", str(tmp_path / "b.png")]
    assert main(["bench", "--smoke", *words]) == 0
    captured = capsys.readouterr()
    assert "W1e, W1's environments" in captured.out and "jaxfeat is" in captured.out
    assert "its rates mean nothing" in " ".join(captured.out.split())
    assert captured.err.startswith("jaxfeat: timing the packages.\n") and "b.png" in captured.err
    assert (tmp_path / "b.png").read_bytes().startswith(b"\x89PNG")
    results = json.loads((tmp_path / "b.json").read_text())
    packages = results["works"]["W1e"]["packages"]
    assert set(packages) == {"jaxfeat", *PEERS}
    gto = packages["jaxfeat"]["variants"]["gto"]
    assert gto["stages"]["values"]["compile"] > gto["stages"]["values"]["seconds"] > 0
    assert set(packages["dscribe"]["stages"]) == {"features", "jacobian", "values", "vectors"}
    # DScribe's derivatives are good to 7e-10.
    assert 0 < gto["differences"]["dscribe"]["certified"]["each"] < 1e-8
    if "failed" not in packages["featomic"] and "skipped" not in packages["featomic"]:
        rascal = packages["jaxfeat"]["variants"]["gto-rascal"]
        assert rascal["differences"]["featomic"]["certified"]["each"] < 1e-9
    million = results["works"]["M"]["packages"]["jaxfeat"]["runs"]["4"]
    assert sum(million["decades"]) == 4


def test_differences_are_relative_to_the_largest_and_to_each():
    found = compare.value_differences([[2.0, 1e-3, 1e-9], [4.0]], [[2.0, 1.1e-3, 1e-8, 5.0], []])
    assert found["of_largest"] == pytest.approx(5e-5)
    assert found["each"] == pytest.approx(0.1)


def test_a_failure_is_listed():
    results = benchmark_results({"failed": "status 1: out of luck"})
    assert compare.failure_messages(results) == ["jaxfeat at W1: status 1: out of luck"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--works", "W9"], "there is no workload W9; choose among W1, W1e, W2"),
        (["--works", "W6", "--data", "nowhere.xyz"], "nowhere.xyz: there is no such file"),
        (["--plot", "s.txt"], "s.txt names no picture"),
    ],
)
def test_bad_benchmarks_say_so_in_a_sentence(words, message, capsys, monkeypatch):
    monkeypatch.setattr(compare, "_measure", lambda *_: pytest.fail("something was timed"))
    assert main(["bench", *words]) == 2
    assert message in " ".join(capsys.readouterr().err.split())


def test_a_work_without_its_data_says_how_to_get_them(capsys, monkeypatch):
    monkeypatch.delenv("JAXFEAT_3BPA", raising=False)
    assert main(["bench", "--smoke", "--works", "W6"]) == 0
    assert "W6 needs 3bpa_train_300K.xyz" in " ".join(capsys.readouterr().out.split())
