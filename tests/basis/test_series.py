import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxfeat.basis.series import N_ORDERS, host_series

REACH, WIDTHS, L = 4.0, np.array([0.5, 1.3]), np.arange(4)


def gaussians(s):
    """Compute exp(-s/2w²) w^-l and its derivatives by s."""
    rate = -1 / (2 * np.asarray(WIDTHS, np.longdouble) ** 2)[:, None]
    values = np.exp(rate[:, 0] * np.asarray(s, np.longdouble)[..., None])[..., None] * WIDTHS[:, None] ** -L.astype(
        float
    )
    return np.stack([values * rate**d for d in range(N_ORDERS + 1)])


@pytest.fixture(scope="module")
def found():
    return host_series(lambda s: gaussians(s)[:N_ORDERS], np.longdouble(1.2), np.longdouble(REACH), 0.5)


@pytest.fixture(scope="module")
def orders(found):
    """Evaluate the series and four derivatives by the squared distance."""
    calls = [found]
    for _ in range(N_ORDERS):
        calls.append(jax.jacfwd(calls[-1]))
    return jax.jit(jax.vmap(lambda s: jnp.stack([call(s) for call in calls])))


def test_series_and_their_derivatives_keep_every_digit(orders):
    s = np.concatenate([[0.0, 1e-12], np.linspace(0.01, REACH, 50) ** 2])
    got, expected = np.moveaxis(np.asarray(orders(jnp.asarray(s))), 0, 1), gaussians(s).astype(float)
    error = np.abs(got - expected).max(1) / np.abs(expected).max(1)
    assert error[0].max() < 5e-15
    assert error[:N_ORDERS].max() < 5e-14
    # The fourth derivative comes from the polynomials of the third.
    assert error[N_ORDERS].max() < 1e-12
    weighted = np.abs(got - expected) * np.sqrt(s)[:, None, None] ** L
    assert (weighted[0].max(0) < 5e-15 * np.abs(expected[0] * np.sqrt(s)[:, None, None] ** L).max(0)).all()


def test_values_and_slopes_in_numpy_keep_every_digit(found):
    s = np.concatenate([[0.0, 1e-12], np.linspace(0.01, REACH, 50) ** 2])
    got, expected = np.moveaxis(found.with_slopes_on_host(s), -1, 1), gaussians(s)[:2].astype(float)
    error = np.abs(got - expected).max(1) / np.abs(expected).max(1)
    assert error[0].max() < 5e-15 and error[1].max() < 5e-14
    assert not found.with_slopes_on_host(np.asarray([(1.01 * REACH) ** 2])).any()
    np.testing.assert_allclose(found.at_origin_on_host(), found.at_origin(float), rtol=1e-13)


def test_series_have_no_more_terms_than_matter(found):
    assert found.tables.shape == (N_ORDERS, 2, 4, found.tables.shape[-1])
    assert 20 < found.tables.shape[-1] <= 48


def test_a_batch_is_its_items_and_beyond_reach_is_zero(found, orders):
    s = jnp.asarray([[0.0, 0.7, 15.9], [16.1, 40.0, 1e6]])
    value, slope = jax.jit(lambda s: jax.jvp(found, (s,), (jnp.ones_like(s),)))(s)
    assert value.shape == (2, 4, 2, 3)
    single = np.asarray(orders(s.reshape(-1)))
    for got, of_items in ((value, single[:, 0]), (slope, single[:, 1])):
        assert np.allclose(got.reshape(2, 4, 6), np.moveaxis(of_items, 0, -1), rtol=0, atol=1e-14)
    assert (single[3:] == 0).all()
    assert (np.abs(single[:3, :, 1]) > 0).all()


def test_gradients_in_reverse_mode(found):
    s = jnp.asarray([0.0, 1.7])
    total = lambda s: jnp.sum(found(s) ** 2)  # noqa: E731
    values, slopes = gaussians(np.asarray(s))[:2].astype(float)
    assert np.allclose(jax.jit(jax.grad(total))(s), 2 * (values * slopes).sum((1, 2)), rtol=1e-13)
