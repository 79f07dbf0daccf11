"""Members of the known strata satisfy their conditions, and hide their displacement from their order alone."""

from fractions import Fraction

import numpy as np
import pytest

from jaxfeat import complete_kernel, strata
from jaxfeat.errors import BasisError, GeometryError, SizeError
from jaxfeat.singular.strata_closed import breathing

ENTRIES = [stratum for n in (4, 5, 6) for stratum in strata(n).values()]
ENTRIES += [strata(7)["twofold 2"], strata(7)["A_2,1"], strata(7)["pole 3"], strata(7)["cones 3 + 3"]]
ENTRIES += [strata(7, nu=3, pseudoscalars=True)["rings"]]
ENTRIES += [strata(4, nu=3, pseudoscalars=True)["achiral triples"], strata(5, nu=3)["heptagon"]]
ENTRIES += [stratum for stratum in strata(6, nu=3).values() if stratum.name not in ("planar", "heptagon")]
SEEDS = (0, 1)


def name_of(stratum):
    return f"{stratum.name}, N = {stratum.n_neighbors}"


def outside(direction, space):
    """Measure the part of a displacement outside of the span of orthonormal ones, relative to its length."""
    rows = np.reshape(space, (-1, direction.size))
    rest = direction.reshape(-1) - rows.T @ (rows @ direction.reshape(-1))
    return np.linalg.norm(rest) / np.linalg.norm(direction)


def turns(x):
    """List three rotations of positions as displacements, `(3, 3 N)`."""
    return np.asarray([np.cross(axis, x).ravel() for axis in np.eye(3)])


@pytest.mark.parametrize("stratum", ENTRIES, ids=name_of)
def test_members_hide_the_displacement(stratum):
    for seed in SEEDS:
        env = stratum.member(seed)
        x = np.asarray(env.positions)
        assert stratum.residual(x) < 1e-13
        direction = stratum.direction(x)
        kernel = complete_kernel(env, stratum.nu, stratum.pseudoscalars)
        assert kernel.nullity == stratum.nullity, seed
        assert outside(direction, kernel.directions) < 1e-12
        assert outside(direction, np.linalg.qr(turns(x).T)[0].T) > 0.01
        # A mirror plane hides displacements from every order without pseudoscalars.
        higher = complete_kernel(env, stratum.nu + 1, stratum.pseudoscalars or stratum.name == "planar")
        assert outside(direction, higher.directions) > 0.01


@pytest.mark.parametrize("stratum", ENTRIES, ids=name_of)
def test_the_conditions_are_independent(stratum):
    found = stratum.codimension_at(stratum.member(2).positions)
    assert found.rank == stratum.codimension and found.gap[1] > 1e-3


@pytest.mark.parametrize("stratum", [s for s in ENTRIES if s.draw is not None], ids=name_of)
def test_rational_members_are_exact(stratum):
    rows = stratum.rational_member(3)
    assert all(isinstance(v, Fraction) for row in rows for v in row)
    assert [condition.value(rows) for condition in stratum.conditions] == [0] * stratum.codimension


def test_codimensions_are_those_of_theory():
    for n in (4, 5, 6):
        entries = strata(n)
        assert [entries[f"A_{k}"].codimension for k in range(1, n - 2)] == [n - 1] * (n - 3)
        assert entries["opposite heights"].codimension == n - 1
        pairs = [s for s in entries.values() if s.name.endswith((",1", "twofold 1"))]
        assert len(pairs) == max(n - 4, 0) + (n > 4) and all(s.codimension == n for s in pairs)
        assert entries["D"].codimension == entries["equal angles"].codimension == 2 * n - 4
        assert min(s.codimension for s in entries.values() if s.name != "planar") == n - 1
    assert strata(7, nu=3)["rings"].codimension == 13


def test_impossible_requests_are_refused():
    with pytest.raises(SizeError, match="n_neighbors is 3"):
        strata(3)
    with pytest.raises(BasisError, match="nu is 4"):
        strata(5, nu=4)
    with pytest.raises(GeometryError, match="no rational parametrization"):
        strata(7)["cones 3 + 3"].rational_member()
    with pytest.raises(GeometryError, match="two groups of three"):
        breathing(7, size=3)
