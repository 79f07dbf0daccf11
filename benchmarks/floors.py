"""Measure the errors of singular values in units of the floor that comes with them.

Random and nearly singular environments go through `jaxfeat.scan`'s kernel, and through the same formulas in NumPy's
long doubles. No error may exceed its floor.

    python benchmarks/floors.py            # 10,000 environments, some twenty minutes of one core
    python benchmarks/floors.py --smoke
"""

from __future__ import annotations

import argparse
from functools import lru_cache
from typing import NamedTuple

import jax
import numpy as np

import jaxfeat
from jaxfeat.basis.radial import RADIAL_BASES

LD = np.longdouble


class Case(NamedTuple):
    """A descriptor and a kind of environments."""

    radial: str
    n_max: int
    l_max: int
    r_cut: float
    sigma: float
    n_neighbors: int
    dtype: str = "float64"


CASES = [
    Case("gto", 8, 6, 4.0, 0.3, 4),
    Case("gto", 15, 2, 5.0, 0.4, 5),
    Case("gto", 8, 6, 4.0, 0.3, 4, "float32"),
    Case("gto-rascal", 8, 4, 5.0, 0.5, 6),
    Case("laplacian", 3, 20, 3.0, 0.1, 4),
    Case("laplacian", 12, 3, 4.0, 0.05, 6),
]

MORE = [
    Case(radial, n_max, l_max, r_cut, sigma, n_neighbors, dtype)
    for radial in RADIAL_BASES
    for n_max, l_max, r_cut, sigma, n_neighbors, dtype in (
        (4, 4, 5.0, 0.01, 6, "float64"),
        (8, 6, 4.0, 0.3, 6, "float64"),
        (12, 6, 5.0, 0.5, 4, "float64"),
        (16, 3, 3.0, 2.0, 5, "float64"),
        (3, 20, 4.0, 0.1, 4, "float64"),
        (12, 6, 4.0, 0.2, 5, "float32"),
    )
]


def positions(rng: np.random.Generator, case: Case, n: int) -> np.ndarray:
    """Draw environments `(n, k, 3)` between 0.5 Å and r_cut: generic ones, tetrahedra, corners of cubes, planes, and
    members of the pair family, exact or displaced by 1e-6 to 1e-15 Å."""
    found = []
    for i in range(n):
        directions = rng.normal(size=(case.n_neighbors, 3))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        scale = rng.uniform(0.6, 0.9 * case.r_cut / 1.4)
        some = directions * rng.uniform(scale, 1.4 * scale, (case.n_neighbors, 1))
        kind = i % 5
        if kind == 1:
            corners = np.asarray([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1], [-1, -1, -1], [1, 1, -1]])
            some = scale / np.sqrt(3) * corners[: case.n_neighbors]
        if kind == 2:
            some[:, 2] = 0
        if kind == 3:
            a, b, c = rng.uniform(0.3, 0.8, 3)
            pair = [[-0.5, 0, 0.9], [a, b, c], [a, -b, c], [-0.7, 0, 0]]
            some[:4] = scale * np.asarray(pair)
        turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
        moved = rng.normal(size=some.shape) * 10 ** rng.uniform(-15, -6) * rng.integers(0, 2)
        found.append((some + moved * (kind > 0)) @ turn)
    return np.asarray(found).astype(case.dtype)


def errors(case: Case, at: np.ndarray, *, screened: bool) -> np.ndarray:
    """Return the largest error of the raw and of the equilibrated values of each environment over their floors,
    `(n, 2)`."""
    f = featurizer(case)
    n, k = at.shape[:2]
    batch = jaxfeat.Environment.stack([jaxfeat.Environment.from_neighbors(one, ["H"] * k) for one in at])
    rows = np.stack([jacobian(case, one.astype(LD)) for one in at])
    found = np.full((n, 2), np.nan)
    for which, equilibrated in enumerate((False, True)):
        spectrum = jaxfeat.singular_spectrum(f, batch, equilibrated, directions=False, screened=screened)
        values, floors = np.asarray(spectrum.values, LD), np.asarray(spectrum.floor, LD)
        exact = singular_values(rows, equilibrated)[:, : values.shape[1]]
        found[:, which] = (np.abs(values - exact).max(1) / floors).astype(float)
    return found


def featurizer(case: Case) -> jaxfeat.PowerSpectrum:
    sizes = {"n_max": case.n_max, "l_max": case.l_max}
    return jaxfeat.PowerSpectrum(
        ("H",), case.r_cut, sigma=case.sigma, radial=case.radial, include_center=False, **sizes
    )


