import contextlib
import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import ase.io
import equinox as eqx
import jax
import numpy as np
import pytest
import xarray
from ase import Atoms
from ase.build import bulk, molecule

import jaxfeat
from jaxfeat.choose import converge
from jaxfeat.cli import main
from jaxfeat.cli.output import progress_bar
from jaxfeat.nulls import scan as scanning
from jaxfeat.spectrum import blocks
from jaxfeat.store import executor, sweep_manifold

SMALL = ["--n-max", "2", "--l-max", "2"]
KEYS = ["structure", "center", "name", "species", "n_neighbors", "sigma", "sigma_equilibrated", "floor",
        "floor_equilibrated", "null", "status"]  # fmt: skip


def scan(*words):
    return main(["scan", *map(str, words), *SMALL])


@pytest.fixture
def two(tmp_path):
    """Of carbon and hydrogen, with four neighbors at most, like random methane: one program serves both."""
    methane = molecule("CH4")
    methane.rattle(0.1, seed=0)
    ase.io.write(tmp_path / "two.xyz", [methane, molecule("C2H2")])
    return tmp_path / "two.xyz"


@pytest.fixture
def never(monkeypatch):
    """No computation may start."""

    def fail(*_, **__):
        raise AssertionError("a scan was started")

    monkeypatch.setattr(scanning, "scan", fail)


@pytest.mark.as_shipped
def test_a_screened_scan_says_what_is_certified(tmp_path):
    # One neighbor, of which nothing is hidden: nothing is computed twice.
    ase.io.write(tmp_path / "one.xyz", molecule("CH"))
    assert scan(tmp_path / "one.xyz", "--nu", 1, "--screened", "--json", tmp_path / "s.json") == 0
    assert all(isinstance(record["certified"], bool) for record in json.loads((tmp_path / "s.json").read_text()))


