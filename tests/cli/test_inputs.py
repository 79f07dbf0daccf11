"""Structures and descriptors that options name, one sentence for each fault in them, and imports only with --trust."""

import json
import sys
from pathlib import Path

import ase.io
import equinox as eqx
import numpy as np
import pytest
import zarr
from ase import Atoms
from ase.build import molecule

import jaxfeat
from jaxfeat.cli import main, report
from jaxfeat.errors import BasisError
from jaxfeat.store.reader import StoreReader

SMALL = ["--n-max", "2", "--l-max", "2"]


@pytest.mark.parametrize(
    "nu, kind", [(1, "RadialSpectrum"), (2, "PowerSpectrum"), (3, "Bispectrum"), (4, "Correlations")]
)
def test_the_order_chooses_the_descriptor(scanned, nu, kind):
    f, _ = scanned("random-methane:1", "--nu", nu, *SMALL)
    assert type(f) is getattr(jaxfeat, kind)
    assert f.nu == nu


def test_options_reach_the_descriptor(scanned):
    f, batch = scanned("random-methane:3")
    assert f.labels == jaxfeat.PowerSpectrum(species=("H", "C")).labels
    assert (float(f.r_cut), float(f.center_weight), len(batch)) == (4.0, 1.0, 3)
    f, batch = scanned("random-methane:3", "--radial", "laplacian", "--r-cut", 3.5, "--sigma", 0.4, "--n-max", 3,
                     "--l-max", 2, "--no-center", "--species", "C", "O", "H", "--centers", "H")  # fmt: skip
    assert f.labels == jaxfeat.PowerSpectrum(species=("C", "O", "H"), n_max=3, l_max=2).labels
    assert (float(f.r_cut), float(f.center_weight), len(batch)) == (3.5, 0.0, 12)
    assert type(f.radial) is type(jaxfeat.PowerSpectrum(species=("C",), radial="laplacian").radial)
    assert len(scanned("random-methane:3", "--centers", 0, 4)[1]) == 6


def test_a_spec_stands_for_all_options(scanned, tmp_path):
    f = jaxfeat.Bispectrum(("C", "H"), 3.3, 1, 1, radial="laplacian", cutoff=jaxfeat.cutoffs.ShiftedCosine(0.4))
    path = tmp_path / "f.json"
    path.write_text(json.dumps(jaxfeat.spec(f)))
    g, batch = scanned("random-methane:1", "--spec", path, "--plot", tmp_path / "s.png")
    assert eqx.tree_equal(f, g)
    assert len(batch) == 1
    # A carbon's neighbors within its own r_cut, not within that of the options.
    ase.io.write(tmp_path / "far.xyz", Atoms("CHH", [[0, 0, 0], [0, 0, 3.2], [0, 3.5, 0]]))
    _, batch = scanned(tmp_path / "far.xyz", "--spec", path, "--centers", "C")
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
def test_a_spec_that_says_nothing_or_not_all(tmp_path, monkeypatch, capsys, no_scan, text, words, message):
    monkeypatch.chdir(tmp_path)
    if text is not None:
        Path("f.json").write_text(json.dumps(text))
    assert main(["scan", "random-methane:1", "--spec", "f.json", *words]) == 2
    begins, said = capsys.readouterr().err.splitlines()
    assert begins == "jaxfeat: reading random-methane:1." and message in said


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
def test_bad_input_is_status_two_and_one_sentence(tmp_path, monkeypatch, capsys, no_scan, words, message):
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
    begins, said = captured.err.splitlines()
    assert captured.out == "" and begins == f"jaxfeat: reading {words[0]}."
    assert said.startswith("jaxfeat: ") and message in said


def test_species_that_are_not_named_are_bad_input(capsys):
    assert main(["scan", "random-methane:1", "--species", "H", *SMALL]) == 2
    assert "species C not among" in capsys.readouterr().err


# Classes outside jaxfeat

