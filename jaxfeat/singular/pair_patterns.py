"""Strata of order 2 from coincidences: the relations that a null direction needs, and the direction itself.

Along a null direction the Gram matrix changes by E, whose sums over classes of equal pairs vanish. So E combines
integer *patterns*, such as +1 for one pair and -1 for another one. A symmetric E belongs to a displacement if and only
if w·E w' = 0 for any two linear relations w, w' of the neighbors. So the coefficients a of the patterns solve a linear
system Q a = 0, whose entries are polynomials in brackets (docs/strata, "All strata of order 2"). Its bordered minors
are the relations, its cofactors are a, and the displacement follows from E by dual vectors.
"""

from fractions import Fraction
from itertools import combinations, combinations_with_replacement
from math import factorial, prod

import numpy as np

from jaxfeat.linalg.subspaces import robust_svd
from jaxfeat.singular.conditions import Bracket, Condition, equal_products, independent, polynomial_value
from jaxfeat.singular.pair_classes import Pair, PairClasses
from jaxfeat.singular.polynomials import (
    Polynomial,
    add,
    as_terms,
    bracket,
    determinant,
    multiply,
    without_common_factors,
)
from jaxfeat.singular.stratum import Row, Stratum

SUPPORT = 1e-5  # Entries of E are zero below this, relative to the largest.
WIDE = 0.05  # Three neighbors with a determinant above this, in units of the cubed distance, are a good basis.
LEAST_VOLUME = 1e-3  # Three neighbors with a determinant below this, in the same units, may lie in a plane.
MAX_EXPANDED = 100_000  # products of terms in one minor; seconds at most. Six patterns of six neighbors have a hundred.

Pattern = dict[Pair, int]


def pattern_strata(positions: np.ndarray, classes: PairClasses, hidden: np.ndarray) -> list[Stratum]:
    """Make strata of which a point `(N, 3)` is a member, one for each null direction `(k, N, 3)` beyond symmetry.

    Directions are combined first so that each of them changes few dot products. A direction whose relations would have
    too many terms is left out.
    """
    if not len(hidden) or len(positions) < 4:
        return []
    changes = np.einsum("kia,ja->kij", hidden, positions)
    changes = changes + changes.swapaxes(1, 2)
    pairs = list(combinations_with_replacement(range(len(positions)), 2))
    entries = _reduced_rows(changes[:, [i for i, _ in pairs], [j for _, j in pairs]])
    found = []
    for row in entries:
        support = [pair for pair, value in zip(pairs, row, strict=True) if abs(value) > SUPPORT]
        stratum = _stratum(positions, classes, support)
        if stratum is not None:
            found.append(stratum)
    return found


def _reduced_rows(rows: np.ndarray) -> np.ndarray:
    """Combine rows so that they have many zeros: reduced row echelon form with the largest pivots; largest entry 1."""
    rows = rows.copy()
    for k in range(len(rows)):
        rest = np.abs(rows[k:])
        row, column = divmod(int(rest.argmax()), rest.shape[1])
        rows[[k, k + row]] = rows[[k + row, k]]
        rows[k] /= rows[k, column]
        for other in range(len(rows)):
            if other != k:
                rows[other] -= rows[other, column] * rows[k]
    return rows / np.abs(rows).max(1, keepdims=True)


def list_patterns(classes: PairClasses, support: list[Pair]) -> list[Pattern]:
    """List integer patterns that span the symmetric E whose sums over the classes vanish, and whose nonzero entries are
    in `support`, pairs i <= j."""
    column = {pair: k for k, pair in enumerate(support)}
    rows = [_row(column, [(i, i) for i in shell]) for shell in classes.shells]
    shell_of = classes.shell_of()
    for group in classes.classes:
        rows.append(_row(column, group))
        first, second = [(i, i) for i, _ in group], [(j, j) for _, j in group]
        # Inside of a shell the two neighbors of a pair have no order.
        alike = shell_of[group[0][0]] == shell_of[group[0][1]]
        rows += [_row(column, first + second)] if alike else [_row(column, first), _row(column, second)]
    return [
        {pair: n for pair, n in zip(support, vector, strict=True) if n}
        for vector in _integer_kernel(rows, len(support))
    ]


