"""Slow, independent reference implementations for the tests: NumPy, SciPy, mpmath and sympy only, float64 unless said.

Conventions. Lengths in Å. An environment is positions (N, 3) relative to the center and a list of integer species
channels; a neighbor at the origin stands for the center's own density. The density of channel a is

    rho_a(r) = sum_j  weight(r_j) exp(-|r - r_j|^2 / (2 sigma^2))          (sigma = 0: delta functions)

where weight, 1 if not given, holds amplitude, cutoff window and radial scaling in one function. The coefficients are
c_{a n l m} = integral of R_nl(r) Y_lm(r) rho_a(r) over space. Y_lm are real and orthonormal, m = -l ... l, without the
Condon-Shortley phase: Y_{1,-1}, Y_{1,0}, Y_{1,1} are y, z, x times sqrt(3 / 4 pi) / r.
A radial basis is a tuple (kind, n_max, r_cut), orthonormal in n with respect to r^2 dr for each l:

    "gto"         r^l exp(-alpha_nl r^2), alpha_nl = -ln(1e-3 / a_n^l) / a_n^2, a_n = linspace(1, r_cut, n_max);
                  Löwdin orthonormalization of these primitives, for each l
    "gto-rascal"  r^n exp(-r^2 / (2 s_n^2)), s_n = r_cut max(sqrt(n), 1) / n_max, for every l;
                  Löwdin orthonormalization of the primitives after normalizing them
    "laplacian"   j_l(z_nl r / r_cut) inside r_cut and zero outside, z_nl the zeros of j_l
"""

from functools import cache
from math import comb

import mpmath
import numpy as np
from scipy.optimize import brentq
from scipy.spatial.transform import Rotation
from scipy.special import eval_legendre, ive, sph_harm_y, spherical_jn
from sympy.physics.wigner import wigner_3j as sympy_wigner_3j

DIGITS = 50


# --- angles ----------------------------------------------------------------------------------------------------------


def complex_harmonics(l, m, xyz):
    """Compute complex spherical harmonics with the Condon-Shortley phase; xyz (..., 3) need not be normalized."""
    x, y, z = np.moveaxis(np.asarray(xyz, float), -1, 0)
    return sph_harm_y(l, m, np.arctan2(np.hypot(x, y), z), np.arctan2(y, x))


def real_harmonics(l, m, xyz):
    """Compute real orthonormal spherical harmonics in the convention of this module."""
    value = complex_harmonics(l, abs(m), xyz)
    if m == 0:
        return value.real
    return np.sqrt(2) * (-1) ** m * (value.real if m > 0 else value.imag)


def real_from_complex(l):
    """Return the unitary U with Y_real[m] = sum_mu U[m, mu] Y_complex[mu]."""
    u = np.zeros((2 * l + 1, 2 * l + 1), complex)
    u[l, l] = 1
    for m in range(1, l + 1):
        u[l + m, l + m], u[l + m, l - m] = (-1) ** m / np.sqrt(2), 1 / np.sqrt(2)
        u[l - m, l + m], u[l - m, l - m] = -1j * (-1) ** m / np.sqrt(2), 1j / np.sqrt(2)
    return u


@cache
def wigner_3j(l1, l2, l3):
    """Compute Wigner 3j symbols of complex harmonics as a dense (2l1+1, 2l2+1, 2l3+1) array of norm 1."""
    w = np.zeros((2 * l1 + 1, 2 * l2 + 1, 2 * l3 + 1))
    for m1 in range(-l1, l1 + 1):
        for m2 in range(max(-l2, -l3 - m1), min(l2, l3 - m1) + 1):
            w[m1 + l1, m2 + l2, l3 - m1 - m2] = float(sympy_wigner_3j(l1, l2, l3, m1, m2, -m1 - m2))
    return w


def real_wigner_3j(l1, l2, l3):
    """Compute the tensor for real harmonics, real and normalized; for odd l1 + l2 + l3 its sign is a convention."""
    u1, u2, u3 = (real_from_complex(l).conj() for l in (l1, l2, l3))
    w = np.einsum("abc,ia,jb,kc->ijk", wigner_3j(l1, l2, l3), u1, u2, u3)
    return w.imag if (l1 + l2 + l3) % 2 else w.real


