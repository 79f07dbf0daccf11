"""Proposals: the stratum to which a numerical point belongs, from its coincidences and the known strata."""

from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from jaxfeat.errors import GeometryError
from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.positions import check_float64, check_positions
from jaxfeat.geometry.symmetry import Group, point_stabilizer
from jaxfeat.linalg.subspaces import Gap, complement_within, project_out, robust_svd, sum_of_subspaces
from jaxfeat.nulls.kernel import kernel_of_edges, site_edges
from jaxfeat.singular.conditions import Condition, codimension, independent, scaled
from jaxfeat.singular.matching import match_orders
from jaxfeat.singular.pair_classes import PairClasses, find_pair_classes, planes
from jaxfeat.singular.pair_patterns import pattern_strata
from jaxfeat.singular.strata import strata
from jaxfeat.singular.stratum import Stratum, land_on

LEAST_SINE = 1e-3  # A displacement is new if its part outside of the known ones is longer than this share.
KERNEL_SINE = 1e-4  # Largest share of a displacement outside of the kernel. It is zero to rounding at an exact point.
MAX_ORDERS = 500  # orders of neighbors tried for each stratum


@dataclass(frozen=True, eq=False)
class Proposal:
    """The stratum of a numerical point.

    **Attributes:**

    - `stratum`: The `Stratum`, in the order of the point's neighbors: the known one of smallest codimension, or for
        order 2 one that is made from the coincidences. `None` if there is none.
    - `known`: True if `stratum` is one of `jaxfeat.strata`.
    - `strata`: All strata that are needed to explain the hidden displacements, one for each: first the known ones, with
        `stratum` in front, then those that are made from the coincidences.
    - `conditions`: All coincidences and relations of the point, as an independent set of `Condition` objects.
    - `codimension`: The number of these conditions. The stratum's own codimension is smaller if the point has
        coincidences that the stratum does not need.
    - `gap`: The gap of that rank, as in `Kernel`.
    - `hidden`: The number of null directions beyond rigid motions and symmetry.
    - `explained`: The number of those that known strata explain.
    - `coincidences`: The name of the coincidences: sizes of groups of equal radii, and of equal angles. *2v* are two
        equal angles with a neighbor in common, *2d* two without.
    - `positions`: `(N, 3)`, Å: the nearest point on which the conditions hold to rounding.
    - `distance`: The largest displacement of a neighbor from the given point to this one, Å.
    - `residual`: The largest violation of a condition at the given point, Å.
    """

    stratum: Stratum | None
    known: bool
    strata: tuple[Stratum, ...]
    conditions: tuple[Condition, ...]
    codimension: int
    gap: Gap
    hidden: int
    explained: int
    coincidences: str
    positions: np.ndarray
    distance: float
    residual: float

    def __str__(self) -> str:
        if not self.hidden:
            return "nothing hidden beyond symmetry"
        names = [f"{s.name}, codimension {s.codimension}" for s in self.strata[: self.explained]]
        if self.explained < self.hidden:
            names.append(f"new, codimension {self.codimension}: {self.coincidences}")
        return "; ".join(names)

    def __repr__(self) -> str:
        return f"Proposal({self}; {'; '.join(map(str, self.conditions)) or 'no conditions'})"


def propose_stratum(env: Environment, nu: int, pseudoscalars: bool = False, tolerance: float = 1e-5) -> Proposal:
    """Propose the family of environments to which a numerical singular point belongs.

    Coincidences are radii of like neighbors, dot products and planes that agree within the tolerance. The point is
    moved to where they hold to rounding. Its null directions beyond symmetry are then compared with those of the known
    strata, in all orders of the neighbors. For order 2, directions that are left lead to a new stratum.

    **Arguments:**

    - `env`: One environment, with positions in float64, of 4 to 12 neighbors. Padding is left out.
    - `nu`: The body order ν, 2 or 3.
    - `pseudoscalars`: True for maps that tell mirror images apart.
    - `tolerance`: Å. Values closer than this are equal.

    **Returns:** a `Proposal`.

    **Raises:** `GeometryError` for a batch, for positions in float32, and if the coincidences contradict each other;
    `SizeError` for another number of neighbors; `BasisError` for another order.
    """
    if env.batch_shape:
        raise GeometryError(f"propose_stratum takes one environment, got a batch of shape {env.batch_shape}; index it.")
    check_float64(env.positions, "positions", "a proposal")
    mask = np.asarray(env.mask)
    given, species = np.asarray(env.positions)[mask], np.asarray(env.species)[mask]
    check_positions(given, "neighbor", center=True)
    known = strata(len(given), nu, pseudoscalars)
    classes = find_pair_classes(given, species, tolerance)
    coincidences = classes.conditions() + planes(given, tolerance)
    candidates = _matches(known, given, species, tolerance)
    every = [condition for stratum in candidates for condition in stratum.conditions] + coincidences
    every = list(dict.fromkeys(every))
    positions = land_on(every, given, "the coincidences")
    space = _NullSpace.of(positions, species, nu, pseudoscalars, tolerance)
    chosen = space.explain(candidates)
    explained = len(chosen)
    if nu == 2:
        chosen += space.explain(_patterns(positions, classes, space))
    every = [condition for stratum in chosen for condition in stratum.conditions] + coincidences
    conditions = independent(list(dict.fromkeys(every)), positions)
    rank = codimension(conditions, positions)
    return Proposal(
        stratum=chosen[0] if chosen else None,
        known=explained > 0,
        strata=tuple(chosen),
        conditions=conditions,
        codimension=rank.rank,
        gap=rank.gap,
        hidden=len(space.hidden),
        explained=explained,
        coincidences=classes.name(),
        positions=positions,
        distance=float(np.linalg.norm(positions - given, axis=1).max(initial=0.0)),
        residual=float(np.abs(scaled(conditions, given)[0]).max(initial=0.0)),
    )


