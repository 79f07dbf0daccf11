"""Files and stores name classes; their modules are imported only for those who say so, and who are told which."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import zarr

import jaxfeat
from jaxfeat.cli import main, report
from jaxfeat.errors import BasisError
from jaxfeat.nulls import scan as scanning
from jaxfeat.store.reader import StoreReader

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
    monkeypatch.setattr(scanning, "scan", lambda f, batch, **_: used.append(f) or pytest.fail("trusted"))
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
