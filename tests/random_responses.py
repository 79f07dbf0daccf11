"""Random smooth functions of ν-tuples of neighbors, with their derivatives along straight lines, written down term by
term. They respond as a complete basis of order ν does, and know nothing of symmetry."""

import itertools

import numpy as np


def lines_of_tuples(vectors, moves, nu, pseudoscalars=False):
    """Expand the invariants of all ordered ν-tuples of vectors `(n, 3)` along displacements `(k, n, 3)`: the values
    `(t, g)`, and the first and second derivatives `(k, t, g)`."""
    tuples = np.array(list(itertools.product(range(len(vectors)), repeat=nu)))
    r, u = vectors[tuples], moves[:, tuples]
    value, slope, bend = [], [], []
    for a, b in itertools.combinations_with_replacement(range(nu), 2):
        value.append((r[:, a] * r[:, b]).sum(-1))
        slope.append((r[:, a] * u[:, :, b]).sum(-1) + (u[:, :, a] * r[:, b]).sum(-1))
        bend.append(2 * (u[:, :, a] * u[:, :, b]).sum(-1))
    for slots in itertools.combinations(range(nu), 3) if pseudoscalars else []:
        x, v = r[:, slots], u[:, :, slots]
        along = np.broadcast_to(x, v.shape)
        changed = [
            np.where(np.isin(range(3), chosen)[:, None], v, along) for chosen in [[0], [1], [2], [1, 2], [0, 2], [0, 1]]
        ]
        determinants = [np.linalg.det(rows) for rows in changed]
        value.append(np.linalg.det(x))
        slope.append(sum(determinants[:3]))
        bend.append(2 * sum(determinants[3:]))
    return tuple(np.stack(part, -1) for part in (value, slope, bend))


def random_functions(vectors, kinds, moves, nu, number, seed, pseudoscalars=False):
    """Sum random cosines of the invariants over all tuples, each with a random weight for the tuple's kinds. Return
    `number` values, and their first and second derivatives `(k, number)` along displacements."""
    rng = np.random.default_rng(seed)
    value, slope, bend = lines_of_tuples(vectors, moves, nu, pseudoscalars)
    weights = rng.normal(size=(number, value.shape[1]))
    of_kinds = rng.normal(size=(number, nu, max(kinds) + 1))
    tuples = np.array(list(itertools.product(kinds, repeat=nu)))
    # Tuples enter in every order, so the weights need no symmetry.
    factor = np.prod([of_kinds[:, s, tuples[:, s]] for s in range(nu)], 0)
    phase = value @ weights.T + rng.uniform(0, 2 * np.pi, number)
    first, second = slope @ weights.T, bend @ weights.T
    values = np.einsum("mt,tm->m", factor, np.cos(phase))
    slopes = -np.einsum("mt,tm,ktm->km", factor, np.sin(phase), first)
    bends = -np.einsum("mt,tm,ktm->km", factor, np.cos(phase), first**2)
    bends -= np.einsum("mt,tm,ktm->km", factor, np.sin(phase), second)
    return values, slopes, bends


def rank(rows):
    """Count the singular values above 1e-9 of the largest, and check that no other is near."""
    values = np.linalg.svd(rows, compute_uv=False)
    values /= values[0]
    assert not ((values > 1e-12) & (values < 1e-7)).any(), values
    return int((values > 1e-9).sum())
