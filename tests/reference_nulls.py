"""Null directions by cause, the slow way: nothing here comes from the package but the features themselves.

Every subspace is the null space of a matrix that is written down without thinking. Complete invariants are those of
as many neighbors at a time as there are: by the slice theorem, what they do not see is rigid or symmetric. No
stabilizer is looked for.
"""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

CLASSES = ("rigid", "symmetry", "incompleteness", "truncation")


def null_rows(matrix, relative=1e-9):
    """An orthonormal basis of the null space, in rows."""
    _, s, vt = np.linalg.svd(matrix)
    return vt[int(np.sum(s > relative * s.max(initial=0))) :]


def kernel(positions, species, nu, pseudoscalars):
    """N_ν from all ordered tuples: values that agree to 1e-7 are one, and their differentials are added."""
    n = len(positions)
    keys, slopes = [], []
    for t in itertools.product(range(n), repeat=nu):
        x, value, slope = positions[list(t)], [], []
        for a, b in itertools.combinations_with_replacement(range(nu), 2):
            value.append(x[a] @ x[b])
            slope.append({a: x[b], b: x[a]} if a != b else {a: 2 * x[a]})
        for a, b, c in itertools.combinations(range(nu), 3) if pseudoscalars else []:
            value.append(x[a] @ np.cross(x[b], x[c]))
            slope.append({a: np.cross(x[b], x[c]), b: np.cross(x[c], x[a]), c: np.cross(x[a], x[b])})
        matrix = np.zeros((len(value), n, 3))
        for row, gradients in enumerate(slope):
            for slot, gradient in gradients.items():
                matrix[row, t[slot]] += gradient
        keys.append([1e3 * species[k] for k in t] + value)
        slopes.append(matrix.reshape(len(value), -1))
    keys, slopes, rows = np.array(keys), np.array(slopes), []
    left = np.arange(len(keys))
    while len(left):
        same = np.abs(keys[left] - keys[left[0]]).max(1) < 1e-7
        rows.append(slopes[left[same]].sum(0))
        left = left[~same]
    return null_rows(np.concatenate(rows))


@eqx.filter_jit
def _differentiated(f, env):
    return jax.jacfwd(lambda x: f.features(env.with_positions(x)))(env.positions)


def jacobian_null(f, env):
    """The null space of J, by differentiating the features as a whole and dividing columns by their norms."""
    matrix = np.asarray(_differentiated(f, env))[:, np.asarray(env.mask)]
    norms = np.sqrt((matrix**2).sum((0, 2)))
    rows = null_rows((matrix / norms[:, None]).reshape(len(matrix), -1), 1e-11)
    return np.linalg.qr((rows.reshape(len(rows), -1, 3) / norms[:, None]).reshape(rows.shape).T)[0].T


def rigid(positions):
    turns = np.stack([np.cross(axis, positions).ravel() for axis in np.eye(3)])
    return np.linalg.svd(turns, full_matrices=False)[2][: np.linalg.matrix_rank(turns, tol=1e-9)]


def null_counts(f, env):
    """How many null directions have each cause, for an environment of up to 4 neighbors."""
    present = np.asarray(env.mask)
    positions, species = np.asarray(env.positions)[present], np.asarray(env.species)[present]
    chiral = f.group == "SO3"
    chain = [
        rigid(positions),
        kernel(positions, species, max(len(positions), 3 if chiral else 1), chiral),
        kernel(positions, species, f.nu, chiral),
        jacobian_null(f, env),
    ]
    for small, large in itertools.pairwise(chain):
        assert np.abs(small - small @ large.T @ large).max(initial=0) < 1e-6
    sizes = [len(space) for space in chain]
    return dict(zip(CLASSES, np.diff([0, *sizes]).tolist(), strict=True))


def rotations_about_origin(x):
    return jnp.stack([jnp.cross(jnp.broadcast_to(axis, x.shape), x).ravel() for axis in np.eye(3)])


def polished(f, env, steps=12):
    """The singular point next to `env`: Gauss-Newton on [J v; v·v - 1; Q_rigidᵀ v] = 0 for positions and v."""
    start = jnp.ravel(env.positions)
    n = start.size
    slope = jax.jacfwd(lambda x: f.features(env.with_positions(x.reshape(-1, 3))))

    def residual(z):
        x, v = z[:n], z[n:]
        return jnp.concatenate([slope(x) @ v, jnp.stack([v @ v - 1]), rotations_about_origin(x.reshape(-1, 3)) @ v])

    step = jax.jit(lambda z: (residual(z), jax.jacfwd(residual)(z)))
    q = null_rows(np.asarray(rotations_about_origin(env.positions)))
    z = np.concatenate([start, np.linalg.svd(np.asarray(slope(start)) @ q.T)[2][-1] @ q])
    for _ in range(steps):
        r, a = step(jnp.asarray(z))
        z = z - np.linalg.lstsq(np.asarray(a), np.asarray(r), rcond=1e-12)[0]
    return env.with_positions(jnp.asarray(z[:n].reshape(-1, 3)))