def _matches(known: dict[str, Stratum], positions: np.ndarray, species: np.ndarray, tolerance: float) -> list[Stratum]:
    """List the known strata in all orders of the neighbors, one for each displacement."""
    found: list[Stratum] = []
    for stratum in known.values():
        if stratum.name == "planar":
            continue
        lines: list[np.ndarray] = []
        for order in islice(match_orders(stratum, positions, species, tolerance), MAX_ORDERS):
            moved = stratum.relabeled(order)
            direction = moved.direction(positions).reshape(-1)
            if all(abs(direction @ line) < 1 - LEAST_SINE**2 for line in lines):
                lines.append(direction)
                found.append(moved)
    return found


def _patterns(positions: np.ndarray, classes: PairClasses, space: "_NullSpace") -> list[Stratum]:
    """Make strata from the coincidences, one for each hidden direction that is left, if possible."""
    if len(space.explained) == len(space.hidden):
        return []
    return pattern_strata(positions, classes, space.hidden.reshape(-1, *positions.shape))


@dataclass(eq=False)
class _NullSpace:
    """Orthonormal rows `(k, 3 N)`: the displacements that rotations and symmetry hide, the others in N_ν, and those of
    the others that strata have explained."""

    positions: np.ndarray
    symmetry: np.ndarray
    hidden: np.ndarray
    explained: np.ndarray

    @classmethod
    def of(cls, positions: np.ndarray, species: np.ndarray, nu: int, pseudoscalars: bool, tolerance: float) -> Any:
        kernel = kernel_of_edges(site_edges(positions, species), nu, pseudoscalars, tolerance)
        # Only maps of three neighbors and more can tell mirror images apart.
        group: Group = "SO3" if pseudoscalars and nu > 2 else "O3"
        values, vectors = np.linalg.eigh(point_stabilizer(positions, species, group, tolerance).fixed_projector())
        turns = np.asarray([np.cross(axis, positions).reshape(-1) for axis in np.eye(3)])
        _, sizes, axes = robust_svd(turns)
        symmetry = sum_of_subspaces(axes[sizes > LEAST_SINE * sizes.max()], vectors[:, values < 0.5].T)
        return cls(positions, symmetry, complement_within(kernel.rows, symmetry), np.zeros((0, positions.size)))

    def explain(self, candidates: list[Stratum]) -> list[Stratum]:
        """Choose the candidates, the first ones first, that explain further hidden directions."""
        chosen = []
        for stratum in candidates:
            if len(self.explained) == len(self.hidden):
                break
            direction = stratum.direction(self.positions).reshape(1, -1)
            rest = project_out(direction, self.symmetry)
            size = np.linalg.norm(rest)
            inside = rest @ self.hidden.T @ self.hidden
            if size < LEAST_SINE or np.linalg.norm(rest - inside) > KERNEL_SINE * size:
                continue
            # Where the conditions are dependent, the point is a singular one of the stratum, and better explained.
            if stratum.codimension_at(self.positions).rank < stratum.codimension:
                continue
            new = project_out(inside / size, self.explained)
            if np.linalg.norm(new) > LEAST_SINE:
                self.explained = np.concatenate([self.explained, new / np.linalg.norm(new)])
                chosen.append(stratum)
        return chosen