def test_a_scan_writes_json_and_a_picture_and_prints_tables(tmp_path, two, capsys):
    assert scan(two, "--json", tmp_path / "s.json", "--plot", tmp_path / "s.png") == 0
    records = json.loads((tmp_path / "s.json").read_text(), parse_constant=lambda name: pytest.fail(name))
    assert [list(record) for record in records] == [KEYS] * 9
    assert [record["structure"] for record in records] == [0] * 5 + [1] * 4
    assert [record["center"] for record in records] == [0, 1, 2, 3, 4, 0, 1, 2, 3]
    assert [record["species"] for record in records] == ["C", "H", "H", "H", "H", "C", "C", "H", "H"]
    assert records[6]["name"] == "frame 1, C2H2"
    for record in records:
        assert record["status"] == "ok"
        assert len(record["sigma"]) == 3 * record["n_neighbors"] - record["null"]["rigid"]
        assert all(math.isfinite(s) for s in (*record["sigma"], record["floor"]))
        assert record["sigma"] == sorted(record["sigma"], reverse=True)
    assert (tmp_path / "s.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["s.json", "s.png", "two.xyz"]
    captured = capsys.readouterr()
    assert "frame 1, C2H2" in captured.out
    assert "most blind of 9 environments" in captured.out
    assert captured.err.count("\n") == 1
    assert "9 environments" in captured.err


@pytest.fixture
def ctrl_c():
    """As in a terminal; what is started in the background ignores the signal."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_is_not_lost(ctrl_c):
    with progress_bar("environments", 3) as progress:
        progress(1, 3)
        with contextlib.suppress(KeyboardInterrupt):
            # As in a callback of the garbage collector, whose exceptions Python drops.
            signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            progress(2, 3)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_scan_into_a_store_goes_on_and_prints_tables(tmp_path, capsys, monkeypatch, ctrl_c):
    store = tmp_path / "s.zarr"
    # Sixteen at once, as above.
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 1)
    assert scan("random-methane:6", "--out", store) == 0
    first = capsys.readouterr().out
    assert "The most blind of 6 environments" in first and "C0 of random CH4 " in first
    ds = xarray.open_zarr(store, chunks=None)
    assert ds.attrs["command"].startswith("jaxfeat scan random-methane:6 --out")
    assert json.loads(ds.attrs["featurizer"])["species"] == ["H", "C"]
    monkeypatch.setattr(executor, "compute_chunk", lambda *_: pytest.fail("something was computed"))
    assert scan("random-methane:6", "--out", store) == 0
    assert capsys.readouterr().out == first
    for words, message in (
        (["--out", store, "--json", tmp_path / "s.json"], "--json and --plot hold all environments in memory"),
        (["--out", tmp_path / "s.nc"], "names no store; end it in .zarr"),
        (["--overwrite"], "apply to a store; name one with --out"),
        (["--out", store, "--no-positions"], "with positions True, not False; overwrite it"),
    ):
        assert scan("random-methane:6", *words) == 2
        assert message in capsys.readouterr().err
    monkeypatch.setattr(executor, "compute_chunk", lambda *_: signal.raise_signal(signal.SIGINT))
    assert scan("random-methane:6", "--out", store, "--overwrite") == 130
    assert "0 environments are kept in" in capsys.readouterr().err


@pytest.fixture
def asked(monkeypatch):
    """What `jaxfeat scan` would compute: a function of its arguments."""
    calls = []

    def fake(f, batch, progress, screened):
        calls.append((f, batch))
        origin = zip(batch.structure_index.tolist(), batch.center_index.tolist(), strict=True)
        rest = {"species": "C", "n_neighbors": 0, "sigma": [], "sigma_equilibrated": [], "floor": math.nan,
                "floor_equilibrated": math.inf, "status": "empty",
                "null": {"rigid": 0, "symmetry": 0, "incompleteness": 0, "truncation": 0}}  # fmt: skip
        return [{"structure": structure, "center": center, **rest} for structure, center in origin]

    def ask(*words):
        assert main(["scan", *map(str, words)]) == 0
        return calls.pop()

    monkeypatch.setattr(scanning, "scan", fake)
    return ask


@pytest.mark.parametrize(
    "nu, kind", [(1, "RadialSpectrum"), (2, "PowerSpectrum"), (3, "Bispectrum"), (4, "Correlations")]
)
def test_the_order_chooses_the_descriptor(asked, nu, kind):
    f, _ = asked("random-methane:1", "--nu", nu, *SMALL)
    assert type(f) is getattr(jaxfeat, kind)
    assert f.nu == nu


def test_options_reach_the_descriptor(asked):
    f, batch = asked("random-methane:3")
    assert f.labels == jaxfeat.PowerSpectrum(species=("H", "C")).labels
    assert (float(f.r_cut), float(f.center_weight), len(batch)) == (4.0, 1.0, 3)
    f, batch = asked("random-methane:3", "--radial", "laplacian", "--r-cut", 3.5, "--sigma", 0.4, "--n-max", 3,
                     "--l-max", 2, "--no-center", "--species", "C", "O", "H", "--centers", "H")  # fmt: skip
    assert f.labels == jaxfeat.PowerSpectrum(species=("C", "O", "H"), n_max=3, l_max=2).labels
    assert (float(f.r_cut), float(f.center_weight), len(batch)) == (3.5, 0.0, 12)
    assert type(f.radial) is type(jaxfeat.PowerSpectrum(species=("C",), radial="laplacian").radial)
    assert len(asked("random-methane:3", "--centers", 0, 4)[1]) == 6


def test_a_spec_stands_for_all_options(asked, tmp_path):
    f = jaxfeat.Bispectrum(("C", "H"), 3.3, 1, 1, radial="laplacian", cutoff=jaxfeat.cutoffs.ShiftedCosine(0.4))
    path = tmp_path / "f.json"
    path.write_text(json.dumps(jaxfeat.spec(f)))
    g, batch = asked("random-methane:1", "--spec", path, "--plot", tmp_path / "s.png")
    assert eqx.tree_equal(f, g)
    assert len(batch) == 1
    # A carbon's neighbors within its own r_cut, not within that of the options.
    ase.io.write(tmp_path / "far.xyz", Atoms("CHH", [[0, 0, 0], [0, 0, 3.2], [0, 3.5, 0]]))
    _, batch = asked(tmp_path / "far.xyz", "--spec", path, "--centers", "C")
    assert batch.n_neighbors.tolist() == [1]


@pytest.mark.parametrize(
    "text, words, message",
    [
        ({"kind": "PowerSpectrum", "species": ["C", "H"]}, ["--n-max", "8"], "leave out --n-max, or change f.json"),
        ({"kind": "PowerSpectrum", "species": ["C", "H"]}, ["--no-center", "--r-cut", "4"], "--no-center, --r-cut"),
        (
            {"kind": "PowerSpectrum", "species": ["C", "H"], "lmax": 1},
            [],
            "f.json: PowerSpectrum has no argument 'lmax'",
        ),
        ({"kind": "Stacked", "featurizer": {"kind": "PowerSpectrum", "species": ["C"]}}, [], "describes structures"),
        ("PowerSpectrum", [], "f.json: a spec names"),
        (None, [], "f.json: there is no such file"),
    ],
)
def test_a_spec_that_says_nothing_or_not_all(tmp_path, monkeypatch, capsys, never, text, words, message):
    monkeypatch.chdir(tmp_path)
    if text is not None:
        Path("f.json").write_text(json.dumps(text))
    assert main(["scan", "random-methane:1", "--spec", "f.json", *words]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1


def test_nothing_but_lone_atoms_is_written_and_drawn(asked, tmp_path, capsys):
    asked("random-methane:1", "--json", tmp_path / "s.json", "--plot", tmp_path / "s.pdf")
    (record,) = json.loads((tmp_path / "s.json").read_text())
    assert record["floor"] is None
    assert record["floor_equilibrated"] is None
    assert (tmp_path / "s.pdf").read_bytes().startswith(b"%PDF")
    assert "Without a spectrum: 1 empty." in capsys.readouterr().out


def test_crystals_and_lone_atoms(tmp_path, capsys):
    ase.io.write(tmp_path / "two.cif", [bulk("NaCl", "rocksalt", a=5.64), bulk("He", "fcc", a=9.0)])
    assert scan(tmp_path / "two.cif", "--nu", 1, "--r-cut", 3, "--json", tmp_path / "s.json") == 0
    *salt, alone = json.loads((tmp_path / "s.json").read_text())
    assert [record["n_neighbors"] for record in salt] == [6, 6]
    assert alone["status"] == "empty"
    assert alone["sigma"] == []
    assert alone["floor"] is None
    assert "Without a spectrum: 1 empty." in capsys.readouterr().out


@pytest.mark.parametrize(
    "words, message",
    [
        (["nowhere.xyz"], "nowhere.xyz: there is no such file"),
        (["empty.xyz"], "empty.xyz is empty"),
        (["junk.xyz"], "junk.xyz cannot be read"),
        (["nan.xyz"], "CH4: atom 3 is at"),
        (["dummy.xyz"], "dummy.xyz cannot be read at frame 0, line 3: X is a ghost or dummy atom"),
        (["good.xyz", "--r-cut", "-1"], "r_cut is -1.0"),
        (["good.xyz", "--n-max", "0"], "n_max"),
        (["good.xyz", "--l-max", "-1"], "l_max"),
        (["good.xyz", "--l-max", "500"], "l_max"),
        (["good.xyz", "--sigma", "-1"], "sigma"),
        (["good.xyz", "--nu", "0"], "nu"),
        (["good.xyz", "--species", "Xy"], "'Xy' is not a chemical element"),
        (["good.xyz", "--centers", "N"], "there is no N among the atoms"),
        (["good.xyz", "--centers", "7"], "no atom 7"),
        (["good.xyz", "--centers", "-7"], "no atom -7"),
        (["good.xyz", "--centers", "1", "H"], "'1' is not a chemical element"),
        (["good.xyz", "--json", "nowhere/s.json"], "there is no folder nowhere"),
        (["good.xyz", "--json", "."], "is a folder"),
        (["good.xyz", "--plot", "s.doc"], "names no picture"),
        (["random-methane:none"], "write random-methane:N"),
    ],
)
def test_bad_input_is_status_two_and_one_sentence(tmp_path, monkeypatch, capsys, never, words, message):
    monkeypatch.chdir(tmp_path)
    good = molecule("CH4")
    ase.io.write("good.xyz", good)
    Path("empty.xyz").touch()
    Path("junk.xyz").write_text("Lorem ipsum")
    Path("dummy.xyz").write_text(Path("good.xyz").read_text().replace("C ", "X "))
    good.positions[3] = np.nan
    ase.io.write("nan.xyz", good)
    assert main(["scan", *words]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("jaxfeat: ")
    assert message in captured.err
    assert captured.err.count("\n") == 1


def test_species_that_are_not_named_are_bad_input(capsys):
    assert scan("random-methane:1", "--species", "H") == 2
    assert "species C not among" in capsys.readouterr().err


def test_a_folder_that_may_not_be_written_to(tmp_path, capsys, monkeypatch, never):
    # Modes of folders would not stop root.
    monkeypatch.setattr(os, "access", lambda path, mode: (path, mode) != (tmp_path, os.W_OK))
    assert scan("random-methane:1", "--json", tmp_path / "s.json") == 2
    assert "not yours to write to" in capsys.readouterr().err


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

    monkeypatch.setattr(scanning, "scan", fail)
    (tmp_path / "s.json").write_text("precious")
    assert scan("random-methane:1", "--json", tmp_path / "s.json") == status
    assert message in capsys.readouterr().err
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("s.json", "precious")]


def test_a_file_takes_its_place_only_when_complete(tmp_path, monkeypatch, asked):
    def fail(*_, **__):
        raise OSError("no space left on device")

    monkeypatch.setattr(json, "dumps", fail)
    (tmp_path / "s.json").write_text("precious")
    assert scan("random-methane:1", "--json", tmp_path / "s.json") == 1
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("s.json", "precious")]


def test_converge_writes_json_and_a_heat_map_and_ends_with_advice(tmp_path, capsys):
    path = tmp_path / "two.xyz"
    ase.io.write(path, [molecule("H2O"), molecule("SH2")])
    grid = ["--n-max", "1", "2", "--l-max", "0", "1", "--centers", "O", "S"]
    targets = ["--json", tmp_path / "c.json", "--plot", tmp_path / "c.png"]
    assert main(list(map(str, ["converge", path, *grid, *targets]))) == 0
    result = json.loads((tmp_path / "c.json").read_text(), parse_constant=lambda name: pytest.fail(name))
    assert (result["environments"], result["drawn"], result["r_cut"]) == (2, 2, 4.0)
    assert [(r["nu"], r["n_max"], r["l_max"]) for r in result["bases"]] == [(2, n, l) for n in (1, 2) for l in (0, 1)]
    # Without l, one and the same r twice leaves the angle unseen.
    assert [(r["environments"], r["truncated"], r["symmetric"]) for r in result["bases"]] == [(2, 2, 2), (2, 0, 2)] * 2
    assert result["orders"][0]["smallest"] == {"n_max": 1, "l_max": 1, "n_features": 12}
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")
    captured = capsys.readouterr()
    assert captured.err == "2 environments, 4 bases ...\n"
    assert " ".join(captured.out.split()).endswith(result["advice"])
    assert "l_max is the bottleneck" in captured.out


@pytest.fixture
def grids(monkeypatch):
    """What `jaxfeat converge` would compute: a function of its arguments."""
    calls = []

    class Stop(Exception):
        pass

    def fake(f, batch, n_max, l_max, progress):
        calls.append((f, batch, n_max, l_max))
        raise Stop

    def ask(*words):
        with pytest.raises(Stop):
            main(["converge", *map(str, words)])
        return calls.pop()

    monkeypatch.setattr(converge, "converge", fake)
    return ask


def test_options_reach_the_grid(grids, capsys):
    (f,), batch, n_max, l_max = grids("random-methane:40", "--centers", "H")
    assert (f.nu, len(batch), n_max, l_max) == (2, 160, [2, 4, 6, 8], [2, 4, 6, 8])
    words = [
        "--nu",
        3,
        1,
        3,
        "--l-max",
        5,
        4,
        "--r-cut",
        3.5,
        "--no-center",
        "--sample",
        30,
        "--species",
        "C",
        "H",
        "O",
    ]
    fs, batch, n_max, l_max = grids("random-methane:40", *words)
    assert ([f.nu for f in fs], len(batch), n_max, l_max) == ([1, 3], 30, [1, 2, 3, 4], [5, 4])
    assert (fs[1].r_cut, fs[1].center_weight, len(fs[1].species)) == (3.5, 0.0, 3)
    assert capsys.readouterr().err.endswith("30 environments, 12 bases ...\n")
    draws = [
        grids("random-methane:40", "--sample", 30, "--seed", seed)[1].structure_index.tolist() for seed in (0, 0, 1)
    ]
    assert draws[0] == draws[1] != draws[2]
    assert len(grids("random-methane:40", "--sample", 0)[1]) == 40


@pytest.mark.parametrize(
    "words, message",
    [
        (["--r-cut", "-1"], "r_cut is -1.0"),
        (["--n-max", "2", "0"], "n_max is 0"),
        (["--l-max", "2", "99"], "l_max is 99"),
        (["--nu", "2", "0"], "nu is 0"),
        (["--sample", "-5"], "a sample of -5"),
        (["--plot", "c.doc"], "names no picture"),
        (["--json", "nowhere/c.json"], "there is no folder nowhere"),
    ],
)
def test_bad_grids_are_status_two_and_one_sentence(words, message, monkeypatch, capsys):
    monkeypatch.setattr(converge, "_measured", lambda *_: pytest.fail("something was computed"))
    assert main(["converge", "random-methane:3", *words]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("jaxfeat: ") and message in captured.err
    assert captured.err.count("\n") == 1


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
def test_arguments_are_judged_before_anything_runs(words, status, capsys, never):
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == status
    assert "jaxfeat" in "".join(capsys.readouterr())


def test_the_process_returns_the_status(tmp_path):
    code = "import sys; from jaxfeat.cli import main; sys.exit(main(sys.argv[1:]))"
    run = subprocess.run([sys.executable, "-c", code, "scan", str(tmp_path)], capture_output=True, text=True)
    assert run.returncode == 2
    assert run.stderr == f"jaxfeat: {tmp_path} is a folder; give a file of structures.\n"
    assert run.stdout == ""


def test_the_second_run_of_a_command_compiles_nothing_and_both_take_every_core(tmp_path):
    ase.io.write(tmp_path / "water.xyz", molecule("H2O"))
    code = """
import gc, sys
gc.disable()
import jax
from jaxfeat.cli import main
looked_up = []
jax.monitoring.register_event_listener(lambda event, **_: looked_up.append(event.rpartition("/")[2]))
status = main(sys.argv[1:])
print(jax.device_count(), looked_up.count("cache_hits"), looked_up.count("cache_misses"))
sys.exit(status)
"""
    words = ["scan", str(tmp_path / "water.xyz"), "--nu", "1", "--centers", "O", *SMALL]
    clean = {key: value for key, value in os.environ.items() if not key.startswith("JAX_")}
    counts = []
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", code, *words],
            capture_output=True,
            text=True,
            env=clean | {"XDG_CACHE_HOME": str(tmp_path / "caches"), "JAX_PLATFORMS": "cpu"},
        )
        assert done.returncode == 0, done.stderr
        counts.append([int(word) for word in done.stdout.splitlines()[-1].split()])
    devices, hits, misses = zip(*counts, strict=True)
    assert misses[0] > 0 and misses[1] == 0 and hits[1] > 0, counts
    assert devices[0] == len(os.sched_getaffinity(0))
    assert (tmp_path / "caches" / "jaxfeat").is_dir()


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
    monkeypatch.setattr(sweep_manifold, "find_manifold_zeros", lambda *_: [])
    path = tmp_path / "mode.xyz"
    water = molecule("H2O")
    water.new_array("mode", np.asarray([[0.0, 0, 0], [0, 0, 1], [0, 0, -1]]))
    ase.io.write(path, water)
    words = ["sweep", "displacement", str(path), "--along", "mode", "--grid", "q=0.1:0.3:2", *SMALL, "--nu", "1"]
    assert main([*words, "--out", str(tmp_path / "s.nc")]) == 0
    assert "2 environments over q" in capsys.readouterr().out
    for words, message in (
        (["displacement", str(path)], "--along; it holds positions, mode"),
        (["interpolation", str(path)], "holds one structure, and interpolation needs two"),
        (["trajectory", str(path)], "one frame is no trajectory"),
        (["trajectory", str(path), "--center", "3"], "there is no atom 3, only 0 to 2"),
    ):
        assert main(["sweep", *words]) == 2
        assert message in " ".join(capsys.readouterr().err.split())


def test_a_search_tells_kinds_of_singular_points(tmp_path, capsys):
    words = ["search", "--starts", "6", "--n-max", "2", "--l-max", "4", "--restarts", "0", "--seed", "3"]
    assert main([*words, "--out", str(tmp_path / "s.nc"), "--plot", str(tmp_path / "s.png")]) == 0
    printed = capsys.readouterr().out
    ds = xarray.open_dataset(tmp_path / "s.nc")
    landed = ds["status"].values == "landed"
    assert f"6 starts: {landed.sum()} landed" in printed
    assert landed.any()
    # What it was made with can be made again.
    f = jaxfeat.PowerSpectrum(("H", "C"), n_max=2, l_max=4)
    assert json.loads(ds.attrs["featurizer"]) == jaxfeat.spec(f)
    assert ds.attrs["command"].startswith("jaxfeat search --starts 6") and ds.attrs["precision"] == "float64"
    assert ds.attrs["jax"] == jax.__version__
    assert (ds["sigma_ratio"].values[landed] <= 1e-12).all()
    frames = jaxfeat.read(tmp_path / "s.nc.xyz").atoms
    np.testing.assert_array_equal([frame.positions[1:] for frame in frames], ds["positions"].values[landed])
    np.testing.assert_array_equal([frame.get_forces()[1:] for frame in frames], ds["directions"].values[landed])
    assert (tmp_path / "s.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--starts", "0"], "n is 0; ask for at least one environment"),
        (["--radii", "2", "1"], "radii is (2.0, 1.0); give a smallest and a larger distance"),
        (["--symbols", "H", "O"], "2 symbols were given for 4 neighbors"),
        (["--neighbors", "60"], "60 neighbors 0.6 Å apart hardly fit between 0.8 and 1.6 Å"),
        (["--plot", "s.txt"], "s.txt names no picture"),
    ],
)
def test_bad_searches_say_so_in_a_sentence(words, message, capsys):
    assert main(["search", *words]) == 2
    assert message in " ".join(capsys.readouterr().err.split())
