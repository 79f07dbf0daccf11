"""The cases of the proof in docs/codimension, checked on environments with integer coordinates.

Integer points near the center are full of coincidences. They are exact real environments, and their null directions are
computed modulo the prime 2^31 - 1. `case` finds the case of the proof that covers a change E of the dot products, and
asserts each statement that the proof makes there.
"""

from itertools import product

import numpy as np
from finite_field import class_rows, gram_rows, values

PRIME = 2**31 - 1
FAR = 2**20  # larger than all squares of distances: values become numbers without collisions


def reduce(matrix):
    """Bring a matrix to reduced row echelon form modulo the prime. Return its nonzero rows and their pivot columns."""
    rest, pivots = np.array(matrix, np.int64) % PRIME, []
    for column in range(rest.shape[1]):
        below = np.flatnonzero(rest[len(pivots) :, column])
        if not len(below):
            continue
        k = len(pivots)
        rest[[k, k + below[0]]] = rest[[k + below[0], k]]
        rest[k] = rest[k] * pow(int(rest[k, column]), -1, PRIME) % PRIME
        others = np.arange(len(rest)) != k
        rest[others] = (rest[others] - rest[others, column, None] * rest[k]) % PRIME
        pivots.append(column)
    return rest[: len(pivots)], pivots


def rank(matrix):
    return len(reduce(matrix)[1])


def null_rows(matrix):
    """Return a basis of the null space as rows."""
    rows, pivots = reduce(matrix)
    free = [k for k in range(rows.shape[1]) if k not in pivots]
    found = np.zeros((len(free), rows.shape[1]), np.int64)
    found[:, free] = np.eye(len(free), dtype=np.int64)
    found[:, pivots] = -rows[:, free].T % PRIME
    return found


def change(x, u):
    """Compute the change E of the dot products along u."""
    moved = u @ x.T % PRIME
    return (moved + moved.T) % PRIME


def changes(x, key, still, rng):
    """Draw a null direction of ν = 2 that keeps the dot products of the neighbors `still`. Return its E."""
    n = len(x)
    rows = class_rows(x[None], (key[:, :, None, None] == key)[None])[0]
    i, j = np.triu_indices(n)
    kept = gram_rows(x[None])[0][np.isin(i, still) | np.isin(j, still)]
    basis = null_rows(np.concatenate([rows, kept]))
    weights = rng.integers(0, PRIME, (len(basis), 1))
    return change(x, (weights * basis % PRIME).sum(0).reshape(n, 3) % PRIME)


def case(x, key, e):
    """Name the case of the proof for a nonzero change E, and assert what the proof says there."""
    n, shell = len(x), np.diagonal(key)
    fixed = [k for k in range(n) if not e[k].any()]
    moving = [k for k in range(n) if e[k].any()]
    if rank(x) < 3:
        assert len(set(shell.tolist())) < n
        return "not in space"
    seen = np.flatnonzero(np.diagonal(e))
    if len(seen):
        for k in seen:
            for j in range(n):
                if shell[j] != shell[k]:
                    assert any(i != k and i in seen for i, _ in np.argwhere(key == key[k, j]))
        return "a distance changes"
    assert rank(x[fixed]) < 3 if fixed else True
    if fixed and rank(x[fixed]) == 2:
        return _plane(x, key, e, fixed, moving)
    return _shells(x, key, e, fixed, moving)


def _plane(x, key, e, fixed, moving):
    shell = np.diagonal(key)
    normal = next(v for v in (np.cross(x[a], x[b]) for a in fixed for b in fixed) if v.any())
    height = x @ normal
    inside, above = [k for k in moving if not height[k]], [k for k in moving if height[k]]
    plane = [k for k in range(len(x)) if not height[k]]
    assert set(above) == set(range(len(x))) - set(plane)
    assert e[np.ix_(inside, above)].all() and not e[np.ix_(inside, inside)].any() and not e[np.ix_(above, above)].any()
    for k, h in product(inside, above):
        partners = [{i, j} for i, j in np.argwhere(key == key[k, h]).tolist() if e[i, j]]
        assert any(pair != {k, h} for pair in partners)
    if set(shell[plane].tolist()) & set(shell[above].tolist()):
        return "T in a plane: a radius in the plane and above"
    if len(set(shell[plane].tolist())) < len(plane):
        return "T in a plane: two equal radii in the plane"
    for k, h in product(inside, above):
        members = [(i, j) for i, j in np.argwhere(key == key[k, h]).tolist() if e[i, j]]
        assert all(i == k for i, _ in members) and len(members) > 1
        assert len(inside) > 1 or not sum(height[j] for _, j in members)
    return "T in a plane: opposite heights" if len(inside) == 1 else "T in a plane: three conditions"


def components(key, e, moving):
    """Group moving neighbors whose shells hang together by nonzero entries of E. Tell which groups have no loop."""
    shell = np.diagonal(key)
    group = {k: {k} for k in moving}
    for a, b in product(moving, moving):
        if (shell[a] == shell[b] or e[a, b]) and group[a] is not group[b]:
            joined = group[a] | group[b]
            group.update(dict.fromkeys(joined, joined))
    groups = [sorted(members) for members in {id(g): g for g in group.values()}.values()]
    loops = [any(e[a, b] and shell[a] == shell[b] for a in g for b in g) for g in groups]
    return groups, loops


