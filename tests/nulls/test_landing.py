"""Steps lead from an item to the singular point next to it, or say that there is none."""

import jax
import numpy as np
import pytest
from null_cases import LOCI, on_locus, pair_positions, rotated
from null_checks import FAMILIES

from jaxfeat import Environment, PowerSpectrum
from jaxfeat.nulls import landing
from jaxfeat.nulls.jacobian_nulls import decompose_jacobian
from jaxfeat.nulls.landing import CUTOFFS, land

POWER = PowerSpectrum(("H",), n_max=4, l_max=6, radial="laplacian")


def around(positions, room=None):
    env = Environment.from_neighbors(np.asarray(positions, float), ["H"] * len(positions), "H")
    return jax.tree.map(np.asarray, env if room is None else env.padded(room))


def least_seen(f, at, k):
    """The scaled directions of the k smallest singular values, and the scale."""
    decomposed = decompose_jacobian(f, at)
    return decomposed._scaled_directions(np.arange(len(decomposed.values))[-k:]), np.asarray(decomposed.spectrum.scale)


def moved(found, at):
    return np.linalg.norm(found.positions - at.positions, axis=1).max()


@pytest.mark.parametrize("noise", [1e-6, 1e-4, 1e-2])
@pytest.mark.parametrize("locus", LOCI)
def test_pairs_land_where_they_coalesce(locus, noise):
    rng = np.random.default_rng(0)
    exact = pair_positions(*on_locus(LOCI[locus]))
    at = around(rotated(exact, rng) + noise * rng.normal(size=(4, 3)), room=5)
    values = decompose_jacobian(POWER, at).values
    found = land(POWER, at, *least_seen(POWER, at, 1), 0.1)
    assert found is not None and moved(found, at) < 4 * noise
    after = decompose_jacobian(POWER, found)
    assert after.values[-1] < 1e-14 * after.values[0] < 1e-3 * values[-1] and after.null.sum() == 1
    assert not found.positions[4].any()


@pytest.mark.parametrize("noise", [1e-6, 1e-3])
def test_rings_land_with_all_directions_at_once(noise):
    rng = np.random.default_rng(0)
    exact = FAMILIES["rings"]
    at = around(rotated(exact, rng) + noise * rng.normal(size=exact.shape))
    found = land(POWER, at, *least_seen(POWER, at, 6), 0.1)
    assert moved(found, at) < 3 * noise
    after = decompose_jacobian(POWER, found)
    assert after.null.sum() == 6 and after.values[-7] > 1e-4 * after.values[0]


def test_where_nothing_is_near_nothing_is_found():
    positions = np.random.default_rng(1).normal(size=(5, 3))
    at = around(1.3 * positions / np.linalg.norm(positions, axis=1, keepdims=True).mean())
    assert land(POWER, at, *least_seen(POWER, at, 1), 1e-3) is None
    near = around(pair_positions(*on_locus(LOCI["cy"], 1e-2)))
    assert moved(land(POWER, near, *least_seen(POWER, near, 1), 0.1), near) > 5e-3
    assert land(POWER, near, *least_seen(POWER, near, 1), 5e-3) is None


def test_steps_that_do_not_settle_or_need_too_much_memory_end_in_none(monkeypatch):
    at = around(pair_positions(*on_locus(LOCI["cy"], 1e-2)))
    seen = least_seen(POWER, at, 1)
    for name, value in (("MAX_STEPS", 2), ("MAX_ENTRIES", 1000)):
        with monkeypatch.context() as patched:
            patched.setattr(landing, name, value)
            assert land(POWER, at, *seen, 0.1) is None
    assert land(POWER, at, *seen, 0.1) is not None


def test_a_small_cutoff_leads_on_where_a_large_one_ends_too_early():
    """Next to the quasi-constant manifold, one equation of the displacement is nearly empty (theory, section 3)."""
    printed = [(-0.487769, -0.041057, 0.974419), (0.747395, -0.586838, -0.532971)]
    printed += [(0.784215, 0.602362, 0.456900), (-0.696015, 0.835322, 0.069546)]
    at = jax.tree.map(np.asarray, Environment.from_neighbors(printed, ["H"] * 4, "C"))
    f = PowerSpectrum(("C", "H"), n_max=2, l_max=5)
    large, small = (
        decompose_jacobian(f, land(f, at, *least_seen(f, at, 1), 0.1, cutoff)) for cutoff in (CUTOFFS[0], CUTOFFS[-1])
    )
    assert not large.null.any() and small.null.sum() == 1
