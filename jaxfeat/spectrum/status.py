"""A status for each item, in a form that passes through jit and vmap."""

from __future__ import annotations

from enum import StrEnum

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Bool, Int

from jaxfeat.linalg.arrays import concrete_values


class StatusName(StrEnum):
    """Names of statuses, each with a sentence: its `message`.

    Spectra have all statuses but "ambiguous". Null spaces have all of them. A member equals its name, and comparing it
    with any other text raises a `ValueError`.
    """

    message: str

    def __new__(cls, name: str, message: str = "") -> StatusName:
        member = str.__new__(cls, name)
        member._value_, member.message = name, message
        return member

    OK = "ok", "the spectrum is known down to its floor."
    EMPTY = "empty", "there are no neighbors within the cutoff, so there is nothing to displace."
    NON_FINITE = "non-finite", "positions or derivatives are not finite; mend the coordinates."
    COINCIDENT = "coincident", "two atoms are at the same point; remove one of them."
    UNKNOWN_SPECIES = (
        "unknown-species",
        "an atom was not seen, because the featurizer does not know its species; add it to `species`.",
    )
    NO_SIGNAL = (
        "no-signal",
        "no displacement changes any feature: neighbors are outside the cutoff, or symmetry cancels everything.",
    )
    WRONG_RADIUS = (
        "wrong-radius",
        "the environment was cut at another radius than the featurizer needs; make it with the featurizer's r_cut.",
    )
    UNSEARCHABLE = (
        "unsearchable",
        "no neighbors could be searched for: an atom is too far away, or the cell is too small or too flat for r_cut; "
        "mend the structure, or choose a smaller r_cut.",
    )
    FLOAT32_FLOOR = (
        "float32-floor",
        "values below the floor of float32 are not known; enable float64 (jax_enable_x64).",
    )
    AMBIGUOUS = (
        "ambiguous",
        "the causes of null directions cannot be told apart; the reason of the null space says why.",
    )

    @classmethod
    def _missing_(cls, value: object) -> None:
        raise ValueError(f"{value!r} is no status; choose one of {', '.join(repr(name.value) for name in cls)}.")

    def __eq__(self, other: object) -> bool:
        return str.__eq__(self, StatusName(other) if isinstance(other, str) else other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = str.__hash__


STATUS_NAMES = tuple(StatusName)
"""Names in the order of their codes."""


class Status(eqx.Module):
    """A code for each item. `status == "ok"` compares with a name; `str(status)` and `names` give names outside jit.

    Comparing with a text that names no status raises a `ValueError`, inside jit too.

    **Attributes:**

    - `code`: Shape `batch`, indices into `STATUS_NAMES`.
    """

    code: Int[Array, "*batch"]

    def __eq__(self, other: object) -> Bool[Array, "*batch"]:  # type: ignore[override]
        if isinstance(other, Status):
            return self.code == other.code
        if isinstance(other, str):
            return self.code == STATUS_NAMES.index(StatusName(other))
        return NotImplemented

    def __ne__(self, other: object) -> Bool[Array, "*batch"]:  # type: ignore[override]
        equal = self.__eq__(other)
        return equal if equal is NotImplemented else ~equal

    __hash__ = None  # type: ignore[assignment]

    @property
    def names(self) -> np.ndarray:
        """Names, an array of strings of shape `batch`."""
        return np.asarray([name.value for name in STATUS_NAMES])[np.asarray(self.code)]

    @property
    def summary(self) -> str:
        """The name of a single item's status, or how many items of a batch have each status: "8 ok, 1 empty"."""
        if not self.code.shape:
            return str(self.names)
        counts = np.bincount(np.asarray(self.code).ravel(), minlength=len(STATUS_NAMES))
        return ", ".join(f"{n} {name.value}" for name, n in zip(STATUS_NAMES, counts, strict=True) if n) or "none"

    @property
    def message(self) -> str | np.ndarray:
        """A sentence that explains a single item's status, or an array of sentences of shape `batch`."""
        found = np.asarray([name.message for name in STATUS_NAMES])[np.asarray(self.code)]
        return found if found.shape else str(found)

    def __str__(self) -> str:
        known = concrete_values(self.code)
        return "traced" if known is None else str(self.names)

    def __repr__(self) -> str:
        known = isinstance(self.code, (np.ndarray, np.generic, jax.Array)) and concrete_values(self.code) is not None
        return f"Status({self.summary})" if known else super().__repr__()
