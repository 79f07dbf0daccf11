"""The subspaces of one item whose positions are exact, and spaces split by others."""

import numpy as np
import pytest
from null_cases import LOCI, OCTAHEDRON, TETRAHEDRON, on_locus, pair_positions

from jaxfeat import Environment, PowerSpectrum
from jaxfeat.errors import SizeError
from jaxfeat.nulls.exact_point import CONTAINED_SINE, examine_point, split_contained
from jaxfeat.nulls.jacobian_nulls import decompose_jacobian

POWER = PowerSpectrum(("H",), n_max=4, l_max=6, radial="laplacian")
SMALL = PowerSpectrum(("H",), n_max=2, l_max=2, radial="laplacian")


def examined(f, positions, **options):
    at = Environment.from_neighbors(np.asarray(positions, float), ["H"] * len(positions), "H")
    return examine_point(f, at, decompose_jacobian(f, at), **options)


def generic(n):
    positions = np.random.default_rng(0).normal(size=(n, 3))
    return 1.2 * positions / np.linalg.norm(positions, axis=1, keepdims=True) * np.linspace(0.8, 1.3, n)[:, None]


@pytest.mark.parametrize(
    ("f", "positions", "counts"),
    [
        (POWER, TETRAHEDRON, {"symmetry": 8}),
        (POWER, [*TETRAHEDRON, (0, 0, 4.2)], {"locality": 3, "symmetry": 8}),
        (POWER, pair_positions(*on_locus(LOCI["az"])), {"incompleteness": 1}),
        (POWER, np.outer([0.9, -1.2], [0, 0, 1]), {"symmetry": 2}),
        (SMALL, OCTAHEDRON, {"symmetry": 14}),
        (SMALL, generic(6), {"truncation": 7}),
    ],
)
def test_causes_span_the_null_space(f, positions, counts):
    point = examined(f, positions)
    found = point.causes()
    assert {cause: len(space) for cause, space in found.items() if len(space)} == counts
    rows = np.concatenate([point.filtration.rigid, *found.values()])
    np.testing.assert_allclose(rows @ rows.T, np.eye(len(rows)), atol=1e-9)
    assert len(rows) == len(point.hidden())
    assert np.abs(point.decomposed.matrix.reshape(-1, rows.shape[1]) @ rows.T).max() < 1e-12


def test_the_kernel_needs_no_tuples_where_symmetry_hides_all(monkeypatch):
    """The one that J does not see all of needs them, unless it is left out: its cause is then unknown."""
    monkeypatch.setattr("jaxfeat.nulls.kernel.MAX_TUPLES", 2)
    assert len(examined(POWER, TETRAHEDRON).causes()["symmetry"]) == 8
    incomplete = pair_positions(*on_locus(LOCI["az"]))
    with pytest.raises(SizeError, match="tuples"):
        examined(POWER, incomplete)
    found = examined(POWER, incomplete, with_kernel=False).causes()
    assert {cause: len(space) for cause, space in found.items() if len(space)} == {"other": 1}


def test_what_a_complete_basis_hardly_sees_is_not_truncated():
    """At 3e-5 Å from an octahedron, one of 7 directions is seen by the cube of the distance."""
    near = OCTAHEDRON + 3e-5 * np.random.default_rng(0).normal(size=(6, 3))
    point = examined(SMALL, near)
    beyond = point.hidden()[3:]
    seen, rest = point.split_seen(beyond, 2)
    assert (len(beyond), len(seen), len(rest)) == (7, 6, 1)
    both = np.concatenate([seen, rest])
    np.testing.assert_allclose(both @ both.T, np.eye(7), atol=1e-12)
    assert {cause: len(space) for cause, space in point.causes().items() if len(space)} == {"truncation": 6}
    assert [len(part) for part in point.split_seen(beyond, None)] == [7, 0]
    assert [len(part) for part in point.split_seen(beyond[:0], 2)] == [0, 0]


def test_known_stabilizers_are_taken_as_they_are():
    alone = examined(POWER, TETRAHEDRON)
    known = examined(POWER, TETRAHEDRON, known=alone.filtration.stabilizer)
    assert known.filtration.stabilizer is alone.filtration.stabilizer
    assert known.nested().keys() == {"locality", "symmetry", "incompleteness"}


@pytest.mark.parametrize("sine", [0.0, 0.4, 0.6, 1.0])
def test_directions_belong_to_a_space_up_to_thirty_degrees(sine):
    """Orthonormal ones stay so, however they are mixed before."""
    space = np.eye(6)[:3]
    tilted = np.sqrt(1 - sine**2) * np.eye(6)[0] + sine * np.eye(6)[4]
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    mixed = turn @ np.stack([tilted, np.eye(6)[1], np.eye(6)[5]])
    inside, outside = split_contained(mixed, space)
    assert len(inside) == 1 + (sine < CONTAINED_SINE) and len(outside) == 3 - len(inside)
    both = np.concatenate([inside, outside])
    np.testing.assert_allclose(both @ both.T, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(outside @ np.eye(6)[5]), 1, atol=1e-12)
    for some, of in ((mixed, space[:0]), (mixed[:0], space)):
        assert [len(part) for part in split_contained(some, of)] == [0, len(some)]
