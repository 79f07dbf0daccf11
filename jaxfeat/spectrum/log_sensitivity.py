"""The logarithm of a sensitivity ratio, which has derivatives where a singular spectrum has none. A singular value
σ = |J v| is stationary in its singular vectors. Its derivative is therefore the one with v held fixed, d log σ = (J v)ᵀ
d(J v) / σ², the envelope form, which takes one tangent and differentiates no decomposition."""

from collections.abc import Callable
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxfeat.features.structure_map import FeatureMap, check_compatible
from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.structure import Item, Structure
from jaxfeat.linalg.batching import BLOCK_ITEMS, map_blocks, map_large_items, on_cpu
from jaxfeat.linalg.compilations import tuned_jit
from jaxfeat.linalg.lanes import MAX_NEIGHBORS_IN_LANES
from jaxfeat.spectrum.jacobian import directional_derivative, jacobian_and_norms
from jaxfeat.spectrum.plan import make_plan
from jaxfeat.spectrum.reduce import reduce_to_rows
from jaxfeat.spectrum.solve import decompose
from jaxfeat.spectrum.spectrum import Spectrum


def log_sensitivity(f: FeatureMap, at: Item, equilibrated: bool = False) -> Float[Array, "*batch"]:
    """Compute log(σ_min/σ_max) of dF/dr on the non-rigid displacements, for use under `jax.grad` and its like.

    The value is the logarithm of `singular_spectrum(f, at, equilibrated).ratio`. It has first derivatives, in forward
    and reverse mode, by positions, by a structure's cell, and by all array leaves of the featurizer that change
    features.

    The derivative, d log σ = (uᵀ dJ v) / σ with the singular vectors u and v held fixed, is exact if σ_min and σ_max
    are simple. At a kink, where several values are the smallest or the largest, it is that of one of them.

    **Arguments:**

    - `f`: The featurizer, or a structure map.
    - `at`: The environment (for a featurizer) or structure (for a map); one item or a batch of any shape.
    - `equilibrated`: If True, divide the three columns of each atom by their joint norm first. The derivative then
        includes that of the norms, for which the whole Jacobian is differentiated.

    **Returns:** An array of shape `batch`, not above 0, without unit. Its derivative by positions is per Å.

    - If σ_min is not above the floor of the spectrum, it is null as far as the floating-point type can tell. The value
        is then -inf and its derivatives are zero, so that a sum over the finite items of a batch keeps its gradient.
    - If an item has no spectrum, because it is empty or not finite or changes no feature, the value is NaN.
        `singular_spectrum` has its status.

    **Raises:** `GeometryError` if `f` and `at` do not go together or an environment was cut at the wrong radius;
    `SpeciesError` if `at` holds an element that `f` does not know; `DerivativeError` for second derivatives, because
    singular vectors are not differentiated.

    **Source:** docs/theory, "The map and its Jacobian"; the derivation is in `jaxfeat.spectrum.log_sensitivity`.
    """
    check_compatible(f, at)
    return _compiled(f.prepared(), at, equilibrated)


@tuned_jit
def _compiled(f: FeatureMap, at: Item, equilibrated: bool) -> Float[Array, "*batch"]:
    def single(at: Any) -> Float[Array, ""]:
        env = at if isinstance(at, Environment) else at.environments()[0]
        # `_single` is differentiated by leaves, so arrays that functions of the featurizer close over become leaves.
        converted = f.environment_featurizer.closure_converted(env)
        return _single(f.with_environment_featurizer(converted), at, equilibrated=equilibrated)

    if not at.batch_shape:
        return single(at)
    # On CPUs large structures are computed one by one, as in `singular_spectrum`. Together, padded centers would take
    # time too.
    one_by_one = isinstance(at, Structure) and at.neighbor.shape[-1] > MAX_NEIGHBORS_IN_LANES
    n_together = BLOCK_ITEMS if on_cpu() else make_plan(f, at, (equilibrated,), directions=True).n_together
    call: Callable[[Any], Any] = partial(map_large_items, single) if one_by_one else jax.vmap(single)
    return map_blocks(call, at, len(at.batch_shape), n_together)


@eqx.filter_custom_jvp
def _single(f: Any, at: Any, *, equilibrated: bool) -> Float[Array, ""]:
    return _value(_spectrum(f, at, equilibrated))[0]


@_single.def_jvp
def _(primals: Any, tangents: Any, *, equilibrated: bool) -> tuple[Float[Array, ""], Float[Array, ""]]:
    # Singular vectors are computed again. If `stop_gradient` held them instead, second derivatives would be wrong
    # silently.
    f, at = primals
    spectrum = _spectrum(f, at, equilibrated)
    value, null = _value(spectrum)
    if not len(spectrum.values):
        return value, jnp.zeros_like(value)
    last = jnp.maximum(spectrum.n_values - 1, 0)
    extremes = spectrum.directions[jnp.stack([last, jnp.zeros_like(last)])]

    def speeds(f: Any, at: Any) -> Float[Array, "2 d"]:
        moves = extremes / _scale(f, at, spectrum)[None, :, None] if equilibrated else extremes
        return jax.vmap(lambda move: directional_derivative(f, at, move))(moves)

    speed, change = eqx.filter_jvp(speeds, primals, tangents)
    squares = jnp.where(null, 1, jnp.sum(speed**2, 1))
    slopes = jnp.where(null, 0, jnp.sum(speed * change, 1) / squares)
    return value, slopes[0] - slopes[1]


def _spectrum(f: Any, at: Any, equilibrated: bool) -> Spectrum:
    return decompose(reduce_to_rows(f, at), at, f, equilibrated=equilibrated)


def _value(spectrum: Spectrum) -> tuple[Float[Array, ""], Bool[Array, ""]]:
    """Compute the logarithm, and tell whether the smallest value is null or missing."""
    if not len(spectrum.values):
        return jnp.asarray(jnp.nan, spectrum.values.dtype), jnp.asarray(True)
    last = spectrum.values[jnp.maximum(spectrum.n_values - 1, 0)]
    null = ~(last > spectrum.floor)
    ratio = jnp.where(null, 1, last) / jnp.where(null, 1, spectrum.values[0])
    return jnp.where(null, jnp.where(last <= spectrum.floor, -jnp.inf, jnp.nan), jnp.log(ratio)), null


def _scale(f: Any, at: Any, spectrum: Spectrum) -> Float[Array, " n"]:
    """Compute `Spectrum.scale`, the joint norms of the atoms' columns, as a differentiable function of `f` and `at`."""
    squares = jnp.sum(jacobian_and_norms(f, at)[0] ** 2, (0, 2))
    # Columns that cancel are scaled by the norm of their contributions instead, which is held fixed.
    reliable = squares > spectrum.scale**2 / 4
    return jnp.where(reliable, jnp.sqrt(jnp.where(reliable, squares, 1)), spectrum.scale)
