"""Behler's atom-centered symmetry functions, with the definitions, the names and the order of DScribe's ACSF."""

from math import sqrt
from types import NoneType
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxfeat.cutoffs import AbstractCutoff, NoCutoff, Smoothstep
from jaxfeat.errors import BasisError
from jaxfeat.features.base import AbstractFeaturizer, Label
from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.species import SYMBOLS, distinct_atomic_numbers
from jaxfeat.linalg.arrays import array_namespace, as_quantity, concrete_values, format_quantity

Rows = list[list[float]] | tuple[tuple[float, ...], ...] | list[float] | tuple[float, ...] | np.ndarray | None

ANI_1X_RADIUS, ANI_1X_FIRST_SHIFT, ANI_1X_STEP, ANI_1X_ETA, ANI_1X_SHIFTS = 5.2, 0.9, 0.26875, 16.0, 16
"""The radial functions of ANI-1x: cutoff, first R_s and distance of the others in Å, η in Å⁻², and their number."""

CENTERED_ETAS = (1.0, 2.0, 4.0, 8.0, 16.0)  # η of the default angular functions, over r_cut⁻²
DEFAULT_ZETAS = (1.0, 4.0, 16.0)
LEAST_FRACTIONAL_ZETA = 3.0  # A power ζ has three finite derivatives at zero if it is whole, or at least this.


