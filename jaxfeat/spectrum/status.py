"""How the computation of one item went, in a form that jit and vmap carry along."""

from __future__ import annotations

from enum import StrEnum

import equinox as eqx
import numpy as np
from jaxtyping import Array, Bool, Int

from jaxfeat.linalg.arrays import concrete_values


class StatusName(StrEnum):
    """Names of statuses. A member equals its name, and comparing it with a text that names none is an error.

    Spectra have all of them but "ambiguous", null spaces also that.
    """

    OK = "ok"
    EMPTY = "empty"
    NON_FINITE = "non-finite"
    COINCIDENT = "coincident"
    UNKNOWN_SPECIES = "unknown-species"
    NO_SIGNAL = "no-signal"
    WRONG_RADIUS = "wrong-radius"
    UNSEARCHABLE = "unsearchable"
    FLOAT32_FLOOR = "float32-floor"
    AMBIGUOUS = "ambiguous"

    @classmethod
    def _missing_(cls, value: object) -> None:
        raise ValueError(f"{value!r} is no status; choose one of {', '.join(repr(name.value) for name in cls)}.")

    def __eq__(self, other: object) -> bool:
        return str.__eq__(self, StatusName(other) if isinstance(other, str) else other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = str.__hash__


NAMES = tuple(StatusName)
"""In the order of their codes."""

MESSAGES = {
    StatusName.OK: "the spectrum is known down to its floor.",
    StatusName.EMPTY: "there are no neighbors within the cutoff, hence nothing to displace.",
    StatusName.NON_FINITE: "positions or derivatives are not finite; mend the coordinates.",
    StatusName.COINCIDENT: "two atoms are at the same point; remove one of them.",
    StatusName.UNKNOWN_SPECIES: "an atom is of none of the featurizer's species and was not seen; add it to `species`.",
    StatusName.NO_SIGNAL: (
        "no displacement moves any feature: neighbors are outside the cutoff, or symmetry cancels everything."
    ),
    StatusName.WRONG_RADIUS: (
        "the environment was cut at another radius than the featurizer needs; make it with its r_cut."
    ),
    StatusName.UNSEARCHABLE: (
        "no neighbors could be looked for: an atom is too far away, or the cell too small or too flat for r_cut; "
        "mend the structure, or choose a smaller r_cut."
    ),
    StatusName.FLOAT32_FLOOR: "values below the floor of float32 are not known; enable float64 (jax_enable_x64).",
    StatusName.AMBIGUOUS: "null directions cannot be told apart by cause; the reason of the null space says why.",
}
"""What each status means."""


class Status(eqx.Module):
    """A code per item. Compare with a name, `status == "ok"`; outside jit, `str(status)` and `names` give names.

    A text that names no status raises a `ValueError`, inside jit too.

    **Attributes:** `code`, `(...)`, the index into `NAMES`.
    """

    code: Int[Array, "*batch"]

    def __eq__(self, other: object) -> Bool[Array, "*batch"]:  # type: ignore[override]
        if isinstance(other, Status):
            return self.code == other.code
        if isinstance(other, str):
            return self.code == NAMES.index(StatusName(other))
        return NotImplemented

    def __ne__(self, other: object) -> Bool[Array, "*batch"]:  # type: ignore[override]
        equal = self.__eq__(other)
        return equal if equal is NotImplemented else ~equal

    __hash__ = None  # type: ignore[assignment]

    @property
    def names(self) -> np.ndarray:
        """Names, `(...)` strings."""
        return np.asarray([name.value for name in NAMES])[np.asarray(self.code)]

    def __str__(self) -> str:
        known = concrete_values(self.code)
        return "traced" if known is None else str(self.names)

    @property
    def message(self) -> str | np.ndarray:
        """What the status of a single item means, in a sentence; of a batch, `(...)` sentences."""
        found = np.asarray([MESSAGES[name] for name in NAMES])[np.asarray(self.code)]
        return found if found.shape else str(found)
