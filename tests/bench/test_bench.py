"""`jaxfeat bench` measures what it says, and its tables say what it measured."""

import dataclasses
import importlib.util
import io
import json
import math
import re
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from jaxfeat.bench import run as bench
from jaxfeat.bench.peer import PEERS
from jaxfeat.bench.process import Process
from jaxfeat.bench.timing import Lap, in_turns, lap, resident
from jaxfeat.bench.works import WORKS
from jaxfeat.cli import main
from jaxfeat.report.benchmark_plot import plot_rates
from jaxfeat.report.benchmark_table import STAGES, markdown, print_benchmark, rows

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def test_a_smoke_run_times_packages_and_agrees_with_them(tmp_path, capsys):
    pytest.importorskip("dscribe")
    words = ["--works", "W1e", "M", "--json", str(tmp_path / "b.json"), "--plot", str(tmp_path / "b.png")]
    assert main(["bench", "--smoke", *words]) == 0
    captured = capsys.readouterr()
    assert "W1e, W1's environments" in captured.out and "jaxfeat is" in captured.out
    assert "its rates say nothing" in captured.out
    assert captured.err == "stages ...\n"
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


def flat(package, found):
    """All features of a peer, in some order."""
    if package == "featomic":
        return np.concatenate([block.values.ravel() for block in found.blocks()])
    return np.concatenate([np.ravel(one["data"] if package == "quippy" else one) for one in found])


@pytest.mark.parametrize("package", PEERS)
@pytest.mark.parametrize("name", ["W1e", "W2", "W3", "W4"])
def test_matrices_of_peers_are_derivatives_of_their_features(package, name):
    """Along a random displacement. Of environments, the center stays."""
    pytest.importorskip(PEERS[package].module)
    work = WORKS[name](True, None)
    atoms = work.atoms[1]
    work = dataclasses.replace(work, atoms=[atoms])
    u = np.random.default_rng(0).normal(size=atoms.positions.shape)
    if not work.stacked:
        u[0] = 0
    original, found = atoms.positions.copy(), []
    for step in (1e-4, 0, -1e-4):
        atoms.positions = original + step * u
        peer = PEERS[package].at(work)
        if step:
            found.append(flat(package, peer.features()))
        else:
            (chunk,) = peer.chunks()
            ((items, (matrix,)),) = peer.matrices(chunk, peer.jacobian(chunk))
    assert list(items) == [0]
    slope = (found[0] - found[1]) / 2e-4
    along = (u if work.stacked else u[1:]).ravel() @ matrix
    np.testing.assert_allclose(np.linalg.norm(along), np.linalg.norm(slope), rtol=1e-6)
    largest = np.sort(np.abs(slope))[-20:]
    np.testing.assert_allclose(np.sort(np.abs(along))[-20:], largest, rtol=1e-5, atol=1e-6 * largest[-1])


def test_differences_are_relative_to_the_largest_and_to_each():
    found = bench.difference([[2.0, 1e-3, 1e-9], [4.0]], [[2.0, 1.1e-3, 1e-8, 5.0], []])
    assert found["of_largest"] == pytest.approx(5e-5)
    assert found["each"] == pytest.approx(0.1)


def test_a_stage_is_its_first_call_and_the_median_of_the_others():
    seconds = iter([0.2, 0.01, 0.02, 0.03, 0.04, 0.05])
    (found,) = in_turns([lambda anew: Lap(next(seconds), 0.01, 40.0)], repeats=5, least=0.0)
    assert found["calls"] == 5
    assert found["seconds"] == pytest.approx(0.03)
    assert found["compile"] == pytest.approx(0.17)
    assert found["memory"] == 40
    assert found["share"] == pytest.approx(0.05 / 0.15)


def test_calls_take_turns_until_each_has_had_its_time():
    done = []

    def call(name, seconds, anew):
        done.append(name + "!" * anew)
        return Lap(seconds, seconds, 0.0)

    in_turns([partial(call, "a", 1.0), partial(call, "b", 0.25)], repeats=2, least=0.75)
    assert "".join(done) == "a!b!ababb"
    done.clear()
    in_turns([partial(call, "a", 1.0)], repeats=1, least=0.0, warm=True)
    assert done == ["a!"]