def _row(column: dict[Pair, int], pairs: list[Pair] | tuple[Pair, ...]) -> list[int]:
    row = [0] * len(column)
    for i, j in pairs:
        k = column.get((min(i, j), max(i, j)))
        if k is not None:
            row[k] += 1
    return row


def _integer_kernel(rows: list[list[int]], width: int) -> list[list[int]]:
    """Span the kernel of an integer matrix by integer vectors, exactly."""
    matrix = [[Fraction(v) for v in row] for row in rows if any(row)]
    pivots: list[int] = []
    for k in range(width):
        top = len(pivots)
        pivot = next((r for r in range(top, len(matrix)) if matrix[r][k]), None)
        if pivot is None:
            continue
        matrix[top], matrix[pivot] = matrix[pivot], matrix[top]
        matrix[top] = [v / matrix[top][k] for v in matrix[top]]
        for r in range(len(matrix)):
            if r != top and matrix[r][k]:
                matrix[r] = [a - matrix[r][k] * b for a, b in zip(matrix[r], matrix[top], strict=True)]
        pivots.append(k)
    found = []
    for free in sorted(set(range(width)) - set(pivots)):
        vector = [Fraction(0)] * width
        vector[free] = Fraction(1)
        for row, k in zip(matrix, pivots, strict=False):
            vector[k] = -row[free]
        common = int(np.lcm.reduce([v.denominator for v in vector]))
        found.append([int(v * common) for v in vector])
    return found


def _stratum(positions: np.ndarray, classes: PairClasses, support: list[Pair]) -> Stratum | None:
    n, patterns = len(positions), list_patterns(classes, support)
    base = _base(positions, support)
    if base is None or not patterns:
        return None
    # Polynomials may be divided by determinants that are far from zero.
    removable = _clear_determinants(positions)
    system = [without_common_factors(row, removable) for row in _relation_system(n, base, patterns)]
    unit = positions / np.sqrt((positions**2).sum(1).mean())
    values = np.asarray([[polynomial_value(as_terms(entry), unit) for entry in row] for row in system])
    rows = _pivot_rows(values, len(patterns) - 1)
    if rows is None or factorial(len(rows)) * prod(max(map(len, system[r])) for r in rows) > MAX_EXPANDED:
        return None
    columns = range(len(patterns))
    minors_of = [determinant([[system[r][j] for j in columns if j != k] for r in rows]) for k in columns]
    signed = [add([minor], [(-1) ** k]) for k, minor in zip(columns, minors_of, strict=True)]
    cofactors = without_common_factors(signed, removable)
    bordered = [
        add(multiply(*factors) for factors in zip(row, cofactors, strict=True))
        for r, row in enumerate(system)
        if r not in rows
    ]
    relations = [Condition(as_terms(without_common_factors([minor], removable)[0])) for minor in bordered if minor]
    change = {
        pair: add([cofactors[k] for k, p in enumerate(patterns) if pair in p], [p[pair] for p in patterns if pair in p])
        for pair in support
    }
    conditions = independent(_needed_coincidences(classes, support) + relations, positions)
    used = {i for condition in conditions for i in condition.neighbors}
    like = [tuple(i for i in shell if i in used) for shell in classes.shells]
    return Stratum(
        name=f"pattern of {_pattern_name(patterns)}",
        n_neighbors=n,
        nu=2,
        conditions=conditions,
        like=tuple(group for group in like if len(group) > 1),
        displacement=_displacement(n, base, change, removable),
        text="Equal dot products that change by opposite amounts, and the relations that this needs.",
    )


def _clear_determinants(positions: np.ndarray) -> set[Bracket]:
    """List the triples of neighbors that span space."""
    scale = float(np.sqrt((positions**2).sum(1).mean()))
    triples = combinations(range(len(positions)), 3)
    return {t for t in triples if abs(np.linalg.det(positions[list(t)])) > LEAST_VOLUME * scale**3}


def _pattern_name(patterns: list[Pattern]) -> str:
    def one(pattern: Pattern) -> str:
        kind = "v" if set.intersection(*map(set, pattern)) else "d"
        return f"{len(pattern)}{kind}" if all(i != j for i, j in pattern) else "radii"

    return " + ".join(sorted(map(one, patterns), reverse=True))


