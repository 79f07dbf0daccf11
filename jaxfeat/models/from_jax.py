"""JAX functions of whole structures, as graph networks are written, as featurizers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxfeat.errors import BasisError, GeometryError
from jaxfeat.features.base import Label
from jaxfeat.features.declared import check_declared, check_group, write_labels
from jaxfeat.features.joint import AbstractJointFeaturizer
from jaxfeat.geometry.environment import Environment, count_of
from jaxfeat.geometry.species import atomic_numbers
from jaxfeat.geometry.structure import Item, Structure
from jaxfeat.linalg.arrays import concrete_values, format_quantity
from jaxfeat.models.graph import Graph, make_graph, shifts_by_vectors


class JaxFeaturizer(AbstractJointFeaturizer):
    """A featurizer that calls a JAX function of whole structures. Made by `jaxfeat.from_jax`."""

    fn: Callable
    edge_length: Float[Array, ""] | np.ndarray
    n_layers: int = eqx.field(static=True)
    nu: int | None = eqx.field(static=True)
    group: str = eqx.field(static=True)
    species: np.ndarray | None
    names: tuple[Label, ...] | None = eqx.field(static=True)
    max_degree: int | None = eqx.field(static=True)
    key: str | None = eqx.field(static=True)
    describes_structures: ClassVar[bool] = True

    def __repr__(self) -> str:
        name = getattr(self.fn, "__name__", type(self.fn).__name__)
        count = "" if self.names is None else f", {count_of(len(self.names), 'feature')}"
        layers = f"{self.n_layers} layer{'s' if self.n_layers > 1 else ''} of {format_quantity(self.edge_length, 'Å')}"
        return f"JaxFeaturizer({name}, {layers}, ν = {self.nu}, {self.group}{count})"

    @property
    def labels(self) -> tuple[Label, ...]:
        if self.names is None:
            raise BasisError("the features of this function are not named; pass `labels` to jaxfeat.from_jax.")
        return self.names

    @property
    def r_cut(self) -> Any:
        """Å, the radius of environments that hold all atoms with an influence on the center: layers times the longest
        edge."""
        return self.n_layers * self.edge_length

    @property
    def accepted_radii(self) -> tuple[Any, Any]:
        return self.r_cut, np.inf

    def check_atoms(self, at: Item) -> None:
        super().check_atoms(at)
        masks = concrete_values(at.mask), concrete_values(getattr(at, "center_mask", at.mask))
        if not isinstance(at, Structure) or any(mask is None for mask in masks):
            return
        n_atoms, n_centers = (mask.sum(-1) for mask in masks)  # type: ignore[union-attr]
        if _has_all_centers(at) and (n_atoms != n_centers).any():
            raise GeometryError(
                "in some structures of the batch not every atom is a center; make structures without `centers`, or "
                "describe those structures on their own."
            )

    def features(self, env: Environment) -> Float[Array, " d"]:
        """Compute the features of the center in the cluster of the center and its neighbors."""
        return self._call(*self._cluster(env))[0]

    def structure_features(self, structure: Structure) -> Float[Array, "c d"]:
        if not _has_all_centers(structure):
            # The lists hold the neighbors of centers only.
            return jax.vmap(self.features)(structure.environments())
        return self._call(*self._graph(structure))[structure.center]

    def structure_norms(self, structure: Structure) -> Float[Array, "c n"]:
        n = structure.positions.shape[0]
        if not _has_all_centers(structure):
            return self._norms_by_environments(structure)
        graph, known = self._graph(structure)
        along = jnp.eye(3, dtype=graph.positions.dtype)
        of_edges = jnp.zeros((3, *graph.shifts.shape), along.dtype)
        if structure.periodic:
            # Each edge moves forwards or backwards at random, so that the contributions of images do not cancel.
            signs = jnp.asarray(np.random.default_rng(0).choice([-1.0, 1.0], (len(graph.shifts), 1)), along.dtype)
            of_edges = signs[None] * (along @ shifts_by_vectors(structure.cell))[:, None]
            along = along - along @ shifts_by_vectors(structure.cell) @ structure.cell

        def speed(atom: Int[Array, ""], along: Float[Array, "3"], of_edges: Float[Array, "e 3"]) -> Float[Array, " c"]:
            moved = jnp.zeros_like(graph.positions).at[atom].set(along)
            ends = (graph.senders == atom) | (graph.receivers == atom)
            turned = jnp.where(ends[:, None], of_edges, 0)

            def call(positions: Array, shifts: Array) -> Array:
                return self._call(graph._replace(positions=positions, shifts=shifts), known)

            change = jax.jvp(call, (graph.positions, graph.shifts), (moved, turned))[1]
            return jnp.sum(change[structure.center] ** 2, -1)

        of_axes = jax.vmap(speed, in_axes=(None, 0, 0))
        squares = jax.vmap(lambda atom: of_axes(atom, along, of_edges).sum(0))(jnp.arange(n, dtype=jnp.int32)).T
        if not structure.periodic:
            # The displacement of a center moves all others backwards, and these contributions may cancel.
            own = jnp.arange(n, dtype=structure.center.dtype)[None] == structure.center[:, None]
            squares = jnp.where(own, jnp.sum(jnp.where(own, 0, squares), 1, keepdims=True), squares)
        return jnp.sqrt(squares)

    def structure_jacobian_on_host(self, structure: Structure) -> tuple[np.ndarray, np.ndarray]:
        jacobian, norms = super().structure_jacobian_on_host(structure)
        if structure.periodic:
            # The norms are those of atoms, and the images that no message comes from have no influence.
            around = structure.environments()
            each = zip(np.asarray(around.positions), np.asarray(around.mask), strict=True)
            norms = norms * np.stack([self._sends(*of_center) for of_center in each])
        return jacobian, norms

    def _sends(self, positions: Float[np.ndarray, "n 3"], mask: Bool[np.ndarray, " n"]) -> Bool[np.ndarray, " n"]:
        """Tell from which neighbors messages reach the center."""
        edges = np.linalg.norm(positions[:, None] - positions, axis=-1) < float(self.edge_length)
        reached = mask & (np.linalg.norm(positions, axis=-1) < float(self.edge_length))
        for _ in range(self.n_layers - 1):
            reached = reached | (mask & (edges & reached).any(1))
        return reached

    def _norms_by_environments(self, structure: Structure) -> Float[Array, "c n"]:
        around, n = structure.environments(), structure.positions.shape[0]
        rows = jax.vmap(self.jacobian)(around)
        squares = jnp.where(around.mask, jnp.sum(rows**2, (1, 3)), 0)
        each = jax.vmap(lambda atoms, of_atoms: jnp.zeros(n, rows.dtype).at[atoms].add(of_atoms))
        return jnp.sqrt(
            each(structure.neighbor, squares).at[jnp.arange(len(rows)), structure.center].add(squares.sum(1))
        )

    def _call(self, graph: Graph, known: Bool[Array, ""]) -> Float[Array, "a d"]:
        """Call the function. Features of a graph that is not `known` are NaN, rather than wrong."""
        values, n = self.fn(*graph), len(graph.positions)
        wanted = "any number" if self.names is None else f"{len(self.names)}"
        shape = jnp.shape(values)
        if len(shape) != 2 or shape[0] != n or (self.names is not None and shape[1] != len(self.names)):
            raise BasisError(
                f"the function returned shape {shape} for {n} atoms with padding; it must return one row of {wanted} "
                "features for each atom."
            )
        return values * jnp.where(known, 1, jnp.nan).astype(values.dtype)

    def _cluster(self, env: Environment) -> tuple[Graph, Bool[Array, ""]]:
        """Make the graph of the center, which is the first atom, and its neighbors."""
        n, dtype = env.max_neighbors + 1, env.positions.dtype
        positions = jnp.concatenate([jnp.zeros((1, 3), dtype), env.positions])
        numbers = jnp.append(env.center_species.astype(jnp.int32), env.species.astype(jnp.int32))
        present = jnp.append(jnp.ones(1, bool), env.mask)
        others = np.arange(n - 1)
        receivers = jnp.asarray(others + (others >= np.arange(n)[:, None]))
        mask = present[:, None] & present[receivers]
        none = jnp.zeros((*mask.shape, 3), dtype), jnp.zeros((3, 3), dtype)
        lists = jnp.arange(n), receivers, mask, *none
        return make_graph(positions, numbers, *lists, self.edge_length, self.max_degree)

    def _graph(self, structure: Structure) -> tuple[Graph, Bool[Array, ""]]:
        mask = structure.neighbor_mask & structure.center_mask[:, None]
        numbers = jnp.where(structure.mask, structure.species, 0).astype(jnp.int32)
        lists = structure.center, structure.neighbor, mask, structure.shift, structure.cell
        graph, fits = make_graph(structure.positions, numbers, *lists, self.edge_length, self.max_degree)
        # Lists of some atoms only are no graph. Inside jit nothing can be raised.
        return graph, fits & (structure.mask.sum() == structure.center_mask.sum())


def from_jax(
    fn: Callable[..., Float[Array, "a d"]],
    *,
    r_cut: float,
    n_layers: int = 1,
    nu: int | None = None,
    group: str = "O3",
    species: Sequence[str | int] | None = None,
    labels: Sequence[Label | str] | int | None = None,
    max_degree: int | None = None,
    key: str | None = None,
) -> JaxFeaturizer:
    """Make a featurizer of a JAX function of whole structures, such as a message-passing network.

    The function is called as `fn(positions, numbers, senders, receivers, shifts, cell)` and returns one row of features
    for each atom:

    - `positions`, `(a, 3)`, Å, and `numbers`, `(a,)`, int32: the atoms, with two padding atoms in the end, and perhaps
      others before. The number of a padding atom is 0.
    - `senders` and `receivers`, `(e,)`, int32, and `shifts`, `(e, 3)`, in cells: the edges, in both directions, between
      atoms and images nearer than `r_cut`. The vector of an edge is
      `positions[receivers] + shifts @ cell - positions[senders]`.
    - `cell`, `(3, 3)`, Å: rows are lattice vectors, zero for directions that do not repeat.

    All other edges are padding. They run from one of the last two padding atoms to the other, which is 2 `r_cut` away,
    as codes with padded graphs expect: no real atom receives anything from them, and no vector has length zero. The
    number of edges of a shape is fixed: a room for all neighbors of all atoms, or for `max_degree` of each.

    A featurizer of this kind works inside jit and vmap, has derivatives of every order that the function has, and can
    be searched, traced and inverted. On an environment it describes the center, which is fixed, in the cluster of the
    center and its neighbors. In `stacked` and `summed` maps of a structure of whose atoms all are centers, the function
    is called once. Jacobians are in forward or reverse mode, whichever takes less time for these shapes.

    **Arguments:**

    - `fn`: The function. It must be invariant under `group`, under translations and permutations, and vanish smoothly
        where the length of an edge reaches `r_cut`, with three derivatives for searches. Parameters are leaves if it is
        an Equinox module or a `jax.tree_util.Partial`, and constants if it closes over them.
    - `r_cut`: Å, the length below which two atoms share an edge.
    - `n_layers`: The number of layers of messages. Atoms within `n_layers * r_cut` have an influence on a center, and
        environments and structures must be cut at this radius at least.
    - `nu`: The body order, or `None` if it is unknown. The causes of null directions depend on it.
    - `group`: `"O3"`, or `"SO3"` if some features change sign under inversion.
    - `species`: Symbols or atomic numbers that the function accepts, or `None` for all. `jaxfeat.summed` needs them.
    - `labels`: A label for each feature, or the number of features, or `None`.
    - `max_degree`: The largest number of edges that begin at one atom, if it is known to be below the number of
        neighbors in the lists. Fewer edges take less time. Features of a structure with more edges are NaN.
    - `key`: A text that identifies the function in a store, as in `jaxfeat.function`.

    **Returns:** A featurizer.

    **Raises:** `BasisError` if `r_cut` is not positive, if `n_layers`, `nu` or `max_degree` is below 1, if `group` is
    another, or if `key` is blank or no text. `SpeciesError` if `species` names no element.
    """
    check_group(group)
    check_declared(nu, key, "function")
    if not (r_cut > 0 and np.isfinite(r_cut)):
        raise BasisError(f"r_cut is {r_cut!r}; give the positive length (Å) below which two atoms share an edge.")
    for name, value in (("n_layers", n_layers), ("max_degree", max_degree)):
        if value is not None and value < 1:
            raise BasisError(f"{name} is {value!r}; it must be at least 1.")
    numbers = None if species is None else atomic_numbers(list(species))
    return JaxFeaturizer(
        fn=fn,
        edge_length=np.asarray(r_cut, float),
        n_layers=n_layers,
        nu=nu,
        group=group,
        species=numbers,
        names=write_labels(labels),
        max_degree=max_degree,
        key=key,
    )


def _has_all_centers(structure: Structure) -> bool:
    """Tell from its sizes whether every atom of a structure is a center."""
    return structure.center.shape[-1] == structure.positions.shape[-2]
