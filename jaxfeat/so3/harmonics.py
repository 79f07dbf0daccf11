"""Real solid harmonics r^l Y_lm as Cartesian polynomials. Polynomials are smooth at the origin and at the poles to
every order; spherical angles are not. The harmonics are orthonormal on the unit sphere and have no Condon-Shortley
phase: Y_1 is sqrt(3 / 4π) (y, z, x)."""

from functools import cache
from math import pi, sqrt

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

L_LIMIT = 30  # The largest l of featurizers. Harmonics, couplings and radial integrals are tested up to here.


def solid_harmonics(l_max: int, r: Float[Array, "*batch 3"]) -> Float[Array, "*batch l m"]:
    """Compute r^l Y_lm(r) for l = 0 ... l_max and m = -l ... l. The recurrences run over normalized harmonics, so no
    factorial can overflow. Columns are m = -l_max ... l_max, with zeros where |m| > l. Entries are in Å^l."""
    x, y, z = r[..., 0], r[..., 1], r[..., 2]
    r2 = x * x + y * y + z * z
    axes = tuple(range(z.ndim))

    # The loop over l is not unrolled, because XLA would inline every row into every later row and compile for seconds.
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


def solid_harmonics_on_host(l_max: int, r: Float[np.ndarray, "*batch 3"]) -> Float[np.ndarray, "*batch l m"]:
    """Compute the table of `solid_harmonics` in NumPy, which needs no compilation."""
    x, y, z = r[..., 0], r[..., 1], r[..., 2]
    r2 = x * x + y * y + z * z
    table = np.zeros((*x.shape, l_max + 1, 2 * l_max + 1))
    table[..., 0, l_max] = 1 / sqrt(4 * pi)
    cos, sin, before = table[..., 0, l_max], np.zeros_like(x), np.zeros_like(table[..., 0, :])
    for l, (at_cos, at_sin, a, b, grow) in enumerate(zip(*_recurrences(l_max), strict=True), 1):
        cos, sin = grow * (x * cos - y * sin), grow * (x * sin + y * cos)
        last = table[..., l - 1, :]
        row = a * z[..., None] * last - b * r2[..., None] * before
        table[..., l, :] = row + at_cos * cos[..., None] + at_sin * sin[..., None]
        before = last
    return table


@cache
def _recurrences(l_max: int) -> tuple[np.ndarray, ...]:
    """Tabulate the constants of the step to l = 1 ... l_max. One in the column m = l; one in the column m = -l; the
    factors of z and of r² for the other m, each `(l_max, 2 l_max + 1)`; the factors from m = ±(l - 1) to m = ±l,
    `(l_max,)`."""
    m = np.arange(-l_max, l_max + 1)
    to_ends, of_z, of_r2 = np.zeros(l_max), np.zeros((l_max, len(m))), np.zeros((l_max, len(m)))
    for l in range(1, l_max + 1):
        to_ends[l - 1] = sqrt(3) if l == 1 else sqrt((2 * l + 1) / (2 * l))
        inner = np.abs(m) < l
        ratio = (4 * l * l - 1) / (l * l - m[inner] ** 2)
        of_z[l - 1, inner] = np.sqrt(ratio)
        behind = np.maximum((l - 1) ** 2 - m[inner] ** 2, 0) / (4 * (l - 1) ** 2 - 1)
        of_r2[l - 1, inner] = np.sqrt(np.maximum(ratio * behind, 0))
    degree = np.arange(1, l_max + 1)[:, None]
    return (m == degree).astype(float), (m == -degree).astype(float), of_z, of_r2, to_ends