def test_a_lap_knows_what_its_process_held():
    before = resident()
    found = lap(lambda: np.ones(40 * 2**17), anew=True)
    # Other threads of the process give pages back while this one takes 40 MB.
    assert 30 < found.memory - before < 60 or math.isnan(found.memory)
    assert 0 < found.busy and 0 < found.seconds


def test_a_package_that_falls_over_leaves_a_reason_and_no_times():
    with Process("dscribe", "", True, None) as process:
        assert process.ask(open="W0") is None
        assert process.failed == "status 1: KeyError: 'W0'"
        assert math.isnan(process.lap("features", True).seconds)


STAGE = {"compile": 0.0, "memory": 12.0, "fastest": 0.1, "calls": 5, "share": 0.99}


MACHINE = {"processor": "P", "cores": 1, "system": "S", "date": "2000-01-01"}


def stages(**seconds):
    return {stage: STAGE | {"seconds": value} for stage, value in seconds.items()}


def results(jaxfeat):
    peer = {"stages": stages(features=1.0, jacobian=2.0, values=4.0, vectors=8.0)}
    packages = {"jaxfeat": jaxfeat, "dscribe": peer, "quippy": {"skipped": PEERS["quippy"].missing}}
    works = {"W1": {"title": "some", "n": 100, "unit": "configurations", "packages": packages}}
    works["W6"] = {"skipped": "no data.", "packages": {}}
    return {
        "machine": {"processor": "P", "cores": 1, "system": "S", "date": "D"},
        "versions": {"jax": "1"},
        "works": works,
    }


def test_tables_have_rates_ratios_and_what_is_missing():
    apart = {"certified": {"of_largest": 1e-10, "each": 2e-9}, "screened": None}
    variant = {
        "stages": stages(features=0.5, jacobian=0.5, values=0.5, screened=0.25, vectors=0.5),
        "beside": ["dscribe"],
    }
    variant |= {"differences": {"dscribe": apart}, "lists": 1.5}
    measured = results({"variants": {"gto": variant}})
    peer = next(row for row in rows(measured["works"]["W1"]) if row.name == "DScribe")
    assert peer.ratios == {"features": 2, "jacobian": 4, "values": 8, "screened": 16, "vectors": 16}
    page = markdown(measured)
    assert "| W1, DScribe | 2 | 4 | 8 | 16 | 16 |" in page
    assert "| jaxfeat, gto | 200 (12) | 200 (12) | 200 (12) | 400 (12) | 200 (12) |" in page
    assert "Δσ certified from DScribe: 1e-10, 2e-09" in page
    assert "quippy is not installed; pip install 'jaxfeat[peers]' adds it." in page
    assert "no data." in page
    assert len(plot_rates(measured).axes[0].get_lines()) == len(STAGES) + 1
    # In a narrow terminal every column is there.
    found = io.StringIO()
    print_benchmark(measured, Console(file=found, width=80))
    for text in ("features", "Jacobian", "singular", "screened", "U, S, V", "W1, some: 100 configurations"):
        assert text in found.getvalue()


def test_a_failure_is_listed_and_leaves_the_others():
    measured = results({"failed": "status 1: out of luck"})
    assert bench.failures(measured) == ["jaxfeat at W1: status 1: out of luck"]
    page = markdown(measured)
    assert "out of luck" in page and "| DScribe | 100 (12) |" in page


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--works", "W9"], "there is no work W9; choose among W1, W1e, W2"),
        (["--works", "W6", "--data", "nowhere.xyz"], "nowhere.xyz: there is no such file"),
        (["--plot", "s.txt"], "s.txt names no picture"),
    ],
)
def test_bad_benchmarks_say_so_in_a_sentence(words, message, capsys, monkeypatch):
    monkeypatch.setattr(bench, "_measure", lambda *_: pytest.fail("something was timed"))
    assert main(["bench", *words]) == 2
    assert message in " ".join(capsys.readouterr().err.split())


