"""Null directions and their cures in sentences, for tables, stores and pages."""

from __future__ import annotations

from collections.abc import Iterable

import jax
import numpy as np

from jaxfeat.errors import BasisError, GeometryError, SizeError
from jaxfeat.features.base import AbstractFeaturizer
from jaxfeat.geometry.environment import Environment
from jaxfeat.nulls.causes import NullSpace
from jaxfeat.nulls.cure import Cure, cure


def describe_cure(found: Cure) -> str:
    """Describe one cure, as in "truncation: l_max >= 7 lifts it"."""
    if found.cause == "locality":
        return "locality: a larger r_cut lifts it"
    if found.cause == "symmetry":
        return f"symmetry ({found.symbol}): physics"
    if found.order is not None:
        return f"{found.cause}: ν = {found.order} lifts it" + (f" ({found.reason})" if found.reason else "")
    if found.sizes is not None:
        sizes = " with ".join(f"{name} >= {size}" for name, size in found.sizes.items())
        return f"{found.cause}: {sizes} lifts it"
    return f"{found.cause}: {found.reason}"


def describe_cures(found: dict[str, Cure]) -> str:
    """Describe all cures of one environment, joined by semicolons."""
    return "; ".join(map(describe_cure, found.values()))


def explain_null_space(f: AbstractFeaturizer, env: Environment, null: NullSpace | None = None) -> str:
    """Explain why one environment has null directions or little sensitivity, and what lifts that.

    - `null`: the result of `null_space(f, env)`, if at hand.
    """
    try:
        return describe_cures(cure(f, env, null))
    except (BasisError, SizeError) as error:
        return f"unclassified: {error}"
    except GeometryError as error:
        return f"ambiguous: {error}"


def explain_environments(f: AbstractFeaturizer, batch: Environment, indices: Iterable[int]) -> list[str]:
    """Explain the null spaces of some environments of a batch."""
    return [explain_null_space(f, jax.tree.map(np.asarray, batch[i])) for i in indices]
