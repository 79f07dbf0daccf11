"""The choice is greedy in the trace of the inverse, in any unit, and keeps more than a random one."""

import equinox as eqx
import numpy as np
import pytest
from cases import wobbling_methanols

import jaxfeat
from jaxfeat.choose.select import START, Response, _choose, _draw
from jaxfeat.errors import BasisError, GeometryError

R_CUT = 3.0
F = jaxfeat.PowerSpectrum(("H", "C", "O"), R_CUT, n_max=2, l_max=3)
BATCH = jaxfeat.environments(wobbling_methanols(6, seed=0), R_CUT)
HELD_OUT = jaxfeat.environments(wobbling_methanols(6, seed=1), R_CUT)
N_DIRECTIONS = 12


def sensitivity(f):
    spectrum = jaxfeat.singular_spectrum(f, HELD_OUT, equilibrated=True, directions=False)
    rows = np.arange(len(HELD_OUT))
    return np.asarray(spectrum.values)[rows, np.asarray(spectrum.n_values) - 1]


def test_each_choice_lowers_the_sum_of_log_traces_most():
    rng = np.random.default_rng(5)
    responses = [
        Response(np.sort(rng.permutation(9)[:n]), rng.normal(size=(n, d)) * rng.lognormal(size=(n, 1)))
        for n, d in ((9, 3), (7, 4), (5, 2))
    ]

    def cost(chosen):
        total = 0.0
        for features, rows in responses:
            matrix = rows[np.isin(features, chosen)]
            total += np.log(np.trace(np.linalg.inv(START * np.eye(rows.shape[1]) + matrix.T @ matrix)))
        return total

    chosen = _choose(responses, 9, 6)
    for n in range(6):
        costs = [cost([*chosen[:n], other]) if other not in chosen[:n] else np.inf for other in range(9)]
        assert chosen[n] == int(np.argmin(costs))


def test_a_selection_keeps_more_than_random_features():
    k = F.n_features // 4
    before, after = sensitivity(F), sensitivity(jaxfeat.select(F, BATCH, k))
    rng = np.random.default_rng(2)
    random = [sensitivity(jaxfeat.SelectedFeatures(F, rng.permutation(F.n_features)[:k])) for _ in range(5)]
    assert np.median(after / before) > 0.3
    assert np.median(after) > 3 * np.max(np.median(random, 1))


def test_the_choice_depends_on_no_unit_and_a_longer_one_begins_with_a_shorter_one():
    scaled = eqx.tree_at(lambda f: f.weights, F, 3 * np.asarray(F.weights))
    kept = jaxfeat.select(F, BATCH, 40).kept
    assert jaxfeat.select(scaled, BATCH, 40).kept == kept
    assert jaxfeat.select(F, BATCH, 25).kept == kept[:25]
    assert len(set(kept)) == 40
    narrowed = jaxfeat.select(jaxfeat.select(F, BATCH, 40), BATCH, 20)
    assert narrowed.featurizer is F
    assert set(narrowed.kept) < set(kept)


def test_all_features_may_be_kept():
    f = jaxfeat.PowerSpectrum(("H", "C", "N", "O"), R_CUT, n_max=1, l_max=3)  # no environment holds nitrogen
    assert sorted(jaxfeat.select(f, BATCH, f.n_features).kept) == list(range(f.n_features))


def test_every_kind_of_environment_is_drawn_and_the_largest_of_each():
    several = jaxfeat.Environment.from_neighbors
    rng = np.random.default_rng(3)
    sizes = [2, 3, 4, 5, 6, 3, 4]
    kinds = ["H", "H", "H", "H", "H", "O", "O"]
    envs = [several(rng.normal(size=(n, 3)), [kind] * n, "C") for n, kind in zip(sizes, kinds, strict=True)]
    batch = jaxfeat.Environment.stack(envs)
    flat = eqx.tree_at(lambda b: b.mask, batch, np.asarray(batch.mask))
    assert sorted(_draw(flat, 1).tolist()) == [4, 6]
    assert sorted(_draw(flat, 7).tolist()) == list(range(7))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"k": 10**6}, BasisError, f"has {F.n_features} features"),
        ({"k": N_DIRECTIONS - 1}, BasisError, f"an environment has {N_DIRECTIONS} visible directions"),
        ({"k": 0}, BasisError, "at least 1"),
        ({"sample": 0}, BasisError, "sample is 0"),
        ({"f": jaxfeat.stacked(F)}, GeometryError, "takes a featurizer and environments"),
        ({"batch": BATCH[:1].padded(5).with_positions(np.full((1, 5, 3), np.nan))}, GeometryError, "not finite"),
        ({"batch": eqx.tree_at(lambda b: b.mask, BATCH, np.zeros_like(BATCH.mask))}, GeometryError, "no environment"),
    ],
)
def test_wrong_arguments_are_named(change, error, message):
    with pytest.raises(error, match=message):
        jaxfeat.select(**{"f": F, "batch": BATCH, "k": 20, **change})
