"""Rigid motions, and coordinates of displacements without them. Householder reflections send rotations and
translations, known in closed form, onto the first few coordinates and leave their orthogonal complement in the others.
A Jacobian thus loses its trivial null directions before its spectrum is computed. Dropping the smallest singular values
afterwards would drop some of the other null directions."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.structure import Item, Structure
from jaxfeat.linalg.arrays import array_namespace
from jaxfeat.linalg.lapack import eigh


class RigidMotions(eqx.Module):
    """The rigid motions of n atoms as k Householder reflectors in 3n coordinates, unit vectors or zeros.

    Their product H sends the rigid motions onto the leading axes, of which `n_dropped` are rigid for all atoms of this
    padded size. The other columns of H are `valid` if they displace atoms and are not rigid; invalid ones are padding,
    or the third rotation, which collinear atoms lack. `clearance`, in (0, 1], is the length of the shortest rotation
    over the longest: nearly collinear atoms make the rotation about their axis short, and its direction loses digits in
    proportion. `n_rigid_generic` counts the rigid motions of atoms that fill the padded size, and not a line.
    """

    reflectors: Float[Array, "k m"]
    valid: Bool[Array, " c"]
    n_rigid: Int[Array, ""]
    clearance: Float[Array, ""]
    n_dropped: int = eqx.field(static=True)
    n_rigid_generic: int = eqx.field(static=True)

    def project(self, matrix: Float[Array, "rows m"]) -> Float[Array, "rows c"]:
        """Compute `matrix @ Q`, where Q is the orthonormal complement. Invalid columns are not zeroed."""

        def reflect(matrix: Array, v: Array) -> tuple[Array, None]:
            return matrix - 2 * jnp.outer(matrix @ v, v), None

        return jax.lax.scan(reflect, matrix, self.reflectors)[0][:, self.n_dropped :]

    def lift(self, coordinates: Float[Array, "c cols"]) -> Float[Array, "m cols"]:
        """Compute `Q @ coordinates`, the displacements of all atoms from coordinates in the complement."""
        # `zeros_like` of the reflectors: inside shard_map, the carry of a loop must vary over devices from the start.
        dropped = jnp.zeros_like(self.reflectors, coordinates.dtype, (self.n_dropped, coordinates.shape[1]))
        full = jnp.concatenate([dropped, coordinates])

        def reflect(full: Array, v: Array) -> tuple[Array, None]:
            return full - 2 * jnp.outer(v, v @ full), None

        return jax.lax.scan(reflect, full, self.reflectors, reverse=True)[0]


def rigid_motions(
    positions: Float[Array, "n 3"],
    mask: Bool[Array, " n"],
    *,
    translations: bool = False,
    rotations: bool = True,
    weights: Float[Array, " n"] | None = None,
) -> RigidMotions:
    """Compute the rigid motions of atoms: rotations about the origin, or translations and rotations about the centroid.
    Rotations are three; two if all atoms lie on a line through the pivot, to √eps of their extent; none without atoms.
    `weights` scale displacements: `J_j / weights[j]` for the columns of atom j has null vectors `weights[j] * t_j`."""
    n = positions.shape[0]
    dtype = positions.dtype
    present = mask.astype(dtype)
    scale = present if weights is None else jnp.where(mask, weights, 0)
    columns, rank = [], jnp.asarray(0)
    dropped = generic = 0
    if translations:
        columns += [jnp.outer(scale, axis).reshape(-1) for axis in jnp.eye(3, dtype=dtype)]
        rank += jnp.where(mask.any(), 3, 0)
        dropped = generic = min(3, 3 * n)
    clearance = jnp.ones((), dtype)
    if rotations:
        pivot = positions.T @ present / jnp.maximum(present.sum(), 1) if translations else jnp.zeros(3, dtype)
        centered = (positions - pivot[None]) * present[:, None]
        lengths, frame = _principal_rotations(centered, present)
        # One neighbor of a center has two rotations; a molecule of one atom has none.
        tolerance = jnp.finfo(dtype).eps ** 0.5
        real = lengths > tolerance * jnp.maximum(lengths[0], jnp.finfo(dtype).tiny)
        if weights is not None:
            _, frame = _principal_rotations(centered, scale, axis=jnp.where(real[2], 0, 1) * frame[:, 2])
        for k in range(3):
            turn = jnp.cross(jnp.broadcast_to(frame[:, k], (n, 3)), centered) * scale[:, None]
            columns.append(jnp.where(real[k], turn, 0).reshape(-1))
        rank += real.sum()
        clearance = jnp.where(real, lengths, lengths[0]).min() / jnp.where(lengths[0] > 0, lengths[0], 1)
        clearance = jnp.where(lengths[0] > 0, clearance, 1)
        free = n - 1 if translations else n
        dropped += 2 if free > 0 else 0
        generic += 3 if free > 1 else 2 if free == 1 else 0
    reflectors = _reflectors(jnp.stack(columns))
    index = jnp.arange(dropped, 3 * n)
    valid = (index >= rank) & jnp.repeat(mask, 3)[dropped:]
    return RigidMotions(reflectors, valid, rank, clearance, dropped, generic)


def item_rigid_motions(at: Item, weights: Float[Array, " n"] | None = None) -> RigidMotions:
    """Compute the rigid motions of one item: rotations of an environment about its center, translations and rotations
    of a molecule, translations of a crystal."""
    return rigid_motions(
        at.positions,
        at.mask,
        translations=isinstance(at, Structure),
        rotations=isinstance(at, Environment) or not at.periodic,
        weights=weights,
    )


def rigid_displacements(at: Item) -> Float[Array, "r m"]:
    """List displacements that span the rigid motions of one item, in NumPy or JAX. They are not orthonormal."""
    xp, x = array_namespace(at.positions), at.positions
    axes = xp.eye(3, dtype=x.dtype)[:, None]
    motions: list[Any] = []
    if isinstance(at, Structure):
        present = at.mask.astype(x.dtype)[:, None]
        motions.append(axes * present[None])
        x = (x - (x * present).sum(0, keepdims=True) / xp.maximum(present.sum(), 1)) * present
    if isinstance(at, Environment) or not at.periodic:
        motions.append(xp.cross(axes, x[None]))
    return xp.concatenate(motions).reshape(-1, x.size)


def _principal_rotations(
    r: Float[Array, "n 3"], weights: Float[Array, " n"], axis: Float[Array, "3"] | None = None
) -> tuple[Float[Array, "3"], Float[Array, "3 3"]]:
    """Compute the lengths of the rotations about the principal axes, longest first, and the axes in columns."""
    weighted = r * weights[:, None]
    scale = jnp.abs(weighted).max(initial=0)
    weighted = weighted / jnp.where(scale > 0, scale, 1)
    gram = jnp.sum(weighted**2) * jnp.eye(3, dtype=r.dtype) - weighted.T @ weighted
    if axis is not None:
        # The axis of collinear atoms stays last, whatever the weights.
        gram = gram + jnp.trace(gram) * (jnp.eye(3, dtype=r.dtype) * (axis @ axis) - jnp.outer(axis, axis))
    _, frame = eigh(gram)
    frame = frame[:, ::-1]
    # From the tangents, not from their Gram matrix: there, lengths below √eps of the longest are noise.
    lengths = jnp.stack([jnp.linalg.norm(jnp.cross(jnp.broadcast_to(w, r.shape), r)) for w in frame.T])
    return lengths, frame


def _reflectors(columns: Float[Array, "k m"]) -> Float[Array, "k m"]:
    """Build the Householder reflector of each column, after the reflectors of the columns before have turned it."""
    m = columns.shape[1]
    if m == 0:
        return columns[:0]

    def step(k: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        columns, reflectors = carry
        x = jnp.where(jnp.arange(m) < k, 0, columns[k])
        v = x + jnp.where(jnp.arange(m) == k, jnp.where(x[k] < 0, -1, 1) * jnp.linalg.norm(x), 0)
        v = v / _nonzero(jnp.linalg.norm(v))
        columns = columns - 2 * (columns @ v)[:, None] * v[None]
        return columns, reflectors.at[k].set(v)

    lengths = jnp.linalg.norm(columns, axis=1)
    columns = (columns / _nonzero(lengths)[:, None])[:m]
    return jax.lax.fori_loop(0, len(columns), step, (columns, jnp.zeros_like(columns)))[1]


def _nonzero(length: Float[Array, "*b"]) -> Float[Array, "*b"]:
    return jnp.where(length > 0, length, 1)
