"""A tuned descriptor is a spec that no fresh environments refute, and gains are ratios of spectra."""

import json

import numpy as np
import pytest
from ase.build import molecule

import jaxfeat
from jaxfeat import Environment, PowerSpectrum, tune
from jaxfeat.errors import BasisError, GeometryError

F = PowerSpectrum(("C", "H", "O"), r_cut=3.0, n_max=3, l_max=3)
SPACE = {"n_max": [2, 4], "l_max": [2, 4], "sigma": [0.2], "r_cut": [2.5], "cutoff": [{"kind": "NoCutoff"}],
         "radial": ["laplacian"], "radial_scaling": [], "include_center": [False], "weights": [], "nu": []}  # fmt: skip


def ethanols(n, seed=0):
    rng = np.random.default_rng(seed)
    made = [molecule("CH3CH2OH") for _ in range(n)]
    for atoms in made:
        atoms.positions += rng.normal(scale=0.1, size=atoms.positions.shape)
    return made


ATOMS = ethanols(20)


@pytest.fixture(scope="module")
def tuned():
    return tune(ATOMS, F, space=SPACE, most=12, sample=100, share=0.2, steps=0)


def test_gains_are_ratios_of_sensitivities():
    """All environments are compared, so that the gain follows from two spectra."""
    batch, keep = jaxfeat.environments(ATOMS[:5], F), {name: [] for name in SPACE}
    found = tune(batch, F, space={**keep, "radial": ["laplacian"]}, most=1000, sample=0, share=1.0)
    (gain,) = found.gains
    changed = jaxfeat.from_spec({**jaxfeat.spec(F), "radial": "laplacian"})
    before, after = (jaxfeat.singular_spectrum(f, batch, True, directions=False).ratio for f in (F, changed))
    for name, q in (("median", 0.5), ("10%", 0.1), ("90%", 0.9)):
        assert gain["gain"][name] == pytest.approx(np.quantile(after / before, q), rel=1e-6)
    # The carbons of ethanol hide nothing by symmetry, so the level is a median of all.
    assert found.f["level"] == pytest.approx(np.median(before), rel=0.05)
    assert not found.check["apart"] and found.sample["compared"] == len(batch)


def test_each_value_of_the_space_has_a_gain(tuned):
    assert [(g["axis"], g["value"]) for g in tuned.gains] == [(a, v) for a, values in SPACE.items() for v in values]
    for gain in tuned.gains:
        assert gain["gain"]["10%"] <= gain["gain"]["median"] <= gain["gain"]["90%"]
        assert gain["features_seconds"] > 0 and gain["gradients_seconds"] > 0 and gain["route"] == "numpy"
        assert gain["lowest"] == pytest.approx(gain["level"] / tuned.f["level"])
    notes = {gain["axis"]: gain["note"] for gain in tuned.gains}
    assert notes["cutoff"] == "features jump at the cutoff" and notes["radial"] is None


