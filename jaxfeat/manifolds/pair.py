"""Four neighbors that the power spectrum mistakes for four others."""

from collections.abc import Sequence

from jaxfeat.errors import SpeciesError
from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.species import atomic_numbers
from jaxfeat.manifolds.coordinates import check_sign, rows
from jaxfeat.manifolds.manifold import Family, Parameter, Scalar


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
    """The neighbors (ax, 0, az), (bx, by, bz), (bx, -by, -bz), (cx, ±cy, 0), in Å.

    Both signs have equal features of order 2 in every basis, and are in general not congruent: order 3 tells them
    apart. Order 2 is singular exactly where they coalesce: cy = 0, az = 0, by = 0 or bz = 0.

    **Arguments:**

    - the seven coordinates, which may be traced, and the `sign` of `cy`: 1 or -1.
    - `species`: of the four neighbors; the second and the third must agree.

    **Raises:** `GeometryError` for another sign and for coincident neighbors, `SpeciesError` for species that differ
    where they must agree.
    """
    check_sign(sign)
    numbers = atomic_numbers(species)
    if len(numbers) == 4 and numbers[1] != numbers[2]:
        raise SpeciesError(f"species is {tuple(species)!r}; the second and the third neighbor must be of one species.")
    positions = rows((ax, 0.0, az), (bx, by, bz), (bx, -by, -bz), (cx, sign * cy, 0.0))
    return Environment.from_neighbors(positions, numbers, center_species)


def pair(sign: int, species: Sequence[str | int] = ("H", "H", "H", "H")) -> Family:
    """The members of one sign of `pair_family` as a manifold of its seven coordinates (Å).

    **Raises:** as `pair_family`.
    """
    check_sign(sign)
    names = ("ax", "az", "bx", "by", "bz", "cx", "cy")
    generic = (-0.45, 0.95, 0.6, 0.7, 0.5, -0.75, 0.8)
    parameters = tuple(Parameter(name, -1.5, 1.5, value) for name, value in zip(names, generic, strict=True))

    def build(ax: Scalar, az: Scalar, bx: Scalar, by: Scalar, bz: Scalar, cx: Scalar, cy: Scalar) -> Environment:
        return pair_family(ax, az, bx, by, bz, cx, cy, sign, species=species)

    return Family(parameters, build)
