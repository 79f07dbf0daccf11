"""jaxfeat scan --model and jaxfeat report --model: models of other packages and factories in modules of users."""

import json
import sys

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from model_cases import LITMUS

import jaxfeat
from jaxfeat.cli import main
from jaxfeat.cli.model import describe_model

SOAP = {"kind": "SOAP", "species": ["H", "C"], "r_cut": 4.0, "n_max": 3, "l_max": 3, "sigma": 0.4}
FACTORIES = """
import numpy as np
import jaxfeat


def evaluate(structure):
    x, centers, widths = structure.positions, structure.center, np.linspace(0.7, 2.5, 3)
    features, slopes = np.zeros((len(centers), 3)), np.zeros((len(centers), 3, len(x), 3))
    for row, c in enumerate(centers):
        away = np.delete(np.arange(len(x)), c)
        bonds = x[away] - x[c]
        each = np.exp(-(bonds**2).sum(1) / widths[:, None] ** 2) * structure.species[away]
        features[row] = each.sum(1)
        slopes[row][:, away] = -2 / widths[:, None, None] ** 2 * each[..., None] * bonds
        slopes[row][:, c] = -slopes[row][:, away].sum(1)
    return features, slopes


def narrow():
    return jaxfeat.external(evaluate, reach=np.inf, key="three Gaussians")


def without_key():
    return jaxfeat.external(evaluate, reach=np.inf, nu=1)


def skewed():
    turned = np.diag([1.0, 2.0, 3.0])

    def change(structure):
        features, slopes = evaluate(structure.with_positions(structure.positions @ turned))
        return features, slopes @ turned

    return jaxfeat.external(change, reach=np.inf)


def own():
    return jaxfeat.RadialSpectrum(("H", "C"), n_max=2)


def text():
    return "no featurizer"
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A current folder with a module of factories, and with the methane of which order 2 misses two directions."""
    (tmp_path / "factories_of_user.py").write_text(FACTORIES)
    (tmp_path / "soap.json").write_text(json.dumps(SOAP))
    (tmp_path / "weights.model").write_text("no pickle")
    ase.io.write(tmp_path / "litmus.xyz", Atoms("CH4", LITMUS))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path not in ("", ".", str(tmp_path))])
    yield tmp_path
    sys.modules.pop("factories_of_user", None)


def scan(*words, model="factories_of_user:narrow", trust=True):
    return main(["scan", "litmus.xyz", "--model", model, *(["--trust"] if trust else []), *map(str, words)])


def error_of(capsys):
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err.splitlines()[-1].removeprefix("jaxfeat: ")


@pytest.mark.parametrize(
    ("model", "words", "message"),
    [
        ("mace", [], "--model mace: there is no such model; choose mace:FILE, so3lr, metatomic:FILE"),
        ("torchani:", [], "there is no such model"),
        ("mace:none.model", [], "--model mace:none.model: there is no such file."),
        ("mace:.", ["--trust"], "this is a folder"),
        ("mace:weights.model", [], "such a file runs code when it is opened; add --trust"),
        ("metatomic:weights.model", [], "such a file runs code when it is opened; add --trust"),
        ("factories_of_user:narrow", [], "factories_of_user.py) and run its code; add --trust if you know it."),
        ("os:getcwd", [], "this would import os ("),
        ("nowhere:make", ["--trust"], "there is no module 'nowhere'; name its folder in PYTHONPATH, or choose mace:"),
        ("factories_of_user:none", ["--trust"], "there is no 'none' in factories_of_user."),
        ("factories_of_user:text", ["--trust"], "this gives a str; return a featurizer"),
        ("dscribe:none.json", [], "there is no such file; name one, or give its text, as in {"),
        ("dscribe:weights.model", [], "this is no JSON ("),
        ('dscribe:{"kind": "MBTR"}', [], "kind is 'MBTR'; choose one of SOAP, ACSF"),
        ("dscribe:soap.json", ["--n-max", "3", "--sigma", "0.2"], "leave out --n-max, --sigma."),
        ("so3lr", ["--no-center"], "--model sets the whole descriptor; leave out --no-center."),
        ("factories_of_user:narrow", ["--trust", "--r-cut", "3"], "leave out --r-cut."),
        ("dscribe:soap.json", ["--spec", "soap.json"], "--spec and --model name a descriptor each; leave one out."),
        ("factories_of_user:narrow", ["--trust", "--out", "s.zarr", "--cluster", "dask"], "leave out --cluster"),
    ],
)
def test_what_is_no_model_is_refused_in_a_sentence(here, monkeypatch, capsys, no_scan, model, words, message):
    monkeypatch.setattr("jaxfeat.store.into_store.sweep_into_store", lambda *_, **__: pytest.fail("swept"))
    assert scan(*words, model=model, trust=False) == 2
    assert message in error_of(capsys)
    assert ("factories_of_user" in sys.modules) <= ("--trust" in words)


