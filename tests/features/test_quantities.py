"""A descriptor's own quantities are parameters: bases follow them, inside jit too, with exact derivatives."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxfeat
from jaxfeat import Environment, cutoffs
from jaxfeat.errors import SpeciesError

RADIALS = ["gto", "gto-rascal", "laplacian"]
QUANTITIES = {
    "r_cut": 3.4,
    "sigma": 0.45,
    "width": 0.9,
    "scale": 1.6,
    "rate": 0.8,
    "exponent": 2.2,
    "center": 0.7,
    "carbon": 1.2,
}


@pytest.fixture(scope="module")
def env():
    # The last atom is in the window.
    positions = np.random.default_rng(5).normal(size=(3, 3)) * [[1.2], [1.2], [2.2]]
    return Environment.from_neighbors(positions, ["H", "C", "H"], "C")


def build(radial, q):
    return jaxfeat.PowerSpectrum(
        ("C", "H"),
        q["r_cut"],
        3,
        2,
        q["sigma"],
        radial,
        cutoffs.Smoothstep(q["width"]),
        cutoffs.Willatt2018(q["scale"], q["rate"], q["exponent"]),
        q["center"],
        jnp.stack([jnp.asarray(q["carbon"]), jnp.asarray(1.0)]),
    )


@pytest.mark.parametrize("radial", RADIALS)
def test_derivatives_by_every_quantity_are_those_of_differences(radial, env):
    """The constructor runs inside jit and grad; the differences rebuild the featurizer on the host."""
    weights = np.random.default_rng(4).normal(size=build(radial, QUANTITIES).n_features)
    total = lambda q: jnp.asarray(weights) @ build(radial, q)(env)  # noqa: E731
    found = jax.jit(jax.grad(total))(QUANTITIES)
    for name, value in QUANTITIES.items():
        at = {h: float(total({**QUANTITIES, name: value + h})) for h in (-2e-3, -1e-3, 1e-3, 2e-3)}
        difference = (8 * (at[1e-3] - at[-1e-3]) - (at[2e-3] - at[-2e-3])) / 12e-3
        assert float(found[name]) == pytest.approx(difference, rel=1e-7, abs=1e-8), name
        assert abs(float(found[name])) > 1e-6, name


@pytest.mark.parametrize("radial", RADIALS)
def test_a_replaced_quantity_is_as_good_as_a_given_one(radial, env):
    f = jaxfeat.PowerSpectrum(("C", "H"), 3.4, 3, 2, 0.45, radial)
    changed = eqx.tree_at(lambda f: (f.sigma, f.r_cut), f, (np.asarray(0.6), np.asarray(3.1)))
    fresh = jaxfeat.PowerSpectrum(("C", "H"), 3.1, 3, 2, 0.6, radial)
    expected = np.asarray(fresh(env))
    assert np.array_equal(np.asarray(changed(env)), expected)
    assert not np.allclose(np.asarray(f(env)), expected, rtol=1e-3)
    inside = eqx.filter_jit(lambda f, env: f(env))(changed, env)
    assert np.abs(np.asarray(inside) - expected).max() < 1e-13 * np.abs(expected).max()
    jacobian = np.asarray(jaxfeat.jacobian(changed, env))
    assert np.array_equal(jacobian, np.asarray(jaxfeat.jacobian(fresh, env)))


def test_second_derivatives_by_sigma_and_by_positions(env):
    def total(sigma, positions):
        return jnp.sum(jaxfeat.PowerSpectrum(("C", "H"), 3.4, 3, 2, sigma)(env.with_positions(positions)) ** 2)

    first = jax.jit(jax.grad(total, (0, 1)))
    both = jax.jit(jax.jacfwd(jax.grad(total, 1), 0))
    twice = jax.jit(jax.grad(jax.grad(total)))
    h = 1e-4
    up, down = (first(jnp.asarray(0.45 + s * h), env.positions) for s in (1, -1))
    mixed, curvature = np.asarray(up[1] - down[1]) / (2 * h), np.asarray(up[0] - down[0]) / (2 * h)
    assert np.allclose(both(jnp.asarray(0.45), env.positions), mixed, rtol=1e-6, atol=1e-7 * np.abs(mixed).max())
    assert float(twice(jnp.asarray(0.45), env.positions)) == pytest.approx(float(curvature), rel=1e-6)


def test_delta_functions_have_derivatives_by_the_radius(env):
    def total(r_cut):
        f = jaxfeat.PowerSpectrum(("C", "H"), r_cut, 3, 2, 0.0, "laplacian", cutoffs.Smoothstep(0.9))
        return jnp.sum(f(env) ** 2)

    h = 1e-4
    difference = (float(total(3.4 + h)) - float(total(3.4 - h))) / (2 * h)
    assert float(jax.jit(jax.grad(total))(3.4)) == pytest.approx(difference, rel=1e-6)


def test_the_gradient_by_a_featurizer_has_the_shape_of_one(env):
    f = jaxfeat.PowerSpectrum(("C", "H"), 3.4, 3, 2, 0.45)
    slope = eqx.filter_grad(lambda f: jnp.sum(f(env) ** 2))(f)
    h = 1e-4
    total = lambda sigma: float(jnp.sum(jaxfeat.PowerSpectrum(("C", "H"), 3.4, 3, 2, sigma)(env) ** 2))  # noqa: E731
    assert float(slope.sigma) == pytest.approx((total(0.45 + h) - total(0.45 - h)) / (2 * h), rel=1e-6)
    assert float(slope.center_weight) != 0 and float(slope.cutoff.width) != 0


def test_the_sensitivity_has_derivatives_by_quantities(env):
    """Tuning a descriptor by gradient asks for these."""

    def value(sigma, r_cut):
        return jaxfeat.log_sensitivity(jaxfeat.PowerSpectrum(("C", "H"), r_cut, 3, 2, sigma), env)

    found = jax.jit(jax.grad(value, (0, 1)))(0.45, 3.4)
    h = 1e-4
    by_sigma = (float(value(0.45 + h, 3.4)) - float(value(0.45 - h, 3.4))) / (2 * h)
    by_radius = (float(value(0.45, 3.4 + h)) - float(value(0.45, 3.4 - h))) / (2 * h)
    assert [float(x) for x in found] == pytest.approx([by_sigma, by_radius], rel=1e-5)


def test_weights_of_species_multiply_their_densities(env):
    given = {"r_cut": 3.4, "n_max": 2, "l_max": 1, "sigma": 0.5}
    one = np.asarray(jaxfeat.RadialSpectrum(("C", "H"), **given)(env))
    other = np.asarray(jaxfeat.RadialSpectrum(("C", "H"), **given, weights=(2.0, 0.5))(env))
    assert np.allclose(other, one * np.repeat([2.0, 0.5], 2), rtol=1e-14)
    f = jaxfeat.PowerSpectrum(("C", "H"), **given, weights=(2.0, 0.5))
    rows = np.asarray(jaxfeat.jacobian(f, env)).reshape(-1, 9)
    values = np.asarray(jaxfeat.singular_spectrum(f, env).values)
    assert np.allclose(values, np.linalg.svd(rows, compute_uv=False)[:6], rtol=1e-12)
    with pytest.raises(SpeciesError, match=r"weights is .*; give one weight for each of the 2 species"):
        jaxfeat.PowerSpectrum(("C", "H"), **given, weights=(1.0,))


def test_a_traced_basis_that_is_too_sharp_is_refused(env):
    call = jax.jit(lambda sigma: jaxfeat.PowerSpectrum(("C", "H"), 4.0, 3, 2, sigma, "laplacian")(env))
    assert np.isfinite(np.asarray(call(0.1))).all()
    with pytest.raises(Exception, match=r"keep\s+sigma / r_cut above 1/64"):
        jax.block_until_ready(call(0.004))
