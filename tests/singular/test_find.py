"""Searches from start to classification; bad starts; points known in closed form."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from null_checks import counts_within
from toy_features import COMPLETE, PAIR, batch, pairs

import jaxfeat
from jaxfeat import Cure, Environment, PowerSpectrum, find_singular_points, manifolds, null_space
from jaxfeat.errors import BasisError, GeometryError, PrecisionError
from jaxfeat.manifolds.manifold import AbstractManifold, Parameter, rows
from jaxfeat.singular.search_space import Free

POWER = PowerSpectrum(("C", "H"), n_max=3, l_max=6, sigma=0.4)
BOUNDS = Free(radii=(0.6, 2.0), min_distance=0.4)


def planar(rng):
    """Four neighbors next to a plane, in which they have nothing in common."""
    angles = np.asarray([0.0, 1.3, 2.9, 4.4]) + rng.uniform(-0.2, 0.2, 4)
    radii = np.asarray([0.9, 1.1, 1.25, 1.4])
    return np.column_stack([radii * np.cos(angles), radii * np.sin(angles), 0.05 * rng.normal(size=4)])


@pytest.fixture(scope="module")
def starts():
    """A published methane, pairs, planar ones; then four bad ones."""
    rng = np.random.default_rng(3)
    good = [np.asarray(manifolds.prl_methane(1)(0.725 * np.pi, 0.025 * np.pi).positions)]
    good += [*pairs(0.02), planar(rng)]
    lost, merged, far, center = (planar(rng) for _ in range(4))
    lost[1, 2] = np.nan
    merged[2] = merged[0]
    far[0] *= 3
    center[1] = 0
    return batch(np.asarray([good[0], lost, good[1], merged, far, good[2], center, good[3]]))


BAD = {1: "non-finite", 3: "coincident", 4: "out-of-bounds", 6: "coincident"}
GOOD = [0, 2, 5, 7]


@pytest.fixture(scope="module")
def found(starts):
    return find_singular_points(POWER, starts, constraints=BOUNDS)


def test_each_start_has_a_status(found, starts):
    assert [str(found.status[i]) for i in BAD] == list(BAD.values())
    assert found.landed.tolist() == [i in GOOD for i in range(8)], found
    for i in BAD:
        np.testing.assert_array_equal(found.positions[i], starts.positions[i])
        assert found.null_space[i] is None and found.dimension[i] == -1 and np.isnan(found.sigma_ratio[i])
        with pytest.raises(GeometryError, match=f"start {i} landed on no singular point"):
            found.cure(i)
    assert "4 landed" in repr(found)


def test_landed_points_are_singular(found, starts):
    jacobian = jaxfeat.jacobian(POWER, starts[np.asarray(GOOD)].with_positions(found.positions[GOOD]))
    sigma = np.linalg.svd(np.asarray(jacobian).reshape(4, -1, 12), compute_uv=False)
    # The last three are those of rotations.
    assert (sigma[:, 8] <= 1e-13 * sigma[:, 0]).all() and (found.sigma_ratio[GOOD] <= 1e-13).all()
    assert (found.residual[GOOD] <= 1e-13).all() and (found.accuracy[GOOD] <= 1e-10).all()
    x, v = found.positions[GOOD], found.directions[GOOD]
    np.testing.assert_allclose(np.linalg.norm(v, axis=(1, 2)), 1, atol=1e-12)
    np.testing.assert_allclose(np.cross(x, v).sum(1), 0, atol=1e-12)
    radii = np.linalg.norm(x, axis=-1)
    assert radii.min() >= 0.6 - 1e-8 and radii.max() <= 2.0 + 1e-8
    assert np.abs(x - starts.positions[np.asarray(GOOD)]).max() < 0.3


def test_causes_and_dimensions(found):
    causes = [found.null_space[i].counts for i in GOOD]
    assert [null.status for null in (found.null_space[i] for i in GOOD)] == ["ok"] * 4
    assert [c["incompleteness"] for c in causes] == [1, 1, 1, 0]
    assert found.counts("symmetry").tolist() == [0] * 7 + [2]
    # A member of the pair family where it coalesces has six parameters; a planar environment four radii, three angles.
    assert found.dimension[[2, 5, 7]].tolist() == [6, 6, 7]
    assert found.cure(2) == {"incompleteness": Cure("incompleteness", 1, order=3)}


def test_the_published_grid_leads_to_a_spurious_point(found):
    assert found.restarts[0] == 0 and found.iterations[0] <= 15
    assert found.null_space[0].incompleteness == 1
    assert found.cure(0) == {"incompleteness": Cure("incompleteness", 1, order=3)}


def check_rounded(f, starts, found):
    """Check that points which are written keep the causes that they had, in all digits and in eight of them."""
    for i in np.flatnonzero(found.landed):
        causes = {cause: n for cause, n in found.null_space[i].counts.items() if n and cause != "rigid"}
        for digits in (16, 8):
            written = [[float(f"{x:.{digits - 1}e}") for x in row] for row in found.positions[i].tolist()]
            null = null_space(f, starts[i].with_positions(jnp.asarray(written)))
            assert null.status == "ok", (i, digits, null.reason)
            assert counts_within(null, 1e-6) == causes, (i, digits, null.near)


def test_points_that_are_written_keep_their_causes(found, starts):
    check_rounded(POWER, starts, found)


def test_bad_starts_touch_no_other(found, starts):
    alone = find_singular_points(POWER, starts[np.asarray([0, 0, 2, 2, 5, 5, 7, 7])], constraints=BOUNDS)
    assert alone.landed.all()
    np.testing.assert_allclose(alone.positions[::2], alone.positions[1::2], atol=1e-9)
    assert [members.tolist() for members in alone.distinct] == [[0, 1], [2, 3], [4, 5], [6, 7]]
    again = find_singular_points(
        POWER, eqx.tree_at(lambda e: e.positions, starts, starts.positions), constraints=BOUNDS
    )
    np.testing.assert_array_equal(again.positions[GOOD], found.positions[GOOD])


def test_symmetric_points_are_excluded():
    """Next to a plane, the nearest singular point is planar; without those, it is a spurious one."""
    rng = np.random.default_rng(5)
    starts = batch(np.asarray([planar(rng) for _ in range(8)]))
    any_ = find_singular_points(COMPLETE, starts, constraints=BOUNDS)
    assert any_.landed.all() and (any_.counts("symmetry") > 0).all()
    spurious = find_singular_points(COMPLETE, starts, constraints=BOUNDS, exclude="symmetric", restarts=3)
    assert spurious.landed.sum() >= 6, spurious
    assert (spurious.counts("symmetry") == 0).all()
    assert (spurious.counts("incompleteness")[spurious.landed] > 0).all()
    check_rounded(COMPLETE, starts, spurious)


def test_what_is_fixed_stays_and_padding_changes_nothing():
    fixed = np.zeros((5, 3), bool)
    fixed[0] = fixed[2, 1] = True
    starts = batch(pairs(0.02)).padded(5)
    found = find_singular_points(COMPLETE, starts, constraints=Free((0.4, 2.0), 0.4, fixed))
    assert found.landed.all() and found.counts("incompleteness").tolist() == [1, 1]
    moved = np.abs(found.positions - starts.positions)
    assert (moved[:, fixed] == 0).all() and (moved.max((1, 2)) > 1e-3).all()
    assert (found.positions[:, 4] == 0).all() and (found.directions[:, 4] == 0).all()
    # Six parameters and three rotations, of which fixing four coordinates, so that nothing turns any more, leaves five.
    assert found.dimension.tolist() == [5, 5]


class Pairs(AbstractManifold):
    """Two parameters of the pair family."""

    parameters: tuple[Parameter, ...] = (Parameter("cx", -1.0, -0.5, "Å"), Parameter("cy", -0.5, 0.9, "Å"))

    def __call__(self, cx, cy):
        ax, az, bx, by, bz, _, _ = PAIR
        positions = rows((ax, 0.0, az), (bx, by, bz), (bx, -by, -bz), (cx, cy, 0.0))
        return Environment.from_neighbors(positions, ["H"] * 4, "C")


def test_a_manifold_is_searched_in_its_parameters():
    starts = np.asarray([(-0.7, 0.3), (-0.8, -0.2), (-0.7, 2.0), (np.nan, 0.1)])
    found = find_singular_points(COMPLETE, starts, constraints=Pairs())
    assert found.status.tolist() == ["landed", "landed", "out-of-bounds", "non-finite"]
    # The family is singular on the line cy = 0.
    np.testing.assert_allclose(found.parameters[:2, 1], 0, atol=1e-12)
    np.testing.assert_allclose(found.positions[0], Pairs()(*found.parameters[0]).positions, atol=1e-14)
    assert found.dimension[:2].tolist() == [1, 1]


def test_no_singular_point_is_made_up():
    """Distances from the center see everything that one neighbor can do, but for its rotations."""
    f = jaxfeat.function(lambda x, species, mask: jnp.sum(x * x, -1), nu=1)
    found = find_singular_points(f, batch(np.asarray([[(0.3, 0.4, 1.0)]])), restarts=2, optimizer=optax.sgd(1e-3))
    assert found.status.tolist() == ["not-singular"] and found.restarts.tolist() == [2]
    assert found.distinct == () and found.null_space == [None]


def test_what_cannot_be_searched_says_so():
    env = batch(pairs(0.1, b=1))
    with pytest.raises(BasisError, match='exclude is "planar"'.replace('"', "'")):
        find_singular_points(COMPLETE, env, exclude="planar")
    with pytest.raises(GeometryError, match="a batch of environments"):
        find_singular_points(COMPLETE, env[0])
    with pytest.raises(PrecisionError, match="float64"):
        find_singular_points(COMPLETE, env.with_positions(env.positions.astype(jnp.float32)))
    empty = Environment.from_neighbors(np.zeros((0, 3)), [], "C").padded(4)
    found = find_singular_points(COMPLETE, jax.tree.map(lambda leaf: leaf[None], empty))
    assert found.status.tolist() == ["empty"]
    assert null_space(COMPLETE, env[0]).incompleteness == 0
