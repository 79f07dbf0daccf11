"""Overlap matrix fingerprints are eigenvalues of integrals, and say where these have no derivative."""

import json
from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.data import covalent_radii
from derivatives import with_derivatives
from mpmath import mp
from scipy.spatial.transform import Rotation

import jaxfeat
from jaxfeat import Environment, OverlapMatrix
from jaxfeat.cutoffs import Smoothstep
from jaxfeat.errors import BasisError, SpeciesError
from jaxfeat.geometry.species import COVALENT_RADII

SPECIES, SYMBOLS = ("H", "C", "O"), ["H", "C", "O", "H", "C"]
POSITIONS = np.asarray([[0.9, -0.3, 0.5], [-0.4, 1.1, 0.7], [0.2, 0.8, -1.6], [-1.2, -0.5, 0.1], [0.3, -1.4, -1.3]])
ENV = Environment.from_neighbors(POSITIONS, SYMBOLS, "C")
EIGENVALUES = {orbitals: OverlapMatrix(SPECIES, n_values=26, orbitals=orbitals) for orbitals in ("s", "sp")}
TRACES = OverlapMatrix(("C", "H"), n_values=12, invariants="traces")
METHANE = jaxfeat.environments(molecule("CH4"), 4.0, centers=[0])[0]
FOR_METHANE = OverlapMatrix(("C", "H"), n_values=20)


def overlaps(positions, orbitals):
    """Integrate products of normalized orbitals by quadrature, which is exact for a Gaussian times a polynomial."""
    points = np.vstack([np.zeros((1, 3)), positions])
    widths = [covalent_radii[{"H": 1, "C": 6, "O": 8}[symbol]] for symbol in ["C", *SYMBOLS]]
    nodes, weights = np.polynomial.hermite.hermgauss(3)
    cube, volumes = np.asarray(list(product(nodes, repeat=3))), np.prod(list(product(weights, repeat=3)), 1)
    shapes = [lambda v: np.ones(v.shape[0])]
    if orbitals == "sp":
        shapes += [lambda v, c=c: v[:, c] for c in range(3)]

    def block(x, y, a, b):
        total = 1 / (2 * a**2) + 1 / (2 * b**2)
        center = (x / (2 * a**2) + y / (2 * b**2)) / total
        grid, apart = center + cube / np.sqrt(total), x - y
        factor = np.exp(-(apart @ apart) / (2 * (a**2 + b**2))) / total**1.5
        return factor * np.asarray([[np.sum(volumes * p(grid - x) * q(grid - y)) for q in shapes] for p in shapes])

    norms = [np.sqrt(np.diagonal(block(points[0], points[0], w, w))) for w in widths]
    amplitudes = [(1 - x @ x / 16) ** 2 for x in points]
    atoms = list(zip(points, widths, norms, amplitudes, strict=True))
    return np.block([[block(x, y, a, b) / np.outer(m, n) * f * g for y, b, n, g in atoms] for x, a, m, f in atoms])


def with_both_jacobians(f, env):
    return jax.jit(
        lambda env: (f(env), f.jacobian(env), jax.jacrev(lambda x: f.features(env.with_positions(x)))(env.positions))
    )(env)


@pytest.mark.parametrize("orbitals", ["s", "sp"])
def test_eigenvalues_and_slopes_are_those_of_the_integrals(orbitals):
    """A complex step gives derivatives of the integrals without rounding error. First-order perturbations of the
    eigenvalues of a complex symmetric matrix are their imaginary parts."""
    f, matrix = EIGENVALUES[orbitals], overlaps(POSITIONS, orbitals)
    expected, vectors = np.linalg.eigh(matrix)
    m = len(matrix)
    env = ENV.padded(7)
    features, jacobian, default = map(np.asarray, with_both_jacobians(f, env))
    np.testing.assert_allclose(features[:m], expected[::-1], rtol=0, atol=1e-14 * m)
    assert features.shape == (26,) and (features[m:] == 0).all()
    for i, c in product(range(5), range(3)):
        moved = POSITIONS.astype(complex)
        moved[i, c] += 1e-30j
        slopes = np.diagonal(vectors.T @ overlaps(moved, orbitals).imag @ vectors)[::-1] / 1e-30
        for found in (jacobian, default):
            np.testing.assert_allclose(found[:m, i, c], slopes, rtol=0, atol=1e-12)
    assert (jacobian[:, 5:] == 0).all() and (jacobian[m:] == 0).all()


