"""Structures are padded to few sizes, and derivatives taken in the direction that takes less time."""

import jax.numpy as jnp
import numpy as np
import pytest
from ase import Atom, Atoms

import jaxfeat
from jaxfeat.features.joint import _in_room, differentiate, reverse_is_faster

SIX = Atoms("CHHHHO", np.random.default_rng(0).uniform(0, 4, (6, 3)))


@pytest.mark.parametrize("centers, room", [(None, 6), ([0, 1], 2), ([0, 1, 2, 3, 4], 5), ("H", 4)])
def test_padded_structures_have_as_many_centers_as_atoms_if_they_had(centers, room):
    structure = jaxfeat.structures(SIX, 3.0, centers)
    padded = _in_room(structure)
    assert padded.positions.shape == (6, 3) and padded.center.shape == (room,)
    seven = Atoms([*SIX, Atom("O", [4.5, 4.6, 4.7])])
    seven = _in_room(jaxfeat.structures(seven, 3.0, None if centers is None else [0, 1, 2]))
    assert seven.positions.shape == (8, 3) and seven.center.shape == ((8,) if centers is None else (3,))
    assert seven.mask.sum() == 7 and seven.center_mask.sum() == (7 if centers is None else 3)
    f = jaxfeat.stacked(jaxfeat.RadialSpectrum(("C", "H", "O"), 3.0, n_max=2))
    found, expected = (np.asarray(f(one)) for one in (padded, structure))
    np.testing.assert_allclose(found[: len(expected)], expected, atol=1e-14)
    assert not found[len(expected) :].any()


def test_equal_numbers_by_padding_alone_are_kept_apart():
    """Five centers of six atoms, of which one is padding, are not all atoms."""
    two = jaxfeat.structures([SIX, SIX[:5]], 3.0, "H")
    assert two.center.shape == (2, 4)
    batch = jaxfeat.structures([SIX[:5], SIX[:4]], 3.0, [0, 1, 2, 3])
    one = _in_room(batch[1])
    assert one.positions.shape[0] != one.center.shape[0]


def test_few_outputs_are_differentiated_backwards():
    x = jnp.linspace(0.1, 1.0, 12)
    wide, narrow = (lambda x: jnp.outer(x, x).reshape(-1)), (lambda x: jnp.sin(x).reshape(3, 4).sum(1))
    assert reverse_is_faster(narrow, x) and not reverse_is_faster(wide, x)
    expected = np.kron(np.eye(3), np.ones(4)) * np.cos(x)
    np.testing.assert_allclose(differentiate(narrow, x), expected, rtol=1e-14)
    assert differentiate(wide, x).shape == (144, 12)
