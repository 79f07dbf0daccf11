"""Correlations of three and more neighbors: values against slow sums, Jacobians against tangents."""

from functools import partial
from itertools import permutations, product
from math import factorial, sqrt

import equinox as eqx
import jax
import numpy as np
import pytest
from cases import (
    CUTOFFS,
    POSITIONS,
    R_CUT,
    REPRESENTATIVES,
    ROOM,
    cluster_setting,
    density_options,
    environment,
    environments,
    parities,
)
from peers import amplitude
from references import (
    bispectrum,
    density_coefficients,
    invariant_norm,
    radial_integrals,
    real_harmonics,
    real_wigner_3j,
)

import jaxfeat
from jaxfeat.features import correlations
from jaxfeat.features.base import AbstractFeaturizer


def _channels(label, nu):
    """Return (species, n, l) of the factors of a label, with the index of each species."""
    return [("CH".index(a), n, l) for a, n, l in zip(*[iter(label[: 3 * nu])] * 3, strict=True)]


@pytest.mark.as_shipped
@pytest.mark.parametrize(
    "radial, sigma, cutoff, pseudoscalars", [("gto", 0.5, "cosine", True), ("laplacian", 0.0, "smooth", False)]
)
def test_bispectra_are_sums_over_3j_symbols(radial, sigma, cutoff, pseudoscalars):
    f = jaxfeat.Bispectrum(**density_options(radial, sigma, 2, 2, cutoff), pseudoscalars=pseudoscalars)
    env, positions, species, weight = cluster_setting(2, 5, cutoff)
    c = density_coefficients(positions, species, (radial, 2, R_CUT), 2, sigma, weight=weight, real=False)
    found = np.asarray(f(env))
    expected = np.zeros(len(f.labels))
    for k, label in enumerate(f.labels):
        triple = _channels(label, 3)
        orders = len(set(permutations(triple)))
        expected[k] = sqrt(orders) * amplitude(radial, sigma) ** 3 * bispectrum(c, *triple)
    scale = np.abs(expected).max()
    seen = set()
    for ls in {label[2::3] for label in f.labels}:
        block = [k for k, label in enumerate(f.labels) if label[2::3] == ls]
        # The sign of a pseudoscalar is a convention, for each choice of l.
        sign = np.sign(found[block] @ expected[block]) if sum(ls) % 2 else 1
        assert np.abs(found[block] - sign * expected[block]).max() < 1e-12 * scale
        seen.add(sum(ls) % 2)
    assert seen == ({0, 1} if pseudoscalars else {0})
    if pseudoscalars:
        assert np.abs(expected[[sum(label[2::3]) % 2 == 1 for label in f.labels]]).max() > 1e-4 * scale


def test_fourth_order_is_a_sum_over_quadruples_of_neighbors():
    radial, sigma = "laplacian", 0.0
    options = density_options(radial, sigma, 1, 2, "none") | {"nu": 4, "include_center": False}
    f = jaxfeat.Correlations(**options, pseudoscalars=True)
    scalars = [label for label in f.labels if sum(label[2:12:3]) % 2 == 0]
    assert jaxfeat.Correlations(**options).labels == tuple(scalars)
    positions, species = np.array([[0.9, -0.3, 0.5], [-0.4, 1.1, 0.7], [0.2, 0.8, -1.6]]), [0, 1, 1]
    env = jaxfeat.Environment.from_neighbors(positions, ["CH"[s] for s in species])
    radii = np.linalg.norm(positions, axis=-1)
    y = [np.array([real_harmonics(l, m, positions) for m in range(-l, l + 1)]).T for l in range(3)]
    g = {
        (a, 0, l): np.array([radial_integrals((radial, 1, R_CUT), l, r, sigma)[0] for r in radii])
        * np.equal(species, a)
        for a, l in product(range(2), range(3))
    }
    found, expected = np.asarray(f(env)), np.zeros(len(f.labels))
    angular, blocks = {}, {}
    for k, label in enumerate(f.labels):
        quadruple, (step,) = _channels(label, 4), label[12:]
        ls = tuple(l for _, _, l in quadruple)
        if (ls, step) not in angular:
            # l1 and l2 to L, L and l3 to l4, for every four neighbors i, j, k, l.
            first, second = real_wigner_3j(ls[0], ls[1], step), real_wigner_3j(step, ls[2], ls[3])
            tensor = sqrt(2 * step + 1) * np.einsum("abe,ecd->abcd", first, second)
            angular[ls, step] = np.einsum("abcd,ia,jb,kc,ld->ijkl", tensor, *(y[l] for l in ls), optimize=True)
        orders = factorial(4)
        for q in set(quadruple):
            orders //= factorial(quadruple.count(q))
        factors = [g[q] for q in quadruple]
        expected[k] = sqrt(orders) * np.einsum("ijkl,i,j,k,l->", angular[ls, step], *factors, optimize=True)
        blocks.setdefault((ls, step), []).append(k)
    scale = np.abs(expected).max()
    signs = {0: 0, 1: 0}
    for (ls, step), block in blocks.items():
        # Two pseudoscalar couplings in a row leave a scalar whose sign is a convention, as that of a pseudoscalar.
        conventional = (ls[0] + ls[1] + step) % 2 or (step + ls[2] + ls[3]) % 2
        sign = np.sign(found[block] @ expected[block]) if conventional else 1
        assert np.abs(found[block] - sign * expected[block]).max() < 1e-12 * scale, (ls, step)
        signs[sum(ls) % 2] += 1
    assert min(signs.values()) > 0


