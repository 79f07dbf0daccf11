"""The complete-basis kernel: theory's table and families, and slow independent answers."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ase import Atoms
from null_cases import OCTAHEDRON, PAIR, TETRAHEDRON, coincident, on_locus, pair_positions, rotated
from reference_nulls import edge_kernel
from reference_nulls import kernel as reference_kernel

from jaxfeat import stabilizer, structures
from jaxfeat.errors import BasisError, GeometryError, PrecisionError, SizeError
from jaxfeat.geometry.environment import Environment
from jaxfeat.nulls.kernel import complete_kernel, kernel_of_edges, summed_edges

ORDERS = [(1, False), (2, False), (3, False), (3, True), (4, False)]


def ring_pair(r, azimuths, psi, z1, z2):
    p = np.asarray(azimuths)
    upper = np.stack([r * np.cos(p), r * np.sin(p), np.full(3, z1)], axis=1)
    lower = np.stack([r * np.cos(p + psi), r * np.sin(p + psi), np.full(3, -z1)], axis=1)
    return np.concatenate([upper, lower, [(0, 0, z2)]])


def environment(positions, species=None):
    return Environment.from_neighbors(positions, ["H"] * len(positions) if species is None else species)


def nullities(positions, species=None, orders=ORDERS):
    kernels = [complete_kernel(environment(positions, species), nu, p) for nu, p in orders]
    assert all(k.gap[0] < 1e-10 and k.gap[1] > 1e-4 for k in kernels), [k.gap for k in kernels]
    return tuple(k.nullity for k in kernels)


def rigid(positions):
    """Infinitesimal rotations about the center, (3, 3n); dependent for collinear neighbors."""
    return np.stack([np.cross(axis, positions).ravel() for axis in np.eye(3)])


def outside(vectors, basis):
    """The largest part of unit-scale rows `vectors` outside the span of orthonormal rows `basis`."""
    return np.abs(vectors - vectors @ basis.T @ basis).max(initial=0.0)


# --- the table and the families of theory.md ---


@pytest.mark.parametrize("seed", range(2))
def test_table(seed):
    rng = np.random.default_rng(seed)
    assert nullities(rng.normal(size=(4, 3))) == (8, 3, 3, 3, 3)
    planar = rotated(rng.normal(size=(4, 3)) * [1, 1, 0], rng)
    assert nullities(planar) == (8, 5, 5, 3, 5)
    assert nullities(rotated(rng.uniform(0.5, 2) * TETRAHEDRON, rng)) == (11, 11, 11, 11, 11)
    assert nullities(rotated(rng.uniform(0.5, 2) * OCTAHEDRON, rng)) == (17, 17, 17, 17, 17)
    line = rotated(np.outer([rng.uniform(0.5, 1), -rng.uniform(1.1, 2)], [0, 0, 1]), rng)
    assert nullities(line) == (4, 4, 4, 4, 4)


@pytest.mark.parametrize("seed", range(2))
def test_pair_family(seed):
    rng = np.random.default_rng(seed)
    parameters = np.array(PAIR) if seed == 0 else rng.uniform(0.3, 1.2, 7) * rng.choice([-1, 1], 7)
    assert nullities(rotated(pair_positions(*parameters), rng))[:3] == (9, 3, 3)
    for coalesced in (1, 3, 4, 6):
        member = parameters.copy()
        member[coalesced] = 0
        positions = rotated(pair_positions(*member), rng)
        assert nullities(positions) == (9, 4, 3, 3, 3)
        assert stabilizer(environment(positions)).symbol == "C1"
        # Only the second and third must be alike.
        assert nullities(positions, ["F", "H", "H", "O"])[1:] == (4, 3, 3, 3)


@pytest.mark.parametrize("seed", range(2))
def test_isosceles_ring_pairs(seed):
    rng = np.random.default_rng(seed)
    r, a, psi, z1, z2 = (1.2, 1.1, 0.6, 0.7, 1.3) if seed == 0 else rng.uniform(0.5, 1.4, 5)
    positions = ring_pair(r, (0, a, -a), psi, z1, z2)
    assert nullities(rotated(positions, rng)) == (19, 9, 4, 4, 3)
    assert stabilizer(environment(positions)).symbol == "C1"


def test_six_digits_are_enough_beside_a_singular_point():
    """The exact point next to the quasi-constant methane manifold, rounded: equal within the rounding is merged."""
    positions = np.array(
        [
            (-0.487769, -0.041057, 0.974419),
            (0.747395, -0.586838, -0.532971),
            (0.784215, 0.602362, 0.456900),
            (-0.696015, 0.835322, 0.069546),
        ]
    )
    kernel = complete_kernel(environment(positions), 2)
    assert kernel.nullity == 4
    assert 1e-10 < kernel.gap[0] < 1e-6 < 1e-2 < kernel.gap[1]
    assert 0 < kernel.spread < 1 < 10 < kernel.clearance
    strict = complete_kernel(environment(positions), 2, tolerance=1e-8)
    assert strict.nullity == 3
    assert strict.clearance < 100


# --- against independent answers ---


@pytest.mark.parametrize("seed", range(12))
def test_kernels_are_those_of_all_tuples_compared_one_by_one(seed):
    """Seeds 0 to 11 meet each kind of coincidence with one and with two species."""
    positions, species = coincident(seed, most=5)
    for nu, pseudoscalars in ORDERS[: 5 if len(positions) <= 3 else 4]:
        kernel = complete_kernel(environment(positions, species), nu, pseudoscalars)
        slow = reference_kernel(positions, species, nu, pseudoscalars)
        assert kernel.nullity == len(slow)
        assert outside(slow, kernel.rows) < 1e-9


@pytest.mark.parametrize(
    ("positions", "nu", "pseudoscalars"),
    [
        (pair_positions(*PAIR), 2, False),
        (pair_positions(*on_locus(6)), 2, False),
        (pair_positions(*on_locus(6)), 3, False),
        (np.random.default_rng(1).normal(size=(4, 3)) * [1, 1, 0], 3, False),
        (np.random.default_rng(1).normal(size=(4, 3)) * [1, 1, 0], 3, True),
        (TETRAHEDRON, 3, True),
    ],
)
def test_random_functions_of_the_values_see_all_the_rest(positions, nu, pseudoscalars):
    """Sums over tuples of random waves in g are as good a basis as any: J has exactly this null space."""
    rng = np.random.default_rng(0)
    tuples = np.array(list(itertools.product(range(len(positions)), repeat=nu)))
    pairs = list(itertools.combinations_with_replacement(range(nu), 2))
    n_values = len(pairs) + pseudoscalars
    waves, phases = rng.normal(size=(300, n_values)), rng.uniform(0, 2 * np.pi, 300)

    def features(x):
        slots = [x[tuples[:, s]] for s in range(nu)]
        values = [jnp.sum(slots[a] * slots[b], -1) for a, b in pairs]
        if pseudoscalars:
            values.append(jnp.sum(slots[0] * jnp.cross(slots[1], slots[2]), -1))
        return jnp.cos(jnp.stack(values, -1) @ waves.T + phases[None]).sum(0)

    jacobian = np.asarray(jax.jit(jax.jacfwd(features))(jnp.asarray(positions))).reshape(300, -1)
    kernel = complete_kernel(environment(positions), nu, pseudoscalars)
    s = np.linalg.svd(jacobian, compute_uv=False)
    assert np.abs(jacobian @ kernel.rows.T).max() < 1e-11 * s[0]
    assert s[-kernel.nullity - 1] > 1e-4 * s[0]


# --- what must hold of any kernel ---


@pytest.mark.parametrize("seed", range(4))
def test_filtration_is_nested(seed):
    positions, species = coincident(seed, most=5)
    env = environment(positions, species)
    previous = np.eye(3 * len(positions))
    for nu in (1, 2, 3, 4):
        kernel = complete_kernel(env, nu)
        np.testing.assert_allclose(kernel.rows @ kernel.rows.T, np.eye(kernel.nullity), atol=1e-12)
        assert outside(kernel.rows, previous) < 1e-9
        assert outside(rigid(positions), kernel.rows) < 1e-9
        assert outside(complete_kernel(env, nu, pseudoscalars=True).rows, kernel.rows) < 1e-9
        previous = kernel.rows


def rotary_reflections(x, y, z):
    """Orbit of a point under S4."""
    return np.array([(x, y, z), (-x, -y, z), (y, -x, -z), (-y, x, -z)])


SYMMETRIC = {
    "Td": (TETRAHEDRON, None),
    "C3v": (TETRAHEDRON, ["F", "H", "H", "H"]),
    "Oh": (OCTAHEDRON, None),
    "C4v": (OCTAHEDRON, ["F", "H", "H", "H", "H", "H"]),
    "D2d": (TETRAHEDRON * [1, 1, 1.3], None),
    "D3d": (OCTAHEDRON + 0.1 * np.sign(OCTAHEDRON.sum(1))[:, None], None),
    "D2h": (np.array([(x, y, 0) for x in (0.9, -0.9) for y in (1.2, -1.2)]), None),
    "C2": (np.array([(0.3, 0.8, 0.5), (-0.3, -0.8, 0.5), (0.9, -0.2, -0.6), (-0.9, 0.2, -0.6)]), None),
    "S4": (np.concatenate([rotary_reflections(0.3, 0.8, 0.5), rotary_reflections(1.1, 0.4, -0.2)]), None),
    "Cs": (np.array([(0.3, 0.8, 0.5), (0.3, 0.8, -0.5), (0.9, -0.2, 0), (-0.6, -0.7, 0)]), None),
    "Ci": (np.kron([[1], [-1]], [(0.3, 0.8, 0.5), (0.9, -0.2, 0.4), (-0.1, 0.7, -1.0)]), None),
    "D*h": (np.array([(0, 0, 1.2), (0, 0, -1.2)]), None),
    "C*v": (np.array([(0, 0, 1.2), (0, 0, -1.2)]), ["H", "F"]),
}


@pytest.mark.parametrize("symbol", SYMMETRIC)
def test_complete_invariants_are_blind_to_symmetry_alone(symbol):
    """The slice theorem: rigid motions and the complement of Fix(S) are all that order 4 does not see."""
    positions, species = SYMMETRIC[symbol]
    env = environment(positions, species)
    assert stabilizer(env).symbol == symbol
    for group, pseudoscalars in (("O3", False), ("SO3", True)):
        complement = np.eye(3 * len(positions)) - stabilizer(env, group=group).fixed_projector()
        both = np.concatenate([complement, rigid(positions)])
        kernel = complete_kernel(env, 4, pseudoscalars)
        assert outside(both, kernel.rows) < 1e-9
        assert np.linalg.matrix_rank(both, tol=1e-8) == kernel.nullity


@pytest.mark.parametrize("symbol", SYMMETRIC)
def test_agrees_with_the_stabilizer_of_the_same_tolerance(symbol):
    """Noise below the tolerance parts equal values and lifts zeros, and changes neither answer."""
    positions, species = SYMMETRIC[symbol]
    exact = environment(positions, species)
    noise = np.random.default_rng(0).normal(size=positions.shape)
    noise *= 2e-6 / np.linalg.norm(noise, axis=1, keepdims=True)
    noisy = environment(positions + noise, species)
    assert stabilizer(noisy, tolerance=1e-5).symbol == stabilizer(exact).symbol
    for nu, pseudoscalars in ORDERS:
        kernel = complete_kernel(noisy, nu, pseudoscalars, tolerance=1e-5)
        assert kernel.nullity == complete_kernel(exact, nu, pseudoscalars).nullity
        assert kernel.gap[0] < 1e-5 < 1e-2 < kernel.gap[1]


def test_answer_is_independent_of_labels_units_and_orientation():
    rng = np.random.default_rng(2)
    positions = ring_pair(1.2, (0, 1.1, -1.1), 0.6, 0.7, 1.3)
    kernel = complete_kernel(environment(positions), 3, True)
    shuffle = rng.permutation(7)
    shuffled = complete_kernel(environment(positions[shuffle]), 3, True)
    assert shuffled.n_clusters == kernel.n_clusters
    assert outside(shuffled.directions[:, np.argsort(shuffle)].reshape(4, -1), kernel.rows) < 1e-9
    large = complete_kernel(environment(8 * positions), 3, True, tolerance=8e-5)
    np.testing.assert_allclose(large.singular_values, kernel.singular_values, atol=1e-12)
    assert large.clearance == pytest.approx(kernel.clearance)
    orthogonal = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    turned = complete_kernel(environment(positions @ orthogonal), 3, True)
    assert outside((turned.directions @ orthogonal.T).reshape(4, -1), kernel.rows) < 1e-9


def test_padding_is_left_out():
    env = environment(pair_positions(*on_locus(6)))
    padded = complete_kernel(env.padded(9), 2)
    assert padded.directions.shape == (4, 4, 3)
    np.testing.assert_array_equal(padded.directions, complete_kernel(env, 2).directions)


def test_few_neighbors():
    empty = complete_kernel(environment(np.zeros((0, 3))), 2)
    assert (empty.nullity, empty.directions.shape) == (0, (0, 0, 3))
    single = complete_kernel(environment(np.array([(0.3, 0.4, 1.2)])), 3)
    assert single.nullity == 2
    assert np.abs(single.directions[:, 0] @ [0.3, 0.4, 1.2]).max() < 1e-14


def test_thirty_neighbors():
    rng = np.random.default_rng(0)
    half = rng.normal(size=(15, 3)) * 2
    mirrored = np.concatenate([half, half * [1, 1, -1]])
    for pseudoscalars, nullity in ((False, 3 + 45 - 2), (True, 3)):
        # 45 antisymmetric displacements; of the rotations only the one about the normal is symmetric.
        kernel = complete_kernel(environment(mirrored), 3, pseudoscalars)
        assert kernel.nullity == nullity
        assert kernel.gap[0] < 1e-13 < 1e-2 < kernel.gap[1]


# --- structures ---


def summed_kernel(vectors, centers, neighbors, species, nu, pseudoscalars=False):
    return kernel_of_edges(summed_edges(vectors, centers, neighbors, np.asarray(species)), nu, pseudoscalars, 1e-5)


def all_edges(positions, r_cut=np.inf):
    tails, heads = np.nonzero(
        (np.linalg.norm(positions[:, None] - positions, axis=-1) < r_cut) & ~np.eye(len(positions), dtype=bool)
    )
    return positions[heads] - positions[tails], tails, heads


@pytest.mark.parametrize(
    ("positions", "species", "n_seen"),
    [
        # Symmetric stretch and bend; breathing; three of CHF3; all vibrations of a molecule without symmetry.
        ([(0, 0, 0), (0, 0.76, 0.59), (0, -0.76, 0.59)], ["O", "H", "H"], 2),
        ([(0, 0, 0), *TETRAHEDRON], ["C", "H", "H", "H", "H"], 1),
        ([(0, 0, 0), *TETRAHEDRON], ["C", "F", "H", "H", "H"], 3),
        (np.random.default_rng(0).normal(size=(5, 3)), ["H"] * 5, 9),
    ],
)
def test_summed_features_see_totally_symmetric_vibrations(positions, species, n_seen):
    positions = np.asarray(positions, float)
    size = positions.size
    kernel = summed_kernel(*all_edges(positions), species, 3)
    assert kernel.nullity == size - n_seen
    centered = positions - positions.mean(0)
    motions = np.concatenate([rigid(centered), np.tile(np.eye(3), len(positions))])
    complement = np.eye(size) - stabilizer(structures(Atoms(species, positions), 9.0)).fixed_projector()
    assert outside(np.concatenate([motions, complement]), kernel.rows) < 1e-9
    assert np.linalg.matrix_rank(np.concatenate([motions, complement]), tol=1e-8) == kernel.nullity


@pytest.mark.parametrize("seed", range(6))
def test_summed_kernels_are_those_of_all_tuples_compared_one_by_one(seed):
    rng = np.random.default_rng(seed)
    positions = [
        np.array([(0, 0, 0), (0, 0.76, 0.59), (0, -0.76, 0.59)]),
        np.concatenate([np.zeros((1, 3)), TETRAHEDRON]),
        rng.normal(size=(4, 3)) * [1, 1, 0],
    ][seed % 3]
    n = len(positions)
    species = rng.choice(["H", "O"], n).tolist() if seed < 3 else ["H"] * n
    vectors, tails, heads = all_edges(positions, r_cut=1.5)
    kinds = [(species[i], species[j]) for i, j in zip(tails, heads, strict=True)]
    for nu, pseudoscalars in ORDERS[:4]:
        kernel = summed_kernel(vectors, tails, heads, species, nu, pseudoscalars)
        slow = edge_kernel(vectors, tails, heads, tails, kinds, n, nu, pseudoscalars)
        assert kernel.nullity == len(slow)
        assert outside(slow, kernel.rows) < 1e-9


def test_crystals():
    """CsCl: forces vanish by symmetry, and so does every differential."""
    corners = np.array(list(itertools.product([0.5, -0.5], repeat=3)))
    vectors = 3.0 * np.concatenate([corners, corners, np.eye(3), -np.eye(3), np.eye(3), -np.eye(3)])
    tails = np.repeat([0, 1, 0, 1], [8, 8, 6, 6])
    heads = np.repeat([1, 0, 0, 1], [8, 8, 6, 6])
    for nu, pseudoscalars in ORDERS[:3]:
        assert summed_kernel(vectors, tails, heads, ["Cs", "Cl"], nu, pseudoscalars).nullity == 6
    # Shifted along the axis, the second atom is seen along the axis; across it by symmetry not. Translations never are.
    shifted = vectors + 0.2 * (heads - tails)[:, None] * np.array([0.0, 0.0, 1.0])
    kernel = summed_kernel(shifted, tails, heads, ["Cs", "Cl"], 3)
    assert kernel.nullity == 5
    assert outside(np.tile(np.eye(3), 2) / np.sqrt(2), kernel.rows) < 1e-12


def test_structure_without_edges_is_free():
    kernel = summed_kernel(np.zeros((0, 3)), np.zeros(0, int), np.zeros(0, int), ["H", "H"], 2)
    assert (kernel.nullity, kernel.directions.shape) == (6, (6, 2, 3))


# --- refusals ---


@pytest.mark.parametrize("nu", [0, 5, -1, 2.0])
def test_refuses_body_orders(nu):
    with pytest.raises(BasisError, match="1 to 4"):
        complete_kernel(environment(TETRAHEDRON), nu)


def test_refuses_what_it_cannot_answer():
    env = environment(TETRAHEDRON)
    with pytest.raises(PrecisionError, match="float64"):
        complete_kernel(env.with_positions(env.positions.astype(jnp.float32)), 2)
    with pytest.raises(GeometryError, match="not finite"):
        complete_kernel(env.with_positions(env.positions.at[2, 1].set(jnp.nan)), 2)
    with pytest.raises(GeometryError, match="batch"):
        complete_kernel(Environment.stack([env, env]), 2)
    with pytest.raises(GeometryError, match="positive"):
        complete_kernel(env, 2, tolerance=0.0)
    crowd = environment(np.random.default_rng(0).normal(size=(50, 3)))
    with pytest.raises(SizeError, match=r"50 neighbors and nu = 3 .* 46 neighbors"):
        complete_kernel(crowd, 3)