def _shells(x, key, e, fixed, moving):
    groups, loops = components(key, e, moving)
    for a, b in product(moving, moving):
        if e[a, b]:
            partners = [{i, j} for i, j in np.argwhere(key == key[a, b]).tolist() if e[i, j]]
            assert any(pair != {a, b} for pair in partners)
    free = [g for g, loop in zip(groups, loops, strict=True) if not loop and rank(x[g]) == 3]
    if not free or (len(free) == 1 and not fixed):
        return "T on a line: counted by shells"
    rest = [k for k in range(len(x)) if k not in free[0]]
    if rank(x[rest]) == 1:
        if len(rest) > 1:
            return "T on a line: all others on the line"
        _axis(x, key, e, rest[0], free[0])
        return "T is one neighbor"
    if rank(x[rest]) == 2:
        assert len(groups) > 1
        return "T on a line: all others in a plane"
    _cone(x, e, free, rest, fixed)
    return "T on a line: a cone"


def _axis(x, key, e, t, moving):
    """Check E_kl = (μ_k - μ_l) det(r_t, r_k, r_l) for some μ, and the two ways in which the sums can vanish."""
    if not np.cross(x[t], x[moving]).any(1).all():
        return
    volume = np.asarray([[x[t] @ np.cross(x[a], x[b]) for b in moving] for a in moving])
    a, b = np.triu_indices(len(moving), 1)
    design = np.zeros((len(a), len(moving) + 1), np.int64)
    rows = np.arange(len(a))
    design[rows, a], design[rows, b], design[:, -1] = volume[a, b], -volume[a, b], e[np.ix_(moving, moving)][a, b]
    assert rank(design) == rank(design[:, :-1])
    shell = np.diagonal(key)[moving]
    if not any(shell[i] == shell[j] and not volume[i, j] for i, j in zip(a, b, strict=True)):
        for i, j in np.argwhere(e[np.ix_(moving, moving)]):
            members = [(k, m) for k, m in np.argwhere(key == key[moving[i], moving[j]]).tolist() if t not in (k, m)]
            assert not sum(np.cross(x[k], x[m]) for k, m in members) @ x[t]


def _cone(x, e, free, rest, fixed):
    """Check E = 2 R S Rᵀ on one group and -2 R S Rᵀ on all others, with S of rank 2 or 3 that vanishes on T."""
    slots = [(0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2)]
    system = []
    for group, sign in ((free[0], 1), (rest, -1)):
        for a, b in product(group, group):
            forms = [sign * (x[a, i] * x[b, j] + (i != j) * x[a, j] * x[b, i]) for i, j in slots]
            system.append([*forms, e[a, b]])
    kernel = null_rows(np.asarray(system))
    assert len(kernel) == 1 and kernel[0, -1]
    form = np.zeros((3, 3), np.int64)
    for value, (i, j) in zip(kernel[0], slots, strict=False):
        form[i, j] = form[j, i] = value
    assert rank(form) >= 2 and not (form @ x[fixed].T % PRIME).any()
    assert not any(x[k] @ (form @ x[k] % PRIME) % PRIME for group in free for k in group)


def draw(n, reach, rng):
    """Draw neighbors with coordinates from -reach to reach. Some lie in a plane, and some are others, turned."""
    x = rng.integers(-reach, reach + 1, (n, 3))
    x[rng.random(n) < rng.choice([0.0, 0.5]), 2] = 0
    for k in range(1, n):
        if rng.random() < 0.4:
            x[k] = x[rng.integers(k)][rng.permutation(3)] * rng.choice([-1, 1], 3)
    return x[rng.permutation(n)]


def check_cases(n, reach, count, rng):
    """Count the cases of null directions that change dot products, among random environments."""
    found = {}
    for _ in range(count):
        x = draw(n, reach, rng)
        if not x.any(1).all() or len(np.unique(x, axis=0)) < n:
            continue
        key = values(x[None], FAR)[0]
        still = np.flatnonzero(rng.random(n) < rng.choice([0.0, 0.2, 0.5]))
        e = changes(x, key, still, rng)
        if e.any():
            name = case(x, key, e)
            found[name] = found.get(name, 0) + 1
    return found


def check_cone(count, rng):
    """Make environments of the last case: groups on the cone of S, three neighbors each, and one neighbor that S kills.

    S = yzᵀ + zyᵀ moves the first group by S r and the second by -S r.
    """
    form = np.asarray([[0, 0, 0], [0, 0, 1], [0, 1, 0]])
    for _ in range(count):
        a, b, c, d, e, f, g, h, t = rng.choice(np.arange(1, 30), 9, replace=False)
        x = np.asarray([[a, b, 0], [a, -b, 0], [c, 0, d], [e, 0, f], [e, 0, -f], [g, h, 0], [t, 0, 0]])
        key = values(x[None], FAR)[0]
        if len(set(np.diagonal(key).tolist())) < 5:
            continue
        u = np.repeat([1, -1], [3, 4])[:, None] * (x @ form)
        assert not (class_rows(x[None], (key[:, :, None, None] == key)[None])[0] @ u.ravel()).any()
        assert case(x, key, change(x, u)) == "T on a line: a cone"


def check_gauges(rng):
    """Check the dimensions behind three lemmas: which displacements leave which dot products alone."""
    for n_plane, n_rest in ((2, 1), (3, 2), (4, 3)):
        x = rng.integers(-99, 100, (n_plane + n_rest, 3))
        x[:n_plane, 2] = 0
        i, _ = np.triu_indices(len(x))
        assert 3 * len(x) - rank(gram_rows(x[None])[0][i < n_plane]) == 3 + n_rest
    for n_first, n_second in ((3, 3), (4, 3), (5, 4)):
        x = rng.integers(-99, 100, (n_first + n_second, 3))
        i, j = np.triu_indices(len(x))
        assert 3 * len(x) - rank(gram_rows(x[None])[0][(i < n_first) & (j >= n_first)]) == 9
