"""Small problems side by side against NumPy, one by one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxfeat.linalg import lapack
from jaxfeat.linalg.batching import map_blocks_in_two_steps
from jaxfeat.linalg.eigen import psd_eigenvalues
from jaxfeat.linalg.gram import gram_matrix
from jaxfeat.linalg.jit import tuned_jit
from jaxfeat.linalg.lanes import in_lanes
from jaxfeat.linalg.svd import right_svd
from jaxfeat.linalg.triangular import r_factor


def graded(shape, seed=0):
    """Random matrices with singular values from 1 down to 1e-15 and some zeros."""
    *batch, m, c = shape
    rng = np.random.default_rng(seed)
    u = np.linalg.qr(rng.normal(size=(*batch, m, c)))[0]
    v = np.linalg.qr(rng.normal(size=(*batch, c, c)))[0]
    sizes = np.geomspace(1, 1e-15, c) * (np.arange(c) < c - 1)
    return (u * sizes) @ v


@pytest.mark.parametrize("shape", [(5, 30, 7), (5, 4, 7), (3, 40, 20), (3, 80, 70), (3, 40, 70)])
def test_triangles_keep_singular_values_and_right_vectors(shape):
    matrices = np.random.default_rng(1).normal(size=shape)
    matrices[0, :, 1] = matrices[0, :, 0]
    matrices[1] = 0
    r = np.asarray(jax.jit(jax.vmap(r_factor))(matrices))
    assert r.shape[1:] == (min(shape[1:]), shape[2])
    np.testing.assert_array_equal(r, np.triu(r))
    np.testing.assert_allclose(r.swapaxes(1, 2) @ r, matrices.swapaxes(1, 2) @ matrices, atol=1e-13)


def test_gram_matrices_are_those_of_numpy():
    for shape in ((3, 30, 5), (3, 30, 20), (3, 4, 0)):
        matrices = np.random.default_rng(1).normal(size=shape)
        found = np.asarray(jax.vmap(gram_matrix)(matrices))
        np.testing.assert_allclose(found, matrices.swapaxes(1, 2) @ matrices, atol=1e-13)


@pytest.mark.parametrize("c", [1, 6, 9, 18])
def test_small_values_are_right_to_rounding_of_the_largest(c):
    matrices = graded((4, c + 3, c))
    matrices[3] = 0
    valid = np.ones((4, c), bool)
    valid[1, [0, c // 2]] = False
    for vectors in (True, False):
        values, axes = jax.jit(jax.vmap(lambda a, v, vectors=vectors: right_svd(a, v, vectors)))(matrices, valid)
        wanted = np.linalg.svd(np.where(valid[:, None], matrices, 0), compute_uv=False)
        np.testing.assert_allclose(values, wanted, atol=5e-15)
        assert axes.shape == (4, c, c if vectors else 0)
    values, axes = (np.asarray(x) for x in jax.vmap(lambda a, v: right_svd(a, v, True))(matrices, valid))
    for matrix, s, v, is_valid in zip(matrices, values, axes, valid, strict=True):
        n = is_valid.sum()
        # Directions belong to valid columns only, even those of values that are zero.
        assert np.abs(v[~is_valid]).max(initial=0) < 1e-14 and not v[:, n:].any()
        np.testing.assert_allclose(v[:, :n].T @ v[:, :n], np.eye(n), atol=1e-13)
        np.testing.assert_allclose(np.linalg.norm(matrix @ v, axis=0), s, atol=1e-14)


def positive(c):
    """Graded, as JᵀJ is; one; none; of three different values; in blocks; of rank one."""
    blocks = np.kron(np.eye(-(-c // 2)), [[2.0, 1], [1, 2]])[:c, :c]
    turn = np.linalg.qr(np.random.default_rng(2).normal(size=(c, c)))[0]
    threefold = (turn * np.resize([1, 1e-3, 1e-3, 1e-9], c)) @ turn.T
    square = graded((c + 3, c))
    return np.stack([square.T @ square, np.eye(c), np.zeros((c, c)), threefold, 1e90 * blocks, np.ones((c, c))])


@pytest.mark.parametrize("c", [0, 1, 2, 3, 6, 10, 16, 20])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_eigenvalues_are_those_of_numpy(c, dtype):
    matrices = positive(c) if dtype == np.float64 else np.delete(positive(c), 4, 0)
    matrices = np.concatenate([matrices, matrices])
    valid = np.ones((len(matrices), c), bool)
    valid[: len(matrices) // 2, c // 3 : c // 2] = False
    found = np.asarray(jax.jit(jax.vmap(psd_eigenvalues))(matrices.astype(dtype), valid))
    kept = np.where(valid[:, :, None] & valid[:, None], matrices, 0)
    wanted = np.linalg.eigvalsh(kept)[:, ::-1]
    assert found.dtype == dtype and (found >= 0).all() and (np.diff(found, axis=1) <= 0).all()
    error = np.abs(found - wanted) / np.maximum(np.trace(kept, axis1=1, axis2=2), 1e-300)[:, None]
    assert error.max(initial=0) < 8 * np.finfo(dtype).eps


def test_an_item_is_the_same_in_any_company():
    matrices = graded((9, 8, 6))
    together = jax.jit(jax.vmap(lambda a: right_svd(a, jnp.ones(6, bool), True)))(matrices)
    alone = jax.jit(jax.vmap(lambda a: right_svd(a, jnp.ones(6, bool), True)))(matrices[[4, 4, 4]])
    for one, other in zip(jax.tree.leaves(together), jax.tree.leaves(alone), strict=True):
        np.testing.assert_allclose(one[4], other[0], atol=1e-15)


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
    # What is shared may be mapped over too, item by item.
    np.testing.assert_array_equal(jax.vmap(scaled, (0, None))(np.asarray([1.0, 2.0]), x[0, 0]), wanted[0, 0] / [2, 1])
    by_row = jax.vmap(jax.vmap(scaled, (None, 0)))(np.asarray([1.0, 2.0]), x)
    np.testing.assert_array_equal(by_row, wanted / [[2], [1]])


@in_lanes
def turned(factor, each):
    """Nonlinear in all of its arguments, with a loop."""
    x, shift = each
    y = jax.lax.fori_loop(0, 2, lambda k, y: jnp.sin(y) * factor[:, None] + x[k] * shift[None], x.sum(0) * shift[None])
    return y, jnp.sum(y**3, 0)


def turned_plainly(factor, x, shift):
    y = x.sum(0) * shift
    for k in range(2):
        y = jnp.sin(y) * factor + x[k] * shift
    return y, jnp.sum(y**3, 0)


DERIVATIVES = {
    "jacfwd": lambda f: jax.jacfwd(f, (0, 1, 2)),
    "jacrev": lambda f: jax.jacrev(f, (0, 1, 2)),
    "forward over reverse": lambda f: jax.jacfwd(jax.jacrev(f, 1), (0, 2)),
    "reverse over forward": lambda f: jax.jacrev(jax.jacfwd(f, 1), (0, 2)),
    "reverse over reverse": lambda f: jax.jacrev(jax.jacrev(f, 1), (0, 2)),
}


@pytest.mark.parametrize("name", DERIVATIVES)
def test_lanes_have_the_derivatives_of_their_function(name):
    rng = np.random.default_rng(0)
    factor, x, shift = rng.normal(size=3), rng.normal(size=(2, 4, 2, 3)), rng.normal(size=(2, 4))
    derivative = DERIVATIVES[name]
    ours = derivative(lambda factor, x, shift: turned(factor, (x, shift)))
    plain = derivative(turned_plainly)
    one = jax.tree.leaves(jax.jit(ours)(factor, x[0, 0], shift[0, 0]))
    for found, wanted in zip(one, jax.tree.leaves(jax.jit(plain)(factor, x[0, 0], shift[0, 0])), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)
    nested = lambda f: jax.jit(jax.vmap(jax.vmap(f, (None, 0, 0)), (None, 0, 0)))  # noqa: E731
    together = jax.tree.leaves(nested(ours)(factor, x, shift))
    for found, wanted in zip(together, jax.tree.leaves(nested(plain)(factor, x, shift)), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)


def test_lanes_have_the_derivatives_of_sums_over_a_batch():
    # The other order: what is shared by the lanes has the sum of their cotangents.
    rng = np.random.default_rng(1)
    factor, x, shift = rng.normal(size=3), rng.normal(size=(4, 2, 3)), rng.normal(size=4)

    def total(f):
        both = jax.vmap(f, (None, 0, 0))
        return jax.jit(jax.hessian(lambda *at: sum(jnp.sum(y) for y in both(*at)), (0, 1, 2)))

    found = total(lambda factor, x, shift: turned(factor, (x, shift)))(factor, x, shift)
    wanted = total(turned_plainly)(factor, x, shift)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)


def test_lanes_keep_numbers_that_have_no_derivative():
    counted = in_lanes(lambda count, each: (count + each[0].astype(jnp.int32), 2 * each[1]))
    x = np.arange(6.0).reshape(3, 2)
    count = np.int32(2)
    (n, y), (_, change) = jax.vmap(lambda x: jax.jvp(lambda x: counted(count, (x[0], x[1])), (x,), (x,)))(x)
    np.testing.assert_array_equal(n, 2 + x[:, 0])
    np.testing.assert_array_equal(y, 2 * x[:, 1])
    np.testing.assert_array_equal(change, 2 * x[:, 1])


def test_compiled_functions_are_the_same_within_others():
    square = tuned_jit(lambda x: x**2)
    x = np.arange(3.0)
    np.testing.assert_array_equal(square(x), x**2)
    np.testing.assert_array_equal(jax.jit(lambda y: y * square(x))(2.0), 2 * x**2)
    np.testing.assert_array_equal(jax.jit(jax.vmap(square))(x), x**2)
    np.testing.assert_array_equal(jax.vmap(jax.grad(square))(x), 2 * x)


@pytest.mark.parametrize("size", [1, 4, 6, 100])
def test_chunks_give_every_item_in_order(size):
    x = np.arange(14.0).reshape(2, 7)
    found = map_blocks_in_two_steps(jnp.square, lambda square, y: (y, square + y), x, 2, size)
    np.testing.assert_array_equal(found[1], x**2 + x)
    assert map_blocks_in_two_steps(jnp.square, jnp.add, np.zeros((0, 3)), 1, size).shape == (0, 3)
    assert map_blocks_in_two_steps(jnp.square, jnp.add, x[0], 0, size).shape == (7,)


def test_chunks_of_both_steps_have_sizes_of_their_own(monkeypatch):
    monkeypatch.setattr("jaxfeat.linalg.batching.BLOCK_ITEMS", 4)
    sizes = [], []
    first, then = (in_lanes(lambda _, each, seen=seen: seen.append(each.shape[-1]) or each) for seen in sizes)
    x = np.arange(7.0)
    found = map_blocks_in_two_steps(lambda y: first((), y), lambda same, y: then((), same + y), x, 1, 2)
    np.testing.assert_array_equal(found, 2 * x)
    assert 2 in sizes[0] and 4 in sizes[1] and 4 not in sizes[0]


@pytest.mark.parametrize("name", ["qr_triangle", "eigh", "singular_values", "right_singular_vectors"])
def test_lapack_gets_one_matrix_at_a_time(name):
    """For batches jaxlib waits for XLA's threads, and several devices then wait for each other for good."""
    batch = jnp.ones((2, 3, 20, 20))
    program = jax.jit(jax.vmap(jax.vmap(getattr(lapack, name)))).lower(batch).compile().as_text()
    (call,) = [line for line in program.splitlines() if 'custom_call_target="lapack' in line]
    assert "f64[20,20]" in call and "f64[2,3" not in call and "f64[6,20" not in call
