"""jaxfeat sweep: families, zeros and data sets."""

import ase.io
import numpy as np
import pytest
import xarray
from ase.build import bulk, molecule

from jaxfeat.cli import main
from jaxfeat.store import sweep as sweeping

SMALL = ["--n-max", "2", "--l-max", "2"]


def test_a_sweep_lists_zeros_and_writes_a_data_set_and_a_picture(tmp_path, capsys):
    words = ["sweep", "equal-radii", "--grid", "dr=-0.1:0.2:4", "--n-max", "2", "--l-max", "4"]
    assert main([*words, "--out", str(tmp_path / "s.nc"), "--plot", str(tmp_path / "s.png")]) == 0
    printed = capsys.readouterr().out
    assert "0.0000000000" in printed
    assert "truncation: l_max >= 5 lifts it (row 1)" in printed
    assert (tmp_path / "s.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["s.nc", "s.png"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["ring"], "choose one or two parameters with --grid NAME=FROM:TO:N; there are r"),
        (["pair", "--grid", "dy=0:1:3"], "there is no parameter 'dy'; choose among ax, az"),
        (["pair", "--grid", "cy=1:0:3"], "--grid cy=1:0:3: write NAME=FROM:TO:N with FROM below TO"),
        (["pair", "--grid", "cy=0:1:3", "--set", "az=x"], "--set az=x: write NAME=VALUE with a number"),
        (["trajectory"], "trajectory needs structures; name a file"),
        (["pair", "some.xyz", "--grid", "cy=0:1:3"], "pair needs no file; leave out some.xyz"),
        (["prl-methane", "--grid", "F=0.7:3.0:4"], "F runs from 0.7 to 3 π; stay within its bounds, 0 to 2 π"),
        (["pair", "--grid", "cy=0:1:3", "--out", "s.txt"], "s.txt names no data set; end it in .nc or .zarr"),
    ],
)
def test_bad_sweeps_say_so_in_a_sentence(words, message, capsys):
    assert main(["sweep", *words]) == 2
    assert message in " ".join(capsys.readouterr().err.split())


def test_files_make_manifolds(tmp_path, monkeypatch, capsys):
    # The search compiles a program of its own, and knows nothing of where a manifold comes from.
    monkeypatch.setattr(sweeping, "find_manifold_zeros", lambda *_: [])
    path = tmp_path / "mode.xyz"
    water = molecule("H2O")
    water.new_array("mode", np.asarray([[0.0, 0, 0], [0, 0, 1], [0, 0, -1]]))
    ase.io.write(path, water)
    words = ["sweep", "displacement", str(path), "--along", "mode", "--grid", "q=0.1:0.3:2", *SMALL, "--nu", "1"]
    assert main([*words, "--out", str(tmp_path / "s.nc")]) == 0
    printed = capsys.readouterr().out
    assert "2 environments over q (Å)" in printed and "at q = 1 Å the atoms have moved by up to 0.707 Å" in printed
    for words, message in (
        (["displacement", str(path)], "--along; it holds positions, mode"),
        (["interpolation", str(path)], "holds one structure, and interpolation needs two"),
        (["trajectory", str(path)], "one frame is no trajectory"),
        (["trajectory", str(path), "--center", "3"], "there is no atom 3, only 0 to 2"),
    ):
        assert main(["sweep", *words]) == 2
        assert message in " ".join(capsys.readouterr().err.split())


def test_paths_lead_through_crystals(tmp_path, monkeypatch, capsys):
    """Neighbors enter and leave the radius, so the spectra have different numbers of values."""
    monkeypatch.setattr(sweeping, "find_manifold_zeros", lambda *_: [])
    rng = np.random.default_rng(4)
    frames = [bulk("Si", cubic=True) for _ in range(3)]
    for atoms in frames:
        atoms.positions += 0.15 * rng.normal(size=(8, 3))
        atoms.wrap()
    ase.io.write(tmp_path / "XDATCAR", frames, format="vasp-xdatcar")
    frames[0].new_array("mode", rng.normal(size=(8, 3)))
    ase.io.write(tmp_path / "mode.xyz", frames[0])
    for words, axis in (
        (["trajectory", "XDATCAR", "--grid", "frame=0:2:5"], "frame"),
        (["interpolation", "XDATCAR", "--grid", "t=0:1:5"], "t"),
        (["displacement", "mode.xyz", "--along", "mode", "--grid", "q=-0.8:0.8:5"], "q"),
    ):
        words[1], out = str(tmp_path / words[1]), tmp_path / f"{axis}.nc"
        assert main(["sweep", *words, *SMALL, "--nu", "1", "--r-cut", "3.9", "--out", str(out)]) == 0
        assert f"5 environments over {axis}" in capsys.readouterr().out
        with xarray.open_dataset(out) as ds:
            assert set(ds.status.values) == {"ok"} and len(set(ds.n_values.values.tolist())) > 1
            assert ds[axis].attrs["units"] == ("Å" if axis == "q" else "")
