"""Every experiment runs as its README says, in a few seconds, and finds what it claims."""

import re
import runpy
import sys
from pathlib import Path
from types import SimpleNamespace

import ase.io
import jax
import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule

FOLDER = Path(__file__).parents[1] / "experiments"
RUNS = sorted(path.parent.name for path in FOLDER.glob("*/run.py"))

FOUND = {
    "atlas": [
        "N = 4, ν = 2, one species, random: 58 of 64 land, 5 out of bounds, 10 hide more than symmetry,",
        "N = 4, up to 4 like: 164 patterns, of which 0 could hide more than symmetry from ν = 3, and 0 do\n",
        "N = 4, ν = 2, one, random   opposite heights             3        1        8 ",
        "heptagon          5       7       4                  3       3                  3 ",
    ],
    "codimension": [
        "the statements of the proof hold at 35 of 35 points\n",
        "N = 3: nullities modulo 2^31 - 1 are those of complete_kernel: 8 of 8\n",
        "N = 4: nullities modulo 2^31 - 1 are those of complete_kernel: 9 of 9\n",
        "N = 4, two equal radii: 115 of 115 incomplete points lie in A_k or opposite heights\n",
        "N = 3: incomplete points 0\n",
    ],
    "search_methane": ["without symmetric n_max 2, l_max 5: symmetry 0, incompleteness "],
    "symmetry": [
        "planar, ν = 3: symmetry 2 (Cs), in-plane part",
        "planar, ν = 3, SO(3): symmetry 0 (C1)\n",
        "nullities that are those of the complete basis: 12 of 12\n",
    ],
    "incompleteness_methane": [
        "ν = 2, F = π, L = 0: null directions of J [1], of the complete basis [1] (",
        "ν = 3, F = π, L = 0: null directions of J [0], of the complete basis [0] (",
        "ν = 2, equal opposite angles: null directions of J [1], of the complete basis [1] (",
    ],
    "incompleteness_bispectrum": [
        "ν = 3, scalene: incompleteness 0 (ok)\n",
        "ν = 3, isosceles: incompleteness 1 (ok)\n",
        "ν = 4, isosceles: incompleteness 0 (ok)\n",
    ],
    "defaults": [
        "better on all 3 data sets in all four measures: none\n",
        "laplacian, σ 0.3, smoothstep 1, r_cut 4            0.99 methane                 1.37 methane",
    ],
    "models": [
        "methane, SOAP (DScribe): 1, 0, 0, 0, 1 beyond symmetry for each atom\n",
        "methane, ACSF: 1, 0, 0, 0, 1 beyond symmetry for each atom\n",
        "methane, power spectrum: 1, 0, 0, 0, 1 beyond symmetry for each atom\n",
        "methane, linear × 2: 1, 0, 0, 0, 1 beyond symmetry for each atom\n",
        "constructed, 6 atoms, power spectrum: 0 beyond symmetry for all atoms together\n",
        "constructed, 6 atoms, linear × 2: 1 beyond symmetry for all atoms together\n",
    ],
    "forces": [
        "methanol, σ: rank correlation with the error: slopes -1.00, scale-free +1.00\n",
    ],
    "inversion": [
        "pair family: slope of the error -1.00, error over law 1.00 to 1.00\n",
        "pair family, on the fold: error as ε to the 0.50, over law 1.00 to 1.00\n",
        "pair family, from t to -t: 4 of 4 have the features of the other side\n",
        "ν = 2, cy = 0.0001: other member recovered True\n",
        "ν = 3, cy = 0.0001: other member recovered False\n",
        "ν = 2, 0.05 Å: 4 of 4 have the features, 4 are congruent (",
    ],
    "proofs": [
        ", neither 0\n",
        "certificates wrong: 0; moved and proved: 0\n",
        "proved radius over distance: 1.00 to 1.0",
        "parsaeifard-goedecker                        A_1   4     2         3      5.43e-7",
    ],
    "second_order": [
        "fcc, 12, features of ν = 2: 14 of 14, zeros ",
        "features see what the complete basis of their order does: 1 of 1\n",
        "MoS2, 2.5 Å: ν = 1, 2, 3 have 4, 20, 22 of 23 force constants\n",
    ],
    "selection": ["g2, 30%: the lowest tenth of σ_min is largest for select\n"],
    "realistic": [
        "g2, default: 9 environments, null directions by symmetry 9, incompleteness 0, truncation 0, ambiguous 0\n",
        "random methane, default: 6 environments, null directions by symmetry 0,",
    ],
    "quasi_constant": [
        "ν = 2, sign +1: closed after 0.146",
        "ν = 2, sign -1: closed after 0.146",
        "ν = 2, the point inside: 2 null directions, whatever the basis;",
        "ν = 3, the point inside: 0 null directions, whatever the basis;",
    ],
    "truncation": [
        "gto, equal radii, n_max 2: rank 3, 7, 9 of 9 for l_max 1, 3, 5\n",
        "gto, unequal radii, n_max 2: rank 5, 9, 9 of 9 for l_max 1, 3, 5\n",
    ],
}


