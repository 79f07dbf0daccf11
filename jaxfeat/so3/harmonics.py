"""Real solid harmonics r^l Y_lm as Cartesian polynomials.

Polynomials are smooth at the origin and at the poles to every order, which angles are not. Orthonormal on the unit
sphere, without the Condon-Shortley phase: Y_1 is (y, z, x) sqrt(3 / 4 pi). The index of (l, m) is l² + l + m.
"""

from functools import cache
from math import pi, sqrt

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

L_LIMIT = 30
"""The largest l that is offered: up to here harmonics, couplings and radial integrals are tested in float64."""


def solid_harmonics(l_max: int, r: Float[Array, "*batch 3"]) -> Float[Array, "*batch lm"]:
    """r^l Y_lm(r) for l = 0 ... l_max, m = -l ... l: `(..., (l_max + 1)²)`, Å^l."""
    table = solid_harmonics_table(l_max, r)
    return jnp.concatenate([table[..., l, l_max - l : l_max + l + 1] for l in range(l_max + 1)], -1)


def solid_harmonics_table(l_max: int, r: Float[Array, "*batch 3"]) -> Float[Array, "*batch l m"]:
    """The same as a table, `(..., l_max + 1, 2 l_max + 1)`: m = -l_max ... l_max, zero where |m| > l.

    By recurrences between harmonics that are normalised already, so that no factorial can overflow.
    """
    x, y, z = r[..., 0], r[..., 1], r[..., 2]
    r2 = x * x + y * y + z * z
    axes = tuple(range(z.ndim))

    # A loop over rows rather than its unrolling: XLA would inline every row into every later one, and compile for
    # seconds.
    def step(carry: tuple[Array, ...], constants: tuple[Array, ...]) -> tuple[tuple[Array, ...], Array]:
        before, last, cos, sin = carry
        at_cos, at_sin, a, b = (jnp.expand_dims(constant, axes) for constant in constants[:4])
        cos, sin = constants[4] * (x * cos - y * sin), constants[4] * (x * sin + y * cos)
        row = a * z[..., None] * last - b * r2[..., None] * before + at_cos * cos[..., None] + at_sin * sin[..., None]
        return (last, row, cos, sin), row

    lowest = jnp.full_like(x, 1 / sqrt(4 * pi))
    first = lowest[..., None] * jnp.expand_dims(jnp.asarray(np.eye(2 * l_max + 1)[l_max], r.dtype), axes)
    carry: tuple[Array, ...] = (jnp.zeros_like(first), first, lowest, jnp.zeros_like(lowest))
    _, rows = jax.lax.scan(step, carry, tuple(jnp.asarray(table, r.dtype) for table in _recurrences(l_max)))
    return jnp.concatenate([first[..., None, :], jnp.moveaxis(rows, 0, -2)], -2)


@cache
def _recurrences(l_max: int) -> tuple[np.ndarray, ...]:
    """For l = 1 ... l_max: where m = l and m = -l stand, the factors of z and r² for other m, and the growth of those
    two."""
    m = np.arange(-l_max, l_max + 1)
    ups, forward, backward = np.zeros(l_max), np.zeros((l_max, len(m))), np.zeros((l_max, len(m)))
    for l in range(1, l_max + 1):
        ups[l - 1] = sqrt(3) if l == 1 else sqrt((2 * l + 1) / (2 * l))
        inner = np.abs(m) < l
        ratio = (4 * l * l - 1) / (l * l - m[inner] ** 2)
        forward[l - 1, inner] = np.sqrt(ratio)
        behind = np.maximum((l - 1) ** 2 - m[inner] ** 2, 0) / (4 * (l - 1) ** 2 - 1)
        backward[l - 1, inner] = np.sqrt(np.maximum(ratio * behind, 0))
    degree = np.arange(1, l_max + 1)[:, None]
    return (m == degree).astype(float), (m == -degree).astype(float), forward, backward, ups
