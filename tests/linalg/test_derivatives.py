import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxfeat.errors import DerivativeError
from jaxfeat.linalg.derivatives import refuse_derivatives


@pytest.mark.parametrize("derivative", [jax.jacfwd, jax.jacrev, jax.hessian])
def test_both_modes_are_refused_where_an_argument_moves(derivative):
    sorted_values = refuse_derivatives(lambda x: jnp.sort(x))
    x = jnp.asarray([2.0, 1.0])
    np.testing.assert_array_equal(jax.jit(sorted_values)(x), [1, 2])
    with pytest.raises(DerivativeError, match="log_sensitivity"):
        derivative(sorted_values)(x)
    np.testing.assert_array_equal(derivative(lambda y: sorted_values(x) * 0 + y[0] * 0)(x), 0)
