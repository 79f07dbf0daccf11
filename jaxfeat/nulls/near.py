"""Directions that are nearly null, because an exact symmetric or singular point is near (docs/theory, "Small, but not
null"). At a distance d from a point where J vanishes on a direction, J sees it by the order of d at most."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain, islice
from typing import NamedTuple

import jax
import numpy as np

from jaxfeat.errors import SizeError
from jaxfeat.features.host_work import is_smooth
from jaxfeat.features.structure_map import FeatureMap
from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.structure import Item, Structure
from jaxfeat.geometry.symmetry import Stabilizer
from jaxfeat.linalg.lapack import one_blas_thread
from jaxfeat.linalg.subspaces import project_out, robust_svd
from jaxfeat.nulls.exact_point import ExactPoint, examine_point, split_contained
from jaxfeat.nulls.jacobian_nulls import DecomposedJacobian, decompose_jacobian, decompose_jacobians
from jaxfeat.nulls.kernel import MAX_NU
from jaxfeat.nulls.landing import CUTOFFS, land
from jaxfeat.nulls.lift import find_lift
from jaxfeat.nulls.symmetric_points import SAME_POINT, SymmetricPoint, write_symbol

NEAR_DISTANCE = 0.1
"""Å, the distance up to which exact points are near. Zero-point motion moves atoms by 0.03 to 0.1 Å."""

CLEARLY_NEAR = 1e-2  # Å. No nearer singular point is sought than one within this distance.

MUCH_NEARER = 100.0  # the ratio of distances from which on a symmetric point does not explain what another one hides

ALWAYS_EXPLAINS = 1e-3
"""Å. Symmetric points within this distance explain what is hardly seen. J may see a direction by much less than the
square of the distance from a farther one, and then a singular point may be much nearer."""


class LandingRule(NamedTuple):
    """How thoroughly singular points are sought that no symmetry gives away.

    - `below`: The equilibrated σ/σ_max of the directions that may vanish at such a point.
    - `gap`: The least ratio of the next larger singular value to theirs.
    - `most`: The number of sets of directions that are tried.
    - `always`: False if landings are tried only for few neighbors where nothing is null, and the farthest neighbor
        next to the cutoff counts only where no symmetric point is near either.
    """

    below: float
    gap: float
    most: int
    always: bool


THOROUGH = LandingRule(below=1e-2, gap=2.0, most=5, always=True)
QUICK = LandingRule(below=1e-3, gap=30.0, most=2, always=False)
"""For the many environments of a scan."""

QUICK_NEIGHBORS = 8
"""Neighbors up to which scans land on singular points. With ten, one landing takes as long as fifty spectra, and
coincidences are likely among few neighbors only."""


@dataclass(frozen=True, eq=False)
class NearGroup:
    """Directions that one exact point nearby hides, beyond those that are null, or belong to nearer points.

    The counts of null directions by cause, and those of the groups up to a point, add up to the counts at that point.
    Only where the point has fewer rigid rotations, because its atoms lie on a line, the lost rotation counts as hidden
    by its symmetry.

    **Attributes:**

    - `cause`: "symmetry", "incompleteness", "truncation", "locality", "other" or "width", as in a `NullSpace`.
    - `symbol`: The Schoenflies symbol of the point group there ("D_6h"), or the space group of a crystal. Empty if
        the point is not symmetric.
    - `order`: The order ν that does not see the directions there, for "incompleteness"; otherwise `None`.
    - `distance`: Å, the largest displacement of an atom from here to the exact point.
    - `directions`: `(k, n, 3)`, orthonormal displacements.
    - `sigma`: `(k,)`, descending: the singular values of J, here, on these directions, in features per Å.
    - `geometry`: The environment or structure at the exact point.
    """

    cause: str
    symbol: str
    order: int | None
    distance: float
    directions: np.ndarray
    sigma: np.ndarray
    geometry: Item
    _point: ExactPoint
    _at_point: np.ndarray

    @cached_property
    def lifted_by(self) -> str:
        """The change of the featurizer that sees the directions at the exact point too: "ν = 3", "l_max >= 7", or
        "a larger r_cut". Empty if nothing does, as for symmetry, or if no change that was tried does. Computed when
        first asked for."""
        return find_lift(self._point, self.cause, self._at_point)

    def __repr__(self) -> str:
        where = f"{self.symbol} " if self.symbol else ""
        return f"NearGroup({len(self.directions)} {self.cause}, {where}within {self.distance:.1e} Å)"


class NearPoints:
    """The exact points near one item of NumPy arrays, found when first asked for.

    - `decomposed`: The Jacobian of the item.
    - `found`: The symmetric geometries near it. The first may be the item itself.
    - `largest`: Å, the distance up to which points are near. Farther symmetric ones belong to no group.
    """

    def __init__(
        self, f: FeatureMap, at: Item, decomposed: DecomposedJacobian, found: Sequence[SymmetricPoint], largest: float
    ) -> None:
        self.f, self.at, self.decomposed, self.largest = f, at, decomposed, largest
        # Features see directions by the distance from a point only if they are smooth there.
        self.found = [one for one in found if one.distance > SAME_POINT and is_smooth(f.environment_featurizer, one.at)]

    @cached_property
    def symmetric(self) -> list[ExactPoint]:
        """The symmetric points that are not the item itself, the nearest first."""
        return self.examine(_decompose(self.f, self.found))

    def examine(self, decomposed: Iterable[DecomposedJacobian]) -> list[ExactPoint]:
        """Span the subspaces of the symmetric points, whose Jacobians are `decomposed`."""
        return [
            _examine(self.f, one.at, jacobian, one.distance, one.symbol, one.stabilizer)
            for one, jacobian in zip(self.found, decomposed, strict=True)
        ]

    def edge(self, most: int | None = None) -> list[ExactPoint]:
        """Find the points where neighbors of one environment within the distance of the cutoff are out of reach: the
        farthest one, the two farthest ones, and so on, up to `most`."""
        gaps = distances_to_edge(self.f, self.at)
        near = np.argsort(gaps)[: np.count_nonzero(gaps < self.largest)][:most]
        if not len(near):
            return []
        positions = np.asarray(self.at.positions, np.float64)
        moved, outwards = [], 1 + gaps / np.maximum(np.linalg.norm(positions, axis=1), 1e-300) + 1e-12
        for i in near:
            positions = positions.copy()
            positions[i] *= outwards[i]
            moved.append(self.at.with_positions(positions))  # type: ignore[arg-type]
        batch = jax.tree.map(lambda *leaves: np.stack(leaves), *moved)
        return [
            _examine(self.f, at, decomposed, float(gaps[i]))
            for i, at, decomposed in zip(near, moved, decompose_jacobians(self.f, batch), strict=True)
        ]

    def land(self, directions: np.ndarray) -> ExactPoint | None:
        """Find the exact point next to the item where J vanishes near some scaled directions, `(k, 3 n)`."""
        scale, found = np.asarray(self.decomposed.spectrum.scale), None
        for cutoff in CUTOFFS:
            landed = land(self.f, self.at, directions, scale, self.largest, cutoff)
            if landed is None or not is_smooth(self.f.environment_featurizer, landed):
                continue
            distance = float(np.linalg.norm(landed.positions - self.at.positions, axis=1).max(initial=0.0))
            point = _with_symbol(_examine(self.f, landed, decompose_jacobian(self.f, landed), distance))
            found = found or point
            if np.count_nonzero(point.decomposed.null) >= len(directions):
                return point
        return found

    def groups(self, null: np.ndarray, rule: LandingRule = THOROUGH) -> tuple[NearGroup, ...]:
        """List the groups of directions that points hide, the nearest first. `null`, `(k, 3 n)`, are the null
        directions here, without rigid motions."""
        jacobian = self.decomposed.matrix.reshape(len(self.decomposed.matrix), null.shape[1])
        with one_blas_thread():
            points = [point for point in self.symmetric if point.distance <= self.largest]
            if rule.always or not (points or len(null)):
                points += self.edge(None if rule.always else 1)
            groups = group_near(points, jacobian, null)
            least = self.decomposed.sensitivity()[1]
            # Farther symmetric points explain only what they may hide, unless some direction is seen by much less.
            explain = [one for one in groups if one.distance < ALWAYS_EXPLAINS or one.distance**2 < least]
            taken = np.concatenate([null, *(_rows(one) for one in explain if one.cause != "locality")])
            local = np.concatenate([null, *(_rows(one) for one in groups if one.cause == "locality")])
            candidates = self.decomposed.least_seen_beyond(taken, local, rule.below, rule.gap)
            few = not len(null) and int(self.at.mask.sum()) <= QUICK_NEIGHBORS
            # A landing takes hundreds of Jacobians, too many for models from outside of JAX.
            lands, landings = (rule.always or few) and not self.f.environment_featurizer.only_on_host, []
            for directions in candidates[: rule.most] if lands else ():
                landed = self.land(directions)
                if landed is not None:
                    landings.append(landed)
                    if landed.distance < CLEARLY_NEAR:
                        break
            return tuple(group_near([*points, *landings], jacobian, null) if landings else groups)


def examine_together(several: Sequence[NearPoints]) -> None:
    """Examine the symmetric points near several items, which takes less time than one by one."""
    waiting = [one for one in several if "symmetric" not in vars(one)]
    if not waiting:
        return
    decomposed = iter(_decompose(waiting[0].f, list(chain.from_iterable(one.found for one in waiting))))
    for one in waiting:
        vars(one)["symmetric"] = one.examine(list(islice(decomposed, len(one.found))))


def _decompose(f: FeatureMap, found: Sequence[SymmetricPoint]) -> Iterable[DecomposedJacobian]:
    if not found:
        return []
    if isinstance(found[0].at, Structure):  # Crystals may have different numbers of neighbors.
        return (decompose_jacobian(f, one.at) for one in found)
    return decompose_jacobians(f, jax.tree.map(lambda *leaves: np.stack(leaves), *(one.at for one in found)))


def _examine(
    f: FeatureMap,
    at: Item,
    decomposed: DecomposedJacobian,
    distance: float,
    symbol: str = "",
    known: Stabilizer | None = None,
) -> ExactPoint:
    try:
        return examine_point(f, at, decomposed, distance, symbol, known)
    except SizeError:  # N_ν has too many tuples, so that what it holds is of unknown cause.
        return examine_point(f, at, decomposed, distance, symbol, known, with_kernel=False)


def _with_symbol(point: ExactPoint) -> ExactPoint:
    known = point.filtration.stabilizer
    symmetric = [one for one in (known if isinstance(known, tuple) else [known]) if one.order > 1]
    return replace(point, symbol=", ".join(sorted(set(map(write_symbol, symmetric)))))


def group_near(points: Sequence[ExactPoint], jacobian: np.ndarray, taken: np.ndarray) -> list[NearGroup]:
    """List the groups of directions that exact points hide, the nearest first. A direction that several points hide
    belongs to the nearest one. Symmetry comes before other points unless these are much nearer.

    - `jacobian`: `(d, 3 n)`, here.
    - `taken`: `(k, 3 n)`, the null directions here, without rigid motions.
    """
    groups = []
    points = sorted(points, key=lambda point: point.distance * (1 if point.symbol else MUCH_NEARER))
    for i, point in enumerate(points):
        for cause, directions in point.causes().items():
            if cause not in ("locality", "symmetry"):
                # Next to a more symmetric point, features see directions of its symmetry by a power of the distance.
                powers, directions = split_by_points(directions, points[i + 1 :])
                directions = np.concatenate([directions, point.split_seen(powers, MAX_NU)[0]])
            new = _beyond(directions, taken)
            if not len(new):
                continue
            _, sigma, turned = robust_svd(jacobian @ new.T, full_matrices=True)
            sigma = np.pad(sigma, (0, len(new) - len(sigma)))
            groups.append(
                NearGroup(
                    cause=cause,
                    symbol=point.symbol,
                    order=point.f.environment_featurizer.nu if cause == "incompleteness" else None,
                    distance=point.distance,
                    directions=(turned @ new).reshape(len(new), -1, 3),
                    sigma=sigma,
                    geometry=point.at,
                    _point=point,
                    _at_point=directions,
                )
            )
            taken = np.concatenate([taken, new])
    return sorted(groups, key=lambda group: group.distance)


def _rows(group: NearGroup) -> np.ndarray:
    return group.directions.reshape(len(group.directions), -1)


def distances_to_edge(f: FeatureMap, at: Item) -> np.ndarray:
    """Compute how far within the cutoff the neighbors of one environment are, `(n,)` Å; infinity for all of a
    structure, for neighbors out of reach, and if the featurizer has no `r_cut`."""
    r_cut, mask = getattr(f, "r_cut", None), np.asarray(at.mask)
    if not isinstance(at, Environment) or r_cut is None:
        return np.full(len(mask), np.inf)
    gaps = float(r_cut) - np.linalg.norm(at.positions, axis=1)
    return np.where(mask & (gaps > 0), gaps, np.inf)


def split_by_points(directions: np.ndarray, points: Sequence[ExactPoint]) -> tuple[np.ndarray, np.ndarray]:
    """Split directions, `(k, 3 n)`, into those that the symmetry of some points hides, and others."""
    hidden = directions[:0]
    for point in points:
        inside, directions = split_contained(directions, point.filtration.symmetry)
        hidden = np.concatenate([hidden, inside])
    return hidden, directions


def _beyond(directions: np.ndarray, taken: np.ndarray) -> np.ndarray:
    """Span the part of orthonormal directions, `(k, 3 n)`, that is not in another space, up to half."""
    if not len(directions) or not len(taken):
        return directions
    rest = project_out(directions, taken)
    _, sines, right = robust_svd(rest)
    return right[sines > 0.5**0.5]
