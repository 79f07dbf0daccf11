import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import CUTOFFS, R_CUT, as_float32, environments, random_displacements

import jaxfeat
from jaxfeat import OptimalRadial
from jaxfeat.basis.radial import RADIAL_BASES
from jaxfeat.errors import BasisError

L_MAX, N_MAX, N_PRIMITIVE = 2, 2, 5


def random_basis(primitive="laplacian", seed=0):
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(L_MAX + 1, N_PRIMITIVE, N_MAX))
    return OptimalRadial(primitive, np.linalg.qr(rows)[0].swapaxes(1, 2))


def featurizer(radial, n_max=N_MAX, sigma=0.5, cls=jaxfeat.PowerSpectrum, r_cut=R_CUT):
    return cls(("C", "H"), r_cut, n_max, L_MAX, sigma, radial, CUTOFFS["smooth"])


BATCH = environments(("C", "H"))


def test_functions_are_orthonormal():
    # Without smearing G_nl r^l are the radial functions themselves.
    series = random_basis().series(R_CUT, 0.0)
    x, w = np.polynomial.legendre.leggauss(60)
    r = R_CUT * (x + 1) / 2
    values = series.with_slopes_on_host((r / R_CUT) ** 2)[0] * r ** np.arange(L_MAX + 1)[:, None]
    overlap = np.einsum("nlj,mlj,j->lnm", values, values, R_CUT / 2 * w * r**2)
    np.testing.assert_allclose(overlap, np.tile(np.eye(N_MAX), (L_MAX + 1, 1, 1)), rtol=0, atol=1e-12)


@pytest.mark.parametrize("primitive", RADIAL_BASES)
def test_features_are_those_of_the_primitive_basis_contracted(primitive):
    radial = random_basis(primitive)
    large, small = featurizer(primitive, N_PRIMITIVE), featurizer(radial)
    expected = []
    for x in np.asarray(large(BATCH)):
        full = np.zeros((L_MAX + 1, 2, N_PRIMITIVE, 2, N_PRIMITIVE))
        for (a, n, b, m, l), value in zip(large.labels, x, strict=True):
            weighed = value if (a, n) == (b, m) else value / np.sqrt(2)
            full[l, "CH".index(a), n, "CH".index(b), m] = full[l, "CH".index(b), m, "CH".index(a), n] = weighed
        u = radial.coefficients
        contracted = np.einsum("lip,lapbq,ljq->laibj", u, full, u)
        expected.append([
            contracted[l, "CH".index(a), n, "CH".index(b), m] * (1 if (a, n) == (b, m) else np.sqrt(2))
            for a, n, b, m, l in small.labels
        ])  # fmt: skip
    expected = np.asarray(expected)
    np.testing.assert_allclose(np.asarray(small(BATCH)), expected, rtol=0, atol=1e-13 * np.abs(expected).max())


def test_numpy_and_a_program_of_traced_coefficients_agree():
    f = featurizer(random_basis())
    assert f.runs_on_host
    calls = lambda f, at: (f(at), jaxfeat.singular_spectrum(f, at, directions=False).values)  # noqa: E731
    host = calls(f, BATCH)
    for a, b in zip(host, eqx.filter_jit(calls)(f, BATCH), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-13 * np.nanmax(np.abs(a)))


def test_derivatives_are_those_of_finite_differences():
    f = featurizer(random_basis())
    u = random_displacements(BATCH, seed=1)
    move = lambda h: np.asarray(f(BATCH.with_positions(BATCH.positions + h * u)))  # noqa: E731
    found = np.einsum("bfnx,bnx->bf", jaxfeat.jacobian(f, BATCH), u)
    h = 1e-3
    expected = (8 * (move(h) - move(-h)) - (move(2 * h) - move(-2 * h))) / (12 * h)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-8 * np.abs(expected).max())


