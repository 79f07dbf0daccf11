"""A stratum: a family of environments of N neighbors that hides the same displacement from every map of order ν."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

from jaxfeat.errors import GeometryError
from jaxfeat.geometry.environment import Environment
from jaxfeat.linalg.subspaces import least_norm_solutions, robust_svd
from jaxfeat.singular.conditions import (
    RANK_CUTOFF,
    Bracket,
    Codimension,
    Condition,
    Terms,
    codimension,
    cross,
    differential,
    polynomial_value,
    scaled,
)
from jaxfeat.singular.rational import Draws, Rational, random_rotation, reasonable

Row = tuple[tuple[Terms, Bracket], ...]
"""The displacement of one neighbor: a sum of polynomials in brackets times vectors. The vector (j,) is r_j, and (j, k)
is r_j x r_k."""

ONE: Terms = ((1, ()),)
MINUS: Terms = ((-1, ()),)

MAX_DRAWS = 1000  # of a random member. One in a few has neighbors at reasonable distances.
MAX_STEPS = 50  # of Gauss-Newton, which needs about five
REGULAR = 1e-3  # Least relative singular value of the differentials of a random member.
EXACT = 1e-13  # Residual relative to the distances. Conditions are zero to rounding below it.


@dataclass(frozen=True, eq=False)
class Stratum:
    """A family of environments, given by conditions, that hides the same displacement from every map of order ν.

    **Attributes:**

    - `name`: The name of the family, for example "A_1".
    - `n_neighbors`: The number of neighbors N.
    - `nu`: The body order ν of the maps that do not see the displacement.
    - `pseudoscalars`: Whether maps that tell mirror images apart do not see it either.
    - `conditions`: Tuple of `Condition` objects. At a random member their differentials are independent.
    - `like`: Groups of neighbors that must be of one species. All other species are free.
    - `displacement`: The null direction as N rows; each row is a tuple of pairs of a polynomial in brackets and a
        vector. `None` if no closed form is known.
    - `nullity`: The number of null directions of order ν at a random member, rigid motions included.
    - `text`: One sentence that describes the family.
    - `draw`: The function that draws exact coordinates; `None` if there is no rational parametrization.
    """

    name: str
    n_neighbors: int
    nu: int
    conditions: tuple[Condition, ...]
    like: tuple[tuple[int, ...], ...]
    displacement: tuple[Row, ...] | None
    pseudoscalars: bool = False
    nullity: int = 4
    text: str = ""
    draw: Callable[[Draws], Sequence[Sequence[Rational]]] | None = field(default=None, repr=False)

    @property
    def codimension(self) -> int:
        """The number of conditions, which are independent at a random member."""
        return len(self.conditions)

    def rational_member(self, seed: int = 0) -> list[list[Fraction]]:
        """Draw a member whose coordinates (Å) are fractions and satisfy the conditions exactly.

        **Arguments:** `seed`: The seed of the random numbers.

        **Returns:** N rows of three fractions.

        **Raises:** `GeometryError` if the family has no rational parametrization.
        """
        if self.draw is None:
            raise GeometryError(f"{self.name} has no rational parametrization; land on it from a point nearby.")
        rng = np.random.default_rng(seed)
        for _ in range(MAX_DRAWS):
            rows = [[Fraction(v) for v in row] for row in self.draw(Draws(rng))]
            if self._is_regular(np.asarray(rows, np.float64)):
                return rows
        raise GeometryError(f"{self.name}: no member with reasonable distances was found from seed {seed}.")

    def _is_regular(self, positions: np.ndarray) -> bool:
        """Tell whether a member is a typical one: distances are reasonable, the conditions are independent, and the
        displacement does not vanish."""
        if not reasonable(positions):
            return False
        if self.displacement is not None and np.abs(displacement_rows(self.displacement, positions)).max() < REGULAR:
            return False
        found = self.codimension_at(positions)
        return found.rank == len(self.conditions) and found.gap[1] > REGULAR

    def random_species(self, seed: int = 0, elements: Sequence[str] = ("H", "C", "O")) -> list[str]:
        """Draw symbols of the N neighbors from `elements`, equal ones for neighbors that must be like."""
        symbols = [str(symbol) for symbol in np.random.default_rng(seed).choice(list(elements), self.n_neighbors)]
        for group in self.like:
            for i in group:
                symbols[i] = symbols[group[0]]
        return symbols

    def member(self, seed: int = 0, elements: Sequence[str] = ("H", "C", "O")) -> Environment:
        """Draw a member with random species, in a random orientation.

        **Arguments:**

        - `seed`: The seed of the random numbers.
        - `elements`: Symbols of which the species are drawn.

        **Returns:** An `Environment` with positions of shape `(N, 3)`, Å, float64. The conditions hold to rounding.

        **Raises:** `GeometryError` if no member was found.
        """
        rng = np.random.default_rng(seed)
        rotation = random_rotation(rng)
        rows = self._landed_member(rng) if self.draw is None else np.asarray(self.rational_member(seed), np.float64)
        return Environment.from_neighbors(rows @ rotation.T, self.random_species(seed, elements))

    def _landed_member(self, rng: np.random.Generator) -> np.ndarray:
        """Land on a member from random positions."""
        for _ in range(MAX_DRAWS):
            try:
                rows = self.land(rng.normal(size=(self.n_neighbors, 3)))
            except GeometryError:
                continue
            if self._is_regular(rows):
                return rows
        raise GeometryError(f"{self.name}: no member was found by landing from random positions.")

    def direction(self, positions: Any) -> np.ndarray:
        """Compute the null direction in closed form at positions `(N, 3)`: `(N, 3)`, of length 1. Rigid motions are not
        projected out.

        **Raises:** `GeometryError` if the stratum has no closed form.
        """
        if self.displacement is None:
            raise GeometryError(f"{self.name} has no displacement in closed form; compute the complete kernel.")
        rows = np.asarray(displacement_rows(self.displacement, np.asarray(positions, np.float64)), np.float64)
        return rows / max(np.linalg.norm(rows), np.finfo(float).tiny)

    def residual(self, positions: Any) -> float:
        """Compute the largest violation of a condition at positions `(N, 3)`, in Å."""
        return float(np.abs(scaled(self.conditions, positions)[0]).max(initial=0.0))

    def codimension_at(self, positions: Any) -> Codimension:
        """Compute the rank of the differentials of the conditions at positions `(N, 3)`, with its gap."""
        return codimension(self.conditions, positions)

    def land(self, positions: Any) -> np.ndarray:
        """Go to the stratum near positions `(N, 3)` (Å), by Gauss-Newton: `(N, 3)`.

        **Raises:** `GeometryError` if there is no point of the stratum nearby.
        """
        return land_on(self.conditions, positions, self.name)

    def follow(self, positions: Any, direction: Any, length: float, step: float = 0.05) -> np.ndarray:
        """Follow the stratum from a point on it along a direction that is carried along.

        **Arguments:**

        - `positions`: `(N, 3)`, Å, a point of the stratum or near one.
        - `direction`: `(N, 3)`, a displacement. Its part along the stratum sets the direction of the first step.
        - `length`: The length of the path, Å.
        - `step`: The length of a step before it is landed, Å.

        **Returns:** `(s, N, 3)`, the points of the path, each landed by Gauss-Newton. The first one is the start.

        **Raises:** `GeometryError` if the direction leads off the stratum, or if a step cannot be landed.
        """
        points = [self.land(positions)]
        heading = np.asarray(direction, np.float64).reshape(-1)
        for _ in range(max(round(length / step), 1)):
            heading = _along(self.conditions, points[-1], heading)
            points.append(self.land(points[-1] + step * heading.reshape(-1, 3)))
        return np.asarray(points)

    def relabeled(self, order: Sequence[int]) -> "Stratum":
        """Return the stratum of the neighbors `order[i]` in place of the neighbors i."""
        inverse = np.argsort(order)
        rows = self.displacement

        def moved(row: Row) -> Row:
            return tuple(
                (
                    tuple((n, tuple(tuple(order[i] for i in b) for b in bs)) for n, bs in terms),
                    tuple(order[i] for i in v),
                )
                for terms, v in row
            )

        def drawn(draws: Draws) -> Sequence[Sequence[Rational]]:
            original = self.draw(draws)  # type: ignore[misc]
            return [original[i] for i in inverse]

        return Stratum(
            name=self.name,
            n_neighbors=self.n_neighbors,
            nu=self.nu,
            conditions=tuple(condition.relabeled(order) for condition in self.conditions),
            like=tuple(tuple(order[i] for i in group) for group in self.like),
            displacement=None if rows is None else tuple(moved(rows[i]) for i in inverse),
            pseudoscalars=self.pseudoscalars,
            nullity=self.nullity,
            text=self.text,
            draw=None if self.draw is None else drawn,
        )

    def __repr__(self) -> str:
        chiral = " with pseudoscalars" if self.pseudoscalars else ""
        head = f"Stratum({self.name}, N = {self.n_neighbors}, ν = {self.nu}{chiral}, codimension {self.codimension}: "
        return head + "; ".join(map(str, self.conditions)) + ")"


def displaced(n: int, moves: dict[int, Any]) -> tuple[Row, ...]:
    """Write a displacement in which some of n neighbors move: by a polynomial times a vector, or a list of these."""
    return tuple(tuple(m if isinstance(m, list) else [m]) if (m := moves.get(i)) else () for i in range(n))


def displacement_rows(displacement: Sequence[Row], positions: Any) -> list[list[Any]]:
    """Compute a displacement at N rows of three numbers of any kind, as N rows of the same kind."""
    rows = []
    for parts in displacement:
        total: list[Any] = [0, 0, 0]
        for terms, vector in parts:
            factor = polynomial_value(terms, positions)
            along = positions[vector[0]] if len(vector) == 1 else cross(*(positions[i] for i in vector))
            total = [old + factor * new for old, new in zip(total, along, strict=True)]
        rows.append(total)
    return rows


def land_on(conditions: Sequence[Condition], positions: Any, name: str = "the stratum") -> np.ndarray:
    """Go from positions `(N, 3)` (Å) to a point nearby that satisfies conditions, by Gauss-Newton.

    **Raises:** `GeometryError` if the steps do not lead there.
    """
    x = np.asarray(positions, np.float64)
    scale, best = float(np.sqrt((x**2).sum(-1).mean())), np.inf
    for _ in range(MAX_STEPS):
        values, rows = scaled(conditions, x)
        size = float(np.abs(values).max(initial=0.0))
        # The last step may leave the residual where it is, at rounding.
        if size <= EXACT * scale or (size < 1e-11 * scale and size > best / 2):
            return x
        best = size
        x = x - least_norm_solutions(rows[None], values[None], RANK_CUTOFF)[0].reshape(-1, 3)
    raise GeometryError(f"{name}: Gauss-Newton did not reach a point of it; start nearer.")


def _along(conditions: Sequence[Condition], positions: np.ndarray, heading: np.ndarray) -> np.ndarray:
    """Project a displacement `(3 N,)` on the tangent space of the set of conditions, without rotations; length 1."""
    rows = differential(conditions, positions)
    rows = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), np.finfo(float).tiny)
    rotations = np.asarray([np.cross(axis, positions).reshape(-1) for axis in np.eye(3)])
    _, values, axes = robust_svd(np.concatenate([rows, rotations]))
    seen = axes[values > RANK_CUTOFF * values.max()]
    rest = heading - seen.T @ (seen @ heading)
    size = np.linalg.norm(rest)
    if size <= RANK_CUTOFF * np.linalg.norm(heading):
        raise GeometryError("the direction leads off the stratum, or is a rotation; give another one.")
    return rest / size
