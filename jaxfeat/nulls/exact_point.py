"""The null directions of one item whose positions are taken as exact, as nested subspaces (docs/theory, "One cause for
each"):

    rigid  ⊆  locality  ⊆  symmetry  ⊆  N_ν  ⊆  null(J)
"""

from dataclasses import dataclass, replace

import numpy as np

from jaxfeat.errors import GeometryError, SizeError
from jaxfeat.features.structure_map import FeatureMap
from jaxfeat.geometry.structure import Item
from jaxfeat.geometry.symmetry import Stabilizer
from jaxfeat.linalg.subspaces import complement_within, robust_svd
from jaxfeat.nulls.filtration import Filtration, build_filtration
from jaxfeat.nulls.jacobian_nulls import DecomposedJacobian
from jaxfeat.nulls.sites import Sites, list_sites
from jaxfeat.nulls.visibility import CLEAR_RATIO, visibility_rows

EXACT_TOLERANCE = 1e-9  # Å. Positions of exact points that were computed differ by less, and values rarely by chance.
MERGED_TOLERANCE = 1e-6  # Å. Where singular points merge, searches and landings end within 1e-8 Å only.
CONTAINED_SINE = 0.5
"""A direction lies in a subspace if the sine of their angle is below this. Angles are near 0° or 90°, but beside a line
the shortest rotation is known to few digits, and at 1e-7 Å directions orthogonal to it are off by as much as 10°."""


@dataclass(frozen=True, eq=False)
class ExactPoint:
    """One item with its decomposed Jacobian, and the subspaces that follow from its positions.

    - `distance`: Å from the item that is classified, the largest displacement of an atom.
    - `symbol`: the point group or space group that the point was found by; empty if it was found by its Jacobian.
    """

    f: FeatureMap
    at: Item
    decomposed: DecomposedJacobian
    sites: Sites
    filtration: Filtration
    distance: float = 0.0
    symbol: str = ""

    @property
    def nu(self) -> int | None:
        """The order of the features, if they declare it."""
        return self.f.environment_featurizer.nu

    @property
    def kernel_cause(self) -> str:
        """The cause of directions of N_ν beyond symmetry."""
        return "incompleteness" if self.filtration.symmetry_known else "other"

    def symmetric(self) -> dict[str, np.ndarray]:
        """Return the subspaces of locality and symmetry, each with the smaller ones."""
        return {"locality": self.filtration.locality, "symmetry": self.filtration.symmetry}

    def nested(self) -> dict[str, np.ndarray]:
        """Return the subspaces beyond the rigid motions that need no Jacobian, each with the smaller ones."""
        kernel = self.filtration.kernel
        return self.symmetric() | ({} if kernel is None else {self.kernel_cause: kernel})

    def hidden(self) -> np.ndarray:
        """Span the null space of J with the rigid motions, `(k, 3 n)`."""
        return self.decomposed.null_space(self.filtration.rigid)

    def causes(self) -> dict[str, np.ndarray]:
        """Span the null directions of each cause but rigid motions, `(k, 3 n)`. Directions that J does not see, and a
        complete basis hardly, are left out, because more symmetric or more singular positions are nearby."""
        smaller, found, hidden = self.filtration.rigid, {}, self.hidden()
        for cause, space in self.nested().items():
            # Values of tuples that nearly coincide count as equal, so N_ν may hold directions that J sees.
            found[cause], _ = split_contained(complement_within(space, smaller), hidden)
            smaller = np.concatenate([smaller, found[cause]])
        beyond = complement_within(hidden, smaller)
        if self.filtration.kernel is None:
            n = count_width(self.f, self.decomposed, len(beyond))
            return found | {"other": beyond[n:], "width": beyond[:n]}
        seen, rest = self.split_seen(beyond, self.nu)
        n = count_width(self.f, self.decomposed, len(seen))
        found |= {"truncation": seen[n:], "width": seen[:n]}
        if len(rest):
            merged = split_contained(rest, self.merged_kernel())[0]
            found[self.kernel_cause] = np.concatenate([found[self.kernel_cause], merged])
        return found

    def merged_kernel(self) -> np.ndarray:
        """Span N_ν, `(k, 3 n)`, where values within `MERGED_TOLERANCE` count as equal; nothing if it is not known."""
        nothing = self.filtration.rigid[:0]
        try:
            kernel = build_filtration(replace(self.sites, tolerance=MERGED_TOLERANCE), self.nu).kernel
        except (GeometryError, SizeError):
            return nothing
        return nothing if kernel is None else kernel

    def split_seen(self, directions: np.ndarray, nu: int | None) -> tuple[np.ndarray, np.ndarray]:
        """Split null directions of J, `(k, 3 n)`, into those that a complete basis of order ν sees, and others. All
        count as seen if there is no order."""
        if not len(directions) or nu is None:
            return directions, directions[:0]
        rows = visibility_rows(self.sites, nu)
        largest = max(robust_svd(rows)[1].max(initial=0.0), np.finfo(float).tiny)
        _, values, turned = robust_svd(rows @ directions.T, full_matrices=True)
        values = np.pad(values, (0, len(directions) - len(values))) / largest
        known = max(self.decomposed.gap_and_floor()[1], max(rows.shape) * float(np.finfo(float).eps))
        seen = values > CLEAR_RATIO * known
        return turned[seen] @ directions, turned[~seen] @ directions


def examine_point(
    f: FeatureMap,
    at: Item,
    decomposed: DecomposedJacobian,
    distance: float = 0.0,
    symbol: str = "",
    known: Stabilizer | None = None,
    with_kernel: bool = True,
) -> ExactPoint:
    """Span the subspaces of one item of NumPy arrays, whose stabilizer may be `known`, with N_ν or without."""
    sites = list_sites(f, at, decomposed.reacting, EXACT_TOLERANCE)
    # N_ν lies between the symmetry's directions and the null space, and needs no computation if these are equally many.
    nullity = int(decomposed.spectrum.n_rigid) + int(decomposed.null.sum())
    nu = f.environment_featurizer.nu if with_kernel else None
    filtration = build_filtration(sites, nu, nullity, known)
    return ExactPoint(f, at, decomposed, sites, filtration, distance, symbol)


def count_width(f: FeatureMap, decomposed: DecomposedJacobian, n_rest: int) -> int:
    """Count, among `n_rest` null directions that no subspace of the positions explains, those that are null because
    there are fewer features than directions. Features in a basis are truncated instead, because it can be enlarged.

    If all features are independent, they see as many directions as there are features, and the width explains the rest.
    Each feature that depends on the others leaves one direction to another cause.
    """
    if f.environment_featurizer.sizes:
        return 0
    n_dependent = decomposed.n_rows - int((~decomposed.null).sum())
    return max(n_rest - max(n_dependent, 0), 0)


def split_contained(directions: np.ndarray, space: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Split a space of orthonormal directions, `(k, 3 n)`, into its part in another space, and the rest."""
    if not len(directions) or not len(space):
        return directions[:0], directions
    turned, cosines, _ = robust_svd(directions @ space.T, full_matrices=True)
    cosines = np.pad(cosines, (0, len(directions) - len(cosines)))
    inside = cosines**2 > 1 - CONTAINED_SINE**2
    return turned.T[inside] @ directions, turned.T[~inside] @ directions
