"""Null directions by cause, computed slowly and independently of the package but for the features themselves.

Every subspace is the null space of a matrix that is written down term by term. Features of as many neighbors at a time
as there are miss rigid and symmetric displacements only (the slice theorem), so no stabilizer is looked for.
"""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

CAUSES = ("rigid", "symmetry", "incompleteness", "truncation")


def null_rows(matrix, relative=1e-9):
    """Compute an orthonormal basis of the null space, in rows."""
    _, s, vt = np.linalg.svd(matrix)
    return vt[int(np.sum(s > relative * s.max(initial=0))) :]


def kernel(positions, species, nu, pseudoscalars):
    """N_ν of neighbors about a fixed center, `(k, 3 n)`."""
    n = len(positions)
    return edge_kernel(positions, [0] * n, range(n), [-1] * n, species, n, nu, pseudoscalars)


def edge_kernel(vectors, centers, heads, tails, kinds, n, nu, pseudoscalars):
    """N_ν of n atoms from all ordered tuples of edges of one center, which lead from atoms `tails` (-1: fixed) to
    `heads`. Values that agree to 1e-7 are equal, and their differentials are added."""
    groups = []
    for center in set(centers):
        edges = [e for e in range(len(vectors)) if centers[e] == center]
        for t in itertools.product(edges, repeat=nu):
            value, gradients = [], []
            for a, b in itertools.combinations_with_replacement(range(nu), 2):
                value.append(vectors[t[a]] @ vectors[t[b]])
                gradients.append([(t[a], vectors[t[b]]), (t[b], vectors[t[a]])])
            for a, b, c in itertools.combinations(range(nu), 3) if pseudoscalars else []:
                x, y, z = vectors[[t[a], t[b], t[c]]]
                value.append(x @ np.cross(y, z))
                gradients.append([(t[a], np.cross(y, z)), (t[b], np.cross(z, x)), (t[c], np.cross(x, y))])
            slopes = np.zeros((len(value), n, 3))
            for row, terms in enumerate(gradients):
                for edge, gradient in terms:
                    slopes[row, heads[edge]] += gradient
                    if tails[edge] >= 0:
                        slopes[row, tails[edge]] -= gradient
            kind = [kinds[e] for e in t]
            for group in groups:
                if group[0] == kind and np.abs(group[1] - value).max() < 1e-7:
                    group[2] += slopes
                    break
            else:
                groups.append([kind, np.array(value), slopes])
    return null_rows(np.concatenate([group[2].reshape(-1, 3 * n) for group in groups]))


@eqx.filter_jit
def _differentiated(f, env):
    return jax.jacfwd(lambda x: f.features(env.with_positions(x)))(env.positions)


def jacobian_null(f, env):
    """Compute the null space of J by differentiating all features and dividing columns by their norms."""
    matrix = np.asarray(_differentiated(f, env))[:, np.asarray(env.mask)]
    norms = np.sqrt((matrix**2).sum((0, 2)))
    rows = null_rows((matrix / norms[:, None]).reshape(len(matrix), -1), 1e-11)
    return np.linalg.qr((rows.reshape(len(rows), -1, 3) / norms[:, None]).reshape(rows.shape).T)[0].T


def rigid(positions):
    turns = np.stack([np.cross(axis, positions).ravel() for axis in np.eye(3)])
    return np.linalg.svd(turns, full_matrices=False)[2][: np.linalg.matrix_rank(turns, tol=1e-9)]


def null_counts(f, env):
    """Count the null directions of each cause, for an environment of up to 4 neighbors."""
    present = np.asarray(env.mask)
    positions, species = np.asarray(env.positions)[present], np.asarray(env.species)[present].tolist()
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
    return dict(zip(CAUSES, np.diff([0, *sizes]).tolist(), strict=True))


def rotations_about_origin(x):
    return jnp.stack([jnp.cross(jnp.broadcast_to(axis, x.shape), x).ravel() for axis in np.eye(3)])


def polished(f, env, steps=12):
    """Move `env` to the singular point nearby: Gauss-Newton on [J v; v·v - 1; Q_rigidᵀ v] = 0 for positions and v."""
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
