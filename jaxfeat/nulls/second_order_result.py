"""Numbers of quadratic responses that are allowed and seen, and the missing ones as displacements."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from jaxfeat.errors import BasisError
from jaxfeat.geometry.structure import Item
from jaxfeat.geometry.symmetry import Stabilizer, write_symbol
from jaxfeat.linalg.subspaces import Gap, complement_within
from jaxfeat.nulls.kernel import MAX_NU
from jaxfeat.nulls.quadratic_responses import Responses

NARROW_GAP = 100.0  # ratio of singular values up to which it is not certain which of them are zero
LEAST_WEIGHT = 1e-6  # of a displacement in a missing form, relative to the largest
BASIS, HIGHER = "a larger basis", "a higher order"
FEATURES, COMPLETE = "features", "complete"


def name_order(nu: int | None) -> str:
    """Name the responses of a complete basis of order ν."""
    return f"ν = {nu}"


@dataclass(frozen=True, eq=False)
class MissingForm:
    """A quadratic response that symmetry allows and features cannot have, written as displacements with weights.

    A model of any function of the features has second derivatives E'' with Σ weights[i] E''(u_i, u_i) = 0, where u_i =
    displacements[i]. Nothing in physics asks for this sum rule. Displacements of positive weights are as stiff, on
    average, as those of negative weights.

    **Attributes:**

    - `weights`: `(k,)`, the largest magnitude first; their squares add up to 1.
    - `displacements`: `(k, n, 3)`, orthonormal.
    - `lifted_by`: "a larger basis" if the features' own order sees the response; "ν = 3" if this next order does; "a
        higher order" if it takes one beyond that, or one that was not tried. Empty if no function of a site's
        positions has the response, and for features without a declared order.
    """

    weights: np.ndarray
    displacements: np.ndarray
    lifted_by: str

    def __repr__(self) -> str:
        n_positive = int((self.weights > 0).sum())
        lifted = f"; {self.lifted_by} sees it" if self.lifted_by else ""
        return f"MissingForm({n_positive} displacements against {len(self.weights) - n_positive}{lifted})"


@dataclass(frozen=True, eq=False)
class SecondOrder:
    """Numbers of independent quadratic responses, to displacements that the symmetry of an environment hides, or to all
    displacements of a crystal's atoms.

    **Attributes:**

    - `allowed`: The number that the point group or space group allows.
    - `complete`: The number that any function of the positions of sites has. It is `allowed` for an environment. It may
        be less for a crystal, because the energy of a site does not change under rotations.
    - `seen_by_order`: The number that order ν has in a complete basis. `None` if the features declare no ν, or if there
        are too many tuples of neighbors.
    - `seen`: The number that the features have; `None` if an order was given in their place.
    - `orders`: The numbers by order: that of the features, and the next one unless the former has all.
    - `missing`: A tuple with a `MissingForm` for each response that is allowed and not `seen` (by the order, if no
        features were given). They are orthonormal. Any mixture of those that the same change lifts would do as well.
    - `nu`: The order ν, or `None`.
    - `n_directions`: The dimension of the space of displacements: those that symmetry hides without rigid motions, or
        all but the translations of a crystal.
    - `symbol`: The point group ("O_h"), or the space group.
    - `stabilizer`: The symmetry operations.
    - `geometry`: The input at exactly symmetric positions, to which all of this applies.
    - `gap`: By "ν = 2", "ν = 3", "features": the largest singular value of the responses that is taken for zero, and
        the smallest other one, relative to the largest.
    - `floor`: By the same names, the value up to which values are taken for zero.
    - `status`: "ok", or "ambiguous" if a gap is narrow.
    - `reason`: A sentence that explains `status`.
    """

    allowed: int
    complete: int
    seen_by_order: int | None
    seen: int | None
    orders: dict[int, int]
    missing: tuple[MissingForm, ...]
    nu: int | None
    n_directions: int
    symbol: str
    stabilizer: Stabilizer
    geometry: Item
    gap: dict[str, Gap]
    floor: dict[str, float]
    status: str
    reason: str
    _basis: np.ndarray = field(repr=False)
    _space: np.ndarray = field(repr=False)
    _responses: dict[str, Responses] = field(repr=False)

    def forms(self, order: int | None = None) -> np.ndarray:
        """Return orthonormal quadratic forms that span the responses of an `order` among `orders`; by default those of
        the features. The form m maps u to Σ u[i, a] forms[m, i, a, j, b] u[j, b].

        **Raises:** `BasisError` if the responses of this order are not known.
        """
        name = FEATURES if order is None else name_order(order)
        if name not in self._responses:
            raise BasisError(f"the responses of {name} are not known; there are {', '.join(self._responses)}.")
        rows, space = self._responses[name].seen, self._space
        found = np.tensordot(rows, self._basis, 1)
        n = space.shape[1] // 3
        return (space.T @ found @ space).reshape(len(rows), n, 3, n, 3)

    @property
    def sentence(self) -> str:
        """Say how many responses the order ν misses, and what the next order sees; empty if it misses none."""
        if self.seen_by_order is None or self.seen_by_order == self.allowed:
            return ""
        return write_missing(self.allowed, self.orders, self.nu or 0)

    def __repr__(self) -> str:
        counts = [f"allowed={self.allowed}", *(f"{name_order(order)}: {count}" for order, count in self.orders.items())]
        counts += [] if self.seen is None else [f"seen={self.seen}"]
        return f"SecondOrder({', '.join(counts)}; {self.symbol}, {self.n_directions} directions; {self.status})"


def write_missing(allowed: int, orders: Mapping[int, int], nu: int) -> str:
    """Say how many of the allowed responses the order ν misses, and how many of these the next order sees."""
    missing = allowed - orders[nu]
    text = f"{missing} of {allowed} second-order responses are invisible to {name_order(nu)}"
    if (after := orders.get(nu + 1)) is None:
        return text
    return f"{text}; {name_order(nu + 1)} sees {'all' if after == allowed else f'{after - orders[nu]} of these'}"


def collect_responses(
    nu: int | None,
    forms: np.ndarray,
    space: np.ndarray,
    responses: dict[str, Responses],
    stabilizer: Stabilizer,
    geometry: Item,
    with_missing: bool = True,
) -> SecondOrder:
    """Make the result, `with_missing` forms or without, from the invariant forms `(a, z, z)` on a space `(z, 3 n)`, and
    the responses by name."""
    orders = {k: len(responses[name_order(k)].seen) for k in range(1, MAX_NU + 1) if name_order(k) in responses}
    reason = ""
    for name, one in responses.items():
        if one.gap[1] < NARROW_GAP * max(one.gap[0], one.floor):
            reason = (
                f"the singular values of the responses of {name} that are taken for zero reach {one.gap[0]:.1e}, and "
                f"the others begin at {one.gap[1]:.1e}, next to the floor {one.floor:.1e}."
            )
    shown = {name: one for name, one in responses.items() if name != COMPLETE}
    return SecondOrder(
        allowed=len(forms),
        complete=len(responses[COMPLETE].seen) if COMPLETE in responses else len(forms),
        seen_by_order=None if nu is None else orders.get(nu),
        seen=len(responses[FEATURES].seen) if FEATURES in responses else None,
        orders=orders,
        missing=_list_missing(nu, forms, space, responses) if with_missing else (),
        nu=nu,
        n_directions=len(space),
        symbol=stabilizer.symbol if " " in stabilizer.symbol else write_symbol(stabilizer),
        stabilizer=stabilizer,
        geometry=geometry,
        gap={name: one.gap for name, one in shown.items()},
        floor={name: one.floor for name, one in shown.items()},
        status="ambiguous" if reason else "ok",
        reason=reason or "all gaps are wide.",
        _basis=forms,
        _space=space,
        _responses=shown,
    )


def _list_missing(
    nu: int | None, forms: np.ndarray, space: np.ndarray, responses: dict[str, Responses]
) -> tuple[MissingForm, ...]:
    """Split the missing responses by what lifts them. The spans of the features, of order ν, of the next order and of
    all functions of a site are nested, so the missing ones are too, the other way round."""
    nothing = np.zeros((0, len(forms)))
    lifts = {FEATURES: "", name_order(nu): BASIS, name_order((nu or 0) + 1): name_order((nu or 0) + 1)}
    spans = [(lifts[name], responses[name].missing) for name in lifts if name in responses]
    if not spans:
        return ()
    (_, rest), *others = spans
    others.append((HIGHER if nu is not None else "", responses[COMPLETE].missing if COMPLETE in responses else nothing))
    found = []
    for lifted, smaller in [*others, ("", nothing)]:
        for row in complement_within(rest, smaller):
            values, vectors = np.linalg.eigh(np.tensordot(row, forms, 1))
            order = np.argsort(-np.abs(values), kind="stable")
            order = order[np.abs(values[order]) > LEAST_WEIGHT * np.abs(values).max()]
            displacements = (vectors[:, order].T @ space).reshape(len(order), -1, 3)
            found.append(MissingForm(values[order], displacements, lifted))
        rest = smaller
    return tuple(found)
