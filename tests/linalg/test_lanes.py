import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxfeat.linalg.lanes import contract_lanes, in_lanes, inside_transformation


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


@in_lanes
def mixed(factor, each):
    """Compute a function that is nonlinear in all of its arguments, with a loop."""
    x, shift = each
    y = jax.lax.fori_loop(0, 2, lambda k, y: jnp.sin(y) * factor[:, None] + x[k] * shift[None], x.sum(0) * shift[None])
    return y, jnp.sum(y**3, 0)


def mixed_plainly(factor, x, shift):
    """Compute the same for one item in plain JAX."""
    y = x.sum(0) * shift
    for k in range(2):
        y = jnp.sin(y) * factor + x[k] * shift
    return y, jnp.sum(y**3, 0)


def assert_same(found, wanted):
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)


DERIVATIVES = {
    "jacfwd": lambda f: jax.jacfwd(f, (0, 1, 2)),
    "jacrev": lambda f: jax.jacrev(f, (0, 1, 2)),
    "forward over reverse": lambda f: jax.jacfwd(jax.jacrev(f, 1), (0, 2)),
    "reverse over forward": lambda f: jax.jacrev(jax.jacfwd(f, 1), (0, 2)),
    "reverse over reverse": lambda f: jax.jacrev(jax.jacrev(f, 1), (0, 2)),
}


@pytest.mark.parametrize("name", DERIVATIVES)
def test_derivatives_are_those_of_plain_jax(name):
    rng = np.random.default_rng(0)
    factor, x, shift = rng.normal(size=3), rng.normal(size=(2, 4, 2, 3)), rng.normal(size=(2, 4))
    ours = DERIVATIVES[name](lambda factor, x, shift: mixed(factor, (x, shift)))
    plain = DERIVATIVES[name](mixed_plainly)
    assert_same(jax.jit(ours)(factor, x[0, 0], shift[0, 0]), jax.jit(plain)(factor, x[0, 0], shift[0, 0]))
    nested = lambda f: jax.jit(jax.vmap(jax.vmap(f, (None, 0, 0)), (None, 0, 0)))  # noqa: E731
    assert_same(nested(ours)(factor, x, shift), nested(plain)(factor, x, shift))


def test_cotangents_of_shared_arrays_are_summed_over_the_lanes():
    rng = np.random.default_rng(1)
    factor, x, shift = rng.normal(size=3), rng.normal(size=(4, 2, 3)), rng.normal(size=4)

    def total(f):
        both = jax.vmap(f, (None, 0, 0))
        return jax.jit(jax.hessian(lambda *at: sum(jnp.sum(y) for y in both(*at)), (0, 1, 2)))

    found = total(lambda factor, x, shift: mixed(factor, (x, shift)))(factor, x, shift)
    assert_same(found, total(mixed_plainly)(factor, x, shift))


def test_integers_pass_through_derivatives():
    counted = in_lanes(lambda count, each: (count + each[0].astype(jnp.int32), 2 * each[1]))
    x = np.arange(6.0).reshape(3, 2)
    count = np.int32(2)
    (n, y), (_, change) = jax.vmap(lambda x: jax.jvp(lambda x: counted(count, (x[0], x[1])), (x,), (x,)))(x)
    np.testing.assert_array_equal(n, 2 + x[:, 0])
    np.testing.assert_array_equal(y, 2 * x[:, 1])
    np.testing.assert_array_equal(change, 2 * x[:, 1])


@pytest.mark.parametrize("transformation", [jax.jit, jax.vmap, jax.jacfwd, jax.grad])
def test_transformations_are_noticed_even_without_traced_arguments(transformation):
    seen = []

    def f(x):
        seen.append(inside_transformation())
        return jnp.sum(x)

    assert not inside_transformation()
    transformation(f)(jnp.ones(2))
    assert seen == [True]
