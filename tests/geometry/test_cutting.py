"""Environments cut at a smaller radius are those of structures."""

import jax
import numpy as np
import pytest
from ase.build import molecule

import jaxfeat
from jaxfeat.errors import GeometryError
from jaxfeat.geometry.cutting import cut_at_radius

ATOMS = [molecule("CH3CH2OH")]


def on_host(batch):
    return jax.tree.map(np.asarray, batch)


def test_environments_are_cut_as_from_structures():
    cut, made = cut_at_radius(on_host(jaxfeat.environments(ATOMS, 4.0)), 2.5), jaxfeat.environments(ATOMS, 2.5)
    for name in ("positions", "species", "mask", "r_cut", "neighbor_index", "neighbor_shift", "center_species"):
        np.testing.assert_array_equal(getattr(cut, name), getattr(made, name), err_msg=name)


def test_environments_do_not_grow():
    with pytest.raises(GeometryError, match=r"cut at 2 Å, .* r_cut 2.5 Å"):
        cut_at_radius(on_host(jaxfeat.environments(ATOMS, 2.0)), 2.5)
