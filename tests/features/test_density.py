"""The density: its quantities are differentiable parameters, and its derivatives are finite and right everywhere."""

import inspect

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import CUTOFFS, R_CUT, environment
from derivatives import in_one_trace
from references import richardson_derivative

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
    slope = eqx.filter_jit(eqx.filter_grad(lambda f: jnp.sum(f(env) ** 2)))(f)
    h = 1e-4
    total = lambda sigma: float(jnp.sum(jaxfeat.PowerSpectrum(("C", "H"), 3.4, 3, 2, sigma)(env) ** 2))  # noqa: E731
    assert float(slope.sigma) == pytest.approx((total(0.45 + h) - total(0.45 - h)) / (2 * h), rel=1e-6)
    assert float(slope.center_weight) != 0 and float(slope.cutoff.width) != 0


def test_the_sensitivity_has_derivatives_by_quantities(env):
    """Gradients tune a descriptor."""

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


@pytest.mark.parametrize("center", [True, False, 0.5])
def test_an_empty_environment_has_the_features_of_its_center(center):
    f = jaxfeat.PowerSpectrum(("C", "H"), R_CUT, n_max=1, l_max=1, sigma=0.5, include_center=center)
    nobody = jaxfeat.Environment.from_neighbors(np.zeros((0, 3)), [], "C").padded(1)
    full = float(jaxfeat.PowerSpectrum(("C", "H"), R_CUT, 1, 1, 0.5, include_center=True)(nobody)[0])
    values = dict(zip(f.labels, np.asarray(f(nobody)).tolist(), strict=True))
    own = ("C", 0, "C", 0, 0)
    assert full > 0
    assert values.pop(own) == pytest.approx(float(center) ** 2 * full, rel=1e-14)
    assert not any(values.values())


# --- where derivatives could fail ---


UNIT = np.array([0.36, -0.48, 0.8])


PLACES = {
    "up the z axis": [0, 0, 1.1],
    "down the z axis": [0, 0, -0.7],
    "at the origin": [0, 0, 0],
    "next to the origin": [1e-8, -2e-9, 3e-8],
    "near the origin": [0.02, 0.01, -0.03],
    "in the window": 2.6 * UNIT,
    "at r_cut": R_CUT * UNIT,
    "behind r_cut": 1.05 * R_CUT * UNIT,
}


def _three_derivatives(function, x, u):
    """Compute three derivatives of function(x + t u) by t at t = 0, for rows of x and u."""

    def orders(x, u):
        return in_one_trace(lambda t: function(x + t * u), 3)(jnp.zeros(()))[1:]

    return [np.asarray(d) for d in jax.jit(jax.vmap(orders))(jnp.asarray(x), jnp.asarray(u))]


def _assert_right(function, tolerances):
    u = np.random.default_rng(5).normal(size=(len(PLACES), 3))
    u /= np.linalg.norm(u, axis=-1, keepdims=True)
    x = np.array(list(PLACES.values()), float)
    beyond = np.array([name in ("at r_cut", "behind r_cut") for name in PLACES])
    inside = ~beyond
    values = jax.jit(jax.vmap(function))
    everywhere = lambda y: values(jnp.asarray(y))  # noqa: E731
    for order, found in enumerate(_three_derivatives(function, x, u), start=1):
        assert np.isfinite(found).all()
        # Higher orders take longer steps against rounding; none so long that a point leaves its piece of the window.
        step = (0.05, 0.2, 0.3)[order - 1]
        exact = richardson_derivative(everywhere, x, u, order, step=step)[inside]
        scale = np.abs(exact).max()
        assert np.abs(found[inside] - exact).max() < tolerances[order - 1] * scale
        assert np.abs(found[beyond]).max() < 1e-12 * scale


@pytest.mark.parametrize("radial, sigma", [("laplacian", 0.5), ("laplacian", 0.0)])
def test_three_derivatives_of_the_density_are_finite_and_right_anywhere(radial, sigma):
    f = jaxfeat.RadialSpectrum(("H",), R_CUT, 2, 3, sigma, radial, CUTOFFS["smooth"])
    species, mask = jnp.asarray(1, jnp.int32), jnp.asarray(True)
    _assert_right(lambda position: f.neighbor_density(position, species, mask), (1e-9, 1e-8, 1e-6))


def test_three_derivatives_of_features_are_finite_and_right_anywhere():
    f = jaxfeat.PowerSpectrum(("C", "H"), R_CUT, 2, 2, 0.5, "gto", CUTOFFS["smooth"])
    base = environment("generic", ("C", "H"))
    place = lambda position: base.with_positions(base.positions.at[1].set(position))  # noqa: E731
    _assert_right(lambda position: f.features(place(position)), (1e-9, 1e-8, 1e-6))


def test_a_cosine_window_has_no_second_derivative_at_the_cutoff():
    # What the default window is for: with this one, curvature jumps as a neighbor leaves.
    f = jaxfeat.PowerSpectrum(("C", "H"), R_CUT, 2, 2, 0.5, "gto", CUTOFFS["cosine"])
    base = environment("generic", ("C", "H"))
    line = lambda r: f.features(base.with_positions(base.positions.at[0].set(r * jnp.asarray(UNIT))))  # noqa: E731
    curvature = jax.jit(jax.jacfwd(jax.jacfwd(line)))
    inside, outside = (np.abs(curvature(jnp.asarray(R_CUT + d))).max() for d in (-1e-6, 1e-6))
    assert outside == 0
    assert inside > 1e-4


def test_featurizers_print_their_numbers():
    f = jaxfeat.PowerSpectrum(("C", "H"))
    assert repr(f) == "PowerSpectrum(C H, r_cut = 4 Å, n_max = 8, l_max = 6, σ = 0.3 Å, gto)"
    assert repr(jaxfeat.summed(f)) == f"Summed({f})"
    assert repr(jaxfeat.RadialSpectrum(("H",), 3.5)) == "RadialSpectrum(H, r_cut = 3.5 Å, n_max = 8, σ = 0.3 Å, gto)"
    assert repr(jaxfeat.Correlations(("H",), nu=4)).startswith("Correlations(H, ν = 4, r_cut = 4 Å, n_max = 8, l_max")
    # A traced quantity has no number, and a tree of other leaves is printed as such.
    printed = []
    jax.eval_shape(lambda sigma: printed.append(repr(jaxfeat.PowerSpectrum(("H",), sigma=sigma))) or sigma, 0.3)
    assert "sigma=" in printed[0]
    assert "r_cut=True" in repr(jax.tree.map(lambda _: True, f))


def test_help_lists_the_arguments_of_every_correlation():
    for cls in (jaxfeat.RadialSpectrum, jaxfeat.PowerSpectrum, jaxfeat.Bispectrum, jaxfeat.Correlations):
        for name in inspect.signature(cls).parameters:
            assert f"- `{name}`: " in cls.__doc__, (cls, name)
