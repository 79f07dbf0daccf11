"""The nested subspaces that follow from the positions alone."""

import itertools

import numpy as np
import pytest
from null_cases import LOCI, OCTAHEDRON, TETRAHEDRON, coincident, on_locus, pair_positions, rotated

from jaxfeat import Environment, complete_kernel
from jaxfeat.nulls.filtration import build_filtration
from jaxfeat.nulls.sites import Sites, split_into_sites


def sites(positions, species=None, group="O3"):
    env = Environment.from_neighbors(positions, ["H"] * len(positions) if species is None else species)
    return Sites(env, split_into_sites(env, np.ones(len(positions), bool)), group, False, 1e-5)


def holds(larger, smaller):
    """Whether the span of orthonormal rows `larger` holds the rows `smaller`."""
    return np.abs(smaller - smaller @ larger.T @ larger).max(initial=0.0) < 1e-9


@pytest.mark.parametrize("seed", range(4))
def test_the_subspaces_are_nested(seed):
    """rigid ⊆ locality ⊆ symmetry ⊆ … ⊆ N₃ ⊆ N₂ ⊆ N₁."""
    chain = [build_filtration(sites(*coincident(seed, most=5)), nu) for nu in (4, 3, 2, 1)]
    one = chain[0]
    assert holds(one.locality, one.rigid) and holds(one.symmetry, one.locality)
    spaces = [one.symmetry, *(each.kernel for each in chain)]
    for smaller, larger in itertools.pairwise(spaces):
        assert holds(larger, smaller), seed


@pytest.mark.parametrize(
    ("positions", "group", "symbol", "sizes"),
    [
        (TETRAHEDRON, "O3", "Td", (3, 3, 11, 11)),
        (TETRAHEDRON, "SO3", "T", (3, 3, 11, 11)),
        (OCTAHEDRON, "O3", "Oh", (3, 3, 17, 17)),
        (pair_positions(*on_locus(LOCI["cy"])), "O3", "C1", (3, 3, 3, 4)),
        (np.outer([0.9, -1.2], [0, 0, 1]), "O3", "C*v", (2, 2, 4, 4)),
    ],
)
def test_dimensions_are_those_of_theory(positions, group, symbol, sizes):
    found = build_filtration(sites(rotated(positions, np.random.default_rng(0)), group=group), 2)
    assert found.stabilizer.symbol == symbol
    assert tuple(map(len, (found.rigid, found.locality, found.symmetry, found.kernel))) == sizes
    assert found.lines_agree and found.symmetry_known


def test_symmetry_holds_the_complement_of_the_fixed_vectors():
    found = build_filtration(sites(TETRAHEDRON), 2)
    assert holds(found.symmetry, np.eye(12) - found.stabilizer.fixed_projector())


def test_a_lower_order_answers_where_the_asked_one_has_too_many_tuples(monkeypatch):
    monkeypatch.setattr("jaxfeat.nulls.kernel.MAX_TUPLES", 50)
    generic = np.random.default_rng(0).normal(size=(4, 3))
    assert len(build_filtration(sites(generic), 3).kernel) == 3
    assert complete_kernel(sites(generic).at, 2).nullity == 3
