"""Families of environments in closed form: pairs with equal features, and neighbors in special positions. Pairs of four
neighbors have equal power spectra, and pairs of seven equal bispectra. In a plane symmetry hides displacements, and on
a sphere a short basis does."""

from collections.abc import Sequence
from functools import partial
from math import acos, pi
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxfeat.errors import GeometryError, SpeciesError
from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.prl_methanes import BOND_LENGTH, place_hydrogens, published_angles
from jaxfeat.geometry.species import atomic_numbers
from jaxfeat.manifolds.manifold import GOLDEN_ANGLE, AbstractManifold, Family, Parameter, Scalar, rows


def pair_family(
    ax: Scalar,
    az: Scalar,
    bx: Scalar,
    by: Scalar,
    bz: Scalar,
    cx: Scalar,
    cy: Scalar,
    sign: int,
    *,
    species: Sequence[str | int] = ("H", "H", "H", "H"),
    center_species: str | int | None = "C",
) -> Environment:
    """Build one of two environments that the power spectrum cannot tell apart.

    The neighbors are (ax, 0, az), (bx, by, bz), (bx, -by, -bz), (cx, ±cy, 0). Both signs have equal features of order 2
    in every basis. In general the two are not congruent, and order 3 tells them apart. Order 2 is singular exactly
    where they coalesce: cy = 0, az = 0, by = 0 or bz = 0.

    **Arguments:**

    - `ax`, ..., `cy`: Coordinates in Å; may be traced.
    - `sign`: The sign of `cy`, 1 or -1.
    - `species`: Symbols or atomic numbers of the four neighbors. The second and the third must agree.
    - `center_species`: Symbol or atomic number of the center; `None` if no atom sits there.

    **Returns:** An `Environment` with positions of shape `(4, 3)`.

    **Raises:** `GeometryError` for another sign and for coincident neighbors; `SpeciesError` if the second and the
    third species differ.
    """
    _check_sign(sign)
    numbers = atomic_numbers(species)
    if len(numbers) == 4 and numbers[1] != numbers[2]:
        raise SpeciesError(f"species is {tuple(species)!r}; the second and the third neighbor must be of one species.")
    positions = rows((ax, 0.0, az), (bx, by, bz), (bx, -by, -bz), (cx, sign * cy, 0.0))
    return Environment.from_neighbors(positions, numbers, center_species)


def pair(sign: int, species: Sequence[str | int] = ("H", "H", "H", "H")) -> Family:
    """Make a manifold of the members of one sign of `pair_family`.

    **Arguments:** `sign` and `species` as in `pair_family`.

    **Returns:** A `Family` of seven coordinates, in Å.

    **Raises:** as `pair_family`.
    """
    _check_sign(sign)
    generic = {"ax": -0.45, "az": 0.95, "bx": 0.6, "by": 0.7, "bz": 0.5, "cx": -0.75, "cy": 0.8}
    parameters = tuple(Parameter(name, -1.5, 1.5, value) for name, value in generic.items())
    return Family(parameters, partial(pair_family, sign=sign, species=species))


def ring_pair(
    r: Scalar,
    phi: Float[Array, "3"] | Sequence[Scalar],
    psi: Scalar,
    z1: Scalar,
    z2: Scalar,
    sign: int,
    *,
    species: str | int = "H",
    center_species: str | int | None = "C",
) -> Environment:
    """Build one of two environments that the bispectrum cannot tell apart.

    The neighbors are two rings of three and one neighbor on their axis, at (0, 0, ±z2). One ring lies at height `z1`
    with azimuths `phi`, the other at `-z1` with azimuths `phi + psi`. Both signs have equal features of order 3,
    pseudoscalars included. With scalene azimuths the two are not congruent, and order 4 tells them apart. With
    isosceles azimuths, as in (0, a, -a), order 3 is singular.

    **Arguments:**

    - `r`, `z1`, `z2`: Radius and heights in Å; may be traced.
    - `phi`, `psi`: Three azimuths and the twist, in radians; may be traced.
    - `sign`: The sign of `z2`, 1 or -1.
    - `species`: Symbol or atomic number of all seven neighbors.
    - `center_species`: Symbol or atomic number of the center; `None` if no atom sits there.

    **Returns:** An `Environment` with positions of shape `(7, 3)`.

    **Raises:** `GeometryError` for another sign, unless there are three azimuths, and for coincident neighbors.
    """
    _check_sign(sign)
    azimuths = list(phi)
    if len(azimuths) != 3:
        raise GeometryError(f"phi holds {len(azimuths)} azimuths; a ring has three.")
    psi, r, z1, z2, *around = rows((psi, r, z1, z2, *azimuths))[0]
    upper = [(r * jnp.cos(p), r * jnp.sin(p), z1) for p in around]
    lower = [(r * jnp.cos(p + psi), r * jnp.sin(p + psi), -z1) for p in around]
    return Environment.from_neighbors(rows(*upper, *lower, (0.0, 0.0, sign * z2)), [species] * 7, center_species)


