import jax
import numpy as np

from jaxfeat.linalg.jit import tuned_jit


def test_tuned_functions_work_inside_every_transformation():
    square = tuned_jit(lambda x: x**2)
    x = np.arange(3.0)
    np.testing.assert_array_equal(square(x), x**2)
    np.testing.assert_array_equal(jax.jit(lambda y: y * square(x))(2.0), 2 * x**2)
    np.testing.assert_array_equal(jax.jit(jax.vmap(square))(x), x**2)
    np.testing.assert_array_equal(jax.vmap(jax.grad(square))(x), 2 * x)
