"""The gradient moves the quantities whose axes are in the space, within bounds, and never to a worse descriptor."""

import numpy as np
import pytest

import jaxfeat
from jaxfeat import PowerSpectrum
from jaxfeat.choose import ascent
from jaxfeat.choose.ascent import _replaced, ascend, list_quantities
from jaxfeat.choose.sample import draw_stratified
from jaxfeat.choose.search import Candidate, Search
from jaxfeat.choose.space import default_space
from jaxfeat.cutoffs import NoCutoff, ShiftedCosine, Smoothstep, Willatt2018

F = PowerSpectrum(("H", "C"), r_cut=3.0, n_max=2, l_max=1, sigma=0.3, cutoff=ShiftedCosine(1.0), include_center=0.5)
ALL = {"sigma", "cutoff", "include_center", "weights"}


def candidate(f):
    return Candidate(jaxfeat.spec(f), f, f.n_features, True)


def paths(f, space=None, reach=5.0):
    return {q.path: q for q in list_quantities(candidate(f), space or default_space(f, reach), reach)}


@pytest.fixture(scope="module")
def search():
    """A search over distorted molecules of one carbon and two hydrogens."""
    rng = np.random.default_rng(0)
    places = np.asarray([[1.0, 0, 0], [-0.3, 1, 0.1]]) + rng.normal(scale=0.1, size=(12, 2, 3))
    batch = jaxfeat.Environment.stack([jaxfeat.Environment.from_neighbors(x, ["H", "H"], "C") for x in places])
    found = draw_stratified(F, batch, share=0.5, most=6, sample=0, equilibrated=True, seed=0, progress=lambda *_: None)
    return Search(jaxfeat.spec(F), default_space(F, 3.0), found.sample, 0.5, np.inf, lambda *_: None)


def test_quantities_are_those_whose_axes_may_change():
    assert {path[0] for path in paths(F)} == ALL | {"r_cut"}
    space = {**default_space(F, 5.0), "r_cut": [], "weights": []}
    assert {path[0] for path in paths(F, space)} == ALL - {"weights"}
    scaled = PowerSpectrum(("C",), cutoff=NoCutoff(), include_center=False, radial_scaling=Willatt2018(2.0, 1.0, 4.0))
    names = {("radial_scaling", name) for name in ("scale", "rate", "exponent")}
    assert set(paths(scaled)) == names | {("sigma",), ("r_cut",)}


def test_windows_and_radii_stay_within_the_space():
    """Narrow windows and small radii look more sensitive in any case."""
    found = paths(F, reach=3.4)
    assert (found["cutoff", "width"].least, found["cutoff", "width"].most) == (0.5, 2.0)
    assert (found["r_cut",].least, found["r_cut",].most) == (2.25, 3.375)
    assert found["sigma",].most == pytest.approx(1.2) and found["sigma",].least == pytest.approx(0.075)
    # A compiled program would not expand sharper functions.
    assert not {("sigma",), ("r_cut",)} & paths(PowerSpectrum(("C",), n_max=2, l_max=1, sigma=0.05)).keys()


def test_values_are_written_with_few_digits_within_the_bounds():
    found = paths(F)
    assert found["sigma",].write(jaxfeat.spec(F), np.asarray(0.123456))["sigma"] == 0.123
    assert found["r_cut",].write(jaxfeat.spec(F), np.asarray(3.7499))["r_cut"] == 3.75
    assert found["cutoff", "width"].write(jaxfeat.spec(F), np.asarray(3.0))["cutoff"]["width"] == 2.0
    changed = found["weights",].write(jaxfeat.spec(F), np.asarray([0.98765, 2.0]))
    assert changed["weights"] == [0.988, 2.0]
    assert jaxfeat.spec(jaxfeat.from_spec(changed)) == changed


def differences(f, quantities, equilibrated):
    """Stand in for the compiled gradient, with NumPy's singular values."""

    def mean(logs, batch):
        at = jaxfeat.singular_spectrum(_replaced(f, quantities, logs), batch, equilibrated, directions=False)
        return np.log(np.asarray(at.ratio)).mean()

    def gradient(logs, batch):
        slopes = [np.zeros(log.shape) for log in logs]
        for k, slope in enumerate(slopes):
            for index in np.ndindex(slope.shape):
                below = list(logs)  # and not above, because environments are cut at r_cut
                below[k] = below[k].at[index].add(-1e-5)
                slope[index] = (mean(logs, batch) - mean(below, batch)) / 1e-5
        return slopes

    return gradient


def test_steps_lead_uphill_and_the_start_is_kept_otherwise(search, monkeypatch):
    start = search.candidate(jaxfeat.spec(F))
    search.evaluate(start)
    monkeypatch.setattr(ascent, "_compiled_gradient", differences)
    found = ascend(search, start, 4, lambda *_: None)
    assert found.n_steps == 4 and found.note is None
    assert found.best.level > 1.05 * start.level and found.best.n_features == start.n_features
    assert {name for name in found.best.spec if found.best.spec[name] != start.spec[name]} <= ALL | {"r_cut"}
    # With a wrong gradient the Gaussians grow too wide.
    slopes = [float(q.path == ("sigma",)) for q in list_quantities(start, search.space, 3.0)]

    def wrong_gradient(logs, batch):
        return [slope + 0 * log for slope, log in zip(slopes, logs, strict=True)]

    monkeypatch.setattr(ascent, "_compiled_gradient", lambda *_: wrong_gradient)
    assert ascend(search, start, 3, lambda *_: None) == (start, 3, None)


def test_what_cannot_be_climbed_says_why(search, monkeypatch):
    start = search.candidate(jaxfeat.spec(F))
    search.evaluate(start)
    assert ascend(search, start, 0, lambda *_: None) == (start, 0, None)
    monkeypatch.setattr(ascent, "MAX_ENTRIES", 1)
    assert ascend(search, start, 1, lambda *_: None).note == "the Jacobian of one environment is too large"
    monkeypatch.undo()
    monkeypatch.setattr(search, "end", 0.0)
    assert ascend(search, start, 1, lambda *_: None) == (start, 0, "the time is over")
    monkeypatch.setattr(search, "space", {})
    assert ascend(search, start, 1, lambda *_: None).note == "no quantity may change"
    assert not paths(PowerSpectrum(("C",), cutoff=Smoothstep(1.0)), {"n_max": [3]})
