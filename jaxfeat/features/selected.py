"""Some of the features of a featurizer, computed without the others where that takes less time."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import numpy as np
from jaxtyping import Array, Float

from jaxfeat.errors import BasisError
from jaxfeat.features.base import AbstractFeaturizer, Label
from jaxfeat.features.correlations import Correlations
from jaxfeat.features.host_work import jacobians_by_program
from jaxfeat.features.power_spectrum.featurizer import PowerSpectrum
from jaxfeat.features.power_spectrum.selected_pairs import (
    SelectedPairs,
    list_selected_pairs,
    selected_jacobian,
    selected_jacobian_on_host,
    selected_power_spectrum,
    selected_power_spectrum_on_host,
)
from jaxfeat.geometry.environment import Environment


class SelectedFeatures(AbstractFeaturizer):
    """Some of the features of a featurizer, as `jaxfeat.select` chooses them.

    Of a `PowerSpectrum` only the pairs of channels and the l are contracted that occur, and of correlations of order 3
    only the rows of the Jacobian. Other featurizers compute all features, and the rest is dropped. A tenth of the
    features of a default power spectrum (3696 of four species) takes two thirds of the time, because the density takes
    most of it, and their Jacobian a quarter. NumPy, which computes a few environments, takes two thirds for the
    Jacobian and no less for the features. Spectra take as long as those of the whole power spectrum, whose Jacobian has
    a short form.

    **Arguments:**

    - `featurizer`: The featurizer with all features.
    - `kept`: The index of each kept feature among all of them, in the order in which they are wanted.

    **Attributes:** Those of the featurizer: `nu`, `group`, `species`, `r_cut`, and the labels of the kept features.
    `sizes` is `{"n_features": k}`, and `with_sizes` returns the featurizer if all of its features are asked for.

    **Raises:** `BasisError` if an index is missing, occurs twice or is out of range.
    """

    featurizer: AbstractFeaturizer
    kept: tuple[int, ...] = eqx.field(static=True)

    def __init__(self, featurizer: AbstractFeaturizer, kept: tuple[int, ...] | list[int]) -> None:
        if not isinstance(featurizer, AbstractFeaturizer):
            raise BasisError(f"featurizer is of type {type(featurizer).__name__}; give a featurizer of environments.")
        if not all(isinstance(index, (int, np.integer)) for index in kept):
            raise BasisError("kept holds indices of features; they must be integers.")
        indices = tuple(map(int, kept))
        if not indices or len(set(indices)) != len(indices):
            raise BasisError(f"kept has {len(indices)} indices; name at least one feature, and each only once.")
        n_features = featurizer.n_features_if_known
        if min(indices) < 0 or (n_features is not None and max(indices) >= n_features):
            raise BasisError(
                f"kept has indices from {min(indices)} to {max(indices)}; there are {n_features} features."
            )
        self.featurizer, self.kept = featurizer, indices

    def __repr__(self) -> str:
        return f"SelectedFeatures({len(self.kept)} of {self.n_all_features} features of {self.featurizer!r})"

    @property  # type: ignore[misc]
    def nu(self) -> int | None:  # type: ignore[override]
        return self.featurizer.nu

    @property  # type: ignore[misc]
    def group(self) -> str:  # type: ignore[override]
        return self.featurizer.group

    @property  # type: ignore[misc]
    def species(self) -> np.ndarray | None:  # type: ignore[override]
        return self.featurizer.species

    @property
    def r_cut(self) -> Any:
        """The radius of the featurizer (Å). **Raises:** `AttributeError` if it has none."""
        return self.featurizer.r_cut  # type: ignore[attr-defined]

    @property
    def labels(self) -> tuple[Label, ...]:
        every = self.featurizer.labels
        return tuple(every[index] for index in self.kept)

    @property
    def n_features(self) -> int:
        return len(self.kept)

    @property
    def whole(self) -> AbstractFeaturizer:
        """The featurizer with all features, under a name that only selections have."""
        return self.featurizer

    @property
    def n_all_features(self) -> int | None:
        """The number of features of the featurizer, `None` if it is unknown."""
        return self.featurizer.n_features_if_known

    @property
    def sizes(self) -> dict[str, int]:
        return {"n_features": self.n_features}

    def with_sizes(self, **sizes: int) -> AbstractFeaturizer:
        if sizes == self.sizes:
            return self
        if sizes == {"n_features": self.n_all_features}:
            return self.featurizer
        raise BasisError(f"a selection has {self.n_features} features or all; choose others with jaxfeat.select.")

    @property
    def _pairs(self) -> SelectedPairs | None:
        """The pairs of a power spectrum; `None` for other featurizers, and for subclasses with other features."""
        f = self.featurizer
        return list_selected_pairs(f.n_channels, self.kept) if type(f) is PowerSpectrum else None

    def prepared(self) -> SelectedFeatures:
        return eqx.tree_at(lambda one: one.featurizer, self, self.featurizer.prepared())

    def closure_converted(self, env: Environment) -> SelectedFeatures:
        return eqx.tree_at(lambda one: one.featurizer, self, self.featurizer.closure_converted(env))

    def features(self, env: Environment) -> Float[Array, " n_features"]:
        if self._pairs is not None:
            return selected_power_spectrum(self.featurizer, self._pairs, env)  # type: ignore[arg-type]
        return self.featurizer.features(env)[np.asarray(self.kept)]

    def jacobian(self, env: Environment) -> Float[Array, "n_features n 3"]:
        if self._pairs is not None:
            return selected_jacobian(self.featurizer, self._pairs, env)  # type: ignore[arg-type]
        if isinstance(self.featurizer, Correlations) and self.featurizer.nu == 3:
            return self.featurizer.jacobian_rows(env, np.asarray(self.kept))
        return self.featurizer.jacobian(env)[np.asarray(self.kept)]

    def n_compact_rows(self, n_neighbors: int) -> int:
        return self.n_features

    @property
    def runs_on_host(self) -> bool:
        return self._pairs is not None and self.featurizer.runs_on_host

    def features_on_host(self, batch: Environment, present: np.ndarray) -> Float[np.ndarray, "b n_features"]:
        assert self._pairs is not None
        return selected_power_spectrum_on_host(self.featurizer, self._pairs, batch, present)  # type: ignore[arg-type]

    def jacobian_on_host(self, batch: Environment, present: np.ndarray) -> Float[np.ndarray, "b n_features n 3"]:
        if not self.runs_on_host:
            return jacobians_by_program(self, batch, present)
        return selected_jacobian_on_host(self.featurizer, self._pairs, batch, present)  # type: ignore[arg-type]

    def rows_on_host(self, batch: Environment, present: np.ndarray, room: int) -> tuple[np.ndarray, int]:
        if not self.runs_on_host:
            return super().rows_on_host(batch, present, room)
        rows = self.jacobian_on_host(batch, present)
        return rows.reshape(*rows.shape[:2], 3 * batch.max_neighbors), self.n_features

    def roundings(self, env: Environment) -> Float[Array, " n"]:
        return self.featurizer.roundings(env)

    @property
    def accepted_radii(self) -> tuple[Any, Any]:
        return self.featurizer.accepted_radii

    def check_table_memory(self) -> None:
        self.featurizer.check_table_memory()
