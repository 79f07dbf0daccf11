"""jaxfeat search: kinds of singular points, and the points on disk."""

import json
from types import SimpleNamespace

import jax
import numpy as np
import pytest
import xarray

import jaxfeat
from jaxfeat import Cure
from jaxfeat.cli import main
from jaxfeat.cli.search import _describe
from jaxfeat.singular.singular_points import SingularKind


@pytest.mark.parametrize(
    "status, counts, null, shown",
    [
        ("ok", {"rigid": 3, "symmetry": 2}, SimpleNamespace(nullity=5, rigid=3), {"rigid": 3, "symmetry": 2}),
        ("ambiguous", {"rigid": 3, "symmetry": 5}, SimpleNamespace(nullity=4, rigid=3), {"ambiguous": 1}),
        ("unclassified", {}, None, {"unclassified": 1}),
    ],
)
def test_null_directions_are_those_of_the_jacobian(status, counts, null, shown):
    """Causes within a tolerance may have more: they are not printed as if they were certain."""
    points = SimpleNamespace(
        null_space=[null], positions=np.zeros((1, 2, 3)), directions=np.zeros((1, 2, 3)), sigma_ratio=[1e-16],
        cure=lambda index: {"truncation": Cure("truncation", 1, sizes={"l_max": 7})},
    )  # fmt: skip
    kind = SingularKind(counts, "C_1", 3, status, np.asarray([0]), 1)
    assert _describe(points, kind, ["H", "H"], "C")["cause"] == shown


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
        (["--radii", "2", "1"], "radii is (2.0, 1.0); give two positive, ascending distances (Å)"),
        (["--symbols", "H", "O"], "2 symbols were given for 4 neighbors"),
        (["--neighbors", "60"], "60 neighbors 0.6 Å apart hardly fit between 0.8 and 1.6 Å"),
        (["--plot", "s.txt"], "s.txt names no picture"),
    ],
)
def test_bad_searches_say_so_in_a_sentence(words, message, capsys):
    assert main(["search", *words]) == 2
    assert message in " ".join(capsys.readouterr().err.split())