class SymmetryFunctions(AbstractFeaturizer):
    """Behler's atom-centered symmetry functions G1 to G5 (ACSF), equal to DScribe's.

    With the window f_c(r), distances r_j, r_k and r_jk, and the angle θ between two neighbors at the center,

        G1 = Σ_j f_c(r_j)
        G2 = Σ_j exp(-η (r_j - R_s)²) f_c(r_j)
        G3 = Σ_j cos(κ r_j) f_c(r_j)
        G4 = 2^(1-ζ) Σ_j<k (1 + λ cos θ)^ζ exp(-η (r_j² + r_k² + r_jk²)) f_c(r_j) f_c(r_k) f_c(r_jk)
        G5 = 2^(1-ζ) Σ_j<k (1 + λ cos θ)^ζ exp(-η (r_j² + r_k²)) f_c(r_j) f_c(r_k)

    with sums over the neighbors of one species, or over the pairs of two species. Each pair of species has its features
    once. G4 does not see two neighbors that are more than `r_cut` apart. The species of the center has no feature. The
    order ν is 2, or 1 if there is neither G4 nor G5.

    If none of `g2` to `g5` is given, there are 16 G2, the radial functions of ANI-1x stretched to `r_cut`, and 30 G5
    with η = 1, 2, 4, 8, 16 r_cut⁻², ζ = 1, 4, 16 and λ = ±1, after Imbalzano et al.

    **Arguments:**

    - `species`: Symbols or atomic numbers, each of which gets functions of its own. In ascending order the features
        have the order of DScribe's.
    - `r_cut`: Radius of the environment, Å.
    - `g2`: A row (η in Å⁻², R_s in Å) for each G2.
    - `g3`: A number κ in Å⁻¹ for each G3.
    - `g4`, `g5`: A row (η in Å⁻², ζ, λ) for each G4, and for each G5. λ lies between -1 and 1. ζ is a whole number, or
        at least 3, because other powers have infinite derivatives where two neighbors and the center lie on a line.
    - `cutoff`: A window from `jaxfeat.cutoffs`. By default `Smoothstep` over the last Å, as for other features, so that
        searches find three continuous derivatives. DScribe's and Behler's own is `ShiftedCosine(r_cut)`, whose second
        derivative jumps.

    All but `species` are quantities: they may be traced, differentiated and replaced.

    **Labels:** ("G1", species), ("G2", species, row), ("G3", species, row), one species after the other; then for each
    pair of species ("G4", species, species, row) and ("G5", species, species, row).

    **Raises:** `BasisError` if the arguments define no functions. `SpeciesError` if `species` names no element, or one
    twice.

    **Source:** Behler, J. Chem. Phys. 134, 074106 (2011); Smith et al., J. Chem. Phys. 148, 241733 (2018) (ANI-1x);
    Imbalzano et al., J. Chem. Phys. 148, 241730 (2018).
    """

    species: np.ndarray
    r_cut: np.ndarray
    g2: np.ndarray
    g3: np.ndarray
    g4: np.ndarray
    g5: np.ndarray
    cutoff: AbstractCutoff
    group: ClassVar[str] = "O3"  # type: ignore[misc]

    def __init__(
        self,
        species: tuple[str | int, ...] | list[str],
        r_cut: float = 4.0,
        g2: Rows = None,
        g3: Rows = None,
        g4: Rows = None,
        g5: Rows = None,
        cutoff: AbstractCutoff | None = None,
    ) -> None:
        numbers = distinct_atomic_numbers(species)
        if not isinstance(cutoff, (AbstractCutoff, NoneType)):
            raise BasisError(f"cutoff is {cutoff!r}; give a window such as jaxfeat.cutoffs.Smoothstep(1.0).")
        self.species, self.r_cut = numbers, as_quantity(r_cut)
        radius = concrete_values(self.r_cut)
        if radius is not None and not (radius > 0 and np.isfinite(radius)):
            raise BasisError(f"r_cut is {radius:g} Å; it must be a positive number.")
        rows = (g2, g3, g4, g5)
        if all(one is None for one in rows):
            rows = (*_default_rows(self.r_cut),)
        names = ("g2", "g3", "g4", "g5")
        self.g2, self.g3, self.g4, self.g5 = (_check_rows(n, one) for n, one in zip(names, rows, strict=True))
        self.cutoff = Smoothstep(array_namespace(self.r_cut).minimum(1.0, self.r_cut)) if cutoff is None else cutoff
        if radius is not None:
            self.cutoff.check(float(radius))

    def __repr__(self) -> str:
        species = concrete_values(self.species)
        if species is None or species.ndim != 1 or np.ndim(self.r_cut):
            return super().__repr__()
        symbols = " ".join(SYMBOLS[number] for number in species if number > 0)
        counts = ((f"G{k}", len(one)) for k, one in enumerate((self.g2, self.g3, self.g4, self.g5), 2))
        functions = ", ".join(["1 G1", *(f"{n} {name}" for name, n in counts if n)])
        return f"SymmetryFunctions({symbols}, ν = {self.nu}, r_cut = {format_quantity(self.r_cut, 'Å')}, {functions})"

    @property  # type: ignore[misc]
    def nu(self) -> int:  # type: ignore[override]
        return 2 if self._n_angular else 1

    @property
    def _n_radial(self) -> int:
        return 1 + len(self.g2) + len(self.g3)

    @property
    def _n_angular(self) -> int:
        return len(self.g4) + len(self.g5)

    @property
    def _pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """The indices of the species of each pair, in DScribe's order."""
        return np.tril_indices(len(self.species))

    @property
    def n_features(self) -> int:
        return self._n_radial * len(self.species) + self._n_angular * len(self._pairs[0])

    @property
    def labels(self) -> tuple[Label, ...]:
        symbols = [SYMBOLS[number] for number in self.species]
        radial = [("G1",), *(("G2", k) for k in range(len(self.g2))), *(("G3", k) for k in range(len(self.g3)))]
        angular = [("G4", k) for k in range(len(self.g4))] + [("G5", k) for k in range(len(self.g5))]
        singles = [(one[0], symbol, *one[1:]) for symbol in symbols for one in radial]
        pairs = [(name, symbols[a], symbols[b], k) for a, b in zip(*self._pairs, strict=True) for name, k in angular]
        return (*singles, *pairs)

    @property
    def accepted_radii(self) -> tuple[Any, Any]:
        return self.r_cut, self.r_cut if isinstance(self.cutoff, NoCutoff) else np.inf

    def restricted_to_species(self, species: Int[Array, " k"] | np.ndarray) -> "SymmetryFunctions":
        # Functions of absent species are zero, with zero derivatives.
        return eqx.tree_at(lambda f: f.species, self, species)

    def features(self, env: Environment) -> Float[Array, " n_features"]:
        members = self._members(env)
        radial = jax.vmap(self._radial)(env.positions, env.mask)
        found = jnp.einsum("na,np->ap", members, radial, precision="highest").reshape(-1)
        if not self._n_angular:
            return found
        i, j = np.triu_indices(env.max_neighbors, 1)
        values = jax.vmap(self._angular)(env.positions[i], env.positions[j], env.mask[i] & env.mask[j])
        a, b = self._pairs
        of_pair = members[i][:, a] * members[j][:, b]
        of_pair = of_pair + jnp.where(a == b, 0, 1).astype(of_pair.dtype)[None] * members[i][:, b] * members[j][:, a]
        return jnp.concatenate([found, jnp.einsum("mt,mp->tp", of_pair, values, precision="highest").reshape(-1)])

    def jacobian(self, env: Environment) -> Float[Array, "n_features n 3"]:
        # A function of two neighbors has three tangents for each, however many neighbors there are.
        members, n = self._members(env), env.max_neighbors
        slopes = jax.vmap(jax.jacfwd(self._radial))(env.positions, env.mask)
        rows = jnp.einsum("na,npc->apnc", members, slopes, precision="highest").reshape(-1, n, 3)
        if not self._n_angular:
            return rows
        others = env.mask[None] & ~np.eye(n, dtype=bool)
        of_first = jax.vmap(jax.jacfwd(self._angular), (None, 0, 0))
        slopes = jax.vmap(of_first, (0, None, 0))(env.positions, env.positions, others & env.mask[:, None])
        by_species = jnp.einsum("kb,jkpc->bpjc", members, slopes, precision="highest")
        a, b = self._pairs
        own = members.T[:, None, :, None]
        of_pair = own[a] * by_species[b]
        of_pair = of_pair + jnp.where(a == b, 0, 1).astype(own.dtype)[:, None, None, None] * own[b] * by_species[a]
        return jnp.concatenate([rows, of_pair.reshape(-1, n, 3)])

    def n_compact_rows(self, n_neighbors: int) -> int:
        return self.n_features

    def roundings(self, env: Environment) -> Float[Array, " n"]:
        # The argument of an exponential, and the base of a power, are wrong by eps times their derivatives.
        xp = array_namespace(env.positions)
        sharpest, highest = (
            xp.concatenate([xp.asarray(rows[:, column], env.positions.dtype) for rows in kinds]).max(initial=0)
            for column, kinds in enumerate([(self.g2, self.g4, self.g5), (self.g4, self.g5)])
        )
        return 1 + highest + 2 * sqrt(2) * xp.sqrt(sharpest * (env.positions**2).sum(-1))

    def _members(self, env: Environment) -> Float[Array, "n s"]:
        """Compute 1 where a neighbor is of a species, and 0 elsewhere."""
        same = env.species[:, None] == jnp.asarray(self.species, env.species.dtype)[None]
        return (same & env.mask[:, None]).astype(env.positions.dtype)

    def _radial(self, position: Float[Array, "3"], there: Bool[Array, ""]) -> Float[Array, " p"]:
        """Compute the terms of one neighbor in G1, G2 and G3."""
        r, dtype = _length(position, there), position.dtype
        (eta, shift), kappa = jnp.asarray(self.g2, dtype).T, jnp.asarray(self.g3, dtype)
        shapes = [jnp.ones((1,), dtype), jnp.exp(-eta * (r - shift) ** 2), jnp.cos(kappa * r)]
        return jnp.where(there, jnp.concatenate(shapes) * self._window(r), 0)

    def _angular(
        self, first: Float[Array, "3"], second: Float[Array, "3"], there: Bool[Array, ""]
    ) -> Float[Array, " p"]:
        """Compute the terms of two neighbors in G4 and G5."""
        dtype, terms = first.dtype, []
        between = first - second
        r, q, d = (_length(one, there) for one in (first, second, between))
        first, second = first / jnp.where(r > 0, r, 1), second / jnp.where(q > 0, q, 1)
        # 1 ± cos θ as a square is neither negative nor inaccurate where it is small.
        bases = [jnp.sum((first + sign * second) ** 2) / 2 for sign in (1, -1)]
        squares, both = r**2 + q**2, self._window(r) * self._window(q)
        for rows, exponent, weight in ((self.g4, squares + d**2, both * self._window(d)), (self.g5, squares, both)):
            eta, zeta, lam = jnp.asarray(rows, dtype).T
            sign = jnp.where(lam < 0, -1, 1).astype(dtype)
            base = (1 - sign * lam) + sign * lam * jnp.where(lam < 0, bases[1], bases[0])
            terms.append(2 * _power(base / 2, zeta) * jnp.exp(-eta * exponent) * weight)
        return jnp.where(there, jnp.concatenate(terms), 0)

    def _window(self, r: Float[Array, ""]) -> Float[Array, ""]:
        return self.cutoff(r, jnp.asarray(self.r_cut, r.dtype))


