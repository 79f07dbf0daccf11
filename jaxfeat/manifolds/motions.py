"""Motions of given atoms: displacements along directions, interpolation between two environments, trajectories."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.interpolate import CubicSpline

from jaxfeat.errors import GeometryError
from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.matching import aligned
from jaxfeat.manifolds.manifold import AbstractManifold, Parameter, Scalar


class Displacement(AbstractManifold):
    """Displacements of the neighbors of an environment along fixed directions.

    Neighbors that lie outside the radius at a point are padding there.

    **Attributes:** `start`: the environment at zero, with every neighbor that some point has. `directions`:
    `(p, n, 3)`, the displacement in Å for a parameter of 1. `bounded`: True if the radius is finite.
    """

    parameters: tuple[Parameter, ...] = eqx.field(static=True)
    start: Environment
    directions: Float[Array, "p n 3"]
    bounded: bool = eqx.field(static=True)

    def __call__(self, *values: Scalar) -> Environment:
        weights = jnp.stack([jnp.asarray(value, self.start.positions.dtype) for value in values])
        moved = self.start.with_positions(self.start.positions + jnp.tensordot(weights, self.directions, 1))
        return _within_radius(moved) if self.bounded else moved

    def all_neighbors(self) -> Environment:
        return self.start


def displacement(env: Environment, directions: Mapping[str, Any], reach: float = 1.0) -> Displacement:
    """Displace an environment along given directions: normal modes, null directions, forces.

    A neighbor that moves out of the environment's radius leaves the environment, and comes back. Neighbors that enter
    it have to be in `env` from the start; `follow_displacement` finds them.

    **Arguments:**

    - `env`: One environment.
    - `directions`: Arrays of shape `(n, 3)` by name. Each is scaled to unit length, so that its parameter is the length
        in Å of the path of all neighbors together. Neighbors that start outside the radius do not count.
    - `reach`: Each parameter goes from `-reach` to `reach`, in Å.

    **Returns:** A `Displacement` with one parameter for each direction.

    **Raises:** `GeometryError` if there is no direction, or if one is zero, not finite, or of another shape.
    """
    shape, start = env.positions.shape, np.asarray(env.positions, float)
    inside = np.linalg.norm(start, axis=-1) < float(env.r_cut)
    if not directions:
        raise GeometryError("there are no directions; give at least one.")
    scaled = []
    for name, direction in directions.items():
        array = np.asarray(direction, float)
        if array.shape != shape:
            raise GeometryError(f"direction {name!r} has shape {array.shape}; the environment's is {shape}.")
        norm = np.linalg.norm(array[inside])
        if not 0 < norm < np.inf:
            raise GeometryError(f"direction {name!r} has length {norm:g}; give one that is finite and not zero.")
        scaled.append(array / norm)
    parameters = tuple(Parameter(name, -reach, reach, 0.0) for name in directions)
    return Displacement(parameters, env, jnp.asarray(np.stack(scaled), env.positions.dtype), _is_bounded(env))


def interpolation(first: Environment, last: Environment, align: bool = True) -> Displacement:
    """Interpolate between two environments of the same atoms.

    A neighbor that lies outside the radius of the first environment at a point is not in the environment there.

    **Arguments:**

    - `first`, `last`: The environments, with as many neighbors of each species.
    - `align`: If True, align the last environment with the first one before, by `aligned`. If False, neighbors stay in
        their order, and nothing turns: in crystals, whose neighbors `follow_center` finds.

    **Returns:** A `Displacement` with one parameter `t`, 0 at `first` and 1 at `last`.

    **Raises:** `GeometryError` if the two do not have the same species; without alignment, in the same order.
    """
    if not align and not np.array_equal(first.species, last.species):
        raise GeometryError("the environments hold different neighbors, or another order of them; align them.")
    end = aligned(last, first) if align else last
    path = (end.positions - first.positions)[None]
    return Displacement((Parameter("t", 0.0, 1.0, 0.5, ""),), first, path, _is_bounded(first))


class Trajectory(AbstractManifold):
    """A smooth path through the frames of a trajectory. Neighbors outside the radius at a point are padding there.

    **Attributes:** `frames`: `(f,)` environments, each with every neighbor that some frame has. `coefficients`:
    `(4, f - 1, n, 3)`, Å; of the powers 3, 2, 1, 0 of the fraction of a step. `bounded`: True if the radius is finite.
    """

    parameters: tuple[Parameter, ...] = eqx.field(static=True)
    frames: Environment
    coefficients: Float[Array, "4 g n 3"]
    bounded: bool = eqx.field(static=True)

    def __call__(self, *values: Scalar) -> Environment:
        (frame,) = values
        frame = jnp.asarray(frame, self.coefficients.dtype)
        interval = jnp.clip(jnp.floor(frame).astype(jnp.int32), 0, self.coefficients.shape[1] - 1)
        fraction = frame - interval.astype(frame.dtype)
        cubic, square, linear, constant = self.coefficients[:, interval]
        positions = ((cubic * fraction + square) * fraction + linear) * fraction + constant
        there = self.frames[0].with_positions(positions)
        return _within_radius(there) if self.bounded else there

    def all_neighbors(self) -> Environment:
        return self.frames[0]


def trajectory(frames: Environment) -> Trajectory:
    """Connect the frames of a trajectory, or the images of a reaction path, by a cubic spline.

    Neighbors are in the environment where they are within its radius, as between the frames of a crystal.

    **Arguments:** `frames`: a batch of environments of the same neighbors in the same order, as
    `follow_center` makes it.

    **Returns:** A `Trajectory` with one parameter `frame`, which is an index of `frames` at whole numbers.

    **Raises:** `GeometryError` for fewer than two frames, and if frames hold different neighbors.
    """
    if len(frames) < 2:
        raise GeometryError("one frame is no trajectory; give at least two.")
    species = np.asarray(frames.species)
    if (species != species[:1]).any() or not np.asarray(frames.mask).all():
        raise GeometryError("frames have different neighbors; a trajectory follows the same ones.")
    spline = CubicSpline(np.arange(len(frames)), np.asarray(frames.positions, float))
    last = float(len(frames) - 1)
    frame = Parameter("frame", 0.0, last, last / 2, "")
    return Trajectory((frame,), frames, jnp.asarray(spline.c, frames.positions.dtype), _is_bounded(frames))


def _is_bounded(at: Environment) -> bool:
    return bool(np.isfinite(np.asarray(at.r_cut)).all())


def _within_radius(env: Environment) -> Environment:
    """Keep the neighbors within the radius of one environment, which may be traced, in their order; pad the others."""
    radius = jnp.asarray(env.r_cut, env.positions.dtype)
    inside = env.mask & (jnp.sum(env.positions**2, -1) < radius**2)
    order = jnp.argsort(~inside, stable=True)
    inside = inside[order]
    return replace(
        env,
        positions=jnp.where(inside[:, None], env.positions[order], 0),
        species=jnp.where(inside, env.species[order], 0),
        mask=inside,
        neighbor_index=jnp.where(inside, env.neighbor_index[order], -1),
        neighbor_shift=jnp.where(inside[:, None], env.neighbor_shift[order], 0),
    )
