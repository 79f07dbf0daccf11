"""Symmetry functions are those of DScribe, with exact derivatives everywhere, on a line too."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ase import Atoms
from derivatives import with_derivatives
from references import richardson_derivative
from scipy.spatial.transform import Rotation

import jaxfeat
from jaxfeat import Environment, SymmetryFunctions
from jaxfeat.cutoffs import NoCutoff, ShiftedCosine
from jaxfeat.errors import BasisError, SpeciesError

R_CUT = 4.0
SPECIES = ("H", "C", "O")
PARAMETERS = {
    "g2": [[1.0, 0.5], [0.3, 2.0]],
    "g3": [1.0, 0.4],
    "g4": [[0.1, 1, 1], [0.05, 4, -1], [0.2, 3.5, 0.7]],
    "g5": [[0.1, 2, 1], [0.3, 16, -1]],
}
SYMBOLS = ["H", "C", "O", "H", "C", "H", "O"]
POSITIONS = np.random.default_rng(0).normal(size=(7, 3)) * 1.4
ENV = Environment.from_neighbors(POSITIONS, SYMBOLS, "C")
F = SymmetryFunctions(SPECIES, R_CUT, **PARAMETERS)
LINE = Environment.from_neighbors([[0.6, 0.8, 1.0], [-0.9, -1.2, -1.5], [0.3, 0.4, 0.5]], ["H"] * 3, "H")


def smoothstep(r):
    u = np.clip((R_CUT - r.real), 0, 1) + (1j * -r.imag if 0 < R_CUT - r.real < 1 else 0)
    return u**5 * (126 + u * (-420 + u * (540 + u * (-315 + 70 * u))))


def reference(positions):
    """Add up the definitions, one neighbor and one pair after the other. Positions may be complex."""
    length = lambda v: np.sqrt(v @ v + 0j)  # noqa: E731
    singles = {a: np.zeros(5, complex) for a in SPECIES}
    pairs = {(a, b): np.zeros(5, complex) for i, a in enumerate(SPECIES) for b in SPECIES[: i + 1]}
    for j, x in enumerate(positions):
        r = length(x)
        terms = [1, *(np.exp(-eta * (r - s) ** 2) for eta, s in PARAMETERS["g2"])]
        singles[SYMBOLS[j]] += smoothstep(r) * np.asarray([*terms, *(np.cos(k * r) for k in PARAMETERS["g3"])])
        for k in range(j):
            q, d, y = length(positions[k]), length(x - positions[k]), positions[k]
            cosine, weight = x @ y / (r * q), smoothstep(r) * smoothstep(q)
            terms = [
                2 ** (1 - z) * (1 + lam * cosine) ** z * np.exp(-eta * (r**2 + q**2 + d**2)) * weight * smoothstep(d)
                for eta, z, lam in PARAMETERS["g4"]
            ]
            terms += [
                2 ** (1 - z) * (1 + lam * cosine) ** z * np.exp(-eta * (r**2 + q**2)) * weight
                for eta, z, lam in PARAMETERS["g5"]
            ]
            a, b = sorted((SYMBOLS[j], SYMBOLS[k]), key=SPECIES.index, reverse=True)
            pairs[a, b] += np.asarray(terms)
    return np.concatenate([*singles.values(), *pairs.values()])


def test_features_are_those_of_dscribe_in_its_order():
    descriptors = pytest.importorskip("dscribe.descriptors")
    acsf = descriptors.ACSF(
        r_cut=R_CUT, species=list(SPECIES), **{f"{name}_params": rows for name, rows in PARAMETERS.items()}
    )
    expected = acsf.create(Atoms(["C", *SYMBOLS], np.vstack([np.zeros(3), POSITIONS])), centers=[0])[0]
    found = SymmetryFunctions(SPECIES, R_CUT, **PARAMETERS, cutoff=ShiftedCosine(R_CUT))(ENV)
    assert np.abs(found - expected).max() < 1e-13 * np.abs(expected).max()


def test_features_and_jacobians_are_those_of_the_definition():
    """Derivatives of the definition are taken by complex steps, which have no rounding error."""
    values = reference(POSITIONS)
    exact = np.zeros((len(values), 7, 3))
    for i in range(7):
        for c in range(3):
            moved = POSITIONS.astype(complex)
            moved[i, c] += 1e-30j
            exact[:, i, c] = reference(moved).imag / 1e-30
    env = ENV.padded(9)
    features, jacobian, reverse = jax.jit(
        lambda env: (F(env), F.jacobian(env), jax.jacrev(lambda x: F.features(env.with_positions(x)))(env.positions))
    )(env)
    np.testing.assert_allclose(features, values.real, rtol=0, atol=1e-13 * np.abs(values).max())
    for found in map(np.asarray, (jacobian, reverse)):
        np.testing.assert_allclose(found[:, :7], exact, rtol=0, atol=1e-13 * np.abs(exact).max())
        assert (found[:, 7:] == 0).all()


def test_features_are_invariant():
    turn = -Rotation.random(rng=np.random.default_rng(3)).as_matrix()
    order = np.random.default_rng(4).permutation(7)
    moved = Environment.from_neighbors(POSITIONS[order] @ turn.T, [SYMBOLS[k] for k in order], "C")
    np.testing.assert_allclose(F(moved), F(ENV), rtol=1e-12, atol=1e-14)


def test_derivatives_are_right_where_neighbors_and_center_are_on_a_line():
    rows = [[0.1, zeta, sign] for zeta in (1, 2, 3.5) for sign in (1, -1)]
    f, u = SymmetryFunctions(("H",), g5=rows), np.random.default_rng(0).normal(size=(3, 3))
    every = with_derivatives(lambda t: f.features(LINE.with_positions(LINE.positions + t * u)), 3)
    for order, derivative in enumerate(every(0)[1:], 1):
        exact = richardson_derivative(lambda t: every(t)[0], 0.0, 1.0, order)
        assert np.abs(derivative - exact).max() < 1e-6 * np.abs(exact).max(), order


def test_derivatives_by_parameters_are_exact():
    def total(x):
        f = SymmetryFunctions(
            ("H", "C", "O"),
            x[0],
            g2=x[None, 1:3],
            g3=x[3:4],
            g4=x[None, 4:7],
            g5=x[None, 7:10],
            cutoff=jaxfeat.cutoffs.Smoothstep(x[10]),
        )
        return jnp.sum(f.features(ENV) ** 2)

    at = np.asarray([3.7, 0.5, 1.2, 0.8, 0.1, 4.2, 0.6, 0.2, 3.3, -0.8, 1.1])
    found, total = jax.jit(jax.grad(total))(at), jax.jit(total)
    exact = [richardson_derivative(total, at, u) for u in np.eye(11)]
    np.testing.assert_allclose(found, exact, rtol=1e-8, atol=1e-9)


def test_defaults_see_a_methane_as_the_power_spectrum_does():
    f = SymmetryFunctions(("C", "H"))
    assert f.nu == 2 and f.cutoff.smoothness >= 3
    assert repr(f) == "SymmetryFunctions(C H, ν = 2, r_cut = 4 Å, 1 G1, 16 G2, 30 G5)"
    assert len(f.labels) == f.n_features == len(set(f.labels)) == 2 * 17 + 3 * 30
    assert f.labels[17:19] == (("G1", "H"), ("G2", "H", 0)) and f.labels[-1] == ("G5", "H", "H", 29)
    env = jax.jit(jaxfeat.manifolds.prl_methane(1))(np.pi, 0.0)
    null, spectrum = jaxfeat.null_space(f, env), jaxfeat.singular_spectrum(f, env)
    assert null.status == "ok" and null.counts == {**dict.fromkeys(null.counts, 0), "rigid": 3, "incompleteness": 1}
    blind = jaxfeat.null_space(jaxfeat.PowerSpectrum(("C", "H")), env).directions["incompleteness"][0]
    assert abs(np.sum(blind * null.directions["incompleteness"][0])) == pytest.approx(1, abs=1e-9)
    assert spectrum.n_null == 1


def test_distances_alone_are_of_order_1():
    f = SymmetryFunctions(("C", "H"), g2=[[4.0, r] for r in (0.9, 1.1, 1.3)])
    null = jaxfeat.null_space(f, jaxfeat.manifolds.prl_methane(1)(0.9 * np.pi, 0.1))
    assert f.nu == 1 and null.incompleteness > 0 and null.status == "ok"


def test_float32_stays_float32():
    f = SymmetryFunctions(SPECIES, g2=[[1.0, 0.5]], g5=[[0.1, 4.0, 1.0]])
    env = ENV.with_positions(ENV.positions.astype(jnp.float32))
    found = jax.eval_shape(lambda env: (f(env), f.jacobian(env), f.roundings(env)), env)
    assert [one.dtype for one in found] == [np.float32] * 3


def test_a_spec_makes_the_same_functions():
    for f in (F, SymmetryFunctions(("H",), 5.2), SymmetryFunctions(("H",), g2=[], cutoff=NoCutoff())):
        again = jaxfeat.from_spec(json.loads(json.dumps(jaxfeat.spec(f))))
        assert jaxfeat.spec(again) == jaxfeat.spec(f) and again.labels == f.labels


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"g2": [[1.0]]}, BasisError, "give a list with η, R_s for each function"),
        ({"g2": [[1.0, 2.0], [1.0]]}, BasisError, "give a list with η, R_s"),
        ({"g2": [[-1.0, 2.0]]}, BasisError, "η must not be negative"),
        ({"g3": [np.inf]}, BasisError, "finite"),
        ({"g4": [[1.0, 0.5, 1.0]]}, BasisError, "ζ must be 1, 2, or at least 3"),
        ({"g5": [[1.0, 2.5, 1.0]]}, BasisError, "ζ must be 1, 2, or at least 3"),
        ({"g5": [[1.0, 2.0, 1.1]]}, BasisError, "λ must lie between -1 and 1"),
        ({"r_cut": 0.0}, BasisError, "r_cut is 0 Å; it must be a positive number"),
        ({"cutoff": "cosine"}, BasisError, "give a window"),
        ({"species": ("H", "H")}, SpeciesError, "each only once"),
    ],
)
def test_bad_parameters_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        SymmetryFunctions(**{"species": ("H",), **options})
