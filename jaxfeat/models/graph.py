"""Graphs as functions of whole structures take them: atoms with padding, and edges in a fixed room."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

N_PADDING = 2  # padding atoms, between which all padded edges run


class Graph(NamedTuple):
    """Arguments of the function: real atoms, then `N_PADDING` others; and edges, of which the padded ones connect the
    padding atoms."""

    positions: Float[Array, "a 3"]
    numbers: Int[Array, " a"]
    senders: Int[Array, " e"]
    receivers: Int[Array, " e"]
    shifts: Float[Array, "e 3"]
    cell: Float[Array, "3 3"]


def make_graph(
    positions: Float[Array, "n 3"],
    numbers: Int[Array, " n"],
    senders: Int[Array, " c"],
    receivers: Int[Array, "c k"],
    mask: Bool[Array, "c k"],
    shifts: Float[Array, "c k 3"],
    cell: Float[Array, "3 3"],
    edge_length: Any,
    max_degree: int | None,
) -> tuple[Graph, Bool[Array, ""]]:
    """Add padding atoms, keep edges shorter than `edge_length`, and let the others run between padding atoms. Also
    tell whether there is room for all of them."""
    n, dtype = positions.shape[0], positions.dtype
    longest = jnp.asarray(edge_length, dtype)
    moved = jnp.einsum("cks,sx->ckx", shifts, cell, precision="highest")
    vectors = jax.lax.stop_gradient(positions[receivers] + moved - positions[senders][:, None])
    squares = jnp.where(mask, jnp.sum(vectors**2, -1), jnp.inf)
    kept, overfull = squares < longest**2, jnp.asarray(False)
    if max_degree is not None and max_degree < kept.shape[1]:
        overfull = (kept.sum(1) > max_degree).any()
        nearest = jnp.argsort(squares, axis=1)[:, :max_degree]
        kept, receivers = (jnp.take_along_axis(leaf, nearest, 1) for leaf in (kept, receivers))
        shifts = jnp.take_along_axis(shifts, nearest[..., None], 1)
    apart = jnp.zeros((N_PADDING, 3), dtype).at[1, 0].set(2 * longest)
    index = jnp.int32
    graph = Graph(
        positions=jnp.concatenate([positions, apart]),
        numbers=jnp.append(numbers, jnp.zeros(N_PADDING, index)),
        senders=jnp.where(kept, senders[:, None], n).reshape(-1).astype(index),
        receivers=jnp.where(kept, receivers, n + 1).reshape(-1).astype(index),
        shifts=jnp.where(kept[..., None], shifts.astype(dtype), 0).reshape(-1, 3),
        cell=cell,
    )
    return graph, ~overfull


def shifts_by_vectors(cell: Float[Array, "3 3"]) -> Float[Array, "3 3"]:
    """Compute the matrix that turns vectors (Å) into shifts in cells, without their part in directions that do not
    repeat."""
    gram = cell @ cell.T
    a, b, c = gram + jnp.diag(jnp.where(jnp.diagonal(gram) > 0, 0, 1).astype(cell.dtype))
    adjugate = jnp.stack([jnp.cross(b, c), jnp.cross(c, a), jnp.cross(a, b)], 1)
    return cell.T @ adjugate / (a @ jnp.cross(b, c))
