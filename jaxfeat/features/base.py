"""The seam between features and their analysis: everything downstream knows an `AbstractFeaturizer` and no more."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from math import prod
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxfeat.errors import BasisError, GeometryError, SpeciesError
from jaxfeat.features.host_methods import HostMethods
from jaxfeat.geometry.environment import RADIUS_ROUNDING, Environment
from jaxfeat.geometry.species import SYMBOLS
from jaxfeat.geometry.structure import Item, Structure, find_unknown_species
from jaxfeat.linalg.arrays import cast_to_jax_precision, concrete_values
from jaxfeat.linalg.batching import map_blocks, together
from jaxfeat.linalg.compilations import watch_compilations
from jaxfeat.linalg.eigen import gram_matrix
from jaxfeat.memory import check_memory

Label = tuple

NEIGHBORS_TOGETHER = 1024  # in environments that are featurized together; of more, radial functions leave the cache


class AbstractFeaturizer(HostMethods, eqx.Module):
    """A smooth map from an environment to features, invariant under a group of rotations about the center.

    The center is fixed: derivatives are taken with respect to the neighbors' positions relative to it. A subclass
    defines `features`, `labels` and the three attributes, and may override `jacobian` with a faster one. The other
    methods have defaults that are right for every featurizer.

    **Attributes:**

    - `nu`: The body order, which is the number of neighbors that are correlated at a time; `None` if it is unknown.
    - `group`: `"O3"`, or `"SO3"` if some features change sign under inversion.
    - `species`: The atomic numbers that the features tell apart, in order, int32; `None` if every element is
        accepted. This is an array field, so that featurizers of equally many species share their compiled programs.
    """

    nu: eqx.AbstractVar[int | None]
    group: eqx.AbstractVar[str]
    species: eqx.AbstractVar[np.ndarray | None]

    @abstractmethod
    def features(self, env: Environment) -> Float[Array, " n_features"]:
        """Compute the features of one environment, in the dtype of its positions."""

    @property
    @abstractmethod
    def labels(self) -> tuple[Label, ...]:
        """One tuple per feature, known without tracing."""

    @property
    def n_features(self) -> int:
        return len(self.labels)

    def __call__(self, env: Environment) -> Float[Array, "*batch n_features"]:
        """Compute the features of an environment, or of each environment of a batch.

        Environments of one shape share a compiled program, however much of it is padding (`Environment.padded`).

        **Arguments:**

        - `env`: One environment, or a batch with any number of leading axes.

        **Returns:** the features, shape `(*batch, n_features)`, in the dtype of the positions.

        **Raises:** `GeometryError` if `env` is no environment, or was cut at a radius that does not suit the
        featurizer. `SpeciesError` if it holds an element that the featurizer does not know. `SizeError` if the features
        do not fit into memory. Inside jit and vmap nothing can be raised: atoms of unknown elements are ignored there,
        and `singular_spectrum` reports both faults in its status.
        """
        self.check(env)
        self.check_feature_memory(env, 1)
        f = self.prepared()
        if f.takes_on_host(env):
            return jax.device_put(f.compute_features_on_host(env))
        return _features(f, env)

    # Featurizers are compared by identity, so that jax.jit accepts one as it accepts any function.
    __hash__ = object.__hash__
    __eq__ = object.__eq__

    def prepared(self) -> AbstractFeaturizer:
        """Return the same featurizer with everything computed that depends on its parameters alone.

        A function that compiles a program for a featurizer prepares the featurizer first. Otherwise every run of the
        program repeats this work."""
        return cast_to_jax_precision(self)

    def jacobian(self, env: Environment) -> Float[Array, "n_features n 3"]:
        """Compute dF/dr of one environment, in features per Å; the columns of padding are zero.

        The default pushes one tangent per coordinate through the features.
        """
        return jax.jacfwd(lambda positions: self.features(env.with_positions(positions)))(env.positions)

    def compact_jacobian(self, env: Environment) -> tuple[Float[Array, "k m"], int]:
        """Compute the rows of Qᵀ dF/dr that are not known to vanish, for some orthogonal Q, and count the features.

        The rows have the singular values and right singular vectors of dF/dr, with m = 3n columns. By default they are
        dF/dr itself."""
        jacobian = self.jacobian(env)
        return jacobian.reshape(jacobian.shape[0], 3 * env.max_neighbors), jacobian.shape[0]

    def n_compact_rows(self, n_neighbors: int) -> int:
        """Estimate the number of rows of `compact_jacobian`, from which the size of a batch in memory follows."""
        return 24 * n_neighbors

    adds_centers: ClassVar[bool] = False
    """False, because an environment has one center. A structure map may add the features of its centers."""

    has_fast_gram: ClassVar[bool] = False
    """True if `jacobian_gram` and `differential` are several times faster than the rows of a Jacobian."""

    def jacobian_gram(self, env: Environment) -> tuple[Float[Array, "m m"], Float[Array, " n"], int]:
        """Compute JᵀJ of J = dF/dr for one environment, with m = 3n.

        **Returns:** JᵀJ; for each neighbor the norm of all terms that were added up to its three columns, to which
        their rounding errors are proportional; and the number of features.
        """
        rows, n_features = self.compact_jacobian(env)
        squares = jnp.sum(rows**2, 0).reshape(env.max_neighbors, 3).sum(-1)
        return gram_matrix(rows), jnp.sqrt(squares), n_features

    def differential(self, env: Environment) -> Callable[[Float[Array, "n 3"]], Float[Array, " d"]]:
        """Return a pytree that maps a displacement to Q dF, the derivative along it, for some orthogonal Q."""
        return jax.tree_util.Partial(_derivative_along, self.compact_jacobian(env)[0])

    def derivative_bound(self, env: Environment, order: int, radius: float) -> float | None:
        """Bound a derivative's norm at an unpadded environment and all within `radius` (Å); `None` if unknown."""
        return None

    def roundings(self, env: Environment) -> Float[Array, " n"]:
        """Estimate how many rounding errors each neighbor's contribution has, relative to the contribution's norm."""
        return jnp.ones(env.max_neighbors, env.positions.dtype)

    always_smooth: ClassVar[bool] = True
    """False if features have no derivative at some environments, which `is_smooth_at` tells."""

    def is_smooth_at(self, env: Environment) -> Bool[Array, ""]:
        """Tell whether the features have derivatives at one environment, inside jit and vmap too."""
        return jnp.asarray(True)

    def check(self, env: Any) -> None:
        """Raise an error if `env` is no environment that the featurizer describes correctly (outside jit and vmap)."""
        if not isinstance(env, Environment):
            cure = "make environments of it with jaxfeat.environments, and one of several with Environment.stack"
            if isinstance(env, Structure):
                cure = "take jaxfeat.stacked or jaxfeat.summed of the featurizer, or the structure's environments()"
            raise GeometryError(
                f"{type(self).__name__} describes environments, and the input is of type {type(env).__name__}; {cure}."
            )
        self.check_atoms(env)

    def check_atoms(self, at: Item) -> None:
        """Raise an error if environments have the wrong radius or hold an unknown element (outside jit and vmap)."""
        # Every call that may compile a program begins here.
        watch_compilations()
        self.check_radius(at.r_cut)
        # The species are traced if jit took the featurizer as an argument.
        species = None if self.species is None else concrete_values(self.species)
        if species is None:
            return
        unknown = find_unknown_species(at, species)
        if unknown is not None and unknown.size:
            names, declared = (", ".join(SYMBOLS[z] for z in numbers) for numbers in (np.unique(unknown), species))
            raise SpeciesError(f"species {names} not among the featurizer's ({declared}); add them to `species`.")

    @property
    def accepted_radii(self) -> tuple[Any, Any]:
        """The smallest and the largest radius (Å) at which environments may be cut: by default any."""
        return 0.0, np.inf

    def check_radius(self, r_cut: Any) -> None:
        """Raise an error if environments that were cut at `r_cut` lack atoms, or hold too many (outside jit and vmap).

        Environments know the radius at which they were cut. Below the featurizer's `r_cut`, atoms in between are
        missing. A larger radius is harmless if the cutoff is a window, because a window gives those atoms no weight;
        environments of one radius thus serve all smaller `r_cut`. With `NoCutoff` those atoms would count, so a larger
        radius is an error. Environments made from given neighbors were not cut: their `r_cut` is infinite and
        always fits. Set it to infinity to let a featurizer without a cutoff see atoms beyond its `r_cut`.
        """
        cut, (least, most) = concrete_values(r_cut), (concrete_values(radius) for radius in self.accepted_radii)
        if cut is None or least is None or most is None:
            return
        short = (cut < least * (1 - RADIUS_ROUNDING)) & (cut > 0)
        long = np.isfinite(cut) & (cut > most * (1 + RADIUS_ROUNDING))
        for wrong, why in ((short, "atoms in between are missing"), (long, "its cutoff would let atoms in between in")):
            if wrong.any():
                raise GeometryError(
                    f"environments were cut at {cut[wrong].flat[0]:g} Å, and r_cut of the featurizer is {least:g} Å: "
                    f"{why}. Make them with environments(atoms, f), which takes the radius from the featurizer f."
                )

    def accepts_radius(self, env: Environment) -> Bool[Array, ""]:
        """Tell whether one environment was cut at a radius that `check_radius` accepts, inside jit and vmap too."""
        least, most = (jnp.asarray(radius, env.r_cut.dtype) for radius in self.accepted_radii)
        short, long = env.r_cut < least * (1 - RADIUS_ROUNDING), env.r_cut > most * (1 + RADIUS_ROUNDING)
        return ~short & (~long | jnp.isinf(env.r_cut))

    def accepts_species(self, env: Environment) -> Bool[Array, ""]:
        """Tell whether the featurizer knows the element of every atom of one environment, inside jit and vmap too."""
        if self.species is None:
            return jnp.asarray(True)
        among = jnp.asarray(self.species, env.species.dtype)
        neighbors = (env.species[:, None] == among[None]).any(-1) | ~env.mask
        return neighbors.all() & ((env.center_species == among).any() | (env.center_species == 0))

    def check_table_memory(self) -> None:
        """Raise `SizeError` if the tables from which the features are put together do not fit into memory."""

    @property
    def n_features_if_known(self) -> int | None:
        """The number of features. `None` if only a call tells it: for a function without labels, and inside jit, where
        the species of the labels are traced. **Raises:** `SizeError` if the features' tables do not fit into memory."""
        self.check_table_memory()
        if self.species is not None and concrete_values(self.species) is None:
            return None
        try:
            return self.n_features
        except BasisError:
            return None

    def check_feature_memory(self, at: Item, n_centers: int) -> None:
        """Raise `SizeError` if the features of a batch with `n_centers` centers per item do not fit into memory."""
        n_features, n = self.n_features_if_known, n_centers * prod(at.batch_shape)
        if n_features is not None:
            features = f"{n_features:,} features of {n:,} environments"
            cure = "take fewer environments at a time, or lower n_max, l_max or ν"
            check_memory(2 * n * n_features * at.positions.dtype.itemsize, features, cure)

    @property
    def environment_featurizer(self) -> AbstractFeaturizer:
        """The featurizer itself. A structure map returns the featurizer of its centers under the same name."""
        return self

    def with_environment_featurizer(self, featurizer: AbstractFeaturizer) -> AbstractFeaturizer:
        """Return `featurizer` instead of this one. A structure map returns itself with another featurizer."""
        return featurizer

    def restricted_to_species(self, species: Int[Array, " k"] | np.ndarray) -> AbstractFeaturizer:
        """Return a featurizer, perhaps of fewer features, whose Jacobian has the same singular values where only these
        `species` occur. An atomic number of -1 stands for no element."""
        return self

    def closure_converted(self, env: Environment) -> AbstractFeaturizer:
        """Return the same featurizer with the arrays that its functions close over as leaves of the pytree. Only the
        shapes and dtypes of one environment are used."""
        return self

    @property
    def sizes(self) -> dict[str, int]:
        """The sizes of the basis by name, as `with_sizes` takes them; empty if there are none."""
        return {}

    def with_sizes(self, **sizes: int) -> AbstractFeaturizer:
        """Return the same featurizer in a basis of other sizes. **Raises:** `BasisError` if there is no such basis."""
        raise BasisError(f"{type(self).__name__} has no basis to enlarge.")


def _derivative_along(rows: Float[Array, "d m"], displacement: Float[Array, "n 3"]) -> Float[Array, " d"]:
    return jnp.matmul(rows, displacement.reshape(rows.shape[1]), precision="highest")


def features_in_blocks(f: AbstractFeaturizer, env: Environment) -> Float[Array, "*batch n_features"]:
    """Compute the features of an environment or a batch, of as many environments together as the caches hold."""
    if not env.batch_shape:
        return f.features(env)
    n_together = max(together(NEIGHBORS_TOGETHER) // max(env.max_neighbors, 1), 1)
    return map_blocks(jax.vmap(f.features), env, len(env.batch_shape), n_together)


_features = eqx.filter_jit(features_in_blocks)
