"""The seam between features and what is done with them."""

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
from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.radius import ROUNDING
from jaxfeat.geometry.species import SYMBOLS
from jaxfeat.geometry.structure import Structure, other_species
from jaxfeat.linalg.arrays import cast_to_jax_precision, concrete_values
from jaxfeat.linalg.gram import gram_matrix
from jaxfeat.memory import check_memory

Label = tuple


class AbstractFeaturizer(eqx.Module):
    """A smooth map from an environment to features, invariant under a group of rotations about the center.

    Everything downstream of features depends on this alone. The center is fixed: derivatives are with respect to the
    neighbors' positions relative to it.

    **Attributes:**

    - `nu`: the body order, how many neighbors are correlated at a time; `None` where it is not known.
    - `group`: `"O3"`, or `"SO3"` where pseudoscalars are kept.
    - `species`: atomic numbers that are told apart, in order, int32; `None` where all are accepted. An array, so that
      featurizers of as many species share their compiled programs.
    """

    nu: eqx.AbstractVar[int | None]
    group: eqx.AbstractVar[str]
    species: eqx.AbstractVar[np.ndarray | None]

    @abstractmethod
    def features(self, env: Environment) -> Float[Array, " n_features"]:
        """Features of one environment, in the dtype of its positions."""

    def jacobian(self, env: Environment) -> Float[Array, "n_features n 3"]:
        """dF/dr of one environment, features per Å, with zero columns for padding.

        Here by as many tangents through the features as there are coordinates; by a shorter way where there is one.
        """
        return jax.jacfwd(lambda positions: self.features(env.with_positions(positions)))(env.positions)

    def condensed_jacobian(self, env: Environment) -> tuple[Float[Array, "k m"], int]:
        """Qᵀ dF/dr of one environment for some orthogonal Q, without rows that are zero, m = 3n; and how many features
        there are.

        It has the singular values and right singular vectors of the Jacobian. Here the Jacobian itself; fewer rows
        where it is known beforehand that fewer will do.
        """
        jacobian = self.jacobian(env)
        return jacobian.reshape(jacobian.shape[0], 3 * env.max_neighbors), jacobian.shape[0]

    def jacobian_gram(self, env: Environment) -> tuple[Float[Array, "m m"], Float[Array, " n"], int]:
        """JᵀJ of J = dF/dr of one environment, m = 3n; for each neighbor the joint norm of what was added up to its
        three columns, in proportion to which they are rounded; and how many features there are."""
        rows, n_features = self.condensed_jacobian(env)
        squares = jnp.sum(rows**2, 0).reshape(env.max_neighbors, 3).sum(-1)
        return gram_matrix(rows), jnp.sqrt(squares), n_features

    def roundings(self, env: Environment) -> Float[Array, " n"]:
        """How many rounding errors each neighbor's contribution to one environment is off by, relative to its norm."""
        return jnp.ones(env.max_neighbors, env.positions.dtype)

    short_gram: ClassVar[bool] = False
    """Whether `jacobian_gram` and `differential` take a fraction of the time of rows of J."""

    def differential(self, env: Environment) -> Callable[[Float[Array, "n 3"]], Float[Array, " d"]]:
        """dF of one environment, a pytree: takes a displacement to the derivative along it, up to an orthogonal matrix.
        Here from the rows of `condensed_jacobian`."""
        return _Rows(self.condensed_jacobian(env)[0])

    def n_condensed(self, n_neighbors: int) -> int:
        """About how many rows `condensed_jacobian` has: sets how many environments are worked on at a time."""
        return 24 * n_neighbors

    def check_tables(self) -> None:
        """Raise `SizeError` where the tables that features are put together by do not fit into memory. Here there are
        none."""

    @property
    @abstractmethod
    def labels(self) -> tuple[Label, ...]:
        """One tuple per feature, known without tracing."""

    @property
    def n_features(self) -> int:
        return len(self.labels)

    def __call__(self, env: Environment) -> Float[Array, "*batch n_features"]:
        """Compute the features of an environment, or of each one of a batch.

        Environments of one shape share one program, whatever part of it is padding (`Environment.padded`).

        **Raises:** `SpeciesError` for a species that is not among the featurizer's, `GeometryError` for what is no
        environment, `SizeError` where features do not fit into memory, and for environments that were cut at the wrong
        radius (`check`). Inside jit and vmap, where that cannot be raised, such atoms are not seen, and
        `singular_spectrum` says both in its status.
        """
        check_input(self, env)
        check_features(self, env, 1)
        return _features(self.prepared(), env)

    def prepared(self) -> AbstractFeaturizer:
        """The same featurizer, with all that depends on its quantities alone worked out.

        Whatever compiles a program for a featurizer prepares it first. Otherwise each program works this out again.
        """
        return cast_to_jax_precision(self)

    # By identity, so that jax.jit takes a featurizer as it takes any function.
    __hash__ = object.__hash__
    __eq__ = object.__eq__

    def check(self, at: Environment | Structure) -> None:
        """Raise an error for what the featurizer would get wrong (outside jit and vmap).

        Environments know the radius that they were cut at. A smaller one than the featurizer's `r_cut` is an error,
        because atoms in between are missing. A larger one is an error for `NoCutoff`, which would count the atoms in
        between; a window weights them zero, so that environments of one radius serve all smaller `r_cut`. Environments
        of given neighbors were not cut, and always fit: their `r_cut` is infinite, and so it may be set where atoms
        beyond the featurizer's are meant to be seen.

        **Raises:** `SpeciesError` for atoms that are not among the featurizer's species, `GeometryError` for
        environments that were cut at the wrong radius.
        """
        self.check_radius(at.r_cut)
        if self.species is None:
            return
        # A featurizer that jit takes as an argument has traced species, as traced environments have.
        species = concrete_values(self.species)
        if species is None:
            return
        unknown = other_species(at, species)
        if unknown is not None and unknown.size:
            names = ", ".join(SYMBOLS[z] for z in np.unique(unknown))
            known = ", ".join(SYMBOLS[z] for z in species)
            raise SpeciesError(f"species {names} not among the featurizer's ({known}); add them to `species`.")

    @property
    def radii(self) -> tuple[Any, Any]:
        """The smallest and the largest radius (Å) at which environments may be cut: here any."""
        return 0.0, np.inf

    def check_radius(self, r_cut: Any) -> None:
        """Raise `GeometryError` unless environments that were cut at `r_cut` (Å, any shape) hold the atoms that the
        featurizer is to see, and no others (outside jit and vmap)."""
        cut, (least, most) = concrete_values(r_cut), (concrete_values(radius) for radius in self.radii)
        if cut is None or least is None or most is None:
            return
        short = (cut < least * (1 - ROUNDING)) & (cut > 0)
        long = np.isfinite(cut) & (cut > most * (1 + ROUNDING))
        for wrong, why in ((short, "atoms in between are missing"), (long, "its cutoff would let atoms in between in")):
            if wrong.any():
                raise GeometryError(
                    f"environments were cut at {cut[wrong].flat[0]:g} Å, and r_cut of the featurizer is {least:g} Å: "
                    f"{why}. Make them with environments(atoms, f), which takes the radius from the featurizer f."
                )

    def reaches(self, env: Environment) -> Bool[Array, ""]:
        """Tell whether one environment was cut at a radius that suits the featurizer, as `check` has it."""
        least, most = (jnp.asarray(radius, env.r_cut.dtype) for radius in self.radii)
        short, long = env.r_cut < least * (1 - ROUNDING), env.r_cut > most * (1 + ROUNDING)
        return ~short & (~long | jnp.isinf(env.r_cut))

    def restricted(self, species: Int[Array, " k"] | np.ndarray) -> AbstractFeaturizer:
        """A featurizer whose Jacobian has the same singular values wherever only these `species` occur, with fewer
        features where there is a way to have fewer. -1 stands for none."""
        return self

    def lifted(self, env: Environment) -> AbstractFeaturizer:
        """Return the same featurizer with the arrays that its functions close over among its leaves, where it has such
        functions. Only shapes and dtypes of one environment are needed."""
        return self

    @property
    def sizes(self) -> dict[str, int]:
        """The sizes of its basis, by name: what `enlarged` takes. Empty where there is nothing to enlarge."""
        return {}

    def enlarged(self, **sizes: int) -> AbstractFeaturizer:
        """The same features in a basis of other `sizes`. **Raises:** `BasisError` for sizes that define none."""
        raise BasisError(f"{type(self).__name__} has no basis to enlarge.")

    def known(self, env: Environment) -> Bool[Array, ""]:
        """Whether every atom of one environment is of a species that the featurizer tells apart."""
        if self.species is None:
            return jnp.asarray(True)
        among = jnp.asarray(self.species, env.species.dtype)
        neighbors = (env.species[:, None] == among[None]).any(-1) | ~env.mask
        return neighbors.all() & ((env.center_species == among).any() | (env.center_species == 0))


