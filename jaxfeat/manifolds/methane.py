"""Methanes that the power spectrum mistakes for each other, from PRL 125, 166001."""

from math import pi

import equinox as eqx
import numpy as np

from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.prl_methanes import BOND_LENGTH, place_hydrogens, published_angles
from jaxfeat.manifolds.manifold import AbstractManifold, Parameter, Scalar, check_sign, rows


class MethaneFamily(AbstractManifold):
    """CH4 environments with all C-H distances 1.09 Å, whose fourth hydrogen moves on the sphere.

    Members of either sign with the same angles have equal power spectra if and only if `L = 0`. At `F = π`, `L = 0` the
    two members coalesce, and the power spectrum is singular.

    **Attributes:**

    - `parameters`: The azimuth `F` and the elevation `L` of the fourth hydrogen, in radians.
    - `sign`: 1 for the sheet X+, -1 for X-.
    """

    parameters: tuple[Parameter, ...] = eqx.field(static=True)
    sign: int = eqx.field(static=True)

    def __check_init__(self) -> None:
        check_sign(self.sign)

    def __call__(self, F: Scalar, L: Scalar) -> Environment:  # type: ignore[override]
        """Build the environment of the carbon at azimuth `F` and elevation `L` of the fourth hydrogen, in radians."""
        azimuth, elevation = rows((F, L))[0]
        directions = rows(*place_hydrogens(azimuth, elevation, self.sign))
        return Environment.from_neighbors(BOND_LENGTH * directions, ["H"] * 4, "C")

    def grid(self) -> tuple[np.ndarray, np.ndarray]:
        """List the published values of `F` and of `L`, 9 each, in radians. Their product is the grid, `F` slow."""
        return published_angles()


def prl_methane(sign: int) -> MethaneFamily:
    """Make one of the two sheets of methanes, as a manifold of two angles.

    **Arguments:**

    - `sign`: 1 for the sheet X+, -1 for X-.

    **Returns:** A `MethaneFamily`.

    **Raises:** `GeometryError` for another sign.

    **Source:** Pozdnyakov et al., Phys. Rev. Lett. 125, 166001 (2020).
    """
    angles = (
        Parameter("F", 0.0, 2 * pi, 0.8 * pi, "rad"),
        Parameter("L", -pi / 2, pi / 2, 0.0, "rad"),
    )
    return MethaneFamily(angles, sign)
