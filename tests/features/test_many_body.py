"""Jacobians of three and more neighbors at a time: the way through couplings against as many tangents through the
features as there are coordinates."""

from functools import partial

import equinox as eqx
import jax
import numpy as np
import pytest
from cases import CUTOFFS, POSITIONS, R_CUT, ROOM, environment
from numpy.testing import assert_array_equal

import jaxfeat
from jaxfeat.features import correlations
from jaxfeat.features.base import AbstractFeaturizer
from jaxfeat.features.couplings import CoupledFactors, channel_pairs, two_sided_terms

SQUARE = 1.3 * np.array([[1.0, 0, 0], [0, 1, 0], [-1, 0, 0], [0, -1, 0]])
NOBODY = jaxfeat.Environment.from_neighbors(np.zeros((0, 3)), [], "C")


def _environments(species):
    """Generic ones and symmetric ones, one species alone or both at neighbors, any at the center, an empty one."""
    both = [*species, *species]
    found = {name: environment(name, species) for name in ("generic", "near the center", "collinear")}
    found["tetrahedron"] = jaxfeat.Environment.from_neighbors(POSITIONS["tetrahedron"], [species[-1]] * 4, species[0])
    found["square"] = jaxfeat.Environment.from_neighbors(SQUARE, both[:4], species[-1])
    found["one species"] = jaxfeat.Environment.from_neighbors(POSITIONS["generic"], [species[0]] * 5, species[0])
    found["nobody at the center"] = jaxfeat.Environment.from_neighbors(POSITIONS["tetrahedron"], both[:4])
    found["empty"] = NOBODY
    return found, jaxfeat.Environment.stack([env.padded(ROOM) for env in found.values()])


@pytest.mark.parametrize(
    "cls, options",
    [
        ("Bispectrum", {"l_max": 3}),
        ("Bispectrum", {"pseudoscalars": True}),
        ("Correlations", {"nu": 4, "pseudoscalars": True, "n_max": 1}),
        ("Correlations", {"nu": 4, "species": ("C",), "l_max": 3, "include_center": False}),
        ("Correlations", {"nu": 5, "species": ("C",), "pseudoscalars": True, "l_max": 1}),
    ],
)
def test_jacobians_through_couplings_are_those_of_the_features(cls, options, monkeypatch):
    # Blocks of a few rows and blocks that are written in several goes, the last of which overlaps.
    monkeypatch.setattr(correlations, "ROWS_AT_A_TIME", 50)
    settings = {"species": ("C", "H"), "r_cut": R_CUT, "n_max": 2, "l_max": 2, "sigma": 0.5}
    f = getattr(jaxfeat, cls)(**settings | {"cutoff": CUTOFFS["cosine"]} | options)
    assert f.n_features > 50
    named, batch = _environments(settings["species"] if len(f.species) == 2 else ("C", "C"))
    found = np.asarray(jaxfeat.jacobian(f, batch))
    exact = np.asarray(eqx.filter_jit(jax.vmap(partial(AbstractFeaturizer.jacobian, f)))(batch))
    assert found.shape == (len(named), f.n_features, ROOM, 3)
    for name, new, old in zip(named, found, exact, strict=True):
        scale = np.abs(old).max()
        assert (scale > 1e-4) == (name != "empty"), name
        # Of each block for itself: the large ones hide no error in the small.
        start = 0
        for block in f.blocks:
            rows = slice(start, start := start + len(block.channels))
            allowed = 1e-12 * max(np.abs(old[rows]).max(), 1e-3 * scale)
            assert np.abs(new[rows] - old[rows]).max() <= allowed, (name, block.ls, block.couplings)


@pytest.mark.parametrize("cls, options", [("Bispectrum", {}), ("Correlations", {"nu": 4})])
def test_without_neighbors_there_are_no_columns(cls, options):
    f = getattr(jaxfeat, cls)(("C",), R_CUT, n_max=1, l_max=1, sigma=0.5, **options)
    assert jaxfeat.jacobian(f, NOBODY).shape == (f.n_features, 0, 3)
    assert not np.asarray(jaxfeat.jacobian(f, NOBODY.padded(2))).any()


def test_jacobians_of_three_neighbors_stay_in_single_precision():
    f = jaxfeat.Bispectrum(("C", "H"), R_CUT, n_max=1, l_max=1, sigma=0.5)
    env = environment("generic", ("C", "H"))
    double = np.asarray(jaxfeat.jacobian(f, env))
    single = jaxfeat.jacobian(f, env.with_positions(env.positions.astype(np.float32)))
    assert single.dtype == np.float32
    assert np.abs(np.asarray(single) - double).max() < 1e-4 * np.abs(double).max()


def test_rows_of_a_chain_are_its_channels_in_order():
    for chain in (
        CoupledFactors((1,), (1,)),
        CoupledFactors((1, 1), (1, 2)),
        CoupledFactors((1, 2), (1, 2)),
        CoupledFactors((1, 1, 2), (1, 2, 1)),
    ):
        if len(chain.ls) == 1:
            channels = np.arange(3)[:, None]
        else:
            channels = np.stack(channel_pairs(3, chain.ls[0] == chain.ls[1]), -1)
        for _ in chain.ls[2:]:
            channels = np.concatenate([np.repeat(channels, 3, 0), np.tile(np.arange(3), len(channels))[:, None]], 1)
        assert chain.n_rows(3) == len(channels)
        assert_array_equal(chain.rows(channels, 3), np.arange(len(channels)))


def test_every_feature_has_its_halves():
    groups = two_sided_terms(4, 2, 2, True)
    f = jaxfeat.Correlations(("C",), n_max=2, l_max=2, nu=4, pseudoscalars=True)
    assert_array_equal(np.sort(np.concatenate([group.features for group in groups])), np.arange(f.n_features))
    for group in groups:
        assert len({chain.L for chain in group.tables}) == 1
        assert max(group.left.max(), group.right.max()) < sum(chain.n_rows(2) for chain in group.tables)
