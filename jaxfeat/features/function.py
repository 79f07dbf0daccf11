"""Any JAX function of positions as a featurizer."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxfeat.errors import BasisError
from jaxfeat.features.base import AbstractFeaturizer, Label
from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.species import atomic_numbers


class FunctionFeaturizer(AbstractFeaturizer):
    """See `jaxfeat.function`."""

    fn: Callable
    nu: int | None = eqx.field(static=True)
    group: str = eqx.field(static=True)
    species: np.ndarray | None
    names: tuple[Label, ...] | None = eqx.field(static=True)
    key: str | None = eqx.field(static=True, default=None)

    @property
    def labels(self) -> tuple[Label, ...]:
        if self.names is None:
            raise BasisError("the features of this function are not named; pass `labels` to jaxfeat.function.")
        return self.names

    def closure_converted(self, env: Environment) -> FunctionFeaturizer:
        return eqx.tree_at(
            lambda f: f.fn, self, eqx.filter_closure_convert(self.fn, env.positions, env.species, env.mask)
        )

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
    """Make a featurizer from `fn(positions, species, mask)`.

    **Arguments:**

    - `fn`: positions `(n, 3)` in Å relative to the center, atomic numbers `(n,)` and a mask `(n,)` that is false for
      padding, whose positions are zero -> features `(d,)`. Smooth, and invariant under `group` and permutations of
      like neighbors; padding must not change it.
    - `nu`: its body order, where there is one.
    - `group`: `"O3"`, or `"SO3"` for features that change under inversion.
    - `species`: those that it accepts; `None` for all.
    - `labels`: a label for each feature, or their number.
    - `key`: a text that stands for this function in a store, such as `"angles, version 2"`. Nothing in Python says
      whether two functions are the same, so a sweep into a store goes on only if both sweeps name the same key. Change
      the key whenever the function, or anything that it closes over, changes.

    **Raises:** `BasisError` for a group or order that is none, and for a key that is no text or empty.
    """
    if group not in ("O3", "SO3"):
        raise BasisError(f"group is {group!r}; choose 'O3' or 'SO3'.")
    if nu is not None and nu < 1:
        raise BasisError(f"nu is {nu!r}; the body order must be at least 1, or None where it is not known.")
    if key is not None and not (isinstance(key, str) and key.strip()):
        raise BasisError(f"key is {key!r}; give a text that stands for this function alone, or None.")
    if isinstance(labels, int):
        labels = [(i,) for i in range(labels)]
    names = None if labels is None else tuple(label if isinstance(label, tuple) else (label,) for label in labels)
    numbers = None if species is None else atomic_numbers(list(species))
    return FunctionFeaturizer(fn=fn, nu=nu, group=group, species=numbers, names=names, key=key)
