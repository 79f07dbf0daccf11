"""No singular value of forty environments differs from NumPy's long doubles by more than its floor.

`python benchmarks/floors.py` is the same for ten thousand of them.
"""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "floors.py"


@pytest.fixture(scope="module")
def floors():
    spec = importlib.util.spec_from_file_location("floors", BENCHMARK)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("screened", [False, True])
@pytest.mark.parametrize("which", range(6))
def test_no_value_is_off_by_more_than_its_floor(floors, which, screened):
    case = floors.CASES[which]
    seed = 100 + which
    at = floors.positions(np.random.default_rng(seed), case, 7)
    worst = floors.errors(case, at, screened=screened)
    assert (worst <= 1).all(), (case, seed, worst)


def test_the_reference_is_the_jacobian(floors):
    """The reference agrees with the library where no value is small, so that it can judge the small ones."""
    import jaxfeat

    case = floors.CASES[0]
    at = floors.positions(np.random.default_rng(5), case, 1)[0]
    env = jaxfeat.Environment.from_neighbors(at, ["H"] * len(at))
    ours = np.asarray(jaxfeat.jacobian(floors.featurizer(case), env)).reshape(-1, at.size)
    exact = floors.jacobian(case, at.astype(np.longdouble)).astype(float)
    assert np.abs(ours - exact).max() < 1e-13 * np.abs(exact).max()


def test_every_descriptor_of_the_benchmark_has_a_basis(floors):
    for case in (*floors.CASES, *floors.MORE):
        assert floors.featurizer(case).prepared().n_features


def test_the_benchmark_runs(floors, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["floors.py", "--smoke"])
    floors.main()
    assert "14 environments" in capsys.readouterr().out