@pytest.mark.parametrize("nu, n_max, l_max", [(1, 2, 2), (2, 2, 3), (3, 2, 2), (4, 2, 1), (4, 1, 2)])
def test_the_norm_of_all_features_is_that_of_the_averaged_tensor(nu, n_max, l_max):
    # Only with every multiplicity right do the features have the norm of the density's ν-th power, averaged over
    # rotations.
    radial, sigma, cutoff = "gto", 0.5, "cosine"
    env, positions, species, weight = cluster_setting(2, 5, cutoff)
    assert set(species) == {0, 1}
    squares, expected = {}, {}
    for group, pseudoscalars in (("O3", False), ("SO3", True))[: 1 if nu < 3 else 2]:
        options = density_options(radial, sigma, n_max, l_max, cutoff)
        f = jaxfeat.Correlations(**options, nu=nu, pseudoscalars=pseudoscalars)
        squares[group] = float(np.sum(np.asarray(f(env)) ** 2))
        expected[group] = amplitude(radial, sigma) ** (2 * nu) * invariant_norm(
            nu, positions, species, (radial, n_max, R_CUT), l_max, sigma, group=group, weight=weight
        )
        assert squares[group] == pytest.approx(expected[group], rel=1e-12)
    if nu >= 3:  # the pseudoscalars alone, a small part of the whole
        extra = expected["SO3"] - expected["O3"]
        assert extra > 1e-6 * expected["O3"]
        assert squares["SO3"] - squares["O3"] == pytest.approx(extra, abs=1e-12 * expected["O3"])


def test_no_order_counts_a_pseudoscalar_below_three():
    for nu in (1, 2):
        f = jaxfeat.Correlations(("C",), R_CUT, 2, 2, nu=nu, pseudoscalars=True)
        assert f.group == "O3"
    assert jaxfeat.Bispectrum(("C",), R_CUT, 2, 2, pseudoscalars=True).group == "SO3"
    assert jaxfeat.Bispectrum(("C",), R_CUT, 2, 2).group == "O3"


def test_pseudoscalars_do_change_sign_where_there_is_handedness():
    case = next(case for case in REPRESENTATIVES if case.options.get("pseudoscalars"))
    f = case.build()
    chiral = np.asarray(f(environments(case.species)))[:, parities(f) < 0]
    names = ["generic", "on the z axis", "in the window", "near the center", "planar", "tetrahedron"]
    sizes = dict(zip(names, np.abs(chiral).max(-1), strict=False))
    assert sizes["generic"] > 1e-3
    assert sizes["planar"] < 1e-12
    assert sizes["near the center"] < 1e-12


@pytest.mark.parametrize("nu, dedicated", [(1, "RadialSpectrum"), (2, "PowerSpectrum")])
def test_low_orders_have_the_features_of_the_dedicated_classes(nu, dedicated):
    setting = density_options("gto", 0.5, 2, 2, "smooth")
    f, g = getattr(jaxfeat, dedicated)(**setting), jaxfeat.Correlations(**setting, nu=nu)
    assert (f.nu, f.group, f.n_features) == (g.nu, g.group, g.n_features)
    # Labels say the same in another shape: (species, n, l) of each factor.
    spelled = {1: lambda a, n: (a, n, 0), 2: lambda a, n, b, k, l: (a, n, l, b, k, l)}[nu]
    assert tuple(spelled(*label) for label in f.labels) == g.labels


