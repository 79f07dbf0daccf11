"""Small networks in JAX: what they cannot see, their derivatives, their graphs, and searches with them."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ase import Atoms
from references import richardson_derivative
from toy_networks import BLIND, LITMUS, LITMUS_SYMBOLS, Network

import jaxfeat
from jaxfeat.errors import BasisError, GeometryError
from jaxfeat.features.joint import reverse_is_faster
from jaxfeat.features.spec import write_identity
from jaxfeat.models.graph import N_PADDING
from jaxfeat.singular.singular_equations import function_velocity

R_CUT = 2.5
METHANE = Atoms(LITMUS_SYMBOLS, LITMUS)
LONG = Atoms("CHHH", [[0.0, 0, 0], [1.1, 0, 0], [-0.4, 0.9, 0.3], [-1.9, 0.2, 0]])
CRYSTAL = Atoms("CH", [[0.1, 0.2, 0.0], [1.1, 0.9, 1.3]], cell=[[2.1, 0.1, 0], [0, 2.6, 0.2], [0.3, 0, 2.9]], pbc=True)
SPECIES = ("C", "H")

ONE = jaxfeat.from_jax(Network(R_CUT), r_cut=R_CUT, nu=1, species=SPECIES)
TWO = jaxfeat.from_jax(Network(R_CUT, n_layers=2), r_cut=R_CUT, n_layers=2, species=SPECIES)
ANGULAR = jaxfeat.from_jax(Network(R_CUT, angular=2), r_cut=R_CUT, nu=2, species=SPECIES)


@pytest.mark.parametrize("f, order", [(ONE, 1), (TWO, 2), (ANGULAR, 2)], ids=["one layer", "two layers", "angular"])
def test_networks_are_blind_as_features_of_their_order(f, order):
    around = jaxfeat.environments(METHANE, f)
    assert [jaxfeat.complete_kernel(env, order).nullity - 3 for env in around] == list(BLIND[order])
    nulls = jaxfeat.null_space(f, around)
    assert tuple(null.nullity - null.counts["rigid"] for null in nulls) == BLIND[order]
    cause = "other" if f.nu is None else "incompleteness"
    assert tuple(null.counts[cause] for null in nulls) == BLIND[order]


def test_one_atom_of_a_structure_is_as_blind_as_its_environment_and_all_together_are_not():
    molecule = jaxfeat.structures(METHANE, TWO)
    assert jaxfeat.null_space(jaxfeat.stacked(TWO), molecule).nullity == 6
    assert jaxfeat.null_space(TWO, molecule, center=0).nullity == 6 + BLIND[2][0]


def test_a_structure_is_described_as_its_environments_are():
    molecules = [METHANE, METHANE[:3]]
    batch = jaxfeat.structures(molecules, TWO)
    stacked, rows = np.asarray(jaxfeat.stacked(TWO)(batch)), np.asarray(TWO(jaxfeat.environments(molecules, TWO)))
    assert np.abs(stacked[0].reshape(5, -1) - rows[:5]).max() < 1e-14 * np.abs(rows).max()
    assert np.abs(stacked[1].reshape(5, -1)[:3] - rows[5:]).max() < 1e-14 * np.abs(rows).max()
    assert not stacked[1].reshape(5, -1)[3:].any()
    sums = np.asarray(jaxfeat.summed(TWO)(batch[0])).reshape(2, -1)
    np.testing.assert_allclose(sums, [rows[0], rows[1:5].sum(0)], rtol=1e-13)
    # Environments are described one by one if some atoms of the structure are no centers.
    some = jaxfeat.structures(METHANE, TWO, centers=[1, 3])
    np.testing.assert_allclose(np.asarray(jaxfeat.stacked(TWO)(some)).reshape(2, -1), rows[[1, 3]], rtol=1e-13)
    crystal = np.asarray(jaxfeat.stacked(TWO)(jaxfeat.structures(CRYSTAL, TWO))).reshape(2, -1)
    np.testing.assert_allclose(crystal, TWO(jaxfeat.environments(CRYSTAL, TWO)), rtol=1e-13)


@pytest.mark.parametrize("atoms", [METHANE, CRYSTAL], ids=["molecule", "crystal"])
def test_jacobians_agree_with_differences(atoms):
    f, structure = jaxfeat.stacked(TWO), jaxfeat.structures(atoms, TWO)
    u = np.random.default_rng(0).normal(size=structure.positions.shape)
    u /= np.linalg.norm(u)
    values = lambda x: f(structure.with_positions(jnp.asarray(x)))  # noqa: E731
    exact = richardson_derivative(values, structure.positions, u, step=0.01)
    jacobian = np.asarray(jaxfeat.jacobian(f, structure))
    assert np.abs(np.einsum("fnx,nx->f", jacobian, u) - exact).max() < 1e-9 * np.abs(jacobian).max()
    each, norms = TWO.structure_jacobian_on_host(jax.tree.map(np.asarray, structure))
    assert np.abs(each.reshape(jacobian.shape) - jacobian).max() < 1e-14 * np.abs(jacobian).max()
    assert norms.shape == structure.neighbor.shape and (norms > 0).any(1).all()


def few(positions, numbers, senders, receivers, shifts, cell):
    """One feature of each atom."""
    return Network(R_CUT, width=1, seed=3)(positions, numbers, senders, receivers, shifts, cell)


def test_few_features_are_differentiated_in_reverse():
    f = jaxfeat.summed(jaxfeat.from_jax(few, r_cut=R_CUT, species=SPECIES))
    molecule, v = jaxfeat.structures(METHANE, TWO), np.random.default_rng(0).normal(size=(5, 3))
    call = lambda x: f(molecule.with_positions(x.reshape(5, 3)))  # noqa: E731
    x = molecule.positions.reshape(-1)
    assert reverse_is_faster(call, x)
    assert not reverse_is_faster(lambda x: jaxfeat.stacked(TWO)(molecule.with_positions(x.reshape(5, 3))), x)
    both = jax.jit(lambda x, v: [function_velocity(call, x, v, reverse=way) for way in (True, False)])
    backwards, forwards = both(x, v.reshape(-1))
    for one, other in zip(backwards, forwards, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-13)
    np.testing.assert_allclose(np.reshape(jaxfeat.jacobian(f, molecule), (2, 15)).T, forwards.by_direction, atol=1e-13)


def graph_of(atoms, **options):
    """Return the arguments with which a function is called."""
    seen = []

    def fn(*graph):
        jax.debug.callback(lambda *leaves: seen.append(leaves), *graph)
        return jnp.zeros((len(graph[0]), 1))

    f = jaxfeat.from_jax(fn, r_cut=R_CUT, **options)
    jax.jit(lambda s: f.structure_features(s))(jaxfeat.structures(atoms, R_CUT + 2.0)).block_until_ready()
    jax.effects_barrier()
    return [np.asarray(leaf) for leaf in seen[-1]]


@pytest.mark.parametrize("atoms", [LONG, CRYSTAL], ids=["molecule", "crystal"])
def test_edges_are_the_pairs_within_the_cutoff_and_padding_is_harmless(atoms):
    positions, numbers, senders, receivers, shifts, cell = graph_of(atoms)
    n = len(positions) - N_PADDING
    assert n == len(atoms) and numbers.tolist() == [*atoms.numbers, *[0] * N_PADDING]
    vectors = positions[receivers] + shifts @ cell - positions[senders]
    lengths = np.linalg.norm(vectors, axis=1)
    real = senders < n
    assert (receivers < n).tolist() == real.tolist() and 0 < real.sum() < len(senders)
    assert (senders[~real] == n).all() and (receivers[~real] == n + 1).all()
    np.testing.assert_allclose(lengths[~real], 2 * R_CUT)
    expected = jaxfeat.environments(atoms, R_CUT)
    assert np.bincount(senders[real], minlength=n).tolist() == np.asarray(expected.n_neighbors).tolist()
    listed = np.linalg.norm(np.asarray(expected.positions), axis=-1)[np.asarray(expected.mask)]
    np.testing.assert_allclose(np.sort(lengths[real]), np.sort(listed), rtol=1e-13)


def test_room_for_few_edges_is_enough_or_said_not_to_be():
    most = int(np.asarray(jaxfeat.environments(CRYSTAL, R_CUT).n_neighbors).max())
    structure = jaxfeat.structures(CRYSTAL, TWO)
    assert structure.neighbor.shape[1] > most
    build = lambda room: jaxfeat.from_jax(TWO.fn, r_cut=R_CUT, n_layers=2, max_degree=room)  # noqa: E731
    assert len(graph_of(CRYSTAL, max_degree=most)[2]) == 2 * most
    np.testing.assert_allclose(jaxfeat.stacked(build(most))(structure), jaxfeat.stacked(TWO)(structure), rtol=1e-13)
    short = jaxfeat.stacked(build(most - 1))
    assert np.isnan(short(structure)).all()
    assert str(jaxfeat.singular_spectrum(short, structure).status) == "non-finite"


def test_contributions_that_cancel_are_no_signal():
    """In rock salt all derivatives vanish by symmetry, and rounding errors are all that is left of them."""
    salt = Atoms("CH", [[0, 0, 0], [1.4, 1.4, 1.4]], cell=1.4 * (1 - np.eye(3)), pbc=True)
    structure = jaxfeat.structures(salt, TWO)
    compiled = jax.jit(lambda f, at: jaxfeat.singular_spectrum(f, at, directions=False))
    for spectrum in (jaxfeat.singular_spectrum, compiled):
        found = spectrum(jaxfeat.stacked(TWO), structure)
        assert str(found.status) == "no-signal" and found.values[0] < found.floor < 1e-11
    null = jaxfeat.null_space(jaxfeat.stacked(TWO), structure)
    assert null.counts["symmetry"] == 3 and null.counts["rigid"] == 3


def test_it_works_in_jit_and_vmap():
    around = jaxfeat.environments(METHANE, ONE)
    found = jax.jit(jax.vmap(lambda env: jaxfeat.singular_spectrum(ONE, env, directions=False).values))(around)
    np.testing.assert_allclose(found, jaxfeat.singular_spectrum(ONE, around).values, atol=1e-13)
    # Parameters are leaves.
    loss = eqx.filter_jit(eqx.filter_grad(lambda f: jnp.sum(f(around) ** 2)))
    slopes = loss(eqx.tree_at(lambda f: f.fn.embedding, ONE, jnp.asarray(ONE.fn.embedding)))
    assert np.abs(slopes.fn.embedding[1]).max() > 0 and not np.asarray(slopes.fn.embedding[2]).any()


def test_a_singular_point_is_found_and_inverted():
    """All atoms of the molecule together are blind to first order where it is planar."""
    f = jaxfeat.stacked(ONE)
    start = Atoms("CHHH", [[0.0, 0.1, 0.08], [1.1, 0, 0.0], [-0.5, 0.9, 0.02], [-0.6, -1.0, -0.03]])
    structures = jaxfeat.structures([start], ONE)
    found = jaxfeat.find_singular_points(f, structures)
    assert found.landed.all() and found.sigma_ratio[0] < 1e-13, found
    flat = found.positions[0] - found.positions[0].mean(0)
    assert np.linalg.svd(flat, compute_uv=False)[2] < 1e-12
    assert found.counts("symmetry")[0] == 1 and found.dimension[0] == 5
    back = jaxfeat.invert(f, f(structures), structures.with_positions(structures.positions * 1.02))
    assert back.recovered.all() and back.distance(structures)[0] < 1e-10


def test_what_cannot_be_described_is_refused():
    fn = TWO.fn
    for wrong, message in (
        ({"r_cut": 0.0}, "r_cut is 0.0"),
        ({"r_cut": 2.0, "n_layers": 0}, "n_layers is 0"),
        ({"r_cut": 2.0, "nu": 0}, "nu is 0"),
        ({"r_cut": 2.0, "max_degree": 0}, "max_degree is 0"),
        ({"r_cut": 2.0, "group": "O2"}, "group is 'O2'"),
        ({"r_cut": 2.0, "key": " "}, "key is ' '"),
    ):
        with pytest.raises(BasisError, match=message):
            jaxfeat.from_jax(fn, **wrong)
    with pytest.raises(GeometryError, match=r"cut at 2\.5 Å, and r_cut of the featurizer is 5 Å"):
        TWO(jaxfeat.environments(METHANE, R_CUT))
    with pytest.raises(BasisError, match="one row of 3 features"):
        jaxfeat.from_jax(fn, r_cut=R_CUT, labels=3)(jaxfeat.environments(METHANE, R_CUT))
    structure = jaxfeat.structures(METHANE, TWO)
    some = eqx.tree_at(lambda s: s.center_mask, structure, structure.center_mask.at[2].set(False))
    with pytest.raises(GeometryError, match="not every atom is a center"):
        jaxfeat.stacked(TWO)(some)
    assert np.isnan(jax.jit(lambda s: jaxfeat.stacked(TWO)(s))(some)).any()


def test_reprs_and_identities():
    assert repr(TWO) == "JaxFeaturizer(Network, 2 layers of 2.5 Å, ν = None, O3)"
    named = jaxfeat.from_jax(few, r_cut=R_CUT, nu=1, labels=["a"], key="few")
    assert repr(named) == "JaxFeaturizer(few, 1 layer of 2.5 Å, ν = 1, O3, 1 feature)"
    assert named.labels == (("a",),) and named.r_cut == R_CUT
    texts = [write_identity(jaxfeat.from_jax(few, r_cut=r, key=key)) for r, key in ((2, "a"), (2.1, "a"), (2, "b"))]
    assert len(set(texts)) == 3 and write_identity(TWO) is None
