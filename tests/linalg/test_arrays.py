import jax
import jax.numpy as jnp
import numpy as np

from jaxfeat.linalg.arrays import array_namespace, as_quantity, cast_to_jax_precision, concrete_values


def test_quantities_are_float64_or_jax_arrays():
    assert as_quantity(2).dtype == np.float64 and as_quantity([1, 2]).shape == (2,)
    x = jnp.ones(2, jnp.float32)
    assert as_quantity(x) is x


def test_tracers_have_no_values_and_the_namespace_of_jax():
    seen = []

    @jax.jit
    def f(x):
        seen.append((concrete_values(x), array_namespace(x)))
        return x

    f(np.ones(2))
    assert seen == [(None, jnp)]
    np.testing.assert_array_equal(concrete_values(jnp.ones(2)), 1)
    assert array_namespace(np.ones(2)) is np


def test_numpy_arrays_get_the_precision_of_jax():
    tree = {"a": np.ones(2), "b": np.arange(2), "c": "text"}
    with jax.enable_x64(False):
        found = cast_to_jax_precision(tree)
    assert found["a"].dtype == np.float32 and found["b"].dtype == np.int32 and found["c"] == "text"
    assert cast_to_jax_precision(tree)["a"] is tree["a"]
