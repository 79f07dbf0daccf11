"""How the computation of one item went, in a form that jit and vmap carry along."""

from __future__ import annotations

import equinox as eqx
import numpy as np
from jaxtyping import Array, Bool, Int

from jaxfeat.geometry.environment import concrete

MESSAGES = {
    "ok": "the spectrum is known down to its floor.",
    "empty": "there are no neighbors within the cutoff, hence nothing to displace.",
    "non-finite": "positions or derivatives are not finite; mend the coordinates.",
    "coincident": "two atoms are at the same point; remove one of them.",
    "unknown-species": "an atom is of none of the featurizer's species and was not seen; add it to `species`.",
    "no-signal": "no displacement moves any feature: neighbors are outside the cutoff, or symmetry cancels everything.",
    "wrong-radius": "the environment was cut at another radius than the featurizer needs; make it with its r_cut.",
    "unsearchable": "no neighbors could be looked for: an atom is too far away, or the cell too small or too flat for "
    "r_cut; mend the structure, or choose a smaller r_cut.",
    "float32-floor": "values below the floor of float32 are not known; enable float64 (jax_enable_x64).",
}
"""What each status means, in the order of their codes."""

NAMES = tuple(MESSAGES)


class Status(eqx.Module):
    """A code per item. Compare with a name, `status == "ok"`; outside jit, `str(status)` and `names` give names.

    **Attributes:** `code`, `(...)`, the index into `NAMES`.
    """

    code: Int[Array, "*batch"]

    def __eq__(self, other: object) -> Bool[Array, "*batch"]:  # type: ignore[override]
        if isinstance(other, Status):
            return self.code == other.code
        if other not in NAMES:
            return self.code == -1
        return self.code == NAMES.index(str(other))

    __hash__ = None  # type: ignore[assignment]

    @property
    def names(self) -> np.ndarray:
        """Names, `(...)` strings."""
        return np.asarray(NAMES)[np.asarray(self.code)]

    def __str__(self) -> str:
        known = concrete(self.code)
        return "traced" if known is None else str(self.names)

    @property
    def message(self) -> str:
        """What the status of a single item means."""
        return MESSAGES[str(self)]
