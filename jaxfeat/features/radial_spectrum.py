"""The radial spectrum: features of order ν = 1."""

from typing import ClassVar

from jaxtyping import Array, Float

from jaxfeat.features.base import Label
from jaxfeat.features.density import DensityFeaturizer


class RadialSpectrum(DensityFeaturizer):
    """The radial spectrum, ν = 1: the coefficients c_{a n 0 0} of the density's spherical average.

    It sees distances alone. Only l = 0 contributes, whatever `l_max` is.

    **Arguments:**

    {density}

    **Labels:** (species, n).

    **Raises:** `BasisError` if the arguments define no basis. `SpeciesError` if `species` names no element, or one
    twice, or if the number of `weights` differs.
    """

    nu: ClassVar[int] = 1  # type: ignore[misc]
    group: ClassVar[str] = "O3"  # type: ignore[misc]

    @property
    def sizes(self) -> dict[str, int]:
        return {"n_max": self.n_max}

    @property
    def n_features(self) -> int:
        return self.n_channels

    @property
    def labels(self) -> tuple[Label, ...]:
        return tuple(self.channels)

    def contract(self, density: Float[Array, "q l m"]) -> Float[Array, " n_features"]:
        return density[:, 0, self.l_max]