@pytest.mark.parametrize(
    ("model", "package", "message"),
    [
        ("dscribe:soap.json", "dscribe.descriptors", "DScribe cannot be imported"),
        ("so3lr", "so3krates_torch", "so3krates_torch cannot be imported"),
        ("mace:weights.model", "mace", "pip install mace-torch"),
        ("torchani:ANI-2x", "torchani.aev", "torchani.aev cannot be imported"),
    ],
)
def test_a_missing_package_is_named(here, monkeypatch, capsys, no_scan, model, package, message):
    monkeypatch.setitem(sys.modules, package, None)
    assert scan(model=model) == 2
    said = error_of(capsys)
    assert message in said and "`pip install" in said


def test_adapters_are_called_with_what_stands_behind_the_colon(here, monkeypatch, capsys, scanned):
    calls = []

    def adapter(kind):
        return lambda *given: calls.append((kind, *map(str, given))) or jaxfeat.RadialSpectrum(("C", "H"), n_max=1)

    for kind in ("mace", "metatomic", "so3lr", "torchani"):
        monkeypatch.setattr(jaxfeat, f"from_{kind}", adapter(kind))
    models = ["mace:weights.model", "metatomic:weights.model", "so3lr", "so3lr:weights.model", "torchani:ANI-1x"]
    for model in models:
        assert isinstance(scanned("litmus.xyz", "--model", model, "--trust")[0], jaxfeat.RadialSpectrum)
    assert [":".join(call) for call in calls] == models
    monkeypatch.setattr(jaxfeat, "from_mace", lambda path: path.unknown())
    capsys.readouterr()
    assert scan(model=models[0]) == 2
    assert "the file cannot be opened as one of mace (AttributeError: " in error_of(capsys)


def test_a_descriptor_of_dscribe_is_scanned(here, capsys):
    descriptors = pytest.importorskip("dscribe.descriptors")
    for model in ("dscribe:soap.json", f"dscribe:{json.dumps(SOAP)}"):
        assert scan("--json", "s.json", "--plot", "s.png", model=model, trust=False) == 0
        captured = capsys.readouterr()
        assert "is DScribe SOAP, analytic derivatives: reach 5.487 Å, ν = 2, 84 features in float64, O3" in captured.err
        assert "reflections and exchanges of like atoms change its features by " in captured.err
        assert "the model computes them" in captured.err
        assert "2 incomplete, 0 truncated" in " ".join(captured.out.split())
    records = json.loads((here / "s.json").read_text())
    options = {name: value for name, value in SOAP.items() if name != "kind"}
    m = jaxfeat.from_dscribe(descriptors.SOAP(**options))
    expected = jaxfeat.scan(m, jaxfeat.environments(Atoms("CH4", LITMUS), m))
    assert [record["null"] for record in records] == [record["null"] for record in expected]
    assert [record["null"]["incompleteness"] for record in records] == [1, 0, 0, 0, 1]
    np.testing.assert_allclose([r["sigma"] for r in records], [r["sigma"] for r in expected], rtol=1e-9, atol=1e-14)
    assert scan("--summed", "--json", "s.json", model="dscribe:soap.json", trust=False) == 0
    (record,) = json.loads((here / "s.json").read_text())
    (expected,) = jaxfeat.scan(jaxfeat.summed(m), [jaxfeat.structures(Atoms("CH4", LITMUS), m)])
    assert record["null"] == expected["null"] and len(record["sigma"]) == 9


