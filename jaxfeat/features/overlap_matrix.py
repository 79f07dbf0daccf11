"""Overlap matrix fingerprints: eigenvalues of the overlaps of orbitals on the atoms of an environment."""

from types import NoneType
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxfeat.cutoffs import AbstractCutoff, NoCutoff, Zhu2016
from jaxfeat.errors import BasisError, SpeciesError
from jaxfeat.features.base import AbstractFeaturizer, Label
from jaxfeat.features.host_work import roundings_by_program
from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.species import COVALENT_RADII, SYMBOLS, distinct_atomic_numbers
from jaxfeat.linalg.arrays import as_quantity, concrete_values, format_quantity
from jaxfeat.linalg.eigen import CROSSING_EPS, mean_over_eigenspaces, smooth_eigh

ORBITALS = {"s": 1, "sp": 4}  # orbitals of an atom
MAX_TRACE_ORDER = 4  # The order of traces that is declared. Beyond it no complete kernel could be computed.


class OverlapMatrix(AbstractFeaturizer):
    """Overlap matrix fingerprints: the spectrum of the overlaps of Gaussian orbitals on all atoms of an environment.

    The center and each neighbor carry one s orbital exp(-r²/2w²), or an s orbital and three p orbitals of the same
    width w, all normalized. The overlap of two orbitals is multiplied by the amplitudes of both atoms, which fall from
    1 at the center to 0 at `r_cut`. Features are the largest eigenvalues in descending order, with zeros where there
    are fewer. They depend on all atoms at once, so there is no order ν.

    Sorted eigenvalues are continuous everywhere and have no derivative where two of them cross, which all degenerate
    levels of symmetric environments do. Spectra and null spaces have the status "not-smooth" there, and the Jacobian
    holds the mean of the slopes of the eigenvalues that cross. The traces tr S, tr S², ..., tr Sᵏ of powers of the
    same matrix, sums of powers of its eigenvalues, are smooth everywhere; their order is ν = k.

    **Arguments:**

    - `species`: Symbols or atomic numbers of all atoms, the center's too.
    - `r_cut`: Radius of the environment, Å.
    - `n_values`: The number of features. Eigenvalues beyond it, the smallest, are left out.
    - `orbitals`: `"s"` or `"sp"`. Four neighbors have twelve coordinates, and with the center five s orbitals.
    - `invariants`: `"eigenvalues"` or `"traces"`.
    - `widths`: The width w of the Gaussians of each species, Å. By default the covalent radii of Cordero et al.
    - `cutoff`: A window from `jaxfeat.cutoffs` as the amplitude. By default `Zhu2016()`. Features depend on the
        square of the amplitude, so that it gives them three continuous derivatives at `r_cut`.

    `r_cut` and `widths` are quantities: they may be traced, differentiated and replaced.

    **Labels:** ("eigenvalue", k) or ("trace", k), k = 1 ... `n_values`.

    **Raises:** `BasisError` if the arguments define no features. `SpeciesError` if `species` names no element, or one
    twice, or if the number of `widths` differs, or if there is no covalent radius for an element.

    **Source:** Sadeghi et al., J. Chem. Phys. 139, 184118 (2013); Zhu et al., J. Chem. Phys. 144, 034203 (2016).
    """

    species: np.ndarray
    r_cut: np.ndarray
    n_values: int = eqx.field(static=True)
    orbitals: str = eqx.field(static=True)
    invariants: str = eqx.field(static=True)
    widths: np.ndarray
    cutoff: AbstractCutoff
    group: ClassVar[str] = "O3"  # type: ignore[misc]

    def __init__(
        self,
        species: tuple[str | int, ...] | list[str],
        r_cut: float = 4.0,
        n_values: int = 64,
        orbitals: str = "sp",
        invariants: str = "eigenvalues",
        widths: tuple[float, ...] | list[float] | None = None,
        cutoff: AbstractCutoff | None = None,
    ) -> None:
        numbers = distinct_atomic_numbers(species)
        if widths is None and numbers.max() > len(COVALENT_RADII):
            raise SpeciesError(f"{SYMBOLS[numbers.max()]} has no known covalent radius; give `widths`.")
        if not isinstance(n_values, (int, np.integer)) or n_values < 1:
            raise BasisError(f"n_values is {n_values!r}; it must be a whole number of at least 1.")
        for name, value, choices in (
            ("orbitals", orbitals, tuple(ORBITALS)),
            ("invariants", invariants, ("eigenvalues", "traces")),
        ):
            if value not in choices:
                raise BasisError(f"{name} is {value!r}; choose {' or '.join(map(repr, choices))}.")
        if not isinstance(cutoff, (AbstractCutoff, NoneType)):
            raise BasisError(f"cutoff is {cutoff!r}; give a window such as jaxfeat.cutoffs.Zhu2016().")
        self.species, self.r_cut = numbers, as_quantity(r_cut)
        self.n_values, self.orbitals, self.invariants = int(n_values), orbitals, invariants
        radii = [float(COVALENT_RADII[number - 1]) for number in numbers] if widths is None else widths
        self.widths = as_quantity(radii)
        self.cutoff = Zhu2016() if cutoff is None else cutoff
        if self.widths.shape != numbers.shape:
            raise SpeciesError(f"widths is {widths!r}; give one width for each of the {len(numbers)} species.")
        known, radius = concrete_values(self.widths), concrete_values(self.r_cut)
        if known is not None and not ((known > 0) & np.isfinite(known)).all():
            raise BasisError(f"widths is {known.tolist()!r}; all widths must be positive numbers.")
        if radius is not None:
            if not (radius > 0 and np.isfinite(radius)):
                raise BasisError(f"r_cut is {radius:g} Å; it must be a positive number.")
            self.cutoff.check(float(radius))

    def __repr__(self) -> str:
        species = concrete_values(self.species)
        if species is None or species.ndim != 1 or np.ndim(self.r_cut):
            return super().__repr__()
        symbols = " ".join(SYMBOLS[number] for number in species if number > 0)
        sizes = f"r_cut = {format_quantity(self.r_cut, 'Å')}, {self.n_values} {self.invariants}"
        return f"OverlapMatrix({symbols}, {sizes}, {' and '.join(self.orbitals)} orbitals)"

    @property  # type: ignore[misc]
    def nu(self) -> int | None:  # type: ignore[override]
        return self.n_values if self.invariants == "traces" and self.n_values <= MAX_TRACE_ORDER else None

    @property
    def n_features(self) -> int:
        return self.n_values

    @property
    def labels(self) -> tuple[Label, ...]:
        return tuple((self.invariants[:-1], k) for k in range(1, self.n_values + 1))

    @property
    def accepted_radii(self) -> tuple[Any, Any]:
        return self.r_cut, self.r_cut if isinstance(self.cutoff, NoCutoff) else np.inf

    def restricted_to_species(self, species: Int[Array, " k"] | np.ndarray) -> "OverlapMatrix":
        among = species[:, None] == self.species[None]
        # An atomic number of -1, which no atom has, gets a width of one.
        dtype = self.widths.dtype
        widths = (among.astype(dtype) * self.widths[None]).sum(1) + (~among.any(1)).astype(dtype)
        return eqx.tree_at(lambda f: (f.species, f.widths), self, (species, widths))

    def features(self, env: Environment) -> Float[Array, " n_features"]:
        matrix, present = self._overlaps(env)
        if self.invariants == "traces":
            return jnp.stack([jnp.trace(power) for power in self._powers(matrix)])
        values, _ = smooth_eigh(_move_below(matrix, present))
        return self._listed(jnp.where(jnp.arange(len(values)) < jnp.sum(present), values, 0))

    def jacobian(self, env: Environment) -> Float[Array, "n_features n 3"]:
        # By Hellmann and Feynman's theorem an eigenvalue changes by vᵀ dS v. A neighbor moves the rows and the columns
        # of its own orbitals only, and both have the same share.
        (matrix, present), slopes, n = self._overlaps(env), self._row_slopes(env), env.max_neighbors
        if self.invariants == "traces":
            powers = [jnp.eye(len(matrix), dtype=matrix.dtype), *self._powers(matrix)[:-1]]
            rows = jnp.stack([k * power for k, power in enumerate(powers, 1)])
            rows = rows.reshape(self.n_values, n + 1, -1, len(matrix))[:, 1:]
            return 2 * jnp.einsum("fnom,nomc->fnc", rows, slopes, precision="highest")
        values, vectors = smooth_eigh(_move_below(matrix, present))
        vectors = jnp.where((jnp.arange(len(values)) < jnp.sum(present))[None], vectors, 0)
        moved = jnp.einsum("nomc,mf->nocf", slopes, vectors, precision="highest")
        of_neighbors = vectors.reshape(n + 1, -1, len(values))[1:]
        found = 2 * jnp.einsum("nof,nocf->fnc", of_neighbors, moved, precision="highest")
        return self._listed(jnp.tensordot(mean_over_eigenspaces(values), found, 1, precision="highest"))

    def n_compact_rows(self, n_neighbors: int) -> int:
        return self.n_features

    always_smooth: ClassVar[bool] = False

    def is_smooth_at(self, env: Environment) -> Bool[Array, ""]:
        if self.invariants == "traces":
            return super().is_smooth_at(env)
        # Eigenvalues that are equal here have slopes if no displacement parts them to first order.
        values, vectors = smooth_eigh(_move_below(*self._overlaps(env)))
        mean, tolerance = mean_over_eigenspaces(values), CROSSING_EPS * jnp.finfo(values.dtype).eps
        counted = (values > tolerance * values.max(initial=0)) & (mean[:, : self.n_values] > 0).any(1)
        one = (mean > 0) & counted[:, None] & counted[None]

        def parted(of_neighbor: tuple[Array, Array]) -> Array:
            slopes, own = of_neighbor
            moved = jnp.einsum("omc,mf->ocf", slopes, vectors, precision="highest")
            half = jnp.einsum("oe,ocf->cef", own, moved, precision="highest")
            change = jnp.where(one[None], half + half.swapaxes(1, 2), 0)
            common = jnp.diagonal(change, 0, 1, 2) @ mean
            return jnp.abs(change - jax.vmap(jnp.diag)(common)).max(initial=0)

        slopes = self._row_slopes(env)
        splits = jax.lax.map(parted, (slopes, vectors.reshape(env.max_neighbors + 1, -1, len(values))[1:]))
        return splits.max(initial=0) <= jnp.sqrt(tolerance) * jnp.abs(slopes).max(initial=0)

    def roundings(self, env: Environment) -> Float[Array, " n"]:
        positions: Any = env.positions
        if isinstance(positions, np.ndarray) and positions.ndim > 2:
            return roundings_by_program(self, env)  # type: ignore[return-value]
        m = ORBITALS[self.orbitals] * (env.max_neighbors + 1)
        if self.invariants == "traces":
            return jnp.full(env.max_neighbors, float(m * self.n_values), env.positions.dtype)
        # An eigenvector is wrong by eps over the distance of its eigenvalue from others, and the slopes of eigenvalues
        # by this share of those of the matrix.
        gaps, tolerance = self._relative_gaps(env)
        gap = jnp.where(gaps > tolerance, gaps, 1).min(initial=1)
        of_matrix = jnp.sqrt(jnp.sum(self._row_slopes(env) ** 2, (1, 2, 3)))
        of_features = jnp.sqrt(jnp.sum(self.jacobian(env) ** 2, (0, 2)))
        return m + jnp.where(of_features > 0, of_matrix / jnp.where(of_features > 0, of_features, 1), 0) / gap

    def _relative_gaps(self, env: Environment) -> tuple[Float[Array, " n_features"], float]:
        """Compute how far each feature is from the next eigenvalue, relative to the largest, and the tolerance within
        which two are equal. Eigenvalues of next to nothing do not count, because their slopes vanish with them."""
        values, _ = smooth_eigh(_move_below(*self._overlaps(env)))
        largest, tolerance = values.max(initial=0), CROSSING_EPS * float(jnp.finfo(values.dtype).eps)
        counted = values[1:] > tolerance * largest
        gaps = jnp.where(counted, (values[:-1] - values[1:]) / jnp.where(largest > 0, largest, 1), 1)
        return gaps[: self.n_values], tolerance

    def _overlaps(self, env: Environment) -> tuple[Float[Array, "m m"], Bool[Array, " m"]]:
        """Compute the overlap matrix, with the center first, and tell which orbitals there are."""
        positions, widths, there = self._atoms(env)
        blocks = jax.vmap(jax.vmap(self._block, (None, 0, None, 0, None, 0)), (0, None, 0, None, 0, None))
        found = blocks(positions, positions, widths, widths, there, there)
        k = ORBITALS[self.orbitals]
        matrix = jnp.swapaxes(found, 1, 2).reshape(k * len(there), k * len(there))
        return matrix, jnp.repeat(there, k)

    def _row_slopes(self, env: Environment) -> Float[Array, "n o m 3"]:
        """Compute the derivatives of the rows of each neighbor's orbitals by its position, with half of those of the
        overlaps of the neighbor with itself."""
        positions, widths, there = self._atoms(env)

        def rows(i: Array, moved: Array) -> Array:
            blocks = jax.vmap(self._block, (None, 0, None, 0, None, 0))
            found = blocks(moved, positions, widths[i], widths, there[i], there)
            own = self._block(moved, moved, widths[i], widths[i], there[i], there[i])
            return found.at[i].set(own / 2).swapaxes(0, 1).reshape(own.shape[0], -1)

        index = jnp.arange(1, len(there))
        return jax.vmap(jax.jacfwd(rows, 1))(index, positions[1:])

    def _atoms(self, env: Environment) -> tuple[Float[Array, "a 3"], Float[Array, " a"], Bool[Array, " a"]]:
        """List the positions and the widths of the center and the neighbors, and which of these there are."""
        dtype = env.positions.dtype
        positions = jnp.concatenate([jnp.zeros((1, 3), dtype), env.positions])
        species = jnp.concatenate([env.center_species[None], env.species])
        same = species[:, None] == jnp.asarray(self.species, species.dtype)[None]
        widths = jnp.sum(jnp.where(same, jnp.asarray(self.widths, dtype)[None], 0), 1)
        there = same.any(1) & jnp.concatenate([jnp.ones(1, bool), env.mask])
        return positions, jnp.where(there, widths, 1), there

    def _block(
        self,
        x: Float[Array, "3"],
        y: Float[Array, "3"],
        a: Float[Array, ""],
        b: Float[Array, ""],
        x_there: Bool[Array, ""],
        y_there: Bool[Array, ""],
    ) -> Float[Array, "o o"]:
        """Compute the overlaps of the orbitals of two atoms of widths a and b, times their amplitudes."""
        apart, both = x - y, a**2 + b**2
        overlap = jnp.sqrt(2 * a * b / both) ** 3 * jnp.exp(-jnp.sum(apart**2) / (2 * both))
        block = jnp.ones((1, 1), apart.dtype)
        if self.orbitals == "sp":
            # A p orbital is the derivative of the s orbital by the position of its atom, times √2 times the width.
            unit = apart / both
            sp, ps = jnp.sqrt(2.0).astype(unit.dtype) * b * unit, -jnp.sqrt(2.0).astype(unit.dtype) * a * unit
            pp = 2 * a * b * (jnp.eye(3, dtype=unit.dtype) / both - unit[:, None] * unit[None])
            first = jnp.concatenate([jnp.ones(1, unit.dtype), sp])
            block = jnp.concatenate([first[None], jnp.concatenate([ps[:, None], pp], 1)])
        return block * jnp.where(x_there & y_there, overlap * self._amplitude(x) * self._amplitude(y), 0)

    def _amplitude(self, x: Float[Array, "3"]) -> Float[Array, ""]:
        square = jnp.sum(x**2)
        r = jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1)), 0)
        return self.cutoff(r, jnp.asarray(self.r_cut, r.dtype))

    def _powers(self, matrix: Float[Array, "m m"]) -> list[Float[Array, "m m"]]:
        powers = [matrix]
        for _ in range(1, self.n_values):
            powers.append(jnp.matmul(powers[-1], matrix, precision="highest"))
        return powers

    def _listed(self, rows: Float[Array, "m *rest"]) -> Float[Array, "n_features *rest"]:
        """Take the first rows, one for each feature, and fill up with zeros."""
        missing = max(self.n_values - len(rows), 0)
        return jnp.pad(rows[: self.n_values], [(0, missing)] + [(0, 0)] * (rows.ndim - 1))


def _move_below(matrix: Float[Array, "m m"], present: Bool[Array, " m"]) -> Float[Array, "m m"]:
    """Give the rows and columns that are not `present` eigenvalues below all others, with which they do not mix."""
    below = -1 - jax.lax.stop_gradient(jnp.abs(matrix)).sum(1).max(initial=0)
    return matrix + jnp.diag(jnp.where(present, 0, below))
