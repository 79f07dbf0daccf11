"""Each change that is said to lift null directions lifts them."""

import numpy as np
import pytest
from null_cases import TETRAHEDRON, rotated
from null_checks import FAMILIES

import jaxfeat
from jaxfeat import Environment, PowerSpectrum, null_space
from jaxfeat.nulls.exact_point import examine_point
from jaxfeat.nulls.jacobian_nulls import decompose_jacobian
from jaxfeat.nulls.lift import find_lift, find_order, find_sizes, write_sizes

POWER = PowerSpectrum(("H",), n_max=4, l_max=6, radial="laplacian")


def around(positions):
    return Environment.from_neighbors(np.asarray(positions, float), ["H"] * len(positions), "H")


def disturbed(points, distance, seed=0):
    rng = np.random.default_rng(seed)
    return around(rotated(points, rng) + distance * rng.normal(size=points.shape))


def examined(f, at):
    return examine_point(f, at, decompose_jacobian(f, at))


@pytest.mark.parametrize("noise", [1e-6, 1e-3])
@pytest.mark.parametrize(("name", "size"), [("pair", 1), ("rings", 6)])
def test_near_incomplete_points_name_the_order_that_sees_them(name, size, noise):
    """At the point where order 2 is blind, next to a family where order 3 may be blind too."""
    (group,) = null_space(POWER, disturbed(FAMILIES[name], noise)).near
    assert (group.cause, group.order, len(group.directions)) == ("incompleteness", 2, size)
    order = int(group.lifted_by.removeprefix("ν = "))
    hidden = [jaxfeat.complete_kernel(group.geometry, nu, tolerance=1e-9).nullity - 3 for nu in range(2, order + 1)]
    assert hidden[0] == size and min(hidden[:-1]) > hidden[-1] == 0


@pytest.mark.parametrize("noise", [1e-6, 1e-4])
@pytest.mark.parametrize(("n_max", "l_max", "seed"), [(2, 3, 4), (3, 1, 0)])
def test_near_truncated_points_name_a_size_that_lifts_them(n_max, l_max, seed, noise):
    """The point is found from 0.1 Å away, and again from positions that are disturbed."""
    f = PowerSpectrum(("H",), n_max=n_max, l_max=l_max, include_center=False)
    rng = np.random.default_rng(seed)
    positions = rng.normal(size=(4, 3))
    start = around(rng.uniform(0.9, 1.5, (4, 1)) * positions / np.linalg.norm(positions, axis=1, keepdims=True))
    (exact,) = (group.geometry for group in null_space(f, start, 0.3).near if group.cause == "truncation")
    assert null_space(f, exact).counts["truncation"] == 1
    moved = exact.with_positions(np.asarray(exact.positions) + noise * rng.normal(size=(4, 3)))
    found = null_space(f, moved, 0.02)
    (group,) = found.near
    assert found.truncation == 0 and (group.cause, len(group.directions)) == ("truncation", 1)
    assert group.distance < 3 * noise
    ((name, size),) = [(name, int(size)) for name, size in [group.lifted_by.split(" >= ")]]
    for larger, left in ((size, 0), (size - 1, 1)):
        sizes = {"n_max": n_max, "l_max": l_max} | {name: larger}
        assert null_space(f.with_sizes(**sizes), group.geometry).truncation == left


@pytest.mark.parametrize("cause", ["locality", "symmetry", "other"])
def test_other_causes_are_lifted_by_reach_or_by_nothing(cause):
    point = examined(POWER, around(TETRAHEDRON))
    assert find_lift(point, cause, point.causes()["symmetry"]) == ("a larger r_cut" if cause == "locality" else "")


def test_orders_are_tried_in_turn():
    point = examined(POWER, around(FAMILIES["rings"]))
    directions = point.causes()["incompleteness"]
    floor = point.decomposed.gap_and_floor()[1]
    assert find_order(point.sites, 2, directions, floor) == (4, "ν = 3 leaves 1 of 6")
    assert find_order(point.sites, 4, directions, floor) == (None, "a higher ν could not be tried")
    tetrahedron = examined(POWER, around(TETRAHEDRON))
    assert find_order(tetrahedron.sites, 2, tetrahedron.causes()["symmetry"], floor) == (None, "ν = 4 does not lift it")
    # One of both can be lifted, and the other one not.
    both = np.concatenate([directions[:1], point.filtration.rigid[:1]])
    assert find_order(point.sites, 2, both, floor)[1].endswith("ν = 4 leaves 1 of 2)")


def test_sizes_are_the_smallest_that_lift_and_none_is_made_up():
    directions = np.random.default_rng(7).normal(size=(4, 3))
    at = around(1.09 * directions / np.linalg.norm(directions, axis=1, keepdims=True))
    f = PowerSpectrum(("H",), n_max=2, l_max=3)
    n_null = null_space(f, at).nullity
    assert null_space(f, at).truncation == n_null - 3 > 0
    sizes, reason = find_sizes(f, at, 3)
    assert reason == "" and null_space(f.with_sizes(**sizes), at).nullity == 3
    ((name, size),) = sizes.items()
    assert null_space(f.with_sizes(**{name: size - 1}), at).nullity > 3
    # No basis lifts what symmetry hides.
    sizes, reason = find_sizes(f, around(TETRAHEDRON), 3)
    assert sizes is None and reason == "n_max = 8 and l_max = 9 do not lift it"


def test_sizes_are_written_as_bounds():
    assert write_sizes({"l_max": 7}) == "l_max >= 7" and write_sizes({}) == ""
    assert write_sizes({"l_max": 7, "n_max": 5}) == "l_max >= 7 with n_max >= 5"