class _Rows(eqx.Module):
    matrix: Float[Array, "d m"]

    def __call__(self, displacement: Float[Array, "n 3"]) -> Float[Array, " d"]:
        return jnp.matmul(self.matrix, displacement.reshape(self.matrix.shape[1]), precision="highest")


@eqx.filter_jit
def _features(f: AbstractFeaturizer, env: Environment) -> Float[Array, "*batch n_features"]:
    call = type(f).features
    for _ in env.batch_shape:
        call = jax.vmap(call, in_axes=(None, 0))
    return call(f, env)


class AbstractAdditiveFeaturizer(AbstractFeaturizer):
    """Features of a density that neighbors add up to: contract(density of the center + Σ_j density of neighbor j).

    The Jacobian then needs three tangents a neighbor through the density, however many neighbors there are.
    """

    @abstractmethod
    def neighbor_density(
        self, position: Float[Array, "3"], species: Int[Array, ""], mask: Bool[Array, ""]
    ) -> Float[Array, "*density"]:
        """What one neighbor adds to the density; zero for padding."""

    @abstractmethod
    def center_density(self, species: Int[Array, ""], dtype: jnp.dtype) -> Float[Array, "*density"]:
        """What the atom at the center adds."""

    @abstractmethod
    def contract(self, density: Float[Array, "*density"]) -> Float[Array, " n_features"]:
        """Features from the density."""

    def density(self, env: Environment) -> Float[Array, "*density"]:
        """The density of one environment."""
        neighbors = jax.vmap(self.neighbor_density)(env.positions, env.species, env.mask)
        # Summed along the leading axis, in order: trailing zeros of padding change no bit.
        return self.center_density(env.center_species, env.positions.dtype) + jnp.sum(neighbors, 0)

    def features(self, env: Environment) -> Float[Array, " n_features"]:
        return self.contract(self.density(env))

    def jacobian(self, env: Environment) -> Float[Array, "n_features n 3"]:
        # By three tangents a neighbor through the density; only the contraction sees every coordinate.
        _, push = jax.linearize(self.contract, self.density(env))
        slopes = jax.vmap(jax.jacfwd(self.neighbor_density))(env.positions, env.species, env.mask)
        columns = jax.vmap(jax.vmap(push, in_axes=-1, out_axes=-1))(slopes)
        return jnp.moveaxis(columns, 1, 0)