# --- Jacobians ---


SQUARE = 1.3 * np.array([[1.0, 0, 0], [0, 1, 0], [-1, 0, 0], [0, -1, 0]])


NOBODY = jaxfeat.Environment.from_neighbors(np.zeros((0, 3)), [], "C")


def _environments(species):
    """Make generic, symmetric and empty environments, of one or both species, about any center."""
    both = [*species, *species]
    found = {name: environment(name, species) for name in ("generic", "near the center", "collinear")}
    found["tetrahedron"] = jaxfeat.Environment.from_neighbors(POSITIONS["tetrahedron"], [species[-1]] * 4, species[0])
    found["square"] = jaxfeat.Environment.from_neighbors(SQUARE, both[:4], species[-1])
    found["one species"] = jaxfeat.Environment.from_neighbors(POSITIONS["generic"], [species[0]] * 5, species[0])
    found["nobody at the center"] = jaxfeat.Environment.from_neighbors(POSITIONS["tetrahedron"], both[:4])
    found["empty"] = NOBODY
    return found, jaxfeat.Environment.stack([env.padded(ROOM) for env in found.values()])


@pytest.mark.parametrize(
    "cls, options",
    [
        ("Correlations", {"nu": 2, "n_max": 3}),
        ("Bispectrum", {"l_max": 3}),
        ("Bispectrum", {"pseudoscalars": True}),
        ("Correlations", {"nu": 4, "pseudoscalars": True, "n_max": 1}),
        ("Correlations", {"nu": 4, "species": ("C",), "l_max": 3, "include_center": False}),
        ("Correlations", {"nu": 5, "species": ("C",), "pseudoscalars": True, "l_max": 1}),
    ],
)
def test_jacobians_through_couplings_are_those_of_the_features(cls, options, monkeypatch):
    # Blocks of a few rows and blocks that are written in several goes, the last of which overlaps.
    monkeypatch.setattr(correlations, "ROWS_AT_A_TIME", 50)
    settings = {"species": ("C", "H"), "r_cut": R_CUT, "n_max": 2, "l_max": 2, "sigma": 0.5}
    f = getattr(jaxfeat, cls)(**settings | {"cutoff": CUTOFFS["cosine"]} | options)
    assert f.n_features > 50
    named, batch = _environments(settings["species"] if len(f.species) == 2 else ("C", "C"))
    found = np.asarray(jaxfeat.jacobian(f, batch))
    exact = np.asarray(eqx.filter_jit(jax.vmap(partial(AbstractFeaturizer.jacobian, f)))(batch))
    assert found.shape == (len(named), f.n_features, ROOM, 3)
    for name, new, old in zip(named, found, exact, strict=True):
        scale = np.abs(old).max()
        assert (scale > 1e-4) == (name != "empty"), name
        # Each coupling scheme is compared by itself, so that large features hide no error in small ones.
        start = 0
        for scheme in f.schemes:
            rows = slice(start, start := start + len(scheme.channels))
            allowed = 1e-12 * max(np.abs(old[rows]).max(), 1e-3 * scale)
            assert np.abs(new[rows] - old[rows]).max() <= allowed, (name, scheme.ls, scheme.couplings)


@pytest.mark.parametrize("cls, options", [("Bispectrum", {}), ("Correlations", {"nu": 4})])
def test_without_neighbors_there_are_no_columns(cls, options):
    f = getattr(jaxfeat, cls)(("C",), R_CUT, n_max=1, l_max=1, sigma=0.5, **options)
    assert jaxfeat.jacobian(f, NOBODY).shape == (f.n_features, 0, 3)
    assert not np.asarray(jaxfeat.jacobian(f, NOBODY.padded(2))).any()


def test_jacobians_of_three_neighbors_stay_in_single_precision():
    f = jaxfeat.Bispectrum(("C", "H"), R_CUT, n_max=1, l_max=1, sigma=0.5)
    env = environment("generic", ("C", "H"))
    double = np.asarray(jaxfeat.jacobian(f, env))
    single = jaxfeat.jacobian(f, env.with_positions(env.positions.astype(np.float32)))
    assert single.dtype == np.float32
    assert np.abs(np.asarray(single) - double).max() < 1e-4 * np.abs(double).max()