def _length(vector: Float[Array, "*batch 3"], there: Bool[Array, "*batch"]) -> Float[Array, "*batch"]:
    """Compute the lengths of vectors; zero, with a slope of zero, for padding and for a vector of zeros."""
    square = jnp.sum(vector**2, -1)
    positive = there & (square > 0)
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, square, 1)), 0)


@jax.custom_jvp
def _power(x: Float[Array, " p"], exponent: Float[Array, " p"]) -> Float[Array, " p"]:
    """Compute x^exponent for x >= 0. Where x is 0, each derivative by x that is finite is right. JAX's power has NaN in
    place of the second derivative of x¹, if the exponent is traced."""
    return x**exponent


@_power.defjvp
def _(primals: tuple[Array, Array], tangents: tuple[Array, Array]) -> tuple[Array, Array]:
    (x, exponent), (dx, d_exponent) = primals, tangents
    # A negative power of zero only occurs times zero: after the last derivative of a whole power.
    lower = jnp.where((x > 0) | (exponent >= 1), exponent - 1, 0)
    value = _power(x, exponent)
    by_exponent = jnp.log(jnp.where(x > 0, x, 1)) * value
    return value, exponent * _power(x, lower) * dx + by_exponent * d_exponent


def _default_rows(r_cut: Any) -> tuple[Any, Any, Any, Any]:
    xp, stretch = array_namespace(r_cut), r_cut / ANI_1X_RADIUS
    shifts = (ANI_1X_FIRST_SHIFT + ANI_1X_STEP * np.arange(ANI_1X_SHIFTS)) * stretch
    g2 = xp.stack([xp.full_like(shifts, ANI_1X_ETA) / stretch**2, shifts], 1)
    grid = np.asarray([(eta, zeta, sign) for eta in CENTERED_ETAS for zeta in DEFAULT_ZETAS for sign in (1.0, -1.0)])
    g5 = xp.concatenate([grid[:, :1] / r_cut**2, grid[:, 1:]], 1)
    return g2, None, None, g5


