"""Small message-passing networks in JAX with random weights, written as graph networks usually are."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np

N_RADIAL = 5
WIDTH = 14
"""Features of an atom: more than the nine directions of four neighbors that are not rotations."""


class Network(eqx.Module):
    """Layers of linear messages, h_i' = h_i W + Σ_j R(r_ij) h_j V. With angles, messages are multiplied by the powers
    of r_ij / r_ij up to `angular`, and the sums squared, so that one layer sees angles between two neighbors."""

    r_cut: float = eqx.field(static=True)
    angular: int = eqx.field(static=True)
    embedding: np.ndarray
    layers: tuple

    def __init__(self, r_cut, n_layers=1, width=WIDTH, angular=0, seed=0):
        rng = np.random.default_rng(seed)
        draw = lambda *shape: rng.normal(size=shape) / np.sqrt(np.prod(shape[:-1]))  # noqa: E731
        self.r_cut, self.angular = r_cut, angular
        self.embedding = rng.normal(size=(20, width))
        self.layers = tuple((draw(N_RADIAL, width, width), draw(width, width)) for _ in range(n_layers))

    def __call__(self, positions, numbers, senders, receivers, shifts, cell):
        h = jnp.asarray(self.embedding)[numbers]
        vectors = positions[receivers] + shifts @ cell - positions[senders]
        length = jnp.sqrt(jnp.sum(vectors**2, -1, keepdims=True))
        centers = jnp.arange(N_RADIAL, dtype=positions.dtype)[None] * self.r_cut / N_RADIAL
        window = jnp.where(length < self.r_cut, (1 - (length / self.r_cut) ** 2) ** 5, 0)
        radial = jnp.exp(-(((length - centers) / 0.5) ** 2)) * window
        unit = vectors / length
        # The norm of the sum of r ⊗ r is not affected by parts of lower order, which are there as well.
        powers = [jnp.ones_like(length), unit, (unit[:, :, None] * unit[:, None]).reshape(-1, 9)]
        for weights, mixing in self.layers:
            messages = jnp.einsum("er,rfg,ef->eg", radial, jnp.asarray(weights), h[senders])
            if not self.angular:
                h = h @ jnp.asarray(mixing) + jnp.zeros_like(h).at[receivers].add(messages)
                continue
            for power in powers[1 : self.angular + 1]:
                sums = jnp.zeros((*h.shape, power.shape[1]), h.dtype)
                sums = sums.at[receivers].add(messages[:, :, None] * power[:, None])
                h = h @ jnp.asarray(mixing) + jnp.sum(sums**2, -1)
        return jnp.tanh(h / 4)


LITMUS = np.asarray([[0, 0, 0], [-0.55, 0, 0.95], [0.6, 0.75, 0.5], [0.6, -0.75, -0.5], [-1.09, 0, 0]])
"""The methane of docs/theory, Å: carbon, then hydrogens."""

LITMUS_SYMBOLS = ["C", "H", "H", "H", "H"]

BLIND = {1: (6, 5, 5, 5, 6), 2: (1, 0, 0, 0, 1)}
"""Null directions beyond rotations of a complete basis of order 1 and 2, for each atom of the methane."""
