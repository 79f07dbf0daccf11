"""How far an environment may move until features stop telling it from others (docs/theory, "How far to trouble")."""

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np

from jaxfeat.errors import GeometryError
from jaxfeat.features.base import AbstractFeaturizer
from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.matching import aligned, congruent_image
from jaxfeat.inverse.curvature import SliceTensor, largest_radius
from jaxfeat.inverse.invert import invert
from jaxfeat.nulls.classify import null_space
from jaxfeat.singular.continuation import check_one_environment
from jaxfeat.spectrum.driver import singular_spectrum

RADIUS_MESSAGES = {  # meaning of each `OneToOneRadius.status`
    "bound": "the radius is proved by an inequality, up to rounding errors.",
    "estimate": "the radius rests on second derivatives at a few sampled points: no bound of them is known.",
    "symmetry": "displacements that break a symmetry are null here, so the inequality proves nothing.",
    "incompleteness": "a displacement is null here in any basis of this order, so the inequality proves nothing.",
    "truncation": "a displacement is null here in this basis, so the inequality proves nothing; enlarge it.",
    "locality": "a neighbor is out of reach of the features, so the inequality proves nothing.",
    "ambiguous": "σ_min is at its floor, and the cause cannot be told, so the inequality proves nothing.",
}

SINGULAR_ERROR = 1e-4  # Å; features of a singular environment that is moved by less may be equal to rounding
INVERSION_TOLERANCE = 1e-12  # relative difference of features up to which they are equal


@dataclass(frozen=True, eq=False)
class OneToOneRadius:
    """Distance from one environment within which features tell all environments apart, and the nearest look-alike.

    **Attributes:**

    - `radius`: Å. Any two environments of the same atoms that are nearer to the given one than this, and have equal
        features, differ by a rotation (or rotation and inversion, for features of O(3)) and a permutation of like
        neighbors. Distances are norms of all displacements together, after the best rotation and permutation. 0 if the
        Jacobian has null directions.
    - `partner`: The nearest environment that was found with the features of the given one and another shape, turned to
        lie close to it. `None` if the search found none.
    - `partner_distance`: The distance of the partner (Å), an upper limit of the radius; infinite without a partner.
    - `sigma`: The smallest singular value of the Jacobian, rigid motions apart, in features per Å. 0 at its floor.
    - `curvature`: `sigma / radius`, in features per Å². It bounds the change of the Jacobian per Å within the radius,
        where slopes along more sensitive directions weigh less. NaN if the radius is 0.
    - `status`: A key of `jaxfeat.inverse.one_to_one.RADIUS_MESSAGES`. "bound" if the radius is proved, "estimate" if
        it is not, and otherwise the cause of most of the null directions.
    """

    radius: float
    partner: Environment | None
    partner_distance: float
    sigma: float
    curvature: float
    status: str

    def __repr__(self) -> str:
        partner = "no partner found" if self.partner is None else f"partner at {self.partner_distance:.3g} Å"
        return f"OneToOneRadius({self.radius:.3g} Å, {self.status}; {partner}; σ = {self.sigma:.3g} per Å)"