def test_traces_are_sums_of_powers_of_eigenvalues():
    f = OverlapMatrix(SPECIES, n_values=5, invariants="traces")
    values = np.linalg.eigvalsh(overlaps(POSITIONS, "sp"))
    found, jacobian, default = with_both_jacobians(f, ENV)
    np.testing.assert_allclose(found, [np.sum(values**k) for k in range(1, 6)], rtol=1e-13)
    np.testing.assert_allclose(jacobian, default, rtol=0, atol=1e-14 * np.abs(default).max())
    assert f.nu is None and OverlapMatrix(SPECIES, n_values=3, invariants="traces").nu == 3


def test_features_are_invariant():
    turn, order = -Rotation.random(rng=np.random.default_rng(3)).as_matrix(), np.random.default_rng(4).permutation(5)
    moved = Environment.from_neighbors(POSITIONS[order] @ turn.T, [SYMBOLS[k] for k in order], "C")
    f = EIGENVALUES["sp"]
    np.testing.assert_allclose(f(moved), f(ENV), rtol=0, atol=1e-14)


def test_features_have_three_continuous_derivatives_at_the_cutoff():
    f = OverlapMatrix(("C", "H"), 3.0, n_values=4, orbitals="s")
    one = Environment.from_neighbors([[0.0, 0, 2.9], [0.8, 0, 0.3]], ["H", "H"], "C")
    derivatives = with_derivatives(lambda z: f.features(one.with_positions(one.positions.at[0, 2].set(z))), 3)
    farther, inside, outside = (np.asarray(derivatives(3.0 + step)) for step in (-1e-3, -1e-6, 1e-6))
    assert np.abs(inside - outside).max() < 1e-4
    # The third derivative has a slope inside, and none outside.
    assert np.abs(farther - inside)[3].max() > 1e-3


def test_a_blind_methane_of_order_2_is_seen():
    """The power spectrum has one null direction here, and twenty eigenvalues of s and p orbitals see it clearly."""
    env = METHANE.with_positions(jax.jit(jaxfeat.manifolds.prl_methane(1))(np.pi, 0.0).positions)
    (blind,) = jaxfeat.null_space(jaxfeat.PowerSpectrum(("C", "H")), env).directions["incompleteness"]
    null = jaxfeat.null_space(FOR_METHANE, env)
    spectrum = jaxfeat.singular_spectrum(FOR_METHANE, env)
    assert null.nullity == null.rigid == 3 and spectrum.n_null == 0 and spectrum.ratio > 0.01
    seen = np.linalg.norm(np.tensordot(jaxfeat.jacobian(FOR_METHANE, env), blind, 2))
    assert seen > 0.05 * spectrum.values[0]


def test_spectra_say_where_eigenvalues_cross():
    """All levels of a methane but a_1 are degenerate. Those of a molecule on a line are, too, but no displacement parts
    them to first order."""
    heights = [0, 1.21, -1.38, 2.27, -2.45]
    line = jaxfeat.environments(Atoms("CCCHH", [[0, 0, z] for z in heights]), 4.0, centers=[0])[0]
    generic = METHANE.with_positions(METHANE.positions + 0.1 * np.random.default_rng(0).normal(size=(4, 3)))
    batch = Environment.stack([METHANE, line, generic])
    expected = ["not-smooth", "ok", "ok"]
    assert jaxfeat.singular_spectrum(FOR_METHANE, batch).status.names.tolist() == expected
    compiled = jax.jit(jax.vmap(lambda env: jaxfeat.singular_spectrum(FOR_METHANE, env, directions=False)))(batch)
    assert compiled.status.names.tolist() == expected and np.isfinite(compiled.values[0]).all()
    nulls = jaxfeat.null_space(FOR_METHANE, batch)
    assert [null.status for null in nulls] == expected and "eigenvalues cross" in nulls[0].reason
    assert nulls[1].symmetry == 6 and nulls[2].nullity == 3
    whole = jaxfeat.structures(molecule("CH4"), 4.0)
    assert jaxfeat.singular_spectrum(jaxfeat.stacked(FOR_METHANE), whole).status == "not-smooth"


def test_traces_are_smooth_where_eigenvalues_cross():
    null = jaxfeat.null_space(TRACES, METHANE)
    assert null.status == "ok" and null.symmetry == 8 and null.symbol == "T_d"