# --- radial bases ----------------------------------------------------------------------------------------------------


def _primitives(basis, l):
    """Return powers p and exponents alpha of the primitives r^p exp(-alpha r^2)."""
    kind, n_max, r_cut = basis
    r_cut = mpmath.mpf(r_cut)
    if kind == "gto":
        decay = [1 + (r_cut - 1) * n / max(n_max - 1, 1) for n in range(n_max)]
        return [l] * n_max, [-mpmath.log(mpmath.mpf("1e-3") / a**l) / a**2 for a in decay]
    if kind == "gto-rascal":
        return list(range(n_max)), [(n_max / r_cut) ** 2 / (2 * max(n, 1)) for n in range(n_max)]
    raise ValueError(f"unknown Gaussian radial basis {kind!r}")


@cache
def lowdin_coefficients(basis, l):
    """Compute beta in R_nl = sum_k beta[n, k] r^p_k exp(-alpha_k r^2), an mpmath matrix of 50 digits."""
    with mpmath.workdps(2 * DIGITS):
        powers, alphas = _primitives(basis, l)
        n_max = len(powers)

        def overlap(i, j):
            a = mpmath.mpf(powers[i] + powers[j] + 3) / 2
            return mpmath.gamma(a) / (2 * (alphas[i] + alphas[j]) ** a)

        scale = [1 / mpmath.sqrt(overlap(i, i)) if basis[0] == "gto-rascal" else mpmath.mpf(1) for i in range(n_max)]
        s = [[scale[i] * scale[j] * overlap(i, j) for j in range(n_max)] for i in range(n_max)]
        values, vectors = mpmath.eigsy(mpmath.matrix(s))
        return vectors * mpmath.diag([1 / mpmath.sqrt(v) for v in values]) * vectors.T * mpmath.diag(scale)


@cache
def bessel_zeros(l, count):
    """Compute the first zeros of j_l, each between two zeros of j_{l-1}."""
    if l == 0:
        return tuple(np.pi * n for n in range(1, count + 1))
    brackets = bessel_zeros(l - 1, count + 1)
    return tuple(brentq(lambda x: spherical_jn(l, x), brackets[i], brackets[i + 1], xtol=1e-14) for i in range(count))


def radial_values(basis, l, r):
    """Compute R_nl(r) for every n, shape (n_max, *r.shape).

    Gaussian bases are summed in 50 digits, because the terms cancel.
    """
    kind, n_max, r_cut = basis
    r = np.asarray(r, float)
    if kind == "laplacian":
        zeros = np.array(bessel_zeros(l, n_max))
        norms = np.sqrt(2 / r_cut**3) / np.abs(spherical_jn(l + 1, zeros))
        values = [norm * spherical_jn(l, zero * r / r_cut) for norm, zero in zip(norms, zeros, strict=True)]
        return np.array(values) * (r <= r_cut)
    with mpmath.workdps(DIGITS):
        powers, alphas = _primitives(basis, l)
        beta = lowdin_coefficients(basis, l)
        columns = []
        for x in map(mpmath.mpf, r.ravel().tolist()):
            terms = mpmath.matrix([x**p * mpmath.exp(-a * x * x) for p, a in zip(powers, alphas, strict=True)])
            columns.append([float(v) for v in beta * terms])
    return np.array(columns).T.reshape(n_max, *r.shape)


@cache
def _radial_table(basis, l, sigma):
    """Return composite Gauss-Legendre nodes and 4 pi * weight * r^2 * R_nl there, shape (n_max, nodes)."""
    end = basis[2] if basis[0] == "laplacian" else basis[2] + 10 * sigma
    edges = np.linspace(0, end, int(np.ceil(end / min(sigma, 0.5))) + 1)
    x, w = np.polynomial.legendre.leggauss(20)
    half = np.diff(edges)[:, None] / 2
    r = (edges[:-1, None] + half * (1 + x)).ravel()
    return r, 4 * np.pi * (half * w).ravel() * r**2 * radial_values(basis, l, r)


