"""Prove that an exact singular point is near: certificates of incompleteness (docs/proofs).

Rank deficiency cannot be proved in floating point, because a matrix next to a singular one is regular. So the proof is
about the stratum: a few equations in dot products and determinants that the point satisfies. Balls enclose an exact
solution, and integers show that the equations imply a null displacement for every feature of order ν. What is found
here in floating point is verified by `jaxfeat.singular.certificate` before it is returned.
"""

from decimal import ROUND_CEILING, Context, Decimal
from fractions import Fraction
from itertools import combinations, combinations_with_replacement
from typing import Any

import numpy as np

from jaxfeat.errors import BasisError, GeometryError, SizeError
from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.positions import check_float64, check_positions
from jaxfeat.geometry.species import SYMBOLS
from jaxfeat.geometry.symmetry import stabilizer
from jaxfeat.nulls.kernel import MAX_NU, complete_kernel
from jaxfeat.singular.bracket_algebra import (
    Polynomial,
    Relations,
    differentiate,
    find_changing_class,
    follows,
    make_polynomial,
    sum_derivatives,
)
from jaxfeat.singular.certificate import (
    FORMAT,
    VERSION,
    InvalidCertificate,
    check_certificate,
    enclose,
    evaluate,
    make_statement,
    witness_signs,
    working_precision,
)
from jaxfeat.singular.factor_lemmas import find_lemmas_of_sum
from jaxfeat.singular.lemmas import find_lemmas
from jaxfeat.singular.proof import Certificate, NotProved, displace
from jaxfeat.singular.propose import propose_stratum
from jaxfeat.singular.stratum import Stratum

Lemma = dict[str, Any]

RADIUS = 1e-5
"""Å; coordinates of six digits are at most a few 1e-6 Å away from what was rounded."""
SEEN = 1e-6
"""The part of a normalized displacement outside of a complete kernel from which on it counts as seen."""
ROUNDING = 1e-8
"""Å; conditions hold within this, and with room to spare, at points that are exact up to rounding."""
EXACT = 1e-9
"""Å; values of invariants closer than this at a landed point are equal."""


def prove(
    point: Environment, nu: int, pseudoscalars: bool = False, *, radius: float = RADIUS
) -> Certificate | NotProved:
    """Prove that an exact point near an environment has a displacement that no feature of order ν sees in any basis.

    The proof has three parts. An exact point of a stratum is enclosed in balls. The equations of the stratum imply, by
    algebra with integers, that the displacement is null for every feature of order ν. The displacement is neither rigid
    nor due to symmetry, because features of a higher order see it. `jaxfeat.strata` lists the strata that are known.

    **Arguments:**

    - `point`: One environment with positions in float64. Padding is left out, and the center is fixed.
    - `nu`: The body order ν, 1 to 4.
    - `pseudoscalars`: True for features that tell mirror images apart. This matters from ν = 3 on.
    - `radius`: Å. The largest distance from the given positions to the exact point, as a norm over all coordinates. A
        certificate states the distance that it proves, which is smaller.

    **Returns:** a `Certificate`, or a `NotProved` with the reason. `proved` is True or False. The absence of a proof
    says nothing about the point.

    **Raises:** `BasisError` if `nu` is not 1, 2, 3 or 4. `GeometryError` for a batch, for positions that are not finite
    or coincide, and for a radius that is not positive. `PrecisionError` if the positions are not float64.
    `ImportError` if python-flint is missing; `pip install 'jaxfeat[proof]'` brings it.

    **Source:** docs/proofs.
    """
    positions, species = _check_input(point, nu, radius)
    # An exact point comes first, because another stratum may be near it. Then, a neighbor that moves by some distance
    # changes the conditions, in Å, by a few times as much.
    for tolerance in sorted({ROUNDING, RADIUS, max(RADIUS, 5 * radius)}):
        try:
            proposal = propose_stratum(point, nu, pseudoscalars, tolerance)
        except (BasisError, GeometryError, SizeError) as fault:
            failure = NotProved(f"no stratum is proposed within {tolerance:g} Å: {fault}")
            continue
        failure = NotProved(f"no displacement is hidden beyond symmetry within {tolerance:g} Å.")
        if proposal.hidden:
            failure = NotProved(f"no known stratum has the coincidences within {tolerance:g} Å ({proposal}).")
        for stratum in proposal.strata:
            answer = _prove_member(stratum, positions, species, nu, pseudoscalars, radius)
            if isinstance(answer, Certificate):
                return answer
            failure = answer
    return failure


