"""The records of a grid agree with `null_space` of each basis alone, and samples keep the shares of species."""

import sys

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from null_cases import TETRAHEDRON
from null_checks import count_causes

import jaxfeat
from jaxfeat import (
    Environment,
    PowerSpectrum,
    RadialSpectrum,
    converge,
    manifolds,
    null_space,
)
from jaxfeat.choose import evaluate
from jaxfeat.choose.converge import draw_sample
from jaxfeat.errors import BasisError, GeometryError, PrecisionError, SpeciesError
from jaxfeat.spectrum import blocks

SPECIES = ("C", "H")
F = PowerSpectrum(SPECIES)
N_MAX, L_MAX = (3,), (3, 4, 5)
RNG = np.random.default_rng(7)


def methane(positions):
    return Environment.from_neighbors(np.asarray(positions), ["H"] * 4, "C")


def directions(n):
    points = RNG.normal(size=(n, 3))
    return points / np.linalg.norm(points, axis=1, keepdims=True)


ENVIRONMENTS = {
    "equal radii": methane(1.09 * directions(4)),
    "generic": methane(RNG.uniform(0.8, 1.6, (4, 1)) * directions(4)),
    "tetrahedral": methane(TETRAHEDRON),
    "mirror plane": methane([(0.9, 0.1, 0.6), (0.9, 0.1, -0.6), (-0.4, 1.1, 0), (-0.7, -0.8, 0)]),
    "incomplete": manifolds.pair_family(-0.45, 0.95, 0.6, 0.0, 0.5, -0.75, 0.8, 1),
}


@pytest.fixture(autouse=True, scope="module")
def single_chunks():
    """One at a time: one compilation serves any number of environments."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "BLOCK_BYTES", 1)
        yield


@pytest.fixture(scope="module")
def single():
    """Each environment's records on its own."""
    return {name: converge(F, Environment.stack([env]), N_MAX, L_MAX) for name, env in ENVIRONMENTS.items()}


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_causes_are_those_of_null_space_in_each_basis(single, name):
    truncation = []
    for record in single[name]:
        found = null_space(F.with_sizes(n_max=record["n_max"], l_max=record["l_max"]), ENVIRONMENTS[name])
        assert found.status == "ok", found.reason
        assert record["ambiguous"] == record["unclassified"] == 0
        assert record["truncation"] == found.truncation
        assert record["truncated"] == (found.truncation > 0)
        assert record["symmetric"] == (found.symmetry > 0)
        assert record["incomplete"] == (found.incompleteness > 0)
        truncation.append(found.truncation)
        if not found.truncation:
            ratios = [record[kind]["least"]["value"] for kind in ("raw", "equilibrated")]
            np.testing.assert_allclose(ratios, found.sensitivity, rtol=1e-9)
    # Theory, section 3: of 9 directions at equal radii, rank 7 at l_max = 3 and 8 at 4, whatever n_max.
    assert truncation == ([2, 1, 0] if name == "equal radii" else [0, 0, 0])
    assert [r["equilibrated"]["least"]["known"] for r in single[name]] == [t == 0 for t in truncation]


def test_records_count_environments_and_rank_their_ratios(single):
    envs = list(ENVIRONMENTS.values())
    broken = eqx.tree_at(lambda env: env.positions, envs[1], envs[1].positions.at[2, 0].set(jnp.nan))
    alone = Environment.from_neighbors(np.zeros((0, 3)), [], "C")
    calls = []
    progress = lambda done, total: calls.append((done, total))  # noqa: E731
    records = converge(F, Environment.stack([*envs, broken, alone]), N_MAX, L_MAX, progress)
    assert calls == [(k, 7) for k in range(1, 8)]
    for record, *alike in zip(records, *single.values(), strict=True):
        for name in ("environments", "truncated", "truncation", "ambiguous", "symmetric", "incomplete"):
            assert record[name] == sum(one[name] for one in alike), name
        for kind in ("equilibrated", "raw"):
            ratios = sorted((one[kind]["least"] for one in alike), key=lambda r: (r["known"], r["value"]))
            picked = [record[kind][name] for name in ("least", "1%", "10%", "median")]
            assert [r["known"] for r in picked] == [ratios[k]["known"] for k in (0, 0, 0, 2)]
            values = [ratios[k]["value"] for k in (0, 0, 0, 2)]
            np.testing.assert_allclose([r["value"] for r in picked], values, rtol=1e-9)
    assert [(r["nu"], r["n_max"], r["l_max"]) for r in records] == [(2, 3, l) for l in L_MAX]
    assert [r["n_features"] for r in records] == [F.with_sizes(n_max=3, l_max=l).n_features for l in L_MAX]


def test_rounded_symmetry_is_no_truncation_and_ambiguous_only_where_all_else_is_small(single, monkeypatch):
    rounded = methane(np.round(TETRAHEDRON @ np.linalg.qr(RNG.normal(size=(3, 3)))[0], 6))
    f = F.with_sizes(n_max=3, l_max=5)
    assert count_causes(null_space(f, rounded)) == {"symmetry": 8} and null_space(f, rounded).symmetry < 8
    for record, exact in zip(
        converge(F, Environment.stack([rounded]), N_MAX, L_MAX), single["tetrahedral"], strict=True
    ):
        assert (record["truncated"], record["ambiguous"]) == (0, 0)
        assert [(r["symmetric"], r["nearly"]) for r in (record, exact)] == [(0, 1), (1, 0)]
        values = [r["equilibrated"]["least"]["value"] for r in (record, exact)]
        np.testing.assert_allclose(*values, rtol=1e-4)
    monkeypatch.setattr(evaluate, "CLASSIFY_BELOW", 2.0)
    for env, ambiguous in ((ENVIRONMENTS["tetrahedral"], 0), (rounded, 1)):
        records = converge(F, Environment.stack([env]), N_MAX, L_MAX)
        assert [(r["truncated"], r["ambiguous"]) for r in records] == [(0, ambiguous)] * len(L_MAX)


