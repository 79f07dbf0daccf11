"""Feature values against other packages and against slow sums that share no code with the package."""

from itertools import combinations_with_replacement, permutations, product
from math import factorial, sqrt

import jax
import numpy as np
import peers
import pytest
from ase.data import atomic_numbers
from cases import CASES, REPRESENTATIVES, environment, parametrized
from references import (
    bispectrum,
    density_coefficients,
    invariant_norm,
    power_spectrum_legendre,
    radial_integrals,
    random_cluster,
    real_harmonics,
    real_wigner_3j,
)

import jaxfeat
from jaxfeat.basis.cutoff import NoCutoff, ShiftedCosine, Smoothstep, Willatt2018

BASES = [("gto", 0.5), ("gto-rascal", 0.5), ("laplacian", 0.5), ("laplacian", 0.0)]
R_CUT = 3.0


def _amplitude(radial, sigma):
    """Of one atom's Gaussian; one for a delta function."""
    if sigma == 0:
        return 1.0
    return (8 * np.pi**2) ** 0.25 if radial == "gto" else (np.pi * sigma**2) ** -0.75


def _cluster(seed, n, species, r_min=0.8, r_max=R_CUT - 0.1):
    return random_cluster(np.random.default_rng(seed), n, species, r_min, r_max, 0.7)


def _pair(label):
    """A name for (a, n, b, n', l) that does not depend on the order of its two channels."""
    a, n, b, k, l = label
    return (*sorted([(atomic_numbers[a], n), (atomic_numbers[b], k)]), l)


def _weights(f):
    """√2 for pairs of different channels."""
    return np.array([1 if label[:2] == label[2:4] else sqrt(2) for label in f.labels])


def _from_peer(f, values, labels):
    """A peer's values in the order of the featurizer's; zero for what the peer leaves out, species that are absent."""
    found = {_pair(label): value for label, value in zip(labels, values, strict=True)}
    zero = np.zeros_like(values[0])
    return np.array([found.get(_pair(label), zero) for label in f.labels])


# --- other packages --------------------------------------------------------------------------------------------------


@pytest.mark.as_shipped
def test_power_spectra_of_random_clusters_are_dscribes():
    pytest.importorskip("dscribe")
    f = jaxfeat.PowerSpectrum(("H", "C", "O"), 4.0, n_max=6, l_max=4, sigma=0.5, radial="gto", cutoff=NoCutoff())
    environments, expected = [], []
    for seed in range(20):
        positions, species = _cluster(seed, 3 + seed % 6, 3, r_max=3.9)
        symbols, center = ["CHO"[s] for s in species], "CHO"[seed % 3]
        values, labels = peers.dscribe_power_spectrum(positions, symbols, center, "CHO", 4.0, 6, 4, 0.5)
        environments.append(jaxfeat.Environment.from_neighbors(positions, symbols, center))
        expected.append(_from_peer(f, values, labels) * _weights(f) * _amplitude("gto", 0.5) ** 2)
    found, expected = np.asarray(f(jaxfeat.Environment.stack(environments))), np.array(expected)
    error = np.abs(found - expected).max(-1) / np.abs(expected).max(-1)
    assert error.max() < 1e-9


@pytest.mark.parametrize(
    "width, scaling, center",
    [(0.5, None, 1.0), (None, None, 0.5), (1.2, (2.0, 1.5, 3), 0.0), (0.5, (1.5, 0.3, 1), 0.5)],
    ids=["cosine", "no cutoff", "scaled, no center", "scaled, half a center"],
)
def test_power_spectra_are_featomics(width, scaling, center):
    pytest.importorskip("featomic")
    f = jaxfeat.PowerSpectrum(
        ("C", "H"),
        R_CUT,
        n_max=4,
        l_max=3,
        sigma=0.4,
        radial="gto-rascal",
        cutoff=NoCutoff() if width is None else ShiftedCosine(width),
        radial_scaling=None if scaling is None else Willatt2018(*map(float, scaling)),
        include_center=center,
    )
    for seed in range(3):
        positions, species = _cluster(seed, 6, 2)
        symbols = ["CH"[s] for s in species]
        options = {"width": width, "radial_scaling": scaling, "center_weight": center}
        values, _, labels = peers.featomic_power_spectrum(positions, symbols, "C", R_CUT, 4, 3, 0.4, **options)
        expected = _from_peer(f, values, labels) * _weights(f) * _amplitude("gto-rascal", 0.4) ** 2
        found = np.asarray(f(jaxfeat.Environment.from_neighbors(positions, symbols, "C")))
        assert np.abs(found - expected).max() < 1e-7 * np.abs(expected).max()


