"""Ways through the configurations of given atoms: from one structure to another, along directions, along frames."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.interpolate import CubicSpline

from jaxfeat.errors import GeometryError
from jaxfeat.geometry.align import aligned
from jaxfeat.geometry.environment import Environment
from jaxfeat.manifolds.manifold import AbstractManifold, Parameter, Scalar


class Displacement(AbstractManifold):
    """Displacements of the neighbors of an environment along fixed directions, as `displacement` and `interpolation`
    make it.

    **Attributes:** `start`, the environment at zero; `directions`, `(p, n, 3)`, Å for a parameter of 1.
    """

    parameters: tuple[Parameter, ...] = eqx.field(static=True)
    start: Environment
    directions: Float[Array, "p n 3"]

    def __call__(self, *values: Scalar) -> Environment:
        weights = jnp.stack([jnp.asarray(value, self.start.positions.dtype) for value in values])
        return self.start.with_positions(self.start.positions + jnp.tensordot(weights, self.directions, 1))


def displacement(env: Environment, directions: Mapping[str, Any], reach: float = 1.0) -> Displacement:
    """An environment displaced along given directions: normal modes, null directions, forces.

    **Arguments:**

    - `env`: one environment.
    - `directions`: `(n, 3)` by name; scaled to unit length, so that parameters are Å of the path of all atoms together.
    - `reach`: bounds of each parameter, ±Å.

    **Raises:** `GeometryError` for a direction that is zero, not finite, or of another shape.
    """
    shape = env.positions.shape
    scaled = []
    for name, direction in directions.items():
        array = np.asarray(direction, float)
        if array.shape != shape:
            raise GeometryError(f"direction {name!r} has shape {array.shape}; the environment's is {shape}.")
        norm = np.linalg.norm(array)
        if not np.isfinite(norm) or norm == 0:
            raise GeometryError(f"direction {name!r} has length {norm:g}; give one that is finite and not zero.")
        scaled.append(array / norm)
    if not scaled:
        raise GeometryError("there are no directions; give at least one.")
    parameters = tuple(Parameter(name, -reach, reach, 0.0) for name in directions)
    return Displacement(parameters, env, jnp.asarray(np.stack(scaled), env.positions.dtype))


def interpolation(first: Environment, last: Environment) -> Displacement:
    """The straight way from one environment to another of the same atoms, `t` from 0 to 1.

    The other one is rotated about the center, and its like neighbors are permuted, so that the way is as short as can
    be found.

    **Raises:** `GeometryError` where the two do not have the same species.
    """
    end = aligned(last, first)
    return Displacement((Parameter("t", 0.0, 1.0, 0.5, ""),), first, (end.positions - first.positions)[None])


class Trajectory(AbstractManifold):
    """A smooth way through frames, as `trajectory` makes it.

    **Attributes:** `frames`, `(f,)` environments; `coefficients`, `(4, f - 1, n, 3)`, of the powers 3, 2, 1, 0 of the
    fraction of a step.
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
    """The cubic spline through frames, `frame` from 0 to the last: at whole numbers the frames themselves.

    **Arguments:** `frames`: a batch of environments of the same neighbors in the same order, as
    `jaxfeat.geometry.tracked.tracked` makes it.

    **Raises:** `GeometryError` for fewer than two frames, and where atoms differ.
    """
    if len(frames) < 2:
        raise GeometryError("one frame is no trajectory; give at least two.")
    species = np.asarray(frames.species)
    if (species != species[:1]).any() or not np.asarray(frames.mask).all():
        raise GeometryError("frames have different neighbors; a trajectory follows the same ones.")
    spline = CubicSpline(np.arange(len(frames)), np.asarray(frames.positions, float))
    last = float(len(frames) - 1)
    return Trajectory(
        (Parameter("frame", 0.0, last, last / 2, ""),), frames, jnp.asarray(spline.c, frames.positions.dtype)
    )
