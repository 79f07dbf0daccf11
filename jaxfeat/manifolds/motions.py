"""Motions of given atoms: displacements along directions, interpolation between two environments, trajectories."""

from collections.abc import Mapping
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

    **Attributes:** `start`: the environment at zero. `directions`: `(p, n, 3)`, the displacement in Å for a parameter
    of 1.
    """

    parameters: tuple[Parameter, ...] = eqx.field(static=True)
    start: Environment
    directions: Float[Array, "p n 3"]

    def __call__(self, *values: Scalar) -> Environment:
        weights = jnp.stack([jnp.asarray(value, self.start.positions.dtype) for value in values])
        return self.start.with_positions(self.start.positions + jnp.tensordot(weights, self.directions, 1))


def displacement(env: Environment, directions: Mapping[str, Any], reach: float = 1.0) -> Displacement:
    """Displace an environment along given directions: normal modes, null directions, forces.

    **Arguments:**

    - `env`: One environment.
    - `directions`: Arrays of shape `(n, 3)` by name. Each is scaled to unit length, so that its parameter is the length
        in Å of the path of all atoms together.
    - `reach`: Each parameter goes from `-reach` to `reach`, in Å.

    **Returns:** A `Displacement` with one parameter for each direction.

    **Raises:** `GeometryError` if there is no direction, or if one is zero, not finite, or of another shape.
    """
    shape = env.positions.shape
    if not directions:
        raise GeometryError("there are no directions; give at least one.")
    scaled = []
    for name, direction in directions.items():
        array = np.asarray(direction, float)
        norm = np.linalg.norm(array)
        if array.shape != shape:
            raise GeometryError(f"direction {name!r} has shape {array.shape}; the environment's is {shape}.")
        if not 0 < norm < np.inf:
            raise GeometryError(f"direction {name!r} has length {norm:g}; give one that is finite and not zero.")
        scaled.append(array / norm)
    parameters = tuple(Parameter(name, -reach, reach, 0.0) for name in directions)
    return Displacement(parameters, env, jnp.asarray(np.stack(scaled), env.positions.dtype))


def interpolation(first: Environment, last: Environment) -> Displacement:
    """Interpolate between two environments of the same atoms.

    The last environment is aligned with the first one before, by `aligned`.

    **Arguments:** `first`, `last`: the environments, with as many neighbors of each species.

    **Returns:** A `Displacement` with one parameter `t`, 0 at `first` and 1 at `last`.

    **Raises:** `GeometryError` if the two do not have the same species.
    """
    end = aligned(last, first)
    return Displacement((Parameter("t", 0.0, 1.0, 0.5, ""),), first, (end.positions - first.positions)[None])


class Trajectory(AbstractManifold):
    """A smooth path through the frames of a trajectory.

    **Attributes:** `frames`: `(f,)` environments. `coefficients`: `(4, f - 1, n, 3)`, Å; of the powers 3, 2, 1, 0 of
    the fraction of a step.
    """

    parameters: tuple[Parameter, ...] = eqx.field(static=True)
    frames: Environment
    coefficients: Float[Array, "4 g n 3"]

    def __call__(self, *values: Scalar) -> Environment:
        (frame,) = values
        frame = jnp.asarray(frame, self.coefficients.dtype)
        interval = jnp.clip(jnp.floor(frame).astype(jnp.int32), 0, self.coefficients.shape[1] - 1)
        fraction = frame - interval.astype(frame.dtype)
        cubic, square, linear, constant = self.coefficients[:, interval]
        positions = ((cubic * fraction + square) * fraction + linear) * fraction + constant
        return self.frames[0].with_positions(positions)


def trajectory(frames: Environment) -> Trajectory:
    """Connect the frames of a trajectory by a cubic spline.

    **Arguments:** `frames`: a batch of environments of the same neighbors in the same order, as
    `jaxfeat.geometry.neighbors.follow_center` makes it.

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
    return Trajectory((frame,), frames, jnp.asarray(spline.c, frames.positions.dtype))