def radial_integrals(basis, l, r_j, sigma):
    """Compute the factor of Y_lm(r_j) in the coefficients, for every n, r_j <= r_cut; R_nl(r_j) if sigma = 0, or else

    4 pi int r^2 R_nl(r) exp(-(r^2 + r_j^2) / (2 sigma^2)) i_l(r r_j / sigma^2) dr,   i_l modified spherical Bessel.
    """
    if sigma == 0:
        return radial_values(basis, l, r_j) * (r_j > 0 or l == 0)  # a delta at the origin has no direction
    r, table = _radial_table(basis, l, sigma)
    z = r * r_j / sigma**2
    safe = np.maximum(z, 1e-150)
    scaled = np.where(z < 1e-150, float(l == 0), np.sqrt(np.pi / (2 * safe)) * ive(l + 0.5, safe))  # exp(-z) i_l(z)
    return table @ (np.exp(-((r - r_j) ** 2) / (2 * sigma**2)) * scaled)


def _neighbor_factors(positions, basis, l, sigma, weight):
    """Compute weight times radial integral of each neighbor, shape (n_max, N)."""
    radii = np.linalg.norm(np.asarray(positions, float).reshape(-1, 3), axis=1)
    columns = [(1.0 if weight is None else weight(r)) * radial_integrals(basis, l, r, sigma) for r in radii.tolist()]
    return np.array(columns).reshape(len(radii), basis[1]).T


def _species_mask(species, n_species):
    n_species = max(species, default=-1) + 1 if n_species is None else n_species
    return np.equal.outer(np.arange(n_species), species).astype(float)


# --- features --------------------------------------------------------------------------------------------------------


def density_coefficients(positions, species, basis, l_max, sigma, *, n_species=None, weight=None, real=True):
    """Compute c[a, n, l], an array over m = -l ... l, for real or complex harmonics."""
    of_species = _species_mask(species, n_species)
    harmonics = real_harmonics if real else complex_harmonics
    c = {}
    for l in range(l_max + 1):
        factors = _neighbor_factors(positions, basis, l, sigma, weight)
        angular = np.array([harmonics(l, m, positions) for m in range(-l, l + 1)])
        for a, mask in enumerate(of_species):
            for n in range(basis[1]):
                c[a, n, l] = angular @ (mask * factors[n])
    return c


def power_spectrum_legendre(positions, species, basis, l_max, sigma, *, n_species=None, weight=None):
    """Compute P[a, n, b, n', l] = sum_m c_anlm c_bn'lm / sqrt(2l+1) over pairs of neighbors, without c."""
    of_species = _species_mask(species, n_species)
    units = _units(positions)
    p = np.zeros((len(of_species), basis[1], len(of_species), basis[1], l_max + 1))
    for l in range(l_max + 1):
        g = np.einsum("aj,nj->anj", of_species, _neighbor_factors(positions, basis, l, sigma, weight))
        pairs = np.sqrt(2 * l + 1) / (4 * np.pi) * eval_legendre(l, np.clip(units @ units.T, -1, 1))
        p[..., l] = np.einsum("ani,bmj,ij->anbm", g, g, pairs)
    return p


def bispectrum(c, q1, q2, q3):
    """Compute sum_m (l1 l2 l3; m1 m2 m3) c_q1 c_q2 c_q3 from *complex* coefficients (real=False).

    Real for even l1 + l2 + l3. For odd ones it is imaginary, and equals the real tensor's value up to a common sign.
    """
    value = np.einsum("abc,a,b,c", wigner_3j(q1[2], q2[2], q3[2]), c[q1], c[q2], c[q3])
    return float(value.imag if (q1[2] + q2[2] + q3[2]) % 2 else value.real)


# --- averages over rotations -----------------------------------------------------------------------------------------


def _units(positions):
    """Return directions. That of the origin is z, on which nothing depends, because its density has l = 0 only."""
    positions = np.asarray(positions, float).reshape(-1, 3)
    radii = np.linalg.norm(positions, axis=1, keepdims=True)
    return np.where(radii > 0, positions / np.where(radii > 0, radii, 1), [0.0, 0.0, 1.0])


