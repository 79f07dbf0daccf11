"""The scripts of benchmarks/ run, and the page shows the results that are stored beside it."""

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from benchmark_results import benchmark_results

from jaxfeat.bench.workloads import WORKLOAD_NAMES

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


def script(name, folder, *words):
    """Return the output of a smoke run. It has a process of its own, because it pins that to one core."""
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
        assert not works["smoke"] and set(works["works"]) <= set(WORKLOAD_NAMES)
    made = benchmark_results({"failed": "out of luck"})
    lines = {"nu": {"x": [3, 24, 137], "exponents": [0.5, 0.75, 1.0], "expected": [1, 1, 1]}}
    new = page.rendered(text, made, lines)
    assert "| DScribe | 100 (12) |" in new and "2000-01-01: P, 1 cores, S; jax 1.0." in new
    assert "| features, by ν, 3 to 137 | 0.50 (1) | 0.75 (1) | 1.00 (1) |" in new
    assert page.rendered(new, made, lines) == new
    assert page.merged(made, made | {"works": {}})["works"] == made["works"]
    assert page.merged(made, made | {"works": {}, "versions": {"jax": "2.0"}})["works"] == {}