def test_the_degenerate_methane_grid_is_librascals():
    # skmatter ships sum_m c c / √(2l+1) / 16 π³ for densities of unit height; ours have unit L² norm.
    pytest.importorskip("skmatter")
    features, positions, labels = peers.skmatter_methane()
    f = jaxfeat.PowerSpectrum(
        ("H",), 4.0, n_max=2, l_max=2, sigma=0.5, radial="gto-rascal", cutoff=ShiftedCosine(0.5), include_center=True
    )
    batch = jaxfeat.Environment.stack(
        [jaxfeat.Environment.from_neighbors(x, "H H H H".split(), "H") for x in positions]
    )
    raw = np.asarray(f(batch)) / _weights(f) / _amplitude("gto-rascal", 0.5) ** 2 / (16 * np.pi**3)
    column = {_pair(label): k for k, label in enumerate(f.labels)}
    found = raw[:, [column[_pair(("H", n, "H", k, l))] for n, k, l in labels]]
    assert np.abs(found - features).max() < 1e-6 * np.abs(features).max()


# --- slow sums -------------------------------------------------------------------------------------------------------


def _setting(seed, n, cutoff, r_cut=R_CUT):
    """Neighbors and a center of the first of two species, for the featurizer and for the references."""
    positions, species = _cluster(seed, n, 2)
    env = jaxfeat.Environment.from_neighbors(positions, ["CH"[s] for s in species], "C")
    weight = {
        "none": lambda r: 1.0,
        "cosine": lambda r: 0.5 * (1 + np.cos(np.pi * np.clip((r - r_cut + 0.8) / 0.8, 0, 1))),
        "smooth": lambda r: 1 - _step(np.clip((r - r_cut + 0.8) / 0.8, 0, 1)),
    }[cutoff]
    return env, np.vstack([np.zeros((1, 3)), positions]), [0, *species], weight


def _step(t):
    return t**5 * (126 - 420 * t + 540 * t**2 - 315 * t**3 + 70 * t**4)


WINDOWS = {"none": NoCutoff(), "cosine": ShiftedCosine(0.8), "smooth": Smoothstep(0.8)}


def _options(radial, sigma, n_max, l_max, cutoff):
    return {
        "species": ("C", "H"),
        "r_cut": R_CUT,
        "n_max": n_max,
        "l_max": l_max,
        "sigma": sigma,
        "radial": radial,
        "cutoff": WINDOWS[cutoff],
    }


@pytest.mark.parametrize("radial, sigma", BASES)
def test_power_spectra_are_sums_of_legendre_polynomials(radial, sigma):
    cutoff = "smooth"
    f = jaxfeat.PowerSpectrum(**_options(radial, sigma, 3, 4, cutoff))
    env, positions, species, weight = _setting(1, 6, cutoff)
    p = power_spectrum_legendre(positions, species, (radial, 3, R_CUT), 4, sigma, weight=weight)
    p *= _amplitude(radial, sigma) ** 2
    expected = np.array([p["CH".index(a), n, "CH".index(b), k, l] for a, n, b, k, l in f.labels]) * _weights(f)
    found = np.asarray(f(env))
    assert np.abs(found - expected).max() < 1e-12 * np.abs(expected).max()


def _channels(label, nu):
    """The (species, n, l) of a label's factors, species counted."""
    return [("CH".index(a), n, l) for a, n, l in zip(*[iter(label[: 3 * nu])] * 3, strict=True)]