def ring(sign: int) -> Family:
    """Make a manifold of the members of one sign of `ring_pair`.

    **Arguments:** `sign` as in `ring_pair`.

    **Returns:** A `Family` of the radius (Å), three azimuths and the twist (rad), and two heights (Å).

    **Raises:** as `ring_pair`.
    """
    _check_sign(sign)
    parameters = (
        Parameter("r", 0.6, 2.0, 1.2),
        *(Parameter(f"phi{k}", -pi, pi, value, "rad") for k, value in enumerate((0.0, 1.1, -1.6), 1)),
        Parameter("psi", -pi, pi, 0.6, "rad"),
        Parameter("z1", 0.3, 1.5, 0.7),
        Parameter("z2", 0.6, 2.0, 1.3),
    )
    return Family(parameters, lambda r, p1, p2, p3, psi, z1, z2: ring_pair(r, (p1, p2, p3), psi, z1, z2, sign))


class MethaneFamily(AbstractManifold):
    """CH4 environments with all C-H distances 1.09 Å, whose fourth hydrogen moves on the sphere.

    Members of either sign with the same angles have equal power spectra if and only if `L = 0`. At `F = π`, `L = 0` the
    two members coalesce, and the power spectrum is singular.

    **Attributes:** `parameters`: the azimuth `F` and the elevation `L` of the fourth hydrogen, in radians. `sign`: 1
    for the sheet X+, -1 for X-.
    """

    parameters: tuple[Parameter, ...] = eqx.field(static=True)
    sign: int = eqx.field(static=True)

    def __check_init__(self) -> None:
        _check_sign(self.sign)

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

    **Arguments:** `sign`: 1 for the sheet X+, -1 for X-.

    **Returns:** A `MethaneFamily`.

    **Raises:** `GeometryError` for another sign.

    **Source:** Pozdnyakov et al., Phys. Rev. Lett. 125, 166001 (2020).
    """
    azimuth, elevation = Parameter("F", 0.0, 2 * pi, 0.8 * pi, "rad"), Parameter("L", -pi / 2, pi / 2, 0.0, "rad")
    return MethaneFamily((azimuth, elevation), sign)


def planar(n: int = 4, *, species: str | int = "H", center_species: str | int | None = "C") -> Family:
    """Make a manifold of `n` neighbors in a plane with the center, of which the last may leave the plane.

    At `z = 0` a featurizer that is invariant under reflections sees no displacement out of the plane.

    **Arguments:** `n`: the number of neighbors, at least 2. `species`, `center_species`: symbols or atomic numbers of
    the neighbors and of the center.

    **Returns:** A `Family` of the distances `r1`, ... (Å), the azimuths `phi2`, ... (rad), and the height `z` of the
    last neighbor (Å).

    **Raises:** `GeometryError` if `n` is less than 2.
    """
    _check_number(n)
    parameters = (
        *(Parameter(f"r{k}", 0.7, 2.0, 0.95 + 0.13 * k) for k in range(1, n + 1)),
        *(Parameter(f"phi{k}", 0.0, 2 * pi, ((k - 1) * GOLDEN_ANGLE) % (2 * pi), "rad") for k in range(2, n + 1)),
        Parameter("z", -1.0, 1.0, 0.0),
    )

    def build(*values: Scalar) -> Environment:
        *flat, z = rows(values)[0]
        radii, heights = flat[:n], [0.0] * (n - 1) + [z]
        azimuths: list[Any] = [0.0, *flat[n:]]
        points = [(r * jnp.cos(p), r * jnp.sin(p), h) for r, p, h in zip(radii, azimuths, heights, strict=True)]
        return Environment.from_neighbors(rows(*points), [species] * n, center_species)

    return Family(parameters, build)


def equal_radii(n: int = 4, *, species: str | int = "H", center_species: str | int | None = "C") -> Family:
    """Make a manifold of `n` neighbors at one distance from the center, of which the last may leave the sphere.

    At `dr = 0` the rank of order 2 depends on `l_max` alone: four neighbors lose one displacement at `l_max = 4`.

    **Arguments:** as `planar`.

    **Returns:** A `Family` of the common distance `r` (Å), the polar angles `theta2`, ... and the azimuths `phi3`, ...
    (rad), and the excess `dr` of the last neighbor's distance (Å). The first neighbor is on the z axis.

    **Raises:** `GeometryError` if `n` is less than 2.
    """
    _check_number(n)
    parameters = (
        Parameter("r", 0.7, 2.0, 1.1),
        *(Parameter(f"theta{k}", 0.0, pi, acos(1 - 2 * (k - 1) / (n + 0.3)), "rad") for k in range(2, n + 1)),
        *(Parameter(f"phi{k}", 0.0, 2 * pi, ((k - 2) * GOLDEN_ANGLE) % (2 * pi), "rad") for k in range(3, n + 1)),
        Parameter("dr", -0.5, 0.5, 0.0),
    )

    def build(*values: Scalar) -> Environment:
        r, *angles, dr = rows(values)[0]
        polar: list[Any] = [0.0, *angles[: n - 1]]
        azimuths: list[Any] = [0.0, 0.0, *angles[n - 1 :]]
        radii = [r] * (n - 1) + [r + dr]
        points = [
            (s * jnp.sin(t) * jnp.cos(p), s * jnp.sin(t) * jnp.sin(p), s * jnp.cos(t))
            for s, t, p in zip(radii, polar, azimuths, strict=True)
        ]
        return Environment.from_neighbors(rows(*points), [species] * n, center_species)

    return Family(parameters, build)


def _check_number(n: int) -> None:
    if n < 2:
        raise GeometryError(f"n is {n}; give at least two neighbors.")


def _check_sign(sign: int) -> None:
    if sign not in (1, -1):
        raise GeometryError(f"sign is {sign!r}; the members of a pair are 1 and -1.")
