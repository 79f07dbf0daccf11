"""Seven neighbors that the bispectrum mistakes for seven others."""

from collections.abc import Sequence
from math import pi

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxfeat.errors import GeometryError
from jaxfeat.geometry.environment import Environment
from jaxfeat.manifolds.coordinates import check_sign, rows
from jaxfeat.manifolds.manifold import Family, Parameter, Scalar


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
    """Two rings of three neighbors and one neighbor on their axis, at (0, 0, ±z2).

    The rings have radius `r`; one lies at height `z1` with azimuths `phi`, the other at `-z1` with `phi + psi`. Both
    signs have equal features of order 3, pseudoscalars included, and are not congruent where the azimuths are scalene;
    order 4 tells them apart. With isosceles azimuths, such as (0, a, -a), order 3 is singular.

    **Arguments:**

    - `r`, `z1`, `z2` in Å, `phi` (three) and `psi` in radians; all may be traced. `sign`: that of `z2`, 1 or -1.
    - `species`: that of all seven neighbors.

    **Raises:** `GeometryError` for another sign, for a number of azimuths that is not three, for coincident neighbors.
    """
    check_sign(sign)
    azimuths = list(phi)
    if len(azimuths) != 3:
        raise GeometryError(f"phi holds {len(azimuths)} azimuths; a ring has three.")
    psi, r, z1, z2, *ring = rows((psi, r, z1, z2, *azimuths))[0]
    upper = [(r * jnp.cos(p), r * jnp.sin(p), z1) for p in ring]
    lower = [(r * jnp.cos(p + psi), r * jnp.sin(p + psi), -z1) for p in ring]
    return Environment.from_neighbors(rows(*upper, *lower, (0.0, 0.0, sign * z2)), [species] * 7, center_species)


def ring(sign: int) -> Family:
    """The members of one sign of `ring_pair` as a manifold: radius and heights (Å), azimuths and twist (rad).

    **Raises:** as `ring_pair`.
    """
    check_sign(sign)
    parameters = (
        Parameter("r", 0.6, 2.0, 1.2),
        *(Parameter(f"phi{k}", -pi, pi, value, "rad") for k, value in enumerate((0.0, 1.1, -1.6), 1)),
        Parameter("psi", -pi, pi, 0.6, "rad"),
        Parameter("z1", 0.3, 1.5, 0.7),
        Parameter("z2", 0.6, 2.0, 1.3),
    )
    return Family(parameters, lambda r, p1, p2, p3, psi, z1, z2: ring_pair(r, (p1, p2, p3), psi, z1, z2, sign))
