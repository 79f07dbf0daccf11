"""Look-alikes: degenerate pairs are found and told apart, copies are not pairs, and ratios have their meaning."""

import jax
import numpy as np
import pytest
from ase.build import molecule
from scipy.spatial.transform import Rotation
from toy_features import PAIR

import jaxfeat
from jaxfeat import Bispectrum, Environment, PowerSpectrum, manifolds
from jaxfeat.errors import GeometryError
from jaxfeat.inverse.alike import collect, make_search, run_search

POWER = PowerSpectrum(("C", "H"), n_max=3, l_max=2)
RINGS = (1.2, (0.0, 1.1, -1.6), 0.6, 0.7, 1.3)


def turned(env, seed, sign=1.0):
    """Turn an environment, shuffle its neighbors, and invert it if the sign is -1."""
    x = sign * np.asarray(env.positions) @ Rotation.random(random_state=seed).as_matrix().T
    return Environment.from_neighbors(np.random.default_rng(seed).permutation(x), ["H"] * len(x), "C")


def degenerate(others=2):
    pair = [manifolds.pair_family(*PAIR, sign) for sign in (1, -1)]
    rings = [manifolds.ring_pair(*RINGS, sign) for sign in (1, -1)]
    images = [turned(pair[0], 7), turned(pair[0], 8, -1.0)]
    known = [turned(env, k) for k, env in enumerate([*pair, *rings])]
    return Environment.stack([*known, *images, *manifolds.random_methane(jax.random.key(0), others)])


@pytest.fixture(autouse=True, scope="module")
def few_pairs_in_the_background():
    """Overlays of pairs that only show what is usual take most of the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("jaxfeat.inverse.alike_search.BACKGROUND", 20)
        yield


@pytest.fixture(scope="module")
def found():
    return jaxfeat.alike(POWER, degenerate(), count=3)


def test_degenerate_pairs_are_found_and_told_apart_by_the_next_order(found):
    by_pair = {(one.first, one.second): one for one in found.pairs}
    for first, order in ((0, 3), (2, 4)):
        one = by_pair[first, first + 1]
        assert one.equal and one.ratio < 1e-12 and one.distance > 0.5
        assert (one.cause, one.order) == ("incompleteness", order) and one.order_ratio > 0.01
        # No basis of the same order tells them apart.
        assert one.larger_ratio == 0 and one.sizes == {"n_max": 7, "l_max": 6}
    assert not found.pairs[2].equal and found.pairs[2].ratio > 1e-3
    assert found.complete and "ratio" in repr(found) and "ν = 4" in repr(by_pair[2, 3])


def test_the_first_environment_is_turned_onto_the_second(found):
    batch = degenerate()
    for one in found.pairs[:2]:
        second = batch[one.second]
        n = int(one.turned.mask.sum())
        moved = (np.asarray(one.turned.positions) + one.moves)[:n]
        if not one.unmatched:
            targets = np.asarray(second.positions)[np.asarray(second.mask)]
            assert np.linalg.norm(moved[:, None] - targets, axis=-1).min(1).max() < 1e-9
            np.testing.assert_allclose(np.linalg.norm(one.moves), one.distance)
        np.testing.assert_allclose(POWER(one.turned), POWER(batch[one.first]), atol=1e-12)


def test_copies_and_mirror_images_are_no_pairs(found):
    assert found.copy_of[:6].tolist() == [0, 1, 2, 3, 0, 0] and found.n_copies == 1
    assert np.flatnonzero(found.mirrored).tolist() == [5]
    (image,) = found.mirror_images
    assert (image.first, image.second) == (0, 5) and image.distance < 1e-6 and image.equal
    assert not {4, 5} & {index for one in found.pairs for index in (one.first, one.second)}


def test_pseudoscalars_tell_mirror_images_apart():
    f = Bispectrum(("C", "H"), n_max=2, l_max=1, pseudoscalars=True)
    pair = [turned(manifolds.pair_family(*PAIR, 1), k, sign) for k, sign in enumerate((1.0, -1.0))]
    search = make_search(f, Environment.stack(pair), 2, 1e-4, 8)
    run_search(search, None)
    found = collect(search, tell=False)
    # In this small basis features hardly differ, and the pair is still no copy.
    assert found.n_copies == 0 and not found.mirrored.any() and len(found.pairs) + len(found.mirror_images) == 1
    assert (found.pairs or found.mirror_images)[0].distance > 0.1


def test_rotated_molecules_are_copies_and_nothing_else_is_equal():
    atoms = []
    for name in ("CH3OH", "H2O", "CH4"):
        for seed in range(2):
            one = molecule(name)
            one.positions = one.positions @ Rotation.random(random_state=seed).as_matrix().T
            atoms.append(one)
    f = PowerSpectrum(("C", "H", "O"), n_max=3, l_max=2)
    batch = jaxfeat.environments(atoms, f)
    search = make_search(f, batch, 3, 1e-4, 4)
    run_search(search, None)
    found = collect(search, tell=False)
    # Five atoms of methanol, two of water and two of methane are distinct. The two hydrogens off the mirror plane of
    # methanol are mirror images, and the second molecule repeats both.
    assert found.n_copies == 28 - 9 - 2 and found.mirrored.sum() == 2
    assert min(one.ratio for one in found.pairs) > 0.01 and not any(one.equal for one in found.pairs)


def test_the_ratio_of_a_small_displacement_is_that_of_the_jacobian():
    env = manifolds.random_methane(jax.random.key(3), 1)[0]
    near = env.with_positions(env.positions + 1e-3 * jax.random.normal(jax.random.key(4), env.positions.shape))
    search = make_search(POWER, Environment.stack([env, near]), 1, 1e-6, 8)
    run_search(search, None)
    (one,) = collect(search, tell=False).pairs
    jacobian = np.asarray(jaxfeat.jacobian(POWER, one.turned))
    columns, lengths = np.linalg.norm(jacobian, axis=(0, 2)), np.linalg.norm(one.moves, axis=1)
    change = np.linalg.norm(np.einsum("dnx,nx->d", jacobian, one.moves))
    np.testing.assert_allclose(one.feature_distance, change, rtol=0.02)
    # The mean over 32 random displacements.
    np.testing.assert_allclose(one.ratio, change / np.sqrt((lengths**2 * columns**2).sum() / 3), rtol=0.3)
    assert 1e-4 < one.distance < 5e-3


def test_an_interrupted_search_ranks_what_is_done():
    search = make_search(POWER, manifolds.random_methane(jax.random.key(1), 5), 3, 1e-4, 4)
    search.describe(lambda done, total: None)
    search.separate(lambda done, total: None)

    def press(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search.overlay_pairs(press)
    found = collect(search, tell=False)
    assert not found.complete and len(found.pairs) == 3 and found.pairs[0].cause == "not tried"


@pytest.mark.parametrize("arguments", [{"count": 0}, {"tolerance": 0.0}, {"nearest": 0}])
def test_numbers_are_positive(arguments):
    with pytest.raises(GeometryError, match="give a positive number"):
        jaxfeat.alike(POWER, degenerate(1), **arguments)


def test_one_environment_is_no_batch():
    with pytest.raises(GeometryError, match="batch"):
        jaxfeat.alike(POWER, manifolds.pair_family(*PAIR, 1))
