"""Any JAX function of positions as a featurizer."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxfeat.errors import BasisError
from jaxfeat.features.base import AbstractFeaturizer, Label
from jaxfeat.features.declared import check_declared, check_group, write_labels
from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.species import atomic_numbers


class FunctionFeaturizer(AbstractFeaturizer):
    """A featurizer that calls a function. Made by `jaxfeat.function`."""

    fn: Callable
    nu: int | None = eqx.field(static=True)
    group: str = eqx.field(static=True)
    species: np.ndarray | None
    names: tuple[Label, ...] | None = eqx.field(static=True)
    key: str | None = eqx.field(static=True, default=None)

    def __repr__(self) -> str:
        name = getattr(self.fn, "__name__", type(self.fn).__name__)
        count = "" if self.names is None else f", {len(self.names)} features"
        return f"FunctionFeaturizer({name}, ν = {self.nu}, {self.group}{count})"

    @property
    def labels(self) -> tuple[Label, ...]:
        if self.names is None:
            raise BasisError("the features of this function are not named; pass `labels` to jaxfeat.function.")
        return self.names

    def closure_converted(self, env: Environment) -> FunctionFeaturizer:
        converted = eqx.filter_closure_convert(self.fn, env.positions, env.species, env.mask)
        return eqx.tree_at(lambda f: f.fn, self, converted)

    def features(self, env: Environment) -> Float[Array, " n_features"]:
        values = self.fn(env.positions, env.species, env.mask)
        if jnp.ndim(values) != 1 or (self.names is not None and values.shape[0] != len(self.names)):
            wanted = "one axis of features" if self.names is None else f"{len(self.names)} features, as labelled"
            raise BasisError(f"the function returned shape {jnp.shape(values)}; it must return {wanted}.")
        return values


def function(
    fn: Callable[[Float[Array, "n 3"], Int[Array, " n"], Bool[Array, " n"]], Float[Array, " d"]],
    *,
    nu: int | None = None,
    group: str = "O3",
    species: Sequence[str | int] | None = None,
    labels: Sequence[Label | str] | int | None = None,
    key: str | None = None,
) -> FunctionFeaturizer:
    """Make a featurizer of a function `fn(positions, species, mask)`.

    The function must be smooth, and invariant under `group` and under permutations of like neighbors. Padding must not
    change its result.

    **Arguments:**

    - `fn`: A JAX function of the positions `(n, 3)` in Å relative to the center, the atomic numbers `(n,)`, and the
        mask `(n,)`, which is False for padding. Padding stands at the origin. It returns features `(d,)`.
    - `nu`: The body order, or `None` if it is unknown. The causes of null directions depend on it.
    - `group`: `"O3"`, or `"SO3"` if some features change sign under inversion.
    - `species`: Symbols or atomic numbers that the function accepts, or `None` for all.
    - `labels`: A label for each feature, or the number of features, or `None`.
    - `key`: A text that identifies the function in a store, for example `"angles, version 2"`. Python cannot tell
        whether two functions are the same, so a sweep into a store resumes only if both sweeps name the same key.
        Change the key when you change the function, or anything that it closes over.

    **Returns:** A featurizer.

    **Raises:** `BasisError` if `group` is another, if `nu` is below 1, or if `key` is blank or no text.
    `SpeciesError` if `species` names no element.
    """
    check_group(group)
    check_declared(nu, key, "function")
    numbers = None if species is None else atomic_numbers(list(species))
    return FunctionFeaturizer(fn=fn, nu=nu, group=group, species=numbers, names=write_labels(labels), key=key)