class AbstractStructureMap(eqx.Module):
    """A map from a structure to features, put together linearly from those of its centers' environments.

    **Attributes:**

    - `adds_centers`: whether centers of one species are added up, rather than kept apart.
    """

    adds_centers: ClassVar[bool] = False
    featurizer: eqx.AbstractVar[AbstractFeaturizer]

    def prepared(self) -> AbstractStructureMap:
        """The same map of a prepared featurizer."""
        return eqx.tree_at(lambda f: f.featurizer, self, self.featurizer.prepared())

    @abstractmethod
    def collect(self, rows: Float[Array, "c d *rest"], structure: Structure) -> Float[Array, "n_features *rest"]:
        """Put together what the centers have, features or their derivatives: `(c, d, ...)` -> `(n_features, ...)`."""

    def __call__(self, structure: Structure) -> Float[Array, "*batch n_features"]:
        """Compute the features of a structure, or of each one of a batch.

        **Raises:** `GeometryError` for what is no structure; otherwise as the featurizer does.
        """
        check_input(self, structure)
        check_features(self.featurizer, structure, structure.center.shape[-1])
        return _collected(self.prepared(), structure, structure.environments())


@eqx.filter_jit
def _collected(
    f: AbstractStructureMap, structure: Structure, environments: Environment
) -> Float[Array, "*batch n_features"]:
    def one(structure: Structure, environments: Environment) -> Array:
        return f.collect(jax.vmap(f.featurizer.features)(environments), structure)

    for _ in structure.batch_shape:
        one = jax.vmap(one)
    return one(structure, environments)


