import jax
import jax.numpy as jnp
import numpy as np

from jaxfeat.linalg.lanes import contract_lanes, in_lanes


def test_nested_maps_make_one_batch_of_lanes():
    seen = []

    @in_lanes
    def scaled(factor, x):
        seen.append(x.shape)
        return factor * x.sum(0)

    x, factor = np.arange(24.0).reshape(2, 3, 4), np.asarray(2.0)
    wanted = 2 * x.sum(-1)
    np.testing.assert_array_equal(jax.vmap(jax.vmap(scaled, (None, 0)), (None, 0))(factor, x), wanted)
    assert seen[-1] == (4, 6)
    np.testing.assert_array_equal(scaled(factor, x[0, 0]), wanted[0, 0])
    # The shared argument may be mapped over, too.
    np.testing.assert_array_equal(jax.vmap(scaled, (0, None))(np.asarray([1.0, 2.0]), x[0, 0]), wanted[0, 0] / [2, 1])
    by_row = jax.vmap(jax.vmap(scaled, (None, 0)))(np.asarray([1.0, 2.0]), x)
    np.testing.assert_array_equal(by_row, wanted / [[2], [1]])


def test_contractions_are_those_of_einsum():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 3, 4, 5)), rng.normal(size=(4, 6, 5))
    np.testing.assert_allclose(
        contract_lanes(jnp.asarray(a), jnp.asarray(b)), np.einsum("xyjb,jkb->xykb", a, b), atol=1e-14
    )