def test_next_to_a_crossing_nothing_is_nearly_null():
    """At 1e-7 Å from a crossing the levels part at full slope."""
    env = METHANE.with_positions(METHANE.positions + 1e-7 * np.random.default_rng(1).normal(size=(4, 3)))
    null = jaxfeat.null_space(FOR_METHANE, env)
    assert null.nullity == null.rigid and null.near == () and null.sensitivity[0] > 1e-5


def test_floors_hold_next_to_a_crossing():
    """Vectors are wrong by eps over the gap, and so are slopes. Exact vectors come from 40 digits."""
    shift = 1e-9 * np.random.default_rng(1).normal(size=(4, 3))
    env = METHANE.with_positions(METHANE.positions + shift)
    points = [[mp.mpf(0)] * 3] + [[mp.mpf(float(x)) for x in row] for row in env.positions]
    widths = [mp.mpf(float(covalent_radii[z])) for z in (6, 1, 1, 1, 1)]

    def overlap(positions, i, j):
        (x, y), (a, b) = (positions[i], positions[j]), (widths[i], widths[j])
        both, square = a**2 + b**2, sum((p - q) ** 2 for p, q in zip(x, y, strict=True))
        amplitudes = [(1 - sum(p**2 for p in z) / 16) ** 2 for z in (x, y)]
        return (2 * a * b / both) ** 1.5 * mp.exp(-square / (2 * both)) * amplitudes[0] * amplitudes[1]

    def matrix(positions):
        return mp.matrix([[overlap(positions, i, j) for j in range(5)] for i in range(5)])

    with mp.workdps(40):
        _, vectors = mp.eigsy(matrix(points))
        exact, step = np.zeros((5, 4, 3)), mp.mpf(10) ** -15
        for i, c in product(range(4), range(3)):
            ends = [[list(row) for row in points] for _ in range(2)]
            ends[0][i + 1][c] += step
            ends[1][i + 1][c] -= step
            slope = (matrix(ends[0]) - matrix(ends[1])) / (2 * step)
            inside = vectors.T * slope * vectors
            exact[:, i, c] = [float(inside[k, k]) for k in reversed(range(5))]
    f = OverlapMatrix(("C", "H"), n_values=5, orbitals="s")
    error = np.linalg.norm(np.asarray(jaxfeat.jacobian(f, env)) - exact)
    spectrum = jaxfeat.singular_spectrum(f, env)
    assert 256 * np.finfo(float).eps * spectrum.values[0] < error < spectrum.floor < 1e-5 * spectrum.values[0]


def test_float32_stays_float32():
    f, env = EIGENVALUES["s"], ENV.with_positions(ENV.positions.astype(jnp.float32))
    features, smooth = jax.jit(lambda env: (f(env), f.is_smooth_at(env)))(env)
    assert features.dtype == jax.eval_shape(f.jacobian, env).dtype == np.float32 and smooth
    np.testing.assert_allclose(features, f(ENV), atol=1e-5)


def test_a_spec_makes_the_same_fingerprint():
    for f in (TRACES, OverlapMatrix(("H", "O"), 5.0, 8, "s", widths=[0.3, 0.7], cutoff=Smoothstep(2.0))):
        again = jaxfeat.from_spec(json.loads(json.dumps(jaxfeat.spec(f))))
        assert jaxfeat.spec(again) == jaxfeat.spec(f) and again.labels == f.labels
    assert TRACES.labels[-1] == ("trace", 12)
    assert repr(FOR_METHANE) == "OverlapMatrix(C H, r_cut = 4 Å, 20 eigenvalues, s and p orbitals)"


def test_covalent_radii_are_those_of_cordero():
    np.testing.assert_allclose([float(radius) for radius in COVALENT_RADII], covalent_radii[1:97])


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"orbitals": "spd"}, BasisError, "orbitals is 'spd'; choose 's' or 'sp'"),
        ({"invariants": "moments"}, BasisError, "choose 'eigenvalues' or 'traces'"),
        ({"n_values": 0}, BasisError, "at least 1"),
        ({"widths": [0.0]}, BasisError, "must be positive"),
        ({"widths": [0.3, 0.4]}, SpeciesError, "one width for each of the 1 species"),
        ({"species": ("Og",)}, SpeciesError, "Og has no known covalent radius"),
        ({"r_cut": -1.0}, BasisError, "r_cut is -1 Å"),
        ({"cutoff": 4.0}, BasisError, "give a window"),
    ],
)
def test_bad_parameters_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        OverlapMatrix(**{"species": ("H",), **options})