def _check_rows(name: str, given: Any) -> Any:
    """Convert the parameters of one kind of function to an array with a row for each."""
    columns = {"g2": "η, R_s", "g3": "κ", "g4": "η, ζ, λ", "g5": "η, ζ, λ"}[name]
    width = len(columns.split(", "))
    try:
        rows = as_quantity([] if given is None else given)
    except ValueError:
        rows = np.full((1, 1, 1), np.nan)
    if rows.size == 0:
        rows = np.zeros((0, width))[:, 0] if width == 1 else np.zeros((0, width))
    if rows.shape[1:] != (() if width == 1 else (width,)):
        raise BasisError(f"{name} is {given!r:.80}; give a list with {columns} for each function.")
    values = concrete_values(rows)
    if values is None:
        return rows
    fault = "" if np.isfinite(values).all() else "all parameters must be finite numbers"
    if width > 1 and not fault:
        fault = "" if (values[:, 0] >= 0).all() else "η must not be negative"
    if width > 2 and not fault:
        zeta, lam = values[:, 1], values[:, 2]
        whole = (zeta == np.round(zeta)) & (zeta >= 1)
        if not (whole | (zeta >= LEAST_FRACTIONAL_ZETA)).all():
            fault = "ζ must be 1, 2, or at least 3, because other powers have no third derivative for atoms on a line"
        elif not (np.abs(lam) <= 1).all():
            fault = "λ must lie between -1 and 1"
    if fault:
        raise BasisError(f"{name} is {np.asarray(values).tolist()!r:.80}; {fault}.")
    return rows
