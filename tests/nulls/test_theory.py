"""Known families behave as theory says: pairs are equal, and singular only where their members meet."""

import jax
import numpy as np
import pytest

import jaxfeat
from jaxfeat import Bispectrum, Correlations, Environment, PowerSpectrum, manifolds

PUBLISHED = (-0.45, 0.95, 0.6, 0.7, 0.5, -0.75, 0.8)
AZ, BY, BZ, CY = 1, 3, 4, 6


def pair_parameters(seed):
    """The published pair, or random ones with every coordinate well away from the loci."""
    if seed is None:
        return np.asarray(PUBLISHED)
    rng = np.random.default_rng(seed)
    return rng.uniform(0.4, 1.0, 7) * rng.choice([-1, 1], 7)


def pair(parameters, sign):
    return manifolds.pair_family(*parameters.tolist(), sign)


LARGE = PowerSpectrum(("C", "H"), n_max=6, l_max=10)
"""One program for all power spectra of four neighbors and a center."""


def spectrum(f, env, l_max=None):
    """Singular values over the largest, rotations apart, and right singular vectors, by NumPy. Radial functions of one
    l do not depend on how far l goes: a smaller basis has some of the rows."""
    jacobian = np.asarray(jaxfeat.jacobian(f, env)).reshape(f.n_features, -1)
    if l_max is not None:
        jacobian = jacobian[np.asarray([label[-1] for label in f.labels]) <= l_max]
    _, values, directions = np.linalg.svd(jacobian, full_matrices=False)
    assert (values[-3:] < 1e-13 * values[0]).all()
    return values[:-3] / values[0], directions


@pytest.mark.parametrize("radial", ["gto", "gto-rascal", "laplacian"])
@pytest.mark.parametrize("seed", [None, 0, 1])
def test_pairs_are_equal_for_two_neighbors_at_a_time_and_differ_for_three(radial, seed):
    options = {"species": ("C", "H"), "n_max": 3, "l_max": 3, "radial": radial, "sigma": 0.4}
    members = [pair(pair_parameters(seed), sign) for sign in (1, -1)]
    plus, minus = (PowerSpectrum(**options)(env) for env in members)
    np.testing.assert_allclose(plus, minus, rtol=0, atol=1e-13 * np.abs(plus).max())
    if radial == "gto":  # what some basis tells apart, features of this order tell apart
        plus, minus = (Bispectrum(**options)(env) for env in members)
        assert np.linalg.norm(plus - minus) > 1e-5 * np.linalg.norm(plus)


@pytest.mark.parametrize("l_max", [6, 10])
def test_pairs_are_singular_on_four_loci_only(l_max):
    for seed in (None, 2, 3):
        parameters = pair_parameters(seed)
        values, _ = spectrum(LARGE, pair(parameters, 1), l_max)
        assert values[-1] > 1e-5
        for locus in (AZ, BY, BZ, CY):
            on = np.where(np.arange(7) == locus, 0.0, parameters)
            values, _ = spectrum(LARGE, pair(on, 1), l_max)
            assert values[-1] <= 1e-13, (seed, locus)
            assert values[-2] > 1e-6, (seed, locus)


def test_three_neighbors_at_a_time_lift_the_four_loci():
    f = Bispectrum(("H",), n_max=3, l_max=3)
    for seed in (None, 4):
        for locus in (AZ, BY, BZ, CY):
            on = np.where(np.arange(7) == locus, 0.0, pair_parameters(seed))
            env = manifolds.pair_family(*on.tolist(), 1, center_species=None)
            assert spectrum(f, env)[0][-1] > 1e-5, (seed, locus)


def ring(azimuths, sign, seed=None):
    """The published ring pair, or one of random dimensions."""
    r, psi, z1, z2 = (1.2, 0.6, 0.7, 1.3)
    if seed is not None:
        rng = np.random.default_rng(seed)
        r, psi, z1, z2 = rng.uniform((1.0, 0.4, 0.5, 1.1), (1.3, 0.8, 0.8, 1.4))
    return manifolds.ring_pair(r, np.asarray(azimuths), psi, z1, z2, sign, center_species=None)


