"""The radius of environments must suit the featurizer that describes them, and is taken from it."""

import ase.io
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ase.build import molecule

import jaxfeat
from jaxfeat import Environment, cutoffs
from jaxfeat.errors import GeometryError
from jaxfeat.nulls.scan import scan

ETHANOL = molecule("CH3CH2OH")
ETHANOL.rattle(0.05, seed=1)


F = jaxfeat.RadialSpectrum(("C", "H", "O"), r_cut=3.0, n_max=2, sigma=0.5)


NO_WINDOW = eqx.tree_at(lambda f: f.cutoff, F, cutoffs.NoCutoff())


CALLS = {
    "features": lambda f, env: f(env),
    "jacobian": jaxfeat.jacobian,
    "spectrum": jaxfeat.singular_spectrum,
    "null space": jaxfeat.null_space,
    "scan": scan,
    "sweep": jaxfeat.sweep,
    "stacked": lambda f, _: jaxfeat.stacked(f)(jaxfeat.structures(ETHANOL, 2.0)),
    "jacobian of a sum": lambda f, _: jaxfeat.jacobian(jaxfeat.summed(f), jaxfeat.structures([ETHANOL], 2.0)),
}


@pytest.mark.parametrize("name", CALLS)
def test_environments_cut_short_are_refused(name):
    env = jaxfeat.environments(ETHANOL, 2.0)
    with pytest.raises(GeometryError, match="cut at 2 Å, and r_cut of the featurizer is 3 Å: atoms in between"):
        CALLS[name](F, env)


def test_frames_cut_short_are_refused_before_they_are_read(tmp_path):
    ase.io.write(tmp_path / "m.xyz", ETHANOL)
    for out in (None, tmp_path / "s.zarr"):
        with pytest.raises(GeometryError, match="cut at 2 Å"):
            jaxfeat.sweep(F, jaxfeat.frames(tmp_path / "m.xyz", 2.0), out=out)
    assert not (tmp_path / "s.zarr").exists()


def test_a_larger_radius_serves_a_window_and_no_other():
    near, far, short = (jaxfeat.environments(ETHANOL, r_cut) for r_cut in (3.0, 4.5, 2.9))
    assert np.asarray(far.mask).sum() > np.asarray(near.mask).sum()
    values = np.asarray(F(near))
    np.testing.assert_allclose(F(far), values, rtol=0, atol=1e-14 * np.abs(values).max())
    with pytest.raises(GeometryError, match=r"cut at 4.5 Å, and r_cut of the featurizer is 3 Å: its cutoff would let"):
        NO_WINDOW(far)
    with pytest.raises(GeometryError, match="atoms in between are missing"):
        NO_WINDOW(short)
    NO_WINDOW(near)
    # Neighbors that are given were not cut.
    NO_WINDOW(Environment.from_neighbors(5 * np.eye(3), ["H"] * 3, "C"))
    # Float32 rounds a radius.
    F(eqx.tree_at(lambda env: env.r_cut, near, jnp.full(len(near), 3 - 2e-7, float)))


def test_inside_jit_there_is_a_status():
    near, far, short = (jaxfeat.environments(ETHANOL, r_cut, [0]).padded(8)[0] for r_cut in (3.0, 4.5, 2.0))
    given = eqx.tree_at(lambda env: env.r_cut, near, jnp.asarray(np.inf))
    none = eqx.tree_at(lambda env: env.r_cut, near, jnp.asarray(0.0))
    batch = jax.tree.map(lambda *leaves: jnp.stack(leaves), near, far, short, given, none)
    status = jax.vmap(lambda env: jaxfeat.singular_spectrum(NO_WINDOW, env, directions=False).status)(batch)
    assert status.names.tolist() == ["ok", "wrong-radius", "wrong-radius", "ok", "unsearchable"]
    assert jax.vmap(F.accepts_radius)(batch).tolist() == [True, True, False, True, False]


def test_the_radius_is_taken_from_the_featurizer(tmp_path):
    ase.io.write(tmp_path / "m.xyz", ETHANOL)
    ethanol = ase.io.read(tmp_path / "m.xyz")
    expected = jaxfeat.environments(ethanol, 3.0, ["C"])

    def same(found, expected):
        for mine, theirs in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
            np.testing.assert_array_equal(mine, theirs)

    for arguments, options in (
        ((F, ["C"]), {}), ((F, "C"), {"r_cut": 3.0}), ((), {"r_cut": 3.0, "centers": "C"}),
        ((jaxfeat.summed(F), "C"), {}), ((3.0, "C"), {"r_cut": np.float32(3.0)}),
    ):  # fmt: skip
        same(jaxfeat.environments(ethanol, *arguments, **options), expected)
    same(jaxfeat.structures(ethanol, jaxfeat.stacked(F)), jaxfeat.structures(ethanol, r_cut=3.0))
    (block,) = jaxfeat.frames(tmp_path / "m.xyz", F, "C").batches(0)
    same(block, expected)
    assert jaxfeat.frames("random-methane:2", r_cut=3.0).r_cut == 3.0


@pytest.mark.parametrize(
    "arguments, options, message",
    [
        ((F,), {"r_cut": 5.0}, "given as 3 Å and as 5 Å; give it once"),
        ((4.0,), {"r_cut": 5.0}, "given as 4 Å and as 5 Å; give it once"),
        ((), {}, "no radius is given; give r_cut in Å, or the featurizer"),
        ((jaxfeat.function(lambda r, z, m: r[:, 0]),), {}, "a FunctionFeaturizer has no r_cut to take the radius from"),
        ((F,), {"r_cut": -1.0}, "r_cut is -1.0; give a positive number"),
    ],
)
def test_radii_that_are_none_or_two_are_refused(arguments, options, message):
    for make in (jaxfeat.environments, jaxfeat.structures):
        with pytest.raises(GeometryError, match=message):
            make(ETHANOL, *arguments, **options)
    with pytest.raises(GeometryError, match=message):
        jaxfeat.frames("s22", *arguments, **options)