def test_the_recommended_descriptor_has_no_more_features_and_an_independent_scan_confirms_it(tuned):
    f = jaxfeat.from_spec(json.loads(json.dumps(tuned.recommended)))
    assert jaxfeat.spec(f) == tuned.recommended
    assert f.n_features <= F.n_features and tuned.best["n_features"] == f.n_features
    records = [jaxfeat.scan(g, jaxfeat.environments(ethanols(20, seed=1), g)) for g in (F, f)]
    levels = []
    for every in records:
        ratios = {}
        for r in every:
            ratios.setdefault(r["species"], []).append(r["sigma_equilibrated"][-1] / r["sigma_equilibrated"][0])
        levels.append(np.median(np.concatenate([np.sort(x)[: max(len(x) // 5, 1)] for x in ratios.values()])))
    assert levels[1] > 1.3 * levels[0]
    assert tuned.check["apart"] and tuned.check["ratio"] > 1.3 and f"{tuned.check['ratio']:.3g}" in tuned.reason


def test_the_front_ascends_and_holds_the_axes_that_may_change(tuned):
    pairs = [(one["n_features"], one["level"]) for one in tuned.front]
    assert pairs == sorted(pairs) and len({n for n, _ in pairs}) == len(pairs)
    assert {k for one in tuned.front for k in one["changes"]} <= {"n_max", "l_max", "sigma", "radial", "cutoff",
                                                                  "r_cut", "include_center"}  # fmt: skip
    assert max(level for _, level in pairs) == max(one["level"] for one in tuned.tried)
    json.dumps(tuned.as_dict(), allow_nan=False)
    assert repr(tuned).startswith("Tuning(9 changes")


def test_the_order_above_is_compared_in_a_small_basis():
    keep = {name: [] for name in SPACE}
    found = tune(ATOMS[:3], F, space={**keep, "nu": [3, 4]}, most=4, sample=0, steps=0)
    order, far = found.gains
    assert order["at"] == {"n_max": 3, "l_max": 3} and order["route"] == "compiled" and order["gain"]["median"] > 1
    assert far["note"] == "only ν = 3 follows ν = 2"
    assert found.recommended == jaxfeat.spec(F) and "None of 1 descriptors" in found.reason


def test_the_gradient_goes_on_from_the_search_and_the_check_decides():
    """σ = 0.9 Å is far too wide, so that the gradient leads to sharper Gaussians."""
    rng, water = np.random.default_rng(0), molecule("H2O")
    atoms = [water.copy() for _ in range(24)]
    for one in atoms:
        one.positions += rng.normal(scale=0.1, size=(3, 3))
    f = PowerSpectrum(("H", "O"), r_cut=3.0, n_max=2, l_max=1, sigma=0.9)
    keep = {name: [] for name in (*SPACE, "weights")}
    found = tune(atoms, f, space={**keep, "sigma": [1.0]}, share=0.5, sample=40, steps=3)
    climb = found.ascent
    assert climb["n_steps"] == 3 and climb["kept"] and climb["note"] is None
    assert climb["sample_gain"] > 1.05 and climb["check_gain"] > 1
    assert found.recommended == climb["best"]["spec"] and found.recommended["sigma"] < 0.8
    assert {**found.recommended, "sigma": 0.9} == jaxfeat.spec(f) == climb["f"]["spec"]
    assert jaxfeat.from_spec(found.recommended).n_features == f.n_features
    assert found.check["ratio"] == pytest.approx(climb["check_gain"]) and "gradient" in found.reason
    assert found.front[-1]["spec"] == found.recommended


def test_a_budget_ends_the_search():
    found = tune(ATOMS[:3], F, budget=1e-9, most=4)
    assert not found.complete and found.gains == [] and found.recommended == jaxfeat.spec(F)


def test_the_default_descriptor_knows_all_elements_and_progress_is_called():
    calls = []
    keep = {name: [] for name in SPACE}
    found = tune(ATOMS[0], space=keep, progress=lambda done, total: calls.append((done, total)), most=2)
    assert jaxfeat.from_spec(found.recommended).n_features == PowerSpectrum(("C", "H", "O")).n_features
    assert calls == [(9, 9), (1, None)]


@pytest.mark.parametrize(
    "change, error, message",
    [
        ({"f": jaxfeat.function(lambda r, z, mask: r[0], nu=1)}, BasisError, "no basis to vary"),
        ({"space": {"size": [1]}}, BasisError, "axis 'size'"),
        ({"share": 0.0}, GeometryError, "share is 0"),
        ({"most": 0}, GeometryError, "most is 0"),
        ({"steps": -1}, GeometryError, "steps is -1"),
        ({"data": jaxfeat.environments(ATOMS, 2.0)}, GeometryError, "cut at 2 Å"),
        (
            {"data": Environment.stack([Environment.from_neighbors(np.zeros((0, 3)), [], "C")])},
            GeometryError,
            "neighbors",
        ),
    ],
)
def test_bad_input_is_refused(change, error, message):
    with pytest.raises(error, match=message):
        tune(**{"data": ATOMS[:1], "f": F, **change})


def test_impossible_changes_say_why():
    keep = {name: [] for name in SPACE}
    found = tune(ATOMS[:2], F, space={**keep, "sigma": [0.0]}, most=4, sample=0)
    assert "sigma is 0" in found.gains[0]["note"]