def test_structures_and_forces_are_those_of_the_model(here, capsys):
    atoms = Atoms("CH4", LITMUS)
    atoms.new_array("pull", np.diff(np.eye(6)[:, :3], axis=0))
    ase.io.write(here / "litmus.xyz", atoms)
    assert scan("--stacked", "--json", "s.json") == 0
    m = sys.modules["factories_of_user"].narrow()
    (record,) = json.loads((here / "s.json").read_text())
    (expected,) = jaxfeat.scan(m, [jaxfeat.structures(atoms, m)])
    assert record["null"] == expected["null"]
    np.testing.assert_allclose(record["sigma"], expected["sigma"], rtol=1e-9)
    assert scan("--forces", "pull", "--json", "f.json") == 0
    (record,) = json.loads((here / "f.json").read_text())
    found = jaxfeat.visible_force(m, jaxfeat.structures(atoms, m), atoms.arrays["pull"])
    np.testing.assert_allclose(record["sigma"], found.sigma, rtol=1e-9)
    assert capsys.readouterr().err.count("no declared ν, 3 features in float64") == 2


def test_a_store_of_a_model_is_reported_with_the_model(here, capsys):
    assert scan("--out", "s.zarr") == 0
    captured = capsys.readouterr()
    printed = " ".join(captured.out.split())
    assert "5 with fewer features than directions, 0 of unknown or uncertain cause (a higher" in printed
    assert "incomplete" not in printed and "truncated" not in printed
    assert "width: there are fewer features than directions; more features lift it" in printed
    assert main(["report", "s.zarr"]) == 0
    assert (
        "no store holds a model or a function; name it with --model, as the command of the sweep did."
        in capsys.readouterr().out
    )
    page = (here / "report.html").read_text()
    assert "no store holds a model or a function" in page and "Cause and cure" not in page
    assert "more features, for example channels, see these" in page and "5 with fewer features" in page
    named = ["--model", "factories_of_user:narrow", "--trust"]
    assert main(["report", "s.zarr", *named]) == 0
    page = (here / "report.html").read_text()
    assert "more features lift it" in page and "have no n_max and l_max to vary" in page
    assert main(["report", "s.zarr", "--model", "factories_of_user:own", "--trust"]) == 2
    assert "s.zarr holds a sweep with another featurizer than factories_of_user:own" in capsys.readouterr().err
    assert scan("--out", "k.zarr", model="factories_of_user:without_key") == 0
    assert main(["report", "k.zarr", "--model", "factories_of_user:without_key", "--trust"]) == 0
    assert "k.zarr does not tell whether factories_of_user:without_key is its featurizer" in capsys.readouterr().err


def test_what_is_not_invariant_is_told_so(here, capsys):
    assert scan("--centers", "C", model="factories_of_user:skewed") == 0
    captured = capsys.readouterr()
    assert "it is not invariant, so its null directions have no causes: rotations change the features" in captured.err
    assert "1 of unknown or uncertain cause" in " ".join(captured.out.split())
    f = jaxfeat.function(lambda positions, species, mask: positions.sum(0)[:2])
    env = jaxfeat.environments(molecule("CH3OH"), 4.0, "C")[0]
    said = describe_model("toy", f, env)
    assert "exchanges of like atoms change its features by" in said and "rotations change them by" in said
    assert "of their norm at most, and " in said and "reflections change them by" in said
    # A featurizer of jaxfeat from a factory takes part, too, and is invariant.
    assert scan(model="factories_of_user:own") == 0
    assert "RadialSpectrum(" in (said := capsys.readouterr().err)
    assert "rotations, reflections and exchanges of like atoms change its features by " in said


def test_a_model_of_infinite_reach_describes_no_crystal(here, capsys, no_scan):
    ase.io.write(here / "litmus.xyz", bulk("C"), format="extxyz")
    assert scan() == 2
    assert "C2: no crystal has neighbors within an infinite reach; declare a finite reach" in error_of(capsys)