def _check_input(point: Environment, nu: int, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """Check the arguments of `prove`. Return positions `(N, 3)` and species `(N,)` without padding."""
    if not isinstance(point, Environment):
        raise GeometryError(f"prove takes one environment, and got {type(point).__name__}; make one of it.")
    if point.batch_shape:
        raise GeometryError(f"prove takes one environment, got a batch of {point.batch_shape}; index it first.")
    if not isinstance(nu, (int, np.integer)) or not 1 <= nu <= MAX_NU:
        raise BasisError(f"proofs have body orders 1 to {MAX_NU}, got nu = {nu!r}.")
    if not radius > 0:
        raise GeometryError(f"the radius is {radius}; give a positive length in Å.")
    mask = np.asarray(point.mask)
    positions = np.asarray(point.positions)
    check_float64(positions, "positions", "a proof")
    check_positions(positions[mask], "neighbor", center=True)
    return positions[mask], np.asarray(point.species)[mask]


def _prove_member(
    stratum: Stratum,
    positions: np.ndarray,
    species: np.ndarray,
    nu: int,
    pseudoscalars: bool,
    radius: float,
) -> Certificate | NotProved:
    """Prove that the positions are near a stratum, whose neighbors are in the same order."""
    if stratum.displacement is None:
        return NotProved(f"the positions fit {stratum.name}, whose null displacement has no closed form.")
    displacement = stratum.displacement
    symbols = [SYMBOLS[number] for number in species.tolist()]
    # Decimal numbers of files are kept as they are: the shortest ones that are read as the same floating point number.
    decimals = [[repr(x) for x in row] for row in positions.tolist()]
    polynomials = [make_polynomial(condition.terms) for condition in stratum.conditions]
    try:
        with working_precision():
            rows, distance = enclose(polynomials, [[Fraction(x) for x in row] for row in decimals])
            bound = _round_up(float(distance.upper()))
    except InvalidCertificate as failure:
        return NotProved(f"the positions fit {stratum.name}, but no exact point is proved: {failure}")
    if float(bound) > radius:
        return NotProved(f"the nearest point of {stratum.name} that is proved is {bound} Å away, more than the radius.")
    landed = np.asarray([[float(x.mid()) for x in row] for row in rows])
    unseen = f"the positions fit {stratum.name}, but "
    lemmas = _needed_lemmas(polynomials, symbols, displacement, nu, pseudoscalars, landed)
    if lemmas is None:
        return NotProved(f"{unseen}its equations do not imply by known rules that features of order {nu} are blind.")
    witness = _find_witness(symbols, species, displacement, landed, rows, nu, pseudoscalars)
    if witness is None:
        symbol = stabilizer(Environment.from_neighbors(landed, species), EXACT).symbol
        return NotProved(f"{unseen}no higher order sees the displacement: the point group is {symbol}.")
    data = {
        "format": FORMAT,
        "version": VERSION,
        "statement": "",
        "stratum": stratum.name,
        "nu": int(nu),
        "pseudoscalars": bool(pseudoscalars),
        "species": symbols,
        "positions": decimals,
        "radius": bound,
        "conditions": [_to_lists(condition.terms) for condition in stratum.conditions],
        "lemmas": lemmas,
        "displacement": _to_lists(displacement),
        "witness": witness,
    }
    data["statement"] = make_statement(data)
    try:
        check_certificate(data)
    except InvalidCertificate as failure:
        return NotProved(f"{unseen}the certificate does not hold: {failure}")
    return Certificate(data)


def _needed_lemmas(
    conditions: list[Polynomial],
    species: list[str],
    displacement: Any,
    nu: int,
    pseudoscalars: bool,
    landed: np.ndarray,
) -> list[Lemma] | None:
    """Find few lemmas by which features of order ν are blind. Return None if there are none."""

    def suffice(lemmas: list[Lemma], trusted: bool = False) -> bool:
        relations = Relations(conditions)
        for lemma in lemmas:
            zero, multiplier = make_polynomial(lemma["zero"]), make_polynomial(lemma["multiplier"])
            minors = [(make_polynomial(terms), rows, columns) for terms, rows, columns in lemma["minors"]]
            if not trusted and not follows(relations, zero, multiplier, minors):
                return False
            relations.add(zero)
        return find_changing_class(species, nu, pseudoscalars, relations, displacement) is None

    if suffice([]):
        return []
    size = range(len(species))
    derivatives = [differentiate(pair, displacement) for pair in combinations_with_replacement(size, 2)]
    # Determinants enter through the derivatives of dot products, and by themselves if they are among the invariants.
    used = {bracket for d in derivatives for monomial in d for bracket in monomial if len(bracket) == 3}
    wanted = combinations(size, 3) if pseudoscalars else sorted(used)
    relations = Relations(conditions)
    needed = list(find_lemmas(relations, landed, wanted))
    while changing := find_changing_class(species, nu, pseudoscalars, relations, displacement):
        more = list(find_lemmas_of_sum(relations, landed, sum_derivatives(*changing, displacement)))
        if not more:
            return None
        needed += more
    for lemma in reversed(needed):
        fewer = [other for other in needed if other is not lemma]
        # Most lemmas are dispensable, or are needed by themselves and not for others: look at the classes first.
        if suffice(fewer, trusted=True) and suffice(fewer):
            needed = fewer
    return needed


def _find_witness(
    symbols: list[str],
    species: np.ndarray,
    displacement: Any,
    landed: np.ndarray,
    rows: Any,
    nu: int,
    pseudoscalars: bool,
) -> dict[str, Any] | None:
    """Find a tuple of the lowest possible order above ν, and an invariant of it that changes along the displacement,
    with one sign on all tuples that may have the same invariants."""
    env, direction = Environment.from_neighbors(landed, species), displace(displacement, landed)
    size = len(species)
    for order in range(nu + 1, size + 1):
        if order <= MAX_NU:
            kernel = complete_kernel(env, order, pseudoscalars, EXACT).rows
            if np.linalg.norm(direction.ravel() - kernel.T @ (kernel @ direction.ravel())) < SEEN:
                continue
        changes = {}
        for length in (2, 3) if pseudoscalars else (2,):
            for bracket in combinations(range(size), length):
                polynomial = differentiate(bracket, displacement)
                if abs(change := evaluate(polynomial, landed)) > SEEN:
                    changes[bracket] = abs(change)
        for bracket in sorted(changes, key=changes.__getitem__, reverse=True):
            others = [i for i in range(size) if i not in bracket]
            for rest in combinations(others, order - len(bracket)):
                members, slots = [*bracket, *rest], tuple(range(len(bracket)))
                with working_precision():
                    signs = witness_signs(symbols, members, slots, pseudoscalars, displacement, rows)
                    if all(s > 0 for s in signs) or all(s < 0 for s in signs):
                        return {"neighbors": members, "slots": list(slots)}
    return None


def _round_up(number: float) -> str:
    """Round a float, which was rounded itself, up to three decimal digits."""
    if number == 0:
        return "0"
    exact = Decimal(float(np.nextafter(number, np.inf)))
    return f"{Context(prec=3, rounding=ROUND_CEILING).create_decimal(exact).normalize():e}"


def _to_lists(value: Any) -> Any:
    return [_to_lists(one) for one in value] if isinstance(value, (list, tuple)) else int(value)