@pytest.mark.as_shipped
@pytest.mark.parametrize(
    "radial, sigma, cutoff, pseudoscalars", [("gto", 0.5, "cosine", True), ("laplacian", 0.0, "smooth", False)]
)
def test_bispectra_are_sums_over_3j_symbols(radial, sigma, cutoff, pseudoscalars):
    f = jaxfeat.Bispectrum(**_options(radial, sigma, 2, 2, cutoff), pseudoscalars=pseudoscalars)
    env, positions, species, weight = _setting(2, 5, cutoff)
    c = density_coefficients(positions, species, (radial, 2, R_CUT), 2, sigma, weight=weight, real=False)
    found = np.asarray(f(env))
    expected = np.zeros(len(f.labels))
    for k, label in enumerate(f.labels):
        triple = _channels(label, 3)
        orders = len(set(permutations(triple)))
        expected[k] = sqrt(orders) * _amplitude(radial, sigma) ** 3 * bispectrum(c, *triple)
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
    options = _options(radial, sigma, 1, 2, "none") | {"nu": 4, "include_center": False}
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
    env, positions, species, weight = _setting(2, 5, cutoff)
    assert set(species) == {0, 1}
    squares, expected = {}, {}
    for group, pseudoscalars in (("O3", False), ("SO3", True))[: 1 if nu < 3 else 2]:
        f = jaxfeat.Correlations(**_options(radial, sigma, n_max, l_max, cutoff), nu=nu, pseudoscalars=pseudoscalars)
        squares[group] = float(np.sum(np.asarray(f(env)) ** 2))
        expected[group] = _amplitude(radial, sigma) ** (2 * nu) * invariant_norm(
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


# --- one definition, two classes -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "nu, dedicated, options",
    [(1, "RadialSpectrum", {}), (2, "PowerSpectrum", {}), (3, "Bispectrum", {"pseudoscalars": True})],
)
def test_iterated_coupling_gives_the_dedicated_classes(nu, dedicated, options):
    setting = _options("gto", 0.5, 2, 2, "smooth")
    env = environment("generic", ("C", "H"))
    f, g = getattr(jaxfeat, dedicated)(**setting, **options), jaxfeat.Correlations(**setting, nu=nu, **options)
    assert f.nu == g.nu == nu
    assert f.group == g.group
    expected = np.asarray(f(env))
    assert np.abs(np.asarray(g(env)) - expected).max() < 1e-14 * np.abs(expected).max()
    # Labels say the same in another shape: (species, n, l) of each factor.
    spelled = {
        1: lambda a, n: (a, n, 0),
        2: lambda a, n, b, k, l: (a, n, l, b, k, l),
        3: lambda *label: label,
    }[nu]
    assert tuple(spelled(*label) for label in f.labels) == g.labels


# --- labels ----------------------------------------------------------------------------------------------------------


@parametrized()
def test_there_is_one_label_for_each_feature_without_tracing(case, monkeypatch):
    f = case.build()

    def traced(*_):
        raise AssertionError("labels need no features")

    with monkeypatch.context() as patch:
        patch.setattr(type(f), "features", traced)
        patch.setattr(type(f), "contract", traced)
        labels, n_features = f.labels, f.n_features
    assert isinstance(labels, tuple)
    assert all(isinstance(label, tuple) for label in labels)
    assert len(set(labels)) == len(labels) == n_features
    assert {x for label in labels for x in label if isinstance(x, str)} == set(case.species)
    out = jax.eval_shape(type(f).features, f, environment("generic", case.species))
    assert out.shape == (n_features,)


def test_the_number_of_features_is_that_of_the_products():
    options = {"species": ("C", "H"), "r_cut": R_CUT, "n_max": 3, "l_max": 4}
    channels = 6
    assert jaxfeat.RadialSpectrum(**options).n_features == channels
    assert jaxfeat.PowerSpectrum(**options).n_features == 5 * channels * (channels + 1) // 2
    # Unordered triples of (l, q) within the triangle. Of an odd sum two equal factors leave nothing.
    factors = [(l, q) for l in range(5) for q in range(channels)]
    triples = [t for t in combinations_with_replacement(factors, 3) if 2 * t[2][0] <= sum(l for l, _ in t)]
    even = [t for t in triples if sum(l for l, _ in t) % 2 == 0]
    odd = [t for t in triples if sum(l for l, _ in t) % 2 and len(set(t)) == 3]
    assert jaxfeat.Bispectrum(**options).n_features == len(even)
    assert jaxfeat.Bispectrum(**options, pseudoscalars=True).n_features == len(even) + len(odd)


def test_the_cases_cover_what_they_promise():
    assert len({case.id for case in CASES}) == len(CASES)
    bases = ("gto", "gto-rascal", "laplacian", "delta")
    assert {(case.basis, case.cutoff) for case in CASES} == set(product(bases, WINDOWS))
    for cls in ("RadialSpectrum", "PowerSpectrum", "Bispectrum", "Correlations"):
        assert len({case.basis for case in CASES if case.cls == cls}) > 1
    assert len({case.cls for case in REPRESENTATIVES}) == len({case.basis for case in REPRESENTATIVES}) == 4