def one_to_one_radius(
    f: AbstractFeaturizer, env: Environment, *, n_starts: int = 64, reach: float = 1.0, seed: int = 0
) -> OneToOneRadius:
    """Bound the distance within which the map from environments to features is one-to-one.

    The inverse function theorem gives a lower bound from the singular values and the second derivatives at the
    environment, and from a bound of higher derivatives around it. A search gives an upper limit: it solves
    F(y) = F(x) by Gauss-Newton from starts at growing distances, some of them where the curvature along one singular
    vector would bring the features back.

    The lower bound is proved for `PowerSpectrum`, whose higher derivatives have a bound in closed form. For all other
    featurizers it is an estimate: their second derivatives are sampled. Close to a symmetric environment the radius is
    smaller than the distance to the symmetric one, although features may be one-to-one farther out: mirror images on
    the other side have equal features, and the inequality does not know that they are congruent.

    **Arguments:**

    - `f`: A featurizer that can be differentiated. Its features are taken as they are, not equilibrated.
    - `env`: One environment, float64. Padding is removed.
    - `n_starts`: The number of random starts of the search. 0 leaves the search out.
    - `reach`: The largest displacement of a start (Å, norm of all displacements together).
    - `seed`: Seed of the starts, and of the points at which second derivatives are sampled.

    **Returns:** `OneToOneRadius`.

    **Raises:** `SpeciesError` if `env` holds an element that `f` does not know. `PrecisionError` if positions are not
    float64. `GeometryError` if `env` is no single sound environment with neighbors, or `reach` is not positive.

    **Source:** docs/theory, "How far to trouble".
    """
    if not (reach > 0 and np.isfinite(reach)):
        raise GeometryError(f"reach is {reach:g}; give the positive length of the largest displacement (Å).")
    env = check_one_environment(f, env, "env", "a radius")
    f, rng = f.prepared(), np.random.default_rng(seed)
    spectrum = singular_spectrum(f, env)
    if spectrum.status != "ok":
        raise GeometryError(f"the environment has no singular spectrum: {spectrum.status.message}")
    values, floor = np.asarray(spectrum.values), float(spectrum.floor)
    if len(values) and values[-1] > floor:
        sigma = float(values[-1])
        tensor = SliceTensor.at(f, env, spectrum)
        radius, status = largest_radius(f, env, tensor, 1 - floor / sigma, rng)
        starts = [tensor.folds(reach)]
    else:
        sigma, radius, status, starts = 0.0, 0.0, _cause(f, env), []
    partner, distance = None, np.inf
    if n_starts:
        starts.append(_random_starts(np.asarray(spectrum.directions), values, radius, n_starts, reach, rng))
        partner, distance = _nearest_partner(f, env, np.concatenate(starts), sigma)
    return OneToOneRadius(radius, partner, distance, sigma, sigma / radius if radius else np.nan, status)


def _cause(f: AbstractFeaturizer, env: Environment) -> str:
    """Name the cause of most null directions, rigid motions apart."""
    null = null_space(f, env)
    assert not isinstance(null, list)
    counts = {cause: n for cause, n in null.counts.items() if cause in RADIUS_MESSAGES and n}
    return max(counts, key=lambda cause: counts[cause]) if counts and null.status == "ok" else "ambiguous"


def _random_starts(
    directions: np.ndarray, values: np.ndarray, radius: float, n: int, reach: float, rng: np.random.Generator
) -> np.ndarray:
    """Draw displacements of lengths from twice the radius to the reach. Those of odd number lean to directions that are
    less sensitive."""
    if not len(values):
        return np.zeros((0, *directions.shape[1:]))
    lean = np.clip(values / values[0], 1e-3, None) ** -0.5
    steps = rng.normal(size=(n, len(values))) * np.where(np.arange(n)[:, None] % 2, lean, 1)
    lengths = np.geomspace(min(max(2 * radius, 1e-3), reach), reach, n)
    return np.einsum("bk,knx->bnx", steps * (lengths / np.linalg.norm(steps, axis=1))[:, None], directions)


def _nearest_partner(
    f: AbstractFeaturizer, env: Environment, displacements: np.ndarray, sigma: float
) -> tuple[Environment | None, float]:
    """Find the nearest environment with the same features and another shape, and its distance (Å)."""
    b = len(displacements)
    if not b:
        return None, np.inf
    x, kinds = np.asarray(env.positions), np.asarray(env.species)
    features = np.asarray(f(env))
    starts = Environment.stack([env] * b).with_positions(jnp.asarray(x + displacements))
    found = invert(f, np.repeat(features[None], b, 0), starts, tolerance=INVERSION_TOLERANCE)
    signs = (1.0, -1.0) if f.group == "O3" else (1.0,)
    nearest, least = None, np.inf
    for positions, residual in zip(found.positions[found.recovered], found.residual[found.recovered], strict=True):
        # Nearer to the environment than its error, a solution is the environment itself.
        error = 1e-6 + 100 * residual * np.linalg.norm(features) / sigma if sigma else SINGULAR_ERROR
        if congruent_image(positions, x, kinds, kinds, error, signs) is not None:
            continue
        for sign in signs:
            image = aligned(env.with_positions(jnp.asarray(sign * positions)), env)
            distance = float(np.linalg.norm(np.asarray(image.positions) - x))
            if distance < least:
                nearest, least = image, distance
    return nearest, least
