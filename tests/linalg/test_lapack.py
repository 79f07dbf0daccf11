import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxfeat.errors import DerivativeError
from jaxfeat.linalg import lapack
from jaxfeat.linalg.lapack import refuse_derivatives


@pytest.mark.parametrize("name", ["qr_triangle", "eigh", "singular_values", "right_singular_vectors"])
def test_lapack_gets_one_matrix_at_a_time(name):
    """On a batch the thread pool of XLA can deadlock."""
    batch = jnp.ones((2, 3, 20, 20))
    program = jax.jit(jax.vmap(jax.vmap(getattr(lapack, name)))).lower(batch).compile().as_text()
    (call,) = [line for line in program.splitlines() if 'custom_call_target="lapack' in line]
    assert "f64[20,20]" in call and "f64[2,3" not in call and "f64[6,20" not in call


def test_solutions_solve_their_equations():
    rng = np.random.default_rng(0)
    upper, right = np.triu(rng.normal(size=(2, 4, 4))), rng.normal(size=(2, 4))
    for solve, product in ((lapack.solve_upper, upper), (lapack.solve_upper_transposed, upper.swapaxes(1, 2))):
        found = np.asarray(jax.vmap(solve)(upper, right))
        np.testing.assert_allclose(np.einsum("bij,bj->bi", product, found), right, atol=1e-12)


@pytest.mark.parametrize("derivative", [jax.jacfwd, jax.jacrev, jax.hessian])
def test_both_modes_are_refused_where_an_argument_moves(derivative):
    sorted_values = refuse_derivatives(lambda x: jnp.sort(x))
    x = jnp.asarray([2.0, 1.0])
    np.testing.assert_array_equal(jax.jit(sorted_values)(x), [1, 2])
    with pytest.raises(DerivativeError, match="log_sensitivity"):
        derivative(sorted_values)(x)
    np.testing.assert_array_equal(derivative(lambda y: sorted_values(x) * 0 + y[0] * 0)(x), 0)