OWN = """
from pathlib import Path
import jaxfeat
Path("ran").touch()
class Own(jaxfeat.RadialSpectrum):
    pass
def __getattr__(name):
    Path("asked").touch()
    raise AttributeError(name)
"""
SPEC = {"kind": "own_features:Own", "species": ["C", "H"], "n_max": 1}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A current folder with a module in it, which leaves a file behind when it is run."""
    (tmp_path / "own_features.py").write_text(OWN)
    (tmp_path / "f.json").write_text(json.dumps(SPEC))
    monkeypatch.chdir(tmp_path)
    # As in an installed command, which does not look for modules in the current folder.
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path not in ("", ".", str(tmp_path))])
    yield tmp_path
    sys.modules.pop("own_features", None)


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    path = tmp_path_factory.mktemp("swept") / "s.zarr"
    f = jaxfeat.function(lambda positions, species, mask: (positions @ positions.T)[np.triu_indices(4)])
    jaxfeat.sweep(f, jaxfeat.environments(jaxfeat.read("random-methane:2:1").atoms, 4.0, "C"), out=path)
    return path


def test_a_spec_from_a_file_is_imported_only_with_trust(folder, monkeypatch, capsys):
    used = []
    monkeypatch.setattr(jaxfeat, "scan", lambda f, batch, **_: used.append(f) or pytest.fail("trusted"))
    words = ["scan", "random-methane:1", "--spec", "f.json"]
    assert main(words) == 2
    said = capsys.readouterr().err
    assert f"which would import own_features ({folder / 'own_features.py'}) and run its code; add --trust" in said
    assert not (folder / "ran").exists() and "own_features" not in sys.modules
    with pytest.raises(pytest.fail.Exception, match="trusted"):
        main([*words, "--trust"])
    said = capsys.readouterr().err
    assert said.count(f"importing own_features ({folder / 'own_features.py'}) for own_features:Own, because of") == 1
    assert type(used[0]).__name__ == "Own" and (folder / "ran").exists()


def test_parts_of_a_spec_are_not_imported_either(folder, capsys):
    inner = {"kind": "PowerSpectrum", "species": ["C"], "cutoff": {"kind": "own_features:Window"}}
    (folder / "f.json").write_text(json.dumps(inner))
    assert main(["search", "--spec", "f.json"]) == 2
    assert "would import own_features" in capsys.readouterr().err and not (folder / "ran").exists()
    (folder / "f.json").write_text(json.dumps({"kind": "own_missing:Own"}))
    assert main(["search", "--spec", "f.json", "--trust"]) == 2
    assert "there is no module 'own_missing'; install it, or name its folder" in capsys.readouterr().err


@pytest.mark.parametrize("trust", [False, True])
def test_a_report_imports_only_with_trust(folder, swept, monkeypatch, capsys, trust):
    group = zarr.open_group(swept, mode="r+")
    group.attrs.update({"featurizer": json.dumps(SPEC)})
    monkeypatch.setattr(report, "_make_exhibits", lambda *_: [])
    assert main(["report", str(swept), "--no-advice", *(["--trust"] if trust else [])]) == 0
    captured = capsys.readouterr()
    page = Path("report.html").read_text()
    assert (folder / "ran").exists() == trust == ("importing own_features" in captured.err)
    assert ("add --trust if you know it" in page) == ("add --trust if you know it" in captured.out) == (not trust)
    assert "own_features:Own" in page and "random" not in page


def test_a_store_is_looked_at_without_an_import(folder, swept, monkeypatch):
    monkeypatch.syspath_prepend(folder)
    zarr.open_group(swept, mode="r+").attrs.update({"featurizer": json.dumps(SPEC)})
    stored = StoreReader(swept)
    assert stored.featurizer_spec() == SPEC and len(stored.environments([0, 1])) == 2
    assert sum(len(columns["status"]) for columns in stored.row_slices()) == 2
    assert not (folder / "ran").exists()


def test_in_python_a_module_has_to_be_loaded_or_trusted(folder, monkeypatch):
    monkeypatch.syspath_prepend(folder)
    with pytest.raises(BasisError, match=r"would import own_features \(.*\.py\) and run its code; import that module"):
        jaxfeat.from_spec(SPEC)
    assert not (folder / "ran").exists()
    f = jaxfeat.from_spec(SPEC, trust=True)
    assert type(f).__name__ == "Own" and type(jaxfeat.from_spec(SPEC)) is type(f)
    # A module may have code of its own for names that it does not hold.
    with pytest.raises(BasisError, match="cannot be imported here: there is no 'Other'"):
        jaxfeat.from_spec(SPEC | {"kind": "own_features:Other"})
    assert not (folder / "asked").exists()
