"""The scripts of benchmarks/ run, and the page shows the results that are stored beside it."""

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from benchmark_results import benchmark_results, stages

from jaxfeat.bench.workloads import WORKLOAD_NAMES

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


def script(name, folder, *words):
    """Return the output of a smoke run. It has a process of its own, because it pins that to one core."""
    command = [sys.executable, "-W", "error", BENCHMARKS / name, "--smoke", *words]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout


def load(name):
    """Import a script as a module."""
    spec = importlib.util.spec_from_file_location(name, BENCHMARKS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


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


def test_first_contact_is_measured_in_fresh_processes(tmp_path):
    words = "--rows", "help", "--against", BENCHMARKS.parent, "--json", tmp_path / "help.json"
    assert "jaxfeat --help" in script("first_contact.py", tmp_path, *words)
    found = json.loads((tmp_path / "help.json").read_text())["rows"]["help"]["states"][""]
    assert 0 < found["new"]["cpu"] < 5 and 0 < found["old"]["cpu"] < 5
    printed = script("first_contact.py", tmp_path, "--rows", "W7", "--json", tmp_path / "w7.json")
    assert "its times mean nothing" in printed
    states = json.loads((tmp_path / "w7.json").read_text())["rows"]["W7"]["states"]
    cold, warm = (states[state]["new"] for state in ("cold", "warm"))
    assert 0 < warm["work"] < warm["cpu"] and 0 < cold["work"] < cold["cpu"]


def test_runs_of_two_checkouts_take_turns_and_only_warm_ones_find_programs(monkeypatch):
    first_contact = load("first_contact")
    runs = []

    def run(words, checkout, cache, threads):
        keeps = not words[-1] == '{"keep": false}'
        runs.append(f"{checkout}{'w' if any(cache.iterdir()) else 'c'}{'' if keeps else '!'}")
        if keeps:
            (cache / "program").touch()
        return first_contact.Run(2.0 if checkout == "a" else 1.0, 1.0, None, 0.0, 0.0)

    monkeypatch.setattr(first_contact, "run", run)
    command = first_contact.Row("", ["scan"], {})
    found = first_contact.measure(command, {"old": "a", "new": "b"}, 2, {})
    assert " ".join(runs) == "ac bc bc ac aw bw bw aw"
    assert first_contact.ratio(found["cold"]) == 0.5
    runs.clear()
    first_contact.measure(first_contact.Row("", ['{"keep": false}'], {}, is_script=True), {"new": "b"}, 2, {})
    assert " ".join(runs) == "bc! bc! bc bw bw"


def test_disturbed_runs_are_dropped_unless_there_are_no_others():
    first_contact = load("first_contact")
    quiet, busy = (first_contact.Run(cpu, 1.0, 0.5, others, 0.0) for cpu, others in ((1.0, 0.02), (3.0, 0.6)))
    found = first_contact.summarize([busy, quiet, busy])
    assert (found["cpu"], found["n_runs"], found["n_dropped"], found["disturbed"]) == (1.0, 1, 2, False)
    found = first_contact.summarize([busy])
    assert (found["cpu"], found["n_dropped"], found["disturbed"]) == (3.0, 0, True)


def test_the_box_of_water_has_the_density_of_water_and_no_close_contacts():
    box = load("first_contact").draw_waters(4, 0)
    assert len(box) == 192 and box.pbc.all()
    assert box.get_masses().sum() / box.get_volume() * 1.66054 == pytest.approx(1, abs=1e-3)
    distances = box.get_all_distances(mic=True) + 9 * np.eye(192)
    molecules = np.arange(192) // 3
    assert distances[molecules[:, None] != molecules[None]].min() > 1.5


def test_an_accelerator_is_timed_and_its_values_are_checked(tmp_path):
    words = "--works", "W1", "--dtypes", "float64", "--json", tmp_path / "gpu.json"
    printed = script("gpu.py", tmp_path, *words)
    assert printed.startswith("device: ") and "W1, float64, values, screened" in printed
    rows = {
        row["title"].removeprefix("W1, float64, "): row
        for row in json.loads((tmp_path / "gpu.json").read_text())["rows"]
    }
    assert list(rows) == ["features", "Jacobian", "values", "values, screened"]
    assert all(row["compile"] > row["seconds"] > 0 and row["n"] == 4 for row in rows.values())
    assert 0 < rows["values"]["difference"] < 1e-14 and rows["values, screened"]["difference"] < 1e-12
    printed = script("gpu.py", tmp_path, "--works", "M", "W2", "--seconds", "0")
    assert "left out, because 0 s were over: M, float64; W2, float64, features; " in printed


def test_tables_of_the_page_have_rates_ratios_and_what_is_missing():
    apart = {"certified": {"of_largest": 1e-10, "each": 2e-9}, "screened": None}
    timed = stages(features=0.5, jacobian=0.5, values=0.5, screened=0.25, vectors=0.5)
    variant = {"stages": timed, "beside": ["dscribe"], "differences": {"dscribe": apart}, "lists": 1.5}
    page = load("page").to_markdown(benchmark_results({"variants": {"gto": variant}}))
    assert "| W1, DScribe | 2 | 4 | 8 | 16 | 16 |" in page
    assert "| jaxfeat, gto | 200 (12) | 200 (12) | 200 (12) | 400 (12) | 200 (12) |" in page
    assert "Δσ certified from DScribe: 1e-10, 2e-09" in page
    assert "- quippy: quippy is not installed; pip install 'jaxfeat[peers]' adds it." in page
    assert "no data." in page
    page = load("page").to_markdown(benchmark_results({"failed": "status 1: out of luck"}))
    assert "out of luck" in page and "| DScribe | 100 (12) |" in page


def test_the_page_is_what_was_measured():
    page = load("page")
    text = page.PAGE.read_text()
    works, scaling = page.read(page.WORKS), page.read(page.SCALING)
    assert page.rendered(text, works, scaling) == text
    if works is not None:
        assert not works["smoke"] and set(works["works"]) <= set(WORKLOAD_NAMES)
    made = benchmark_results({"failed": "out of luck"})
    lines = {"nu": {"x": [3, 24, 137], "exponents": [0.5, 0.75, 1.0], "expected": [1, 1, 1]}}
    new = page.rendered(text, made, lines)
    assert "| DScribe | 100 (12) |" in new and "2000-01-01: P, 1 cores, S; jax 1.0." in new
    assert "| features, by ν, 3 to 137 | 0.50 (1) | 0.75 (1) | 1.00 (1) |" in new
    assert page.rendered(new, made, lines) == new
    assert page.merged(made, made | {"works": {}})["works"] == made["works"]
    assert page.merged(made, made | {"works": {}, "versions": {"jax": "2.0"}})["works"] == {}
