"""Invariant quadratic forms: the character formula and the basis, against explicit averages over the group."""

import numpy as np
import pytest
from null_cases import OCTAHEDRON, rotated

from jaxfeat.errors import GeometryError, SizeError
from jaxfeat.geometry.symmetry import point_stabilizer
from jaxfeat.nulls.invariant_forms import Operations, count_invariant_forms, finite_operations, invariant_forms
from jaxfeat.nulls.sites import rotation_space

PRISM = np.array([(np.cos(a), np.sin(a), z) for a in 2 * np.pi * np.arange(3) / 3 for z in (0.7, -0.7)])
PYRAMID = np.array([(1, 0, 0.2), (-1, 0, 0.2), (0, 1, 0.2), (0, -1, 0.2), (0, 0, 1.3)])
SHAPES = {"prism": PRISM, "octahedron": OCTAHEDRON, "pyramid": PYRAMID, "mirror": PRISM[[0, 1, 2, 4]] * [1, 1.3, 1]}


def stabilizer_of(name, group="O3"):
    positions = rotated(SHAPES[name], np.random.default_rng(3))
    return positions, point_stabilizer(positions, np.ones(len(positions)), group, 1e-6)


def matrices(rotations, permutations):
    """Write the action of each operation as a matrix `(m, 3 n, 3 n)`."""
    n = permutations.shape[1]
    found = np.zeros((len(rotations), n, 3, n, 3))
    for g, (rotation, permutation) in enumerate(zip(rotations, permutations, strict=True)):
        for j in range(n):
            found[g, permutation[j], :, j] = rotation
    return found.reshape(len(rotations), 3 * n, 3 * n)


def averaged_forms(actions, space):
    """Span the symmetric matrices on a space that the average of D x D leaves unchanged, in rows."""
    inside = np.einsum("zi,gij,wj->gzw", space, actions, space)
    size = len(space)
    average = np.mean([np.kron(one, one) for one in inside], 0).reshape(size, size, size, size)
    projector = (average + average.swapaxes(0, 1)).reshape(size**2, size**2) / 2
    values, vectors = np.linalg.eigh((projector + projector.T) / 2)
    assert np.abs(values * (1 - values)).max() < 1e-10
    return vectors[:, values > 0.5].T


@pytest.mark.parametrize("group", ["O3", "SO3"])
@pytest.mark.parametrize("name", SHAPES)
def test_the_formula_and_the_basis_agree_with_explicit_averages(name, group):
    positions, found = stabilizer_of(name, group)
    operations = finite_operations(found)
    whole = np.eye(positions.size)
    turned = rotation_space(positions)
    still = np.linalg.svd(turned)[2][len(turned) :]
    for space in (whole, still):
        expected = averaged_forms(matrices(found.rotations, found.permutations), space)
        forms = invariant_forms(operations, space)
        assert len(forms) == count_invariant_forms(operations, space) == len(expected)
        flat = forms.reshape(len(forms), -1)
        np.testing.assert_allclose(flat @ flat.T, np.eye(len(flat)), atol=1e-12)
        np.testing.assert_allclose(flat @ expected.T @ expected, flat, atol=1e-10)


def test_few_turns_stand_for_a_continuous_group():
    """On a line, forms of many turns are those of five: no product of two vectors turns faster than twice."""
    line = np.outer([-1.1, 0.8, 1.3], [1, 2, 2]) / 3
    for group, expected in (("O3", 6 + 6), ("SO3", 6 + 6 + 3)):
        found = point_stabilizer(line, np.ones(3), group, 1e-6)
        operations = finite_operations(found)
        angles = 2 * np.pi * np.arange(24) / 24
        x, y, z = found.axis
        cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
        turns = [np.eye(3) + np.sin(a) * cross + (1 - np.cos(a)) * cross @ cross for a in angles]
        rotations = np.array([turn @ rotation for turn in turns for rotation in found.rotations])
        many = Operations(rotations, np.tile(found.permutations, (24, 1)))
        # Products of heights, and dot products across the line; in SO(3) also cross products.
        assert count_invariant_forms(operations, np.eye(9)) == count_invariant_forms(many, np.eye(9)) == expected


def test_too_many_forms_and_too_large_tolerances_are_refused():
    crowd = np.random.default_rng(0).normal(size=(19, 3))
    none = point_stabilizer(crowd, np.ones(19), "O3", 1e-6)
    with pytest.raises(SizeError, match="19 neighbors with 1 symmetry operations have 1653 invariant quadratic forms"):
        invariant_forms(finite_operations(none), np.eye(57))
    inside = point_stabilizer(np.array([[0, 0, 1e-3]]), np.ones(1), "O3", 0.1)
    with pytest.raises(GeometryError, match="larger than the environment"):
        finite_operations(inside)