def test_functions_follow_sigma_the_radius_and_the_coefficients():
    s, h, basis = np.asarray([0.3, 2.0, 6.0]), 1e-4, random_basis()
    step = np.random.default_rng(3).normal(size=basis.coefficients.shape)

    def total(radial, r_cut, sigma):
        return jnp.sum(radial.series(r_cut, sigma)(jnp.asarray(s) / r_cut**2) ** 2)

    def difference(of_radius, of_sigma, of_step):
        def total(t):
            moved = eqx.tree_at(lambda b: b.coefficients, basis, basis.coefficients + t * of_step * step)
            series = moved.series(R_CUT + t * of_radius, 0.5 + t * of_sigma)
            return (series.with_slopes_on_host(s / (R_CUT + t * of_radius) ** 2)[0] ** 2).sum()

        return (total(h) - total(-h)) / (2 * h)

    by_radius, by_sigma = jax.jit(jax.grad(lambda r_cut, sigma: total(basis, r_cut, sigma), (0, 1)))(R_CUT, 0.5)
    by_step = (eqx.filter_jit(eqx.filter_grad(lambda b: total(b, R_CUT, 0.5)))(basis).coefficients * step).sum()
    expected = difference(1, 0, 0), difference(0, 1, 0), difference(0, 0, 1)
    assert [float(x) for x in (by_radius, by_sigma, by_step)] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("cls", [jaxfeat.RadialSpectrum, jaxfeat.PowerSpectrum, jaxfeat.Bispectrum])
def test_a_spec_brings_the_same_features_back(cls):
    f = featurizer(random_basis(), cls=cls)
    spec = jaxfeat.spec(f)
    assert spec["radial"] == {
        "kind": "OptimalRadial", "primitive": "laplacian", "coefficients": f.radial.coefficients.tolist(),
    }  # fmt: skip
    g = jaxfeat.from_spec(spec)
    assert eqx.tree_equal(f, g)
    np.testing.assert_array_equal(f(BATCH), g(BATCH))


def test_single_precision_stays():
    f = featurizer(random_basis())
    single = jax.jit(f)(as_float32(BATCH))
    assert single.dtype == jnp.float32
    double = np.asarray(f(BATCH))
    assert np.abs(np.asarray(single) - double).max() < 1e-4 * np.abs(double).max()


def test_smaller_bases_are_the_first_functions():
    radial = random_basis()
    small = featurizer(radial).with_sizes(n_max=1, l_max=1)
    np.testing.assert_array_equal(small.radial.coefficients, radial.coefficients[:2, :1])
    given = jaxfeat.PowerSpectrum(("C", "H"), R_CUT, 1, 1, 0.5, radial, CUTOFFS["smooth"])
    assert eqx.tree_equal(small, given)
    for sizes, message in [({"n_max": 3}, "n_max is 3.* up to 2"), ({"l_max": 4}, "l_max is 4.* from 0 to 2")]:
        with pytest.raises(BasisError, match=message):
            featurizer(radial).with_sizes(**sizes)


def test_the_stated_rounding_holds_the_noise_of_nearly_dependent_primitives():
    rows = np.linalg.qr(np.random.default_rng(0).normal(size=(1, 14, 3)))[0].swapaxes(1, 2)
    u = np.linspace(0.1, 1, 9) ** 2
    small, large = OptimalRadial("gto", rows).series(4.0, 0.3), RADIAL_BASES["gto"](14, 0).series(4.0, 0.3)
    values, primitives = (series.with_slopes_on_host(u)[0][:, 0] for series in (small, large))
    error = np.linalg.norm(values - rows[0] @ primitives, axis=0)
    stated, before = (
        series.roundings(u) * np.finfo(float).eps * np.linalg.norm(x, axis=0)
        for series, x in ((small, values), (large, primitives))
    )
    # The noise of the primitives is a hundred times the rounding of their sum.
    assert (before > 1e-14).all()
    assert (error < stated).all()
    assert (stated > 0.8 * before).all()


def test_bases_print_their_sizes():
    radial = random_basis()
    assert repr(radial) == "OptimalRadial(2 of 5 laplacian functions, l_max = 2)"
    assert repr(featurizer(radial)).endswith("σ = 0.5 Å, optimal)")


@pytest.mark.parametrize(
    ("primitive", "coefficients", "message"),
    [
        ("gauss", np.eye(2)[None], "primitive is 'gauss'; choose one of 'gto'"),
        ("gto", np.eye(2), r"shape \(2, 2\)"),
        ("gto", np.eye(3)[None, :, :2], r"shape \(1, 3, 2\)"),
        ("gto", [[[1.0], [0.0, 1.0]]], "give lists of equal lengths"),
        ("gto", 2 * np.eye(2)[None], "orthonormal within 3e.00 only"),
        ("gto", np.zeros((1, 0, 2)), "n_max is 0"),
    ],
)
def test_coefficients_that_are_no_basis_are_refused(primitive, coefficients, message):
    with pytest.raises(BasisError, match=message):
        OptimalRadial(primitive, coefficients)