def rotation_quadrature(degree):
    """Return rotation matrices and weights (sum 1) that integrate products of Wigner D of total l <= degree exactly."""
    angles = 2 * np.pi * np.arange(degree + 1) / (degree + 1)
    cosines, w = np.polynomial.legendre.leggauss(degree // 2 + 1)
    grid = np.stack(np.meshgrid(angles, np.arccos(cosines), angles, indexing="ij"), axis=-1).reshape(-1, 3)
    weights = np.repeat(np.tile(w, len(angles)), len(angles)) / (2 * len(angles) ** 2)
    return Rotation.from_euler("ZYZ", grid).as_matrix(), weights


def _averaged_product(kernels, positions, group):
    """Average over the group prod_k sum_l sum_ij kernels[k][l][i, j] (2l+1)/4pi P_l(u_i . R u_j); -R too for "O3"."""
    units = _units(positions)
    matrices, weights = rotation_quadrature(sum(max(kernel) for kernel in kernels))
    cosines = np.clip(np.einsum("ix,rxy,jy->rij", units, matrices, units), -1, 1)
    legendre = {l: (2 * l + 1) / (4 * np.pi) * eval_legendre(l, cosines) for l in set().union(*kernels)}
    signs = {"SO3": (1,), "O3": (1, -1)}[group]
    total = 0.0
    for sign in signs:
        product = np.ones(len(weights))
        for kernel in kernels:
            product = product * sum(sign**l * np.einsum("ij,rij->r", k, legendre[l]) for l, k in kernel.items())
        total += float(weights @ product) / len(signs)
    return total


def channel_norm(channels, positions, species, basis, sigma, *, group="O3", weight=None):
    """Sum the squared invariants of the channels (a, n, l)_1 ... (a, n, l)_nu: |<c_1 x ... x c_nu>_group|^2.

    One invariant for nu <= 3 (so this is B^2 for a bispectrum), one for every way to couple beyond.
    """
    kernels = []
    for a, n, l in channels:
        g = _neighbor_factors(positions, basis, l, sigma, weight)[n] * (np.array(species) == a)
        kernels.append({l: np.outer(g, g)})
    return _averaged_product(kernels, positions, group)


def invariant_norm(nu, positions, species, basis, l_max, sigma, *, group="O3", weight=None):
    """Compute the squared norm of the averaged tensor <c x ... x c> of order nu: the average of (c . D(R) c)^nu over R.

    It is the sum of all squared invariants of all *ordered* tuples of channels.
    """
    same = np.equal.outer(species, species)
    kernel = {}
    for l in range(l_max + 1):
        g = _neighbor_factors(positions, basis, l, sigma, weight)
        kernel[l] = same * (g.T @ g)
    return _averaged_product([kernel] * nu, positions, group)


# --- tools -----------------------------------------------------------------------------------------------------------


def richardson_derivative(fn, x, direction, order=1, *, step=0.05, levels=5):
    """Extrapolate central differences at step / 2^k to derivative number `order` of fn(x + t direction) at t = 0."""
    x, direction = np.asarray(x, float), np.asarray(direction, float)
    rows = []
    for k in range(levels):
        h = step / 2**k
        values = [np.asarray(fn(x + (order / 2 - i) * h * direction)) for i in range(order + 1)]
        row = [sum((-1) ** i * comb(order, i) * v for i, v in enumerate(values)) / h**order]
        for i in range(k):
            row.append(row[-1] + (row[-1] - rows[-1][i]) / (4 ** (i + 1) - 1))
        rows.append(row)
    return rows[-1][-1]


def random_cluster(rng, n, species, r_min, r_max, d_min):
    """Draw n neighbors at distances r_min ... r_max, at least d_min apart, and their species channels."""
    positions = np.zeros((0, 3))
    for _ in range(100_000):
        if len(positions) == n:
            return positions, [int(s) for s in rng.choice(species, n)]
        direction = rng.normal(size=3)
        new = rng.uniform(r_min, r_max) * direction / np.linalg.norm(direction)
        if np.all(np.linalg.norm(positions - new, axis=1) >= d_min):
            positions = np.vstack([positions, new])
    raise ValueError(f"no room for {n} neighbors at least {d_min} Å apart between {r_min} and {r_max} Å")