def jacobian(case: Case, at: np.ndarray) -> np.ndarray:
    """Compute dF/dr of the power spectrum of one species without its center in long doubles: `(n_features, 3 k)`."""
    r_cut, sigma = LD(case.r_cut), LD(case.sigma)
    s = (at**2).sum(1)
    values, slopes = _functions(case.radial, case.n_max, case.l_max, r_cut, sigma)(s / r_cut**2)[:2]
    powers = r_cut ** -np.arange(case.l_max + 1, dtype=LD)
    values, slopes = values * powers, slopes * powers / r_cut**2
    weight, slope = _window(np.sqrt(s), r_cut, LD(min(1.0, case.r_cut)))
    slopes = weight[:, None, None] * slopes + (slope / (2 * np.sqrt(s)))[:, None, None] * values
    values = weight[:, None, None] * values
    harmonics = _harmonics(case.l_max, at.astype(np.clongdouble)).real
    step = LD(1e-30)
    gradients = [_harmonics(case.l_max, at + 1j * step * np.eye(3, dtype=LD)[x]).imag / step for x in range(3)]
    rows = []
    first, second = np.triu_indices(case.n_max)
    factor = np.where(first == second, LD(1), np.sqrt(LD(2)))
    for l in range(case.l_max + 1):
        m = slice(l**2, (l + 1) ** 2)
        g, h = values[:, :, l], harmonics[:, m]
        c = g.T @ h
        dc = np.stack([
            2 * at[:, x, None, None] * slopes[:, :, l, None] * h[:, None] + g[:, :, None] * gradients[x][:, None, m]
            for x in range(3)
        ], 1)  # fmt: skip
        product = np.einsum("kxqm,pm->kxqp", dc, c)
        d = product + product.swapaxes(2, 3)
        rows.append((d[..., first, second] * factor / np.sqrt(LD(2 * l + 1))).reshape(3 * len(at), -1).T)
    return np.concatenate(rows)


_functions = lru_cache(
    lambda radial, n_max, l_max, r_cut, sigma: RADIAL_BASES[radial](n_max, l_max).functions(r_cut, sigma)
)


def _window(r: np.ndarray, r_cut: np.longdouble, width: np.longdouble) -> tuple[np.ndarray, np.ndarray]:
    u = np.clip((r_cut - r) / width, 0, 1)
    return u**5 * (126 + u * (-420 + u * (540 + u * (-315 + 70 * u)))), -630 * (u * (1 - u)) ** 4 / width


def _harmonics(l_max: int, at: np.ndarray) -> np.ndarray:
    """Compute r^l Y_lm as polynomials, `(k, (l_max + 1)²)`, by recurrences that take complex steps."""
    x, y, z = at.T
    s = x * x + y * y + z * z
    cosines, sines = [np.ones_like(x)], [np.zeros_like(x)]
    for _ in range(l_max):
        cosines, sines = [*cosines, x * cosines[-1] - y * sines[-1]], [*sines, x * sines[-1] + y * cosines[-1]]
    found = np.zeros((len(at), (l_max + 1) ** 2), at.dtype)
    four_pi = 16 * np.arctan(LD(1))
    start = np.sqrt(1 / four_pi)
    for m in range(l_max + 1):
        if m:
            start = start * np.sqrt(LD(2 * m + 1) / (2 * m))
        below, here = np.zeros_like(x), np.full_like(x, start)
        for l in range(m, l_max + 1):
            if l > m:
                a = np.sqrt(LD(4 * l * l - 1) / (l * l - m * m))
                b = np.sqrt(LD((l - 1) ** 2 - m * m) / (4 * (l - 1) ** 2 - 1))
                below, here = here, a * (z * here - b * s * below)
            root = np.sqrt(LD(2)) if m else LD(1)
            found[:, l * l + l + m] = root * here * cosines[m]
            if m:
                found[:, l * l + l - m] = root * here * sines[m]
    return found


def singular_values(matrices: np.ndarray, equilibrated: bool) -> np.ndarray:
    """Compute the singular values of `(b, m, n)` without those of three rigid motions, descending, by one-sided Jacobi
    rotations in long doubles."""
    a = np.moveaxis(matrices, 2, 0).copy()
    n = len(a)
    if equilibrated:
        norms = np.sqrt((a**2).sum(2).reshape(-1, 3, a.shape[1]).sum(1))
        a = a / np.repeat(norms, 3, 0)[..., None]
    for _ in range(30):
        largest = LD(0)
        for p in range(n - 1):
            for q in range(p + 1, n):
                pp, qq, pq = ((x * y).sum(1) for x, y in ((a[p], a[p]), (a[q], a[q]), (a[p], a[q])))
                largest = max(largest, (np.abs(pq) / (np.sqrt(pp * qq) + LD(1e-300))).max())
                theta = (qq - pp) / (2 * np.where(pq == 0, 1, pq))
                t = np.where(pq == 0, 0, np.copysign(1, theta) / (np.abs(theta) + np.sqrt(theta * theta + 1)))
                c = (1 / np.sqrt(t * t + 1))[:, None]
                t = t[:, None]
                a[p], a[q] = c * (a[p] - t * a[q]), c * (a[q] + t * a[p])
        if largest < 1e-17:
            break
    return np.sort(np.sqrt((a**2).sum(2)), 0)[::-1][: n - 3].T


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="a few environments")
    parser.add_argument("--environments", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    rng = np.random.default_rng(arguments.seed)
    cases = CASES[:2] if arguments.smoke else [*CASES, *MORE]
    each = 7 if arguments.smoke else -(-arguments.environments // len(cases))
    worst = 0.0
    for case in cases:
        at = positions(rng, case, each)
        found = [errors(case, at, screened=screened).max(0) for screened in (False, True)]
        worst = max(worst, float(np.max(found)))
        shown = "  ".join(f"{x:9.2e}" for x in np.concatenate(found))
        print(f"{case.radial:10} n_max {case.n_max:2} l_max {case.l_max:2} r_cut {case.r_cut:g} σ {case.sigma:4g} "
              f"N {case.n_neighbors} {case.dtype}  {shown}", flush=True)  # fmt: skip
    print(f"seed {arguments.seed}, {each * len(cases)} environments: the largest error is {worst:.2g} of its floor.")


if __name__ == "__main__":
    main()
