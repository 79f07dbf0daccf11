"""The answers of `prove`: a certificate, or the reason why there is none."""

import json
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from jaxfeat.singular.bracket_algebra import make_polynomial
from jaxfeat.singular.certificate import check_certificate, evaluate
from jaxfeat.singular.conditions import Condition


@dataclass(frozen=True, eq=False)
class Certificate:
    """The proof that an exact point, at which no feature of order ν sees some displacement, lies near given positions.

    **Attributes:**

    - `data`: The certificate as a dictionary of strings, integers and lists, which JSON holds. `check_certificate`
        verifies it without the rest of jaxfeat.
    - `proved`: True.
    """

    data: dict[str, Any]
    proved: ClassVar[bool] = True

    @property
    def statement(self) -> str:
        """The proved statement, as one English sentence."""
        return self.data["statement"]

    @property
    def stratum(self) -> str:
        """The name of the stratum."""
        return self.data["stratum"]

    @property
    def radius(self) -> float:
        """The proved bound on the distance of the exact point from the positions (norm over all coordinates), Å."""
        return float(Fraction(self.data["radius"]))

    @property
    def seen_by(self) -> int:
        """An order above ν whose features see the displacement."""
        return len(self.data["witness"]["neighbors"])

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """The equations that define the stratum near the point."""
        return tuple(Condition(_to_tuples(terms)) for terms in self.data["conditions"])

    @property
    def positions(self) -> np.ndarray:
        """The positions that were given, `(N, 3)` float64, Å."""
        return np.asarray([[float(Fraction(x)) for x in row] for row in self.data["positions"]])

    @property
    def displacement(self) -> np.ndarray:
        """The null displacement near the positions, `(N, 3)` float64, of norm one."""
        return displace(self.data["displacement"], self.positions)

    def check(self) -> str:
        """Verify the certificate from scratch, and return its statement. Raises `InvalidCertificate` if it is wrong."""
        return check_certificate(self.data)

    def save(self, path: str | Path) -> None:
        """Write the certificate as a JSON file."""
        Path(path).write_text(json.dumps(self.data, ensure_ascii=False) + "\n", encoding="utf-8")

    def __repr__(self) -> str:
        size, seen = len(self.data["species"]), self.seen_by
        return (
            f"Certificate({self.stratum}, {size} neighbors, null for ν = {self.data['nu']}, seen by ν = {seen}, "
            f"within {self.data['radius']} Å)"
        )


@dataclass(frozen=True, eq=False)
class NotProved:
    """The answer of `prove` where there is no proof.

    **Attributes:**

    - `reason`: A sentence that names the step that fails.
    - `proved`: False.
    """

    reason: str
    proved: ClassVar[bool] = False


def displace(displacement: Any, positions: np.ndarray) -> np.ndarray:
    """Compute a displacement of polynomials and vectors at `(N, 3)` positions in floating point, with norm one."""
    moves = np.zeros_like(positions)
    for i, row in enumerate(displacement):
        for terms, vector in row:
            first, *second = (positions[j] for j in vector)
            moves[i] += evaluate(make_polynomial(terms), positions) * (np.cross(first, second[0]) if second else first)
    return moves / max(np.linalg.norm(moves), np.finfo(float).tiny)


def _to_tuples(value: Any) -> Any:
    return tuple(_to_tuples(one) for one in value) if isinstance(value, list) else value
