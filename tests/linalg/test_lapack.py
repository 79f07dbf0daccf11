import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxfeat.linalg import lapack


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
