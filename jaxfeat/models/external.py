"""Any model as a featurizer: features and Jacobians that another program computes, by way of NumPy."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import equinox as eqx
import numpy as np
from jaxtyping import Float, Int

from jaxfeat.errors import BasisError, GeometryError, ModelError, SpeciesError
from jaxfeat.features.base import AbstractFeaturizer, Label
from jaxfeat.features.declared import check_declared
from jaxfeat.features.host_work import by_atoms_on_host
from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.species import SYMBOLS, atomic_numbers
from jaxfeat.geometry.structure import Item, Structure
from jaxfeat.linalg.lanes import inside_transformation
from jaxfeat.models.clusters import OF_CENTERS, as_cluster, has_images, without_padding
from jaxfeat.models.measure import Probe, measure
from jaxfeat.models.model import Model

EVERYWHERE = 4e5  # Å, which no molecule exceeds: the reach of models without a cutoff
PROBED_CENTERS = 3  # centers that the first use of a model probes
BEYOND_REACH = 1e-6  # the largest derivative by an atom beyond reach, relative to all, that is no error


class ExternalFeaturizer(AbstractFeaturizer):
    """The features of atoms that a model of another package computes. Made by `jaxfeat.external` and the adapters.

    A featurizer of this kind describes environments, as every featurizer does, and structures too: there it stands for
    the features of all centers, as `jaxfeat.stacked` of it. It always works on the host, outside of jit, vmap and grad.
    """

    model: Model = eqx.field(static=True)
    reach: float = eqx.field(static=True)
    nu: int | None = eqx.field(static=True)
    declared_group: str | None = eqx.field(static=True)
    species: np.ndarray | None
    key: str | None = eqx.field(static=True)
    name: str = eqx.field(static=True)
    # A property below, which as a field would lead in the constructor.
    group: ClassVar[Any]  # type: ignore[misc]
    only_on_host: ClassVar[bool] = True
    describes_structures: ClassVar[bool] = True

    def __repr__(self) -> str:
        reach = "∞" if self.reach >= EVERYWHERE else f"{self.reach:g}"
        count = "" if self.model.n_features is None else f", {self.model.n_features} features"
        probed = self.model.probe
        floor = f", {probed.dtype}, floor = {probed.floor:.0e}" if probed else ""
        group = self.group if self.declared_group or probed else "group unknown yet"
        return f"ExternalFeaturizer({self.name}, reach = {reach} Å, ν = {self.nu}, {group}{count}{floor})"

    @property  # type: ignore[no-redef]
    def group(self) -> str:  # type: ignore[override]
        """The declared group; otherwise what the probe found, and "O3" before the first use."""
        return self.declared_group or (self.model.probe.group if self.model.probe else "O3")

    @property
    def noise(self) -> tuple[float, float]:
        found = self.model.probe
        return (found.floor, found.share) if found else (0.0, 0.0)

    @property
    def defect(self) -> str:
        return self.model.probe.defect if self.model.probe else ""

    @property
    def identity(self) -> str | None:
        if self.key is None:
            return None
        species = None if self.species is None else [SYMBOLS[number] for number in self.species]
        facts = {"kind": "model", "key": self.key, "nu": self.nu, "group": self.declared_group, "reach": self.reach}
        return json.dumps({**facts, "species": species})

    @property
    def labels(self) -> tuple[Label, ...]:
        if self.model.n_features is None:
            raise BasisError("the number of this model's features is known after its first use; call it first.")
        return tuple((k,) for k in range(self.model.n_features))

    @property
    def r_cut(self) -> float:
        """Å, the radius of the environments that hold all atoms that features depend on: the reach."""
        return self.reach

    @property
    def accepted_radii(self) -> tuple[float, float]:
        return self.reach, np.inf

    @property
    def runs_on_host(self) -> bool:
        return True

    def takes_on_host(self, at: Item) -> bool:
        return True

    def features(self, env: Environment) -> Any:
        raise ModelError(_OUTSIDE)

    def roundings(self, env: Environment) -> Any:
        return np.ones(env.max_neighbors)

    def restricted_to_species(self, species: Any) -> ExternalFeaturizer:
        return eqx.tree_at(lambda f: f.species, self, np.asarray(species, np.int32))

    def check_atoms(self, at: Item) -> None:
        if inside_transformation():
            raise ModelError(_OUTSIDE)
        if isinstance(at, Structure) and at.periodic and self.reach >= EVERYWHERE:
            raise GeometryError("this model has an infinite reach, which a crystal cannot have; give `reach` in Å.")
        super().check_atoms(at)
        if isinstance(at, Environment) and not np.asarray(at.center_species).all():
            raise SpeciesError(
                "a model describes atoms, and an environment has none at its center; give center_species."
            )

    def features_on_host(self, batch: Environment, present: Int[np.ndarray, "b s"]) -> np.ndarray:
        return np.stack([self._evaluate(as_cluster(env))[0][0] for env in batch])

    def jacobian_on_host(self, batch: Environment, present: Int[np.ndarray, "b s"]) -> np.ndarray:
        return np.stack([self._evaluate(as_cluster(env))[1][0, :, 1:] for env in batch])

    def rows_on_host(self, batch: Environment, present: Int[np.ndarray, "b s"], room: int) -> tuple[np.ndarray, int]:
        found = self.jacobian_on_host(batch, present)
        return found.reshape(*found.shape[:2], -1), found.shape[1]

    def structure_features_on_host(self, structure: Structure) -> Float[np.ndarray, "c d"]:
        one, present = without_padding(structure)
        if self._takes_clusters(one):
            features = self.compute_features_on_host(one.environments())
        else:
            features = self._evaluate(one)[0]
        whole = np.zeros((len(structure.center), features.shape[1]))
        whole[present] = features
        return whole

    def structure_jacobian_on_host(
        self, structure: Structure
    ) -> tuple[Float[np.ndarray, "c d n 3"], Float[np.ndarray, "c k"]]:
        one, present = without_padding(structure)
        if self._takes_clusters(one):
            return self._jacobian_by_clusters(structure)
        jacobian = self._evaluate(one)[1]
        whole = np.zeros((len(structure.center), jacobian.shape[1], len(structure.positions), 3))
        whole[present, :, : len(one.positions)] = jacobian
        of_atoms = np.sqrt((whole**2).sum((1, 3)))
        norms = np.take_along_axis(of_atoms, np.asarray(structure.neighbor), 1) * structure.neighbor_mask
        self._check_reach(of_atoms[present], one)
        return whole, norms

    def _takes_clusters(self, structure: Structure) -> bool:
        """Tell whether each center of a crystal is described in the cluster of its neighbors."""
        return structure.periodic and (not self.model.periodic or has_images(structure))

    def _jacobian_by_clusters(self, structure: Structure) -> tuple[np.ndarray, np.ndarray]:
        """Compute the Jacobian of a crystal from the clusters of its centers. If a center sees several images of one
        atom, their derivatives may cancel, so each needs its own to tell whether features react to it."""
        environments, norms = structure.environments(), np.zeros(structure.neighbor.shape)
        whole = np.zeros((len(norms), 0, len(structure.positions), 3))
        for c in np.flatnonzero(structure.center_mask).tolist():
            rows = self.compute_jacobians_on_host(environments[c])
            alone = structure.neighbor[c : c + 1], structure.center[c : c + 1]
            part = eqx.tree_at(lambda one: (one.neighbor, one.center), structure, alone)
            if not whole.size:
                whole = np.zeros((len(norms), len(rows), *whole.shape[2:]))
            whole[c] = by_atoms_on_host(rows[None], part)[0]
            norms[c] = np.sqrt((rows**2).sum((0, 2)))
        return whole, norms

    def _evaluate(self, structure: Structure) -> tuple[np.ndarray, np.ndarray]:
        """Compute features and Jacobian of one structure without padding. The first use probes the model."""
        with self.model.lock:
            if self.model.probe is None:
                self._probe(structure, PROBED_CENTERS)
        features, jacobian = self.model(structure)
        return features.astype(float, copy=False), jacobian.astype(float, copy=False)

    def probe_at(self, structure: Structure) -> Probe:
        """Probe the model at one structure of NumPy arrays, and keep the result."""
        return self._probe(without_padding(structure)[0])

    def _probe(self, structure: Structure, most: int | None = None) -> Probe:
        """Probe the features of up to `most` centers of a structure without padding."""
        c = len(structure.center)
        chosen = np.unique(np.linspace(0, c - 1, min(c, most or c)).round().astype(int))
        parts = [getattr(structure, name)[chosen] for name in OF_CENTERS]
        some = eqx.tree_at(lambda one: [getattr(one, name) for name in OF_CENTERS], structure, parts)
        found = measure(self.model, some, self.declared_group)
        # A structure without a response, such as a lone atom, tells nothing.
        if np.isfinite(found.translation):
            self.model.probe = found
        return found

    def _check_reach(self, of_atoms: np.ndarray, structure: Any) -> None:
        within = np.zeros(of_atoms.shape, bool)
        np.put_along_axis(
            within, np.where(structure.neighbor_mask, structure.neighbor, structure.center[:, None]), True, 1
        )
        np.put_along_axis(within, structure.center[:, None], True, 1)
        beyond = np.where(within, 0, of_atoms)
        if beyond.max(initial=0) > max(BEYOND_REACH, self.noise[0]) * of_atoms.max(initial=0):
            c, atom = np.unravel_index(beyond.argmax(), beyond.shape)
            share = beyond.max() / of_atoms.max()
            raise ModelError(
                f"the features of atom {structure.center[c]} react to atom {atom}, which is not within the declared "
                f"reach of {self.reach:g} Å, by {share:.1e} of the largest derivative; declare the whole reach: layers "
                "times cutoff."
            )


_OUTSIDE = (
    "this model runs outside of JAX, so that jit, vmap and derivatives do not reach it; call jacobian, "
    "singular_spectrum or null_space outside of them."
)


def make_model(
    evaluate: Callable[[Structure], tuple[Any, Any]],
    *,
    reach: float,
    nu: int | None,
    group: str | None,
    species: Sequence[str | int] | np.ndarray | None,
    key: str | None,
    name: str = "",
    periodic: bool = True,
) -> ExternalFeaturizer:
    """Make a model as `external` does, for adapters. `name` describes it. If it is not `periodic`, each center of a
    crystal is described in the cluster of its neighbors."""
    if group not in ("O3", "SO3", None):
        raise BasisError(f"group is {group!r}; choose 'O3', 'SO3', or None to have it probed.")
    check_declared(nu, key, "model")
    if not reach > 0:
        raise BasisError(f"reach is {reach!r}; give a positive number of Å, or infinity for molecules.")
    return ExternalFeaturizer(  # type: ignore[call-arg]
        model=Model(evaluate, periodic),
        reach=min(float(reach), EVERYWHERE),
        nu=nu,
        declared_group=group,
        species=None if species is None else atomic_numbers(list(species)),
        key=key,
        name=name or getattr(evaluate, "__name__", type(evaluate).__name__),
    )


def external(
    evaluate: Callable[[Structure], tuple[Any, Any]],
    *,
    reach: float,
    nu: int | None = None,
    group: str | None = None,
    species: Sequence[str | int] | None = None,
    key: str | None = None,
) -> ExternalFeaturizer:
    """Make a featurizer of any model that gives features of atoms and their derivatives.

    The first use probes the model (`jaxfeat.probe`). The probe finds the errors of the Jacobian, below which nothing is
    counted, and tells whether the features are invariant. Inside of jit, vmap and grad the featurizer raises an error.

    With an environment, the model is evaluated on the cluster of the center and its neighbors, and the center is fixed.
    With a structure, the featurizer stands for `jaxfeat.stacked` of itself.

    **Arguments:**

    - `evaluate`: A function of one `jaxfeat.Structure`, whose arrays are NumPy's, in float64, without padding:
        `positions` `(n, 3)` in Å, `cell` `(3, 3)`, zero in directions that do not repeat, `species` `(n,)` and `center`
        `(c,)`, the atoms whose features are asked for. `neighbor` and `shift` list the atoms within `reach` of each
        center. It returns the features `(c, d)`, and their derivatives by the positions of all atoms `(c, d, n, 3)`, in
        features per Å, in which the derivatives by periodic images of one atom are added up; both in float64 or
        float32.
    - `reach`: Å. The features of an atom depend on atoms within this distance only: layers times cutoff. Infinity is
        allowed for molecules.
    - `nu`: The body order, or `None` if it is unknown. The causes of null directions depend on it.
    - `group`: `"O3"`, `"SO3"` if some features change sign under inversion, or `None` to let the probe decide.
    - `species`: Symbols or atomic numbers that the model knows, or `None` for all.
    - `key`: A text that identifies the model in a store, as in `jaxfeat.function`.

    **Returns:** an `ExternalFeaturizer`.

    **Raises:** `BasisError` if `group` is another, if `nu` is below 1, if `reach` is not positive, or if `key` is blank
    or no text. `SpeciesError` if `species` names no element. When it is used, `ModelError` if the model returns other
    shapes, reacts to atoms beyond its reach, or has a Jacobian that disagrees with differences of its features.
    """
    return make_model(evaluate, reach=reach, nu=nu, group=group, species=species, key=key)
