"""The one compiled function that computes the spectra of a block."""

from __future__ import annotations

from typing import Any

import equinox as eqx
from jaxtyping import Array, Int

from jaxfeat.features.base import AbstractFeaturizer
from jaxfeat.features.structure_map import FeatureMap
from jaxfeat.geometry.structure import Item
from jaxfeat.linalg.batching import map_blocks, map_blocks_in_two_steps
from jaxfeat.linalg.jit import tuned_jit
from jaxfeat.spectrum.plan import Plan
from jaxfeat.spectrum.reduce import JacobianGram, JacobianRows, reduce_to_gram, reduce_to_rows
from jaxfeat.spectrum.refine import spectra_from_gram
from jaxfeat.spectrum.solve import decompose
from jaxfeat.spectrum.spectrum import Spectrum


@tuned_jit
def compute_spectra(
    f: FeatureMap,
    present: Int[Array, "*b s"] | None,
    at: Item,
    plan: Plan,
) -> tuple[Spectrum, ...]:
    """Compute the spectra of a block as planned: one `Spectrum` of the whole block for each of `plan.scalings`.

    **Arguments:**

    - `f`: A prepared featurizer or structure map.
    - `present`: The species that each item holds, as `species_present` lists them. `f` is restricted to these species,
        which changes no singular value and leaves fewer features. None stands for all species.
    - `at`: The block: a batch of environments or structures of any shape, or a single item.
    - `plan`: The way to compute them.
    """
    items, n_axes = (present, at), len(at.batch_shape)

    def restricted(present: Any) -> Any:
        if present is None or f.environment_featurizer.species is None:
            return f
        if isinstance(f, AbstractFeaturizer):
            return f.restricted_to_species(present)
        return eqx.tree_at(lambda f: f.featurizer, f, f.featurizer.restricted_to_species(present))

    if plan.route == "refined":
        return map_blocks(lambda block: spectra_from_gram(f, restricted, block[0], block[1], plan), items, n_axes)

    def reduce(item: Any) -> JacobianRows | JacobianGram:
        present, at = item
        return (reduce_to_gram if plan.route == "gram" else reduce_to_rows)(restricted(present), at)

    def finish(reduced: JacobianRows | JacobianGram, item: Any) -> tuple[Spectrum, ...]:
        how: dict[str, bool] = {"directions": plan.directions, "collinear": plan.collinear}
        return tuple(decompose(reduced, item[1], f, equilibrated=scaled, **how) for scaled in plan.scalings)

    return map_blocks_in_two_steps(reduce, finish, items, n_axes, plan.n_together)