def test_a_work_without_its_data_says_how_to_get_them(capsys, monkeypatch):
    monkeypatch.delenv("JAXFEAT_3BPA", raising=False)
    assert main(["bench", "--smoke", "--works", "W6"]) == 0
    assert "W6 needs 3bpa_train_300K.xyz" in " ".join(capsys.readouterr().out.split())


def script(name, folder, *words):
    """What a smoke run prints. In a process of its own, which it pins to one core."""
    command = [sys.executable, "-W", "error", BENCHMARKS / name, "--smoke", *words]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_exponents_are_fitted_to_sizes_one_at_a_time(tmp_path):
    printed = script("scaling.py", tmp_path, "--out", "s")
    assert "neighbors N 3:" in printed and "too small to tell" in printed
    found = json.loads((tmp_path / "s" / "scaling.json").read_text())
    # Features of ν = 1 are the channels, of ν = 2 pairs of them for l = 0, 1.
    assert {name: one["x"] for name, one in found.items()} == {"neighbors": [2, 3], "nu": [2, 6]}
    for one in found.values():
        assert np.min(one["seconds"]) > 0 and np.shape(one["seconds"]) == (2, 3)
        slope = np.diff(np.log(one["seconds"]), axis=0)[0] / np.diff(np.log(one["x"]))
        np.testing.assert_allclose(one["exponents"], slope, atol=1e-9)
    assert (tmp_path / "s" / "scaling.png").read_bytes().startswith(b"\x89PNG")


def test_every_order_is_timed_and_its_jacobian_checked(tmp_path):
    printed = script("orders.py", tmp_path)
    assert re.findall(r"^ν = (\d) .* Jacobian", printed, re.MULTILINE) == ["2", "3", "4"]
    differences = [float(x) for x in re.findall(r"largest difference (\S+)", printed)]
    assert len(differences) == 3 and max(differences) < 1e-12


def test_compiling_and_sweeping_are_timed(tmp_path):
    printed = script("compile.py", tmp_path, "W1", "--rounds", "1")
    both = re.search(r"^\| W1, gto \| (\S+) s \| (\S+) s \|$", printed, re.MULTILINE)
    assert both and min(map(float, both.groups())) > 0.1
    printed = script("throughput.py", tmp_path, "--rounds", "1")
    alone, after, swept, ratio = re.search(r"alone (\S+) and (\S+), swept (\S+) a second: (\S+)", printed).groups()
    alone, after, swept = (float(x.replace(",", "")) for x in (alone, after, swept))
    assert float(ratio) == pytest.approx(2 * swept / (alone + after), abs=0.006)


def test_the_page_is_what_was_measured():
    spec = importlib.util.spec_from_file_location("page", BENCHMARKS / "page.py")
    page = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(page)
    text = page.PAGE.read_text()
    works, scaling = page.read(page.WORKS), page.read(page.SCALING)
    assert page.rendered(text, works, scaling) == text
    if works is not None:
        assert not works["smoke"] and set(works["works"]) <= set(bench.NAMES)
    made = results({"failed": "out of luck"}) | {"machine": MACHINE, "versions": {"jax": "1.0"}}
    lines = {"nu": {"x": [3, 24, 137], "exponents": [0.5, 0.75, 1.0], "expected": [1, 1, 1]}}
    new = page.rendered(text, made, lines)
    assert "| DScribe | 100 (12) |" in new and "2000-01-01: P, 1 cores, S; jax 1.0." in new
    assert "| features, by ν, 3 to 137 | 0.50 (1) | 0.75 (1) | 1.00 (1) |" in new
    assert page.rendered(new, made, lines) == new
    assert page.merged(made, made | {"works": {}})["works"] == made["works"]
    assert page.merged(made, made | {"works": {}, "versions": {"jax": "2.0"}})["works"] == {}