def featurizer_of(f: AbstractFeaturizer | AbstractStructureMap) -> AbstractFeaturizer:
    """What describes the environments: a featurizer itself, or that of a structure map."""
    return f if isinstance(f, AbstractFeaturizer) else f.featurizer


def check_input(f: Any, at: Any) -> None:
    """Raise an error where `f` does not describe `at`.

    **Raises:** `BasisError` for what is no featurizer or structure map; `GeometryError` for a featurizer with anything
    but environments, and for a structure map with anything but structures; `SpeciesError`, as the featurizer does.
    """
    name, given = type(f).__name__, type(at).__name__
    if isinstance(f, type):
        raise BasisError(f"{f.__name__} is a class; make a featurizer of it, as in {f.__name__}(species=...).")
    if isinstance(f, AbstractFeaturizer) and not isinstance(at, Environment):
        cure = "make environments of it with jaxfeat.environments, and one of several with Environment.stack"
        if isinstance(at, Structure):
            cure = "take jaxfeat.stacked or jaxfeat.summed of the featurizer, or the structure's environments()"
        raise GeometryError(f"{name} describes environments, and the input is of type {given}; {cure}.")
    if isinstance(f, AbstractStructureMap) and not isinstance(at, Structure):
        cure = "make structures of it with jaxfeat.structures"
        if isinstance(at, Environment):
            cure = "give the structure that it is of, or take the map's featurizer"
        raise GeometryError(f"{name} describes structures, and the input is of type {given}; {cure}.")
    if not isinstance(f, (AbstractFeaturizer, AbstractStructureMap)):
        raise BasisError(f"{name} is no featurizer; make one of a function of positions with jaxfeat.function.")
    featurizer_of(f).check(at)


def counted(f: AbstractFeaturizer) -> int | None:
    """Return how many features there are; `None` where that is not known: of a function without labels, which only a
    call counts, and inside jit, where labels may have no names of species.

    **Raises:** `SizeError` where the tables of the features do not fit into memory.
    """
    f.check_tables()
    if f.species is not None and concrete_values(f.species) is None:
        return None
    try:
        return f.n_features
    except BasisError:
        return None


def check_features(f: AbstractFeaturizer, at: Environment | Structure, n_centers: int) -> None:
    """Raise `SizeError` where the features of an item or a batch, of `n_centers` each, do not fit into memory."""
    n_features, n = counted(f), n_centers * prod(at.batch_shape)
    if n_features is not None:
        check_memory(
            2 * n * n_features * at.positions.dtype.itemsize,
            f"{n_features:,} features of {n:,} environments",
            "take fewer environments at a time, or lower n_max, l_max or ν",
        )