@pytest.fixture
def smoke(monkeypatch, capsys):
    """Runs a script as `python` does, but in this process, which has its programs compiled."""

    def run(name, folder, *words):
        script = str(FOLDER / name / "run.py")
        monkeypatch.chdir(folder)
        monkeypatch.setattr(sys, "path", [str(FOLDER / name), *sys.path])
        monkeypatch.setattr(sys, "argv", [script, "--smoke", "--out", str(folder), *map(str, words)])
        status = 0
        # Scripts are to work with JAX as it comes.
        with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
            try:
                runpy.run_path(script, run_name="__main__")
            except SystemExit as stop:
                status = stop.code
        captured = capsys.readouterr()
        return SimpleNamespace(status=status, out=captured.out, err=captured.err)

    return run


def checked(name, finished, folder, figures=("figure.png",)):
    assert finished.status == 0, finished.err
    for line in FOUND[name]:
        assert line in finished.out, finished.out
    assert sorted(path.name for path in folder.iterdir()) == sorted(figures)
    for figure in figures:
        assert (folder / figure).read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("name", [name for name in RUNS if name != "realistic"])
def test_an_experiment_finds_what_it_claims(name, tmp_path, smoke):
    if name == "selection":
        pytest.importorskip("skmatter")
    checked(name, smoke(name, tmp_path), tmp_path)


def test_files_are_scanned_and_a_path_is_followed(tmp_path, smoke):
    """C0, H1 and H2 lie in a mirror plane of the middle frame."""
    frames = []
    for aside in (-0.2, 0.0, 0.2):
        positions = [[0, 0, 0], [1.0, 0, 0.5], [-0.9, 0, 0.7], [0.1, 0.95, -0.6 + aside], [0.1, -0.95, -0.6]]
        frames.append(Atoms("CH4", np.asarray(positions)))
    ase.io.write(tmp_path / "methane.xyz", frames)
    folder = tmp_path / "out"
    folder.mkdir()
    finished = smoke("realistic", folder, tmp_path / "methane.xyz", "--path", tmp_path / "methane.xyz")
    checked("realistic", finished, folder, ["figure.png", "path.png"])
    assert "methane, default: 15 environments, null directions by symmetry 3," in finished.out
    named = re.findall(r"^(\w+): σ_min/σ_max \S+ in frame 1, .* Cs at 0.001 Å", finished.out, re.MULTILINE)
    assert sorted(named) == ["C0", "H1", "H2"]


def test_files_of_forces_are_compared_only_if_they_have_them(tmp_path, smoke):
    ase.io.write(tmp_path / "water.xyz", [molecule("H2O")] * 16)
    folder = tmp_path / "out"
    folder.mkdir()
    finished = smoke("forces", folder, tmp_path / "water.xyz")
    assert finished.status == 2
    assert "water: give at least 16 structures, all of them with forces" in finished.err


def test_what_cannot_be_read_is_said_before_anything_runs(tmp_path, smoke):
    finished = smoke("realistic", tmp_path, "nowhere.xyz")
    assert finished.status == 2
    assert "nowhere.xyz: there is no such file" in finished.err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", RUNS)
def test_an_experiment_has_its_page_and_a_small_figure(name):
    page = (FOLDER / name / "README.md").read_text()
    assert "**Claim.**" in page
    assert f"python experiments/{name}/run.py" in page
    assert "(figure.png)" in page
    assert (FOLDER / name / "figure.png").stat().st_size < 200_000
    assert f"({name}/README.md)" in (FOLDER / "README.md").read_text()