def _needed_coincidences(classes: PairClasses, support: list[Pair]) -> list[Condition]:
    """List the coincidences of the classes in which an entry of E is not zero."""
    moved = set(support)
    conditions: list[Condition] = []
    shell = {i: group for group in classes.shells for i in group}
    for group in classes.classes:
        ends = {(i, i) for pair in group for i in pair}
        if len(group) == 1 and not ends & moved:
            continue
        if {(min(p), max(p)) for p in group} & moved or ends & moved:
            used = sorted({i for pair in group for i in pair})
            for i in used:
                first = next(j for j in shell[i] if j in used)
                conditions += [equal_products((first, first), (i, i))] if i != first else []
            conditions += [equal_products(group[0], pair) for pair in group[1:]]
    return list(dict.fromkeys(conditions))


def _base(positions: np.ndarray, support: list[Pair]) -> Bracket | None:
    """Choose three neighbors that span space, among which few dot products change; `None` if no three do."""
    scale = float(np.sqrt((positions**2).sum(1).mean()))
    volumes = {t: abs(np.linalg.det(positions[list(t)])) / scale**3 for t in combinations(range(len(positions)), 3)}
    wide = [t for t, volume in volumes.items() if volume > min(WIDE, 0.5 * max(volumes.values()))]
    wide = [t for t in wide if volumes[t] > LEAST_VOLUME]
    return min(wide, key=lambda t: (sum(i in t and j in t for i, j in support), -volumes[t])) if wide else None


def _relation_system(n: int, base: Bracket, patterns: list[Pattern]) -> list[list[Polynomial]]:
    """Evaluate the patterns, as quadratic forms, between the linear relations of each other neighbor with the base."""
    a, b, c = base
    others = [i for i in range(n) if i not in base]
    relations = {
        i: {
            i: bracket(a, b, c),
            a: add([bracket(i, b, c)], [-1]),
            b: add([bracket(a, i, c)], [-1]),
            c: add([bracket(a, b, i)], [-1]),
        }
        for i in others
    }
    pairs = list(combinations_with_replacement(others, 2))
    nothing: Polynomial = {}

    def entry(pattern: Pattern, first: dict[int, Polynomial], second: dict[int, Polynomial]) -> Polynomial:
        parts, factors = [], []
        for (i, j), factor in pattern.items():
            parts.append(multiply(first.get(i, nothing), second.get(j, nothing)))
            factors.append(factor)
            if i != j:
                parts.append(multiply(first.get(j, nothing), second.get(i, nothing)))
                factors.append(factor)
        return add(parts, factors)

    return [[entry(pattern, relations[i], relations[j]) for pattern in patterns] for i, j in pairs]


def _pivot_rows(values: np.ndarray, rank: int) -> list[int] | None:
    """Choose `rank` independent rows of a matrix by pivoting; `None` if its rank is not this one."""
    sizes = robust_svd(values)[1]
    if (sizes > 1e-6).sum() != rank:
        return None
    rest, chosen = values.copy(), []
    for _ in range(rank):
        lengths = np.linalg.norm(rest, axis=1)
        row = int(lengths.argmax())
        chosen.append(row)
        axis = rest[row] / lengths[row]
        rest = rest - np.outer(rest @ axis, axis)
    return sorted(chosen)


def _displacement(n: int, base: Bracket, change: dict[Pair, Polynomial], removable: set[Bracket]) -> tuple[Row, ...]:
    """Write the displacement that changes the Gram matrix by E: Σ_b E_ab r^b / 2 for the base, whose dual vectors are
    r^b, and Σ_b (E_lb - r_l·u_b) r^b for the others, all times 2 det². No dot product may be left over."""
    a, b, c = base
    volume, crosses = bracket(a, b, c), {a: (b, c), b: (c, a), c: (a, b)}

    def of(i: int, j: int) -> Polynomial:
        return change.get((min(i, j), max(i, j)), {})

    factors: dict[tuple[int, int], Polynomial] = {}
    for i in range(n):
        for j in base:
            if i in base:
                factors[i, j] = multiply(volume, of(i, j))
            else:
                turned = [multiply(of(j, k), bracket(i, *crosses[k])) for k in base]
                factors[i, j] = add([multiply({(): 2}, volume, of(i, j)), *turned], [1, -1, -1, -1])
    reduced = dict(zip(factors, without_common_factors(list(factors.values()), removable), strict=True))
    return tuple(tuple((as_terms(reduced[i, j]), crosses[j]) for j in base if reduced[i, j]) for i in range(n))
