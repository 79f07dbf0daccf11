"""Jacobians of the power spectrum against other packages."""

import numpy as np
import peers
import pytest
from cases import R_CUT
from peers import amplitude, in_order_of
from references import random_cluster

import jaxfeat
from jaxfeat.cutoffs import NoCutoff, ShiftedCosine, Willatt2018


def _clusters(species):
    for seed in range(3):
        positions, kinds = random_cluster(np.random.default_rng(seed), 6, len(species), 0.8, R_CUT - 0.1, 0.7)
        symbols = [species[k] for k in kinds]
        yield positions, symbols, jaxfeat.Environment.from_neighbors(positions, symbols, species[0])


def test_jacobians_are_dscribes():
    pytest.importorskip("dscribe")
    f = jaxfeat.PowerSpectrum("C H O".split(), R_CUT, n_max=4, l_max=3, sigma=0.5, cutoff=NoCutoff())
    for positions, symbols, env in _clusters("CHO"):
        gradients, labels = peers.dscribe_derivatives(positions, symbols, "C", "CHO", R_CUT, 4, 3, 0.5)
        expected = in_order_of(f, gradients, labels, amplitude("gto", 0.5))
        error = np.abs(np.asarray(jaxfeat.jacobian(f, env)) - expected).max() / np.abs(expected).max()
        assert error < 1e-7


def test_jacobians_are_featomics():
    pytest.importorskip("featomic")
    f = jaxfeat.PowerSpectrum(
        ("C", "H"),
        R_CUT,
        n_max=4,
        l_max=3,
        sigma=0.4,
        radial="gto-rascal",
        cutoff=ShiftedCosine(1.2),
        radial_scaling=Willatt2018(2.0, 1.5, 3.0),
        include_center=0.5,
    )
    options = {"width": 1.2, "radial_scaling": (2.0, 1.5, 3), "center_weight": 0.5}
    for positions, symbols, env in _clusters("CH"):
        _, gradients, labels = peers.featomic_power_spectrum(positions, symbols, "C", R_CUT, 4, 3, 0.4, **options)
        expected = in_order_of(f, gradients, labels, amplitude("gto-rascal", 0.4))
        error = np.abs(np.asarray(jaxfeat.jacobian(f, env)) - expected).max() / np.abs(expected).max()
        assert error < 1e-7
