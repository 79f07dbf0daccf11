"""Checks of null spaces and of what is nearly null, and the counts and families of benchmarks/near_causes.py."""

import importlib.util
from pathlib import Path

import numpy as np

from jaxfeat.nulls.causes import CAUSES
from jaxfeat.nulls.jacobian_nulls import decompose_jacobian


def _benchmark(name):
    spec = importlib.util.spec_from_file_location(name, Path(__file__).parents[1] / "benchmarks" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


NEAR_CAUSES = _benchmark("near_causes")
count_causes = NEAR_CAUSES.count_causes
FAMILIES = NEAR_CAUSES.families()


def counts_within(found, distance):
    """Add the groups within a distance (Å) to the counts of a null space, without rigid motions."""
    counts = {cause: n for cause, n in found.counts.items() if cause != "rigid"}
    for one in found.near:
        if one.distance <= distance:
            counts[one.cause] += len(one.directions)
    return {cause: n for cause, n in counts.items() if n}


def check_near(found, f, at):
    """Check everything that must hold of null directions and of nearly null ones. Return the null space."""
    n = at.positions.shape[-2]
    assert found.status == "ok", found.reason
    assert sum(found.counts.values()) == found.nullity
    jacobian = decompose_jacobian(f, at).matrix.reshape(-1, 3 * n)
    largest = np.linalg.norm(jacobian, 2)
    null = np.concatenate([found.directions[cause] for cause in CAUSES]).reshape(-1, 3 * n)
    # Next to a line the shortest rotation is known to few digits, and the floor says to how many.
    assert np.abs(jacobian @ null.T).max(initial=0) < max(1e-12, found.floor["jacobian"]) * largest
    beyond = null[found.rigid :]
    near = np.concatenate([np.zeros((0, n, 3)), *(group.directions for group in found.near)]).reshape(-1, 3 * n)
    rows = np.concatenate([beyond, near])
    np.testing.assert_allclose(rows @ rows.T, np.eye(len(rows)), atol=1e-9)
    assert not np.any(rows.reshape(-1, n, 3)[:, ~np.asarray(at.mask)])
    assert [group.distance for group in found.near] == sorted(group.distance for group in found.near)
    for group in found.near:
        assert len(group.directions) == len(group.sigma) > 0 and (np.diff(group.sigma) <= 0).all()
        seen = np.linalg.norm(jacobian @ group.directions.reshape(-1, 3 * n).T, axis=0)
        np.testing.assert_allclose(seen, group.sigma, rtol=1e-9, atol=1e-14 * largest)
        moved = np.linalg.norm(np.asarray(group.geometry.positions) - np.asarray(at.positions), axis=1)
        np.testing.assert_allclose(moved.max(), group.distance, rtol=1e-6, atol=1e-15)
        assert not moved[~np.asarray(at.mask)].any()
        assert (group.order is None) == (group.cause != "incompleteness")
        assert bool(group.symbol) or group.cause != "symmetry"
    return found
