"""The optimal basis keeps more of the density than any other contraction."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import wobbling_methanols

import jaxfeat
from jaxfeat import OptimalRadial, optimal_radial
from jaxfeat.errors import BasisError, GeometryError

N_MAX, L_MAX, R_CUT, SIGMA, N_PRIMITIVE = 2, 2, 3.0, 0.4, 6
SIZES = {"n_max": N_MAX, "l_max": L_MAX, "r_cut": R_CUT, "sigma": SIGMA, "n_primitive": N_PRIMITIVE}
SPECIES = ("H", "C", "O")
BATCH = jaxfeat.environments(wobbling_methanols(6, seed=0), R_CUT)


def featurizer(radial, n_max=N_MAX, cls=jaxfeat.PowerSpectrum):
    return cls(SPECIES, R_CUT, n_max, L_MAX, SIGMA, radial, include_center=False)


def kept_variance(radial, n_max=N_MAX):
    """Sum Σ_m |c_anlm|² over environments and n, for each species and l, from the features."""
    f = featurizer(radial, n_max)
    sums = np.zeros((len(SPECIES), L_MAX + 1))
    for (a, n, b, m, l), x in zip(f.labels, np.asarray(f(BATCH)).sum(0), strict=True):
        if (a, n) == (b, m):
            sums[SPECIES.index(a), l] += np.sqrt(2 * l + 1) * x
    return sums


@jax.jit
def gradients(radial):
    """Compute Σ |∇c_anlm|² over environments and n, for each species and l."""
    f = featurizer(radial, radial.n_max)

    def of_one(env):
        slopes = jax.jacfwd(lambda x: f.density(env.with_positions(x)))(env.positions)
        return (slopes**2).sum((2, 3, 4)).reshape(len(SPECIES), -1, L_MAX + 1).sum(1)

    return jax.vmap(of_one)(BATCH).sum(0)


def random_contraction(rng):
    rows = np.linalg.qr(rng.normal(size=(L_MAX + 1, N_PRIMITIVE, N_MAX)))[0]
    return OptimalRadial("laplacian", rows.swapaxes(1, 2))


WHOLE = OptimalRadial("laplacian", np.tile(np.eye(N_PRIMITIVE), (L_MAX + 1, 1, 1)))


@pytest.mark.parametrize("keep", ["variance", "sensitivity"])
def test_no_other_contraction_keeps_more(keep):
    measure = kept_variance if keep == "variance" else lambda radial, _=0: np.asarray(gradients(radial))
    total = measure(WHOLE, N_PRIMITIVE)
    shares = lambda radial: (measure(radial) / total).mean(0)  # noqa: E731
    best = optimal_radial(BATCH, **SIZES, keep=keep)
    found, rng = shares(best), np.random.default_rng(4)
    assert (found <= 1).all() and (found > 0.6).all()
    for _ in range(30):
        assert (shares(random_contraction(rng)) < found).all()
    # Small rotations out of the space of the optimum lose something, of second order.
    rows = np.concatenate([best.coefficients, rng.normal(size=(L_MAX + 1, N_PRIMITIVE - N_MAX, N_PRIMITIVE))], 1)
    complete = np.linalg.qr(rows.swapaxes(1, 2))[0].swapaxes(1, 2)
    for k in range(N_MAX, N_PRIMITIVE):
        turned = np.cos(0.01) * complete[:, N_MAX - 1] + np.sin(0.01) * complete[:, k]
        near = OptimalRadial("laplacian", np.stack([best.coefficients[:, 0], turned], 1))
        assert (shares(near) < found).all()


def test_functions_are_sorted_and_those_of_smaller_bases():
    best = optimal_radial(BATCH, **{**SIZES, "n_max": N_PRIMITIVE})
    alone = [kept_variance(OptimalRadial("laplacian", best.coefficients[:, [n]]), 1) for n in range(N_PRIMITIVE)]
    shares = (np.asarray(alone) / np.sum(alone, 0)).sum(1)
    assert (np.diff(shares, axis=0) < 0).all()
    np.testing.assert_array_equal(best.coefficients[:, :N_MAX], optimal_radial(BATCH, **SIZES).coefficients)
    assert (np.abs(best.coefficients).max(2) == best.coefficients.max(2)).all()


def test_a_rare_species_counts_as_much_as_a_frequent_one():
    rng = np.random.default_rng(6)
    hydrogens, oxygens = (jaxfeat.Environment.from_neighbors(rng.uniform(-1, 1, (4, 3)), [x] * 4, "C") for x in "HO")
    few = optimal_radial(jaxfeat.Environment.stack([hydrogens, oxygens]), **SIZES)
    many = optimal_radial(jaxfeat.Environment.stack([hydrogens] + 5 * [oxygens]), **SIZES)
    np.testing.assert_allclose(many.coefficients, few.coefficients, rtol=0, atol=1e-10)


def test_batches_of_any_shape_and_padding_give_the_same_basis():
    few = optimal_radial(BATCH, **SIZES)
    shaped = jax.tree.map(lambda x: jnp.reshape(x, (2, -1, *x.shape[1:])), BATCH.padded(BATCH.max_neighbors + 3))
    np.testing.assert_allclose(optimal_radial(shaped, **SIZES).coefficients, few.coefficients, rtol=0, atol=1e-12)


def test_windows_and_scaling_change_the_basis():
    few = optimal_radial(BATCH, **SIZES).coefficients
    scaling = jaxfeat.cutoffs.Willatt2018(1.0, 1.0, 3.0)
    for changed in ({"cutoff": jaxfeat.cutoffs.NoCutoff()}, {"radial_scaling": scaling}, {"primitive": "gto-rascal"}):
        assert np.abs(optimal_radial(BATCH, **SIZES, **changed).coefficients - few).max() > 1e-3


def test_a_featurizer_in_the_basis_comes_back_from_its_spec():
    f = featurizer(optimal_radial(BATCH, **SIZES))
    g = jaxfeat.from_spec(jaxfeat.spec(f))
    assert eqx.tree_equal(f, g)
    np.testing.assert_array_equal(f(BATCH), g(BATCH))


class Window(jaxfeat.cutoffs.AbstractCutoff):
    smoothness = 0

    def __call__(self, r, r_cut):
        return 1 - r / r_cut


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"keep": "all"}, BasisError, "keep is 'all'; choose one of 'variance', 'sensitivity'"),
        ({"n_max": 7}, BasisError, "n_max is 7; choose 1 to n_primitive = 6"),
        ({"primitive": "gauss"}, BasisError, "radial is 'gauss'; choose one of 'gto'"),
        ({"r_cut": 4.0}, GeometryError, "cut"),
        ({"cutoff": Window()}, BasisError, "Window has no slope in NumPy"),
        ({"batch": 3}, GeometryError, "of type int"),
        ({"batch": BATCH.with_positions(np.nan * BATCH.positions)}, GeometryError, "not finite"),
        (
            {"batch": jaxfeat.Environment.from_neighbors(np.zeros((0, 3)), [], "C").padded(1)},
            GeometryError,
            "no environment has a neighbor",
        ),
    ],
)
def test_arguments_that_give_no_basis_are_refused(changes, error, message):
    with pytest.raises(error, match=message):
        optimal_radial(**{"batch": BATCH, **SIZES, **changes})