@pytest.mark.parametrize("seed", [None, 5])
def test_scalene_rings_are_equal_for_three_neighbors_at_a_time_and_differ_for_four(seed):
    members = [ring((0.0, 1.1, -2.0), sign, seed) for sign in (1, -1)]
    for pseudoscalars in (False, True):
        plus, minus = (Bispectrum(("H",), n_max=2, l_max=4, pseudoscalars=pseudoscalars)(env) for env in members)
        np.testing.assert_allclose(plus, minus, rtol=0, atol=1e-13 * np.abs(plus).max())
    plus, minus = (Correlations(("H",), n_max=1, l_max=4, nu=4)(env) for env in members)
    assert np.linalg.norm(plus - minus) > 1e-6 * np.linalg.norm(plus)


def directions(seed, n):
    v = np.random.default_rng(seed).normal(size=(n, 3))
    return v / np.linalg.norm(v, axis=1, keepdims=True)


def test_rank_at_equal_radii_depends_on_l_max_alone():
    env = Environment.from_neighbors(1.09 * directions(7, 4), ["H"] * 4)
    for n_max, expected in ((2, {2: 5, 4: 8, 5: 9}), (3, {4: 8})):
        f = PowerSpectrum(("H",), n_max=n_max, l_max=max(expected))
        for l_max, rank in expected.items():
            values, _ = spectrum(f, env, l_max)
            assert values[rank - 1] > 1e-5 and (values[rank:] < 1e-13).all()


def test_unequal_radii_need_fewer_angles():
    radii = np.random.default_rng(8).uniform(0.8, 1.6, size=(4, 1))
    env = Environment.from_neighbors(radii * directions(8, 4), ["H"] * 4, "C")
    for f, l_max in ((LARGE, 1), (PowerSpectrum(("C", "H"), n_max=2, l_max=3), 3)):
        assert spectrum(f, env, l_max)[0][-1] > 1e-7


@pytest.mark.parametrize(
    "f",
    [
        LARGE,
        Bispectrum(("C", "H"), n_max=2, l_max=3),
        Bispectrum(("C", "H"), n_max=2, l_max=3, pseudoscalars=True),
    ],
    ids=["power spectrum", "bispectrum", "bispectrum with pseudoscalars"],
)
def test_a_tetrahedron_is_seen_to_breathe_and_nothing_else(f):
    corners = np.asarray([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1.0]])
    values, directions = spectrum(f, Environment.from_neighbors(0.63 * corners, ["H"] * 4, "C"))
    assert len(values) == 9 and (values[1:] < 1e-13).all()
    breathing = corners / np.linalg.norm(corners)
    np.testing.assert_allclose(abs(np.vdot(directions[0], breathing)), 1, rtol=1e-12)


def test_the_published_methane_pairs_coincide_without_elevation_only():
    plus, minus = manifolds.prl_methane(1), manifolds.prl_methane(-1)
    for elevation, equal in ((0.0, True), (0.1, False)):
        here, there = (np.asarray(LARGE(member(2.4, elevation))) for member in (plus, minus))
        assert (np.linalg.norm(here - there) < 1e-13 * np.linalg.norm(here)) == equal
    assert spectrum(LARGE, plus(np.pi, 0.0), 6)[0][-1] < 1e-13
    assert spectrum(LARGE, plus(2.4, 0.0), 6)[0][-1] > 1e-5


def test_families_can_be_differentiated_through_their_parameters():
    f = PowerSpectrum(("C", "H"), n_max=2, l_max=2)
    along = jax.jit(lambda F: f(manifolds.prl_methane(1)(F, 0.1)))
    slope = np.asarray(jax.jit(jax.jacfwd(along))(2.0))
    h = 1e-5
    near = [np.asarray(along(2.0 + step)) for step in (-h, h)]
    np.testing.assert_allclose(slope, (near[1] - near[0]) / (2 * h), atol=1e-7 * np.abs(slope).max())