def test_what_no_basis_sees_clearly_is_no_truncation():
    """Next to an octahedron. A larger basis has to see what a smaller one is said to truncate."""
    points = 1.3 * np.concatenate([np.eye(3), -np.eye(3)])
    for distance, truncated in ((3e-5, 0), (1e-2, 1)):
        moved = points + distance * np.random.default_rng(0).normal(size=(6, 3))
        env = Environment.from_neighbors(moved, ["H"] * 6, "C")
        (record,) = converge(F, Environment.stack([env]), (2,), (2,))
        assert (record["truncated"], record["ambiguous"]) == (truncated, 1 - truncated)


def test_too_close_to_the_floor_is_ambiguous_and_too_many_neighbors_are_unclassified(single, monkeypatch):
    monkeypatch.setattr(evaluate, "CLEAR_RATIO", 1e12)
    (record, *_) = converge(F, Environment.stack([ENVIRONMENTS["generic"]]), N_MAX, L_MAX)
    assert (record["truncated"], record["ambiguous"]) == (0, 1)
    monkeypatch.undo()
    monkeypatch.setattr("jaxfeat.nulls.kernel.MAX_TUPLES", 3)
    few, _, enough = converge(F, Environment.stack([ENVIRONMENTS["equal radii"]]), N_MAX, L_MAX)
    assert (few["unclassified"], few["truncated"], enough["unclassified"]) == (0, 1, 0)  # l_max = 5 sees all
    (blind, *_) = converge(F, Environment.stack([ENVIRONMENTS["incomplete"]]), N_MAX, L_MAX)
    assert (blind["unclassified"], blind["truncated"], blind["incomplete"]) == (1, 0, 0)
    # An environment without null directions needs no cause.
    monkeypatch.setattr(evaluate, "CLASSIFY_BELOW", 2.0)
    (seen, *_) = converge(F, Environment.stack([ENVIRONMENTS["generic"]]), N_MAX, L_MAX)
    assert (seen["unclassified"], seen["truncated"]) == (0, 0)


def test_several_orders_follow_each_other():
    calls = []
    batch = Environment.stack([ENVIRONMENTS["generic"]])
    f = [RadialSpectrum(SPECIES), F]
    records = converge(f, batch, N_MAX, L_MAX, lambda done, total: calls.append((done, total)))
    sizes = [(r["nu"], r["n_max"], r["l_max"], r["incomplete"]) for r in records]
    assert sizes == [(1, 3, 0, 1), (2, 3, 3, 0), (2, 3, 4, 0), (2, 3, 5, 0)]
    assert calls == [(1, 2), (2, 2)]


@pytest.mark.parametrize(
    "change, error, message",
    [
        ({"n_max": ()}, BasisError, "n_max is empty"),
        ({"l_max": ()}, BasisError, "l_max is empty"),
        ({"n_max": (0, 2)}, BasisError, "n_max is 0"),
        ({"l_max": (2, 99)}, BasisError, "l_max is 99"),
        ({"n_max": (2, 4)}, BasisError, "n_max = 4, l_max = 9 make 360 features of 2 species"),
        ({"f": PowerSpectrum(["C"])}, SpeciesError, "species H not among"),
        ({"f": jaxfeat.function(lambda r, z, mask: r[0], nu=1)}, BasisError, "no n_max to vary"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_computed(monkeypatch, change, error, message):
    monkeypatch.setattr(
        sys.modules["jaxfeat.choose.converge"], "evaluate_bases", lambda *_: pytest.fail("something was computed")
    )
    monkeypatch.setattr(sys.modules["jaxfeat.choose.evaluate"], "MAX_GRID_ENTRIES", 12 * 300)
    batch = Environment.stack([ENVIRONMENTS["generic"]])
    with pytest.raises(error, match=message):
        converge(**{"f": F, "batch": batch, "n_max": (2,), "l_max": (9,), **change})


def test_single_precision_is_refused():
    batch = Environment.stack([ENVIRONMENTS["generic"]])
    with pytest.raises(PrecisionError, match="float32"):
        converge(F, batch.with_positions(batch.positions.astype(jnp.float32)))


CENTERS = np.asarray([1] * 60 + [6] * 38 + [8] * 2, np.int32)


def test_samples_keep_the_shares_of_species_and_the_rare_ones():
    drawn = draw_sample(CENTERS, 21, seed=1)
    assert (np.diff(drawn) > 0).all()
    assert np.unique(CENTERS[drawn], return_counts=True)[1].tolist() == [12, 8, 1]
    assert np.unique(CENTERS[draw_sample(CENTERS, 3)]).tolist() == [1, 6, 8]


def test_samples_depend_on_the_seed_alone():
    drawn = draw_sample(CENTERS, 21, seed=1)
    assert (drawn == draw_sample(CENTERS, 21, seed=1)).all()
    assert (drawn != draw_sample(CENTERS, 21, seed=2)).any()


@pytest.mark.parametrize("size", [0, 100, 1000])
def test_a_sample_of_all_holds_each_environment_once(size):
    assert draw_sample(CENTERS, size).tolist() == list(range(100))


@pytest.mark.parametrize(("size", "seed"), [(2, 0), (-1, 0), (10, -1)])
def test_impossible_samples_are_refused(size, seed):
    with pytest.raises(GeometryError, match="sample"):
        draw_sample(CENTERS, size, seed)
