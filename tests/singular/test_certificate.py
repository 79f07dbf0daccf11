"""Certificates: the checker stands alone, and refuses whatever is not proved."""

import ast
import json
from collections import Counter
from copy import deepcopy
from fractions import Fraction
from itertools import product
from pathlib import Path

import flint
import numpy as np
import pytest
from null_cases import PARSAEIFARD_GOEDECKER

from jaxfeat import Environment, InvalidCertificate, check_certificate, prove
from jaxfeat.singular import bracket_algebra, certificate
from jaxfeat.singular.bracket_algebra import make_polynomial
from jaxfeat.singular.strata import strata
from jaxfeat.singular.stratum import displacement_rows

CERTIFICATES = sorted((Path(__file__).parents[2] / "experiments/proofs/certificates").glob("*.json"))


def test_the_checker_imports_nothing_but_integers_fractions_and_balls():
    for module in (certificate, bracket_algebra):
        imported = set()
        for node in ast.walk(ast.parse(Path(module.__file__).read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add(node.module)
        # The last two are for types.
        allowed = {"json", "fractions", "flint", "jaxfeat.singular.bracket_algebra", "collections.abc", "typing"}
        assert imported <= allowed


@pytest.mark.parametrize("path", CERTIFICATES, ids=lambda path: path.stem)
def test_the_certificates_of_the_repository_are_verified(path):
    text = path.read_text()
    assert check_certificate(text) == json.loads(text)["statement"]


def test_the_repository_has_certificates():
    assert len(CERTIFICATES) >= 10


@pytest.fixture(scope="module")
def proofs():
    """Certificates of a point of A_1 in six digits, and of rings that need lemmas."""
    point = Environment.from_neighbors(np.asarray(PARSAEIFARD_GOEDECKER), ["H"] * 4)
    return {"A_1": prove(point, 2).data, "rings": prove(strata(7, 3)["rings"].member(1), 3).data}


def exact_sums(rows, species, nu):
    """Collect the tuples of ν neighbors of equal value at fractions, and add up their differentials: distinct rows."""
    n = len(rows)
    dots = [[sum(x * y for x, y in zip(a, b, strict=True)) for b in rows] for a in rows]
    slots = [(a, b) for a in range(nu) for b in range(a, nu)]
    counts = {}
    for t in product(range(n), repeat=nu):
        value = (*(species[i] for i in t), *(dots[t[a]][t[b]] for a, b in slots))
        count = counts.setdefault(value, [Counter() for _ in slots])
        for place, (a, b) in enumerate(slots):
            count[place][min(t[a], t[b]), max(t[a], t[b])] += 1
    sums = []
    for pairs in {frozenset(one.items()) for count in counts.values() for one in count}:
        total = [Fraction(0)] * (3 * n)
        for (i, j), times in pairs:
            for axis in range(3):
                total[3 * i + axis] += times * rows[j][axis]
                total[3 * j + axis] += times * rows[i][axis]
        sums.append(total)
    return sums


@pytest.mark.parametrize(
    ("n", "nu", "name", "nullities"),
    [
        (4, 2, "A_1", {2: 4, 3: 3}),
        (5, 2, "A_1", {2: 4, 3: 3}),
        (6, 2, "A_3", {2: 4, 3: 3}),
        (5, 2, "opposite heights", {2: 4, 3: 3}),
        (4, 2, "D", {2: 4, 3: 3}),
        (7, 3, "rings", {1: 19, 2: 9, 3: 4, 4: 3}),
    ],
)
def test_kernels_of_rational_members_have_their_exact_rank(n, nu, name, nullities):
    """The nullities of docs/theory are computed from the definition, and nothing of the checker is used.
    The displacement is in the kernels up to order ν, and in no other one."""
    stratum = strata(n, nu)[name]
    rows, species = stratum.rational_member(5), stratum.random_species(5)
    moves = [x for row in displacement_rows(stratum.displacement, rows) for x in row]
    for order, nullity in nullities.items():
        sums = exact_sums(rows, species, order)
        entries = [flint.fmpq(x.numerator, x.denominator) for line in sums for x in line]
        assert 3 * n - flint.fmpq_mat(len(sums), 3 * n, entries).rank() == nullity
        null = not any(sum(x * u for x, u in zip(line, moves, strict=True)) for line in sums)
        assert null == (order <= nu)


def test_the_point_next_to_the_quasi_constant_manifold(proofs):
    """docs/theory: certified within 1e-5 Å of its six digits, with multipliers of at most 2.1e-7."""
    data = proofs["A_1"]
    assert float(data["radius"]) < 1e-6 and "body order 2" in check_certificate(data)
    positions = [[Fraction(x) for x in row] for row in data["positions"]]
    conditions = [make_polynomial(terms) for terms in data["conditions"]]
    with certificate.working_precision():
        rows, distance = certificate.enclose(conditions, positions)
        assert 1e-7 < distance < 1e-5
        assert all(certificate.evaluate(condition, rows).contains(0) for condition in conditions)
    floats = np.asarray(positions, float)
    slope = np.asarray([certificate.gradient(c, floats.tolist()) for c in conditions])
    values = np.asarray([certificate.evaluate(c, floats.tolist()) for c in conditions])
    assert np.abs(np.linalg.solve(slope @ slope.T, values)).max() <= 2.1e-7


TAMPERED = {
    "the radius": ("A_1", lambda d: d.update(radius="5e-7"), "farther away than the radius"),
    "a negative radius": ("A_1", lambda d: d.update(radius="-1"), "farther away than the radius"),
    "a position": ("A_1", lambda d: d["positions"][0].__setitem__(0, "-0.4878"), "farther away than the radius"),
    "all positions": ("A_1", lambda d: d["positions"].__setitem__(1, ["9", "0", "0"]), "does not contract"),
    "a coefficient": ("A_1", lambda d: d["conditions"][0][0].__setitem__(0, 1.0), "must be integers"),
    "a double condition": ("A_1", lambda d: d["conditions"].append(d["conditions"][0]), "dependent"),
    "a missing condition": ("A_1", lambda d: d["conditions"].pop(), "may change along the displacement"),
    "a species": ("A_1", lambda d: d["species"].__setitem__(1, "C"), "may change along the displacement"),
    "a species that is no word": ("A_1", lambda d: d["species"].__setitem__(1, 1), "must be strings"),
    "the order": ("A_1", lambda d: d.update(nu=3), "may change along the displacement"),
    "an order of zero": ("A_1", lambda d: d.update(nu=0), "wrong type"),
    "a negative neighbor": ("A_1", lambda d: d["conditions"][0][0][1].__setitem__(0, [-1, -1]), "no bracket"),
    "no displacement": ("A_1", lambda d: d.update(displacement=[[]] * 4), "witness may not change"),
    "a rotation": (
        "A_1",
        lambda d: d.update(displacement=[[[[[1, []]], [0, i]]] for i in range(4)]),
        "witness may not change",
    ),
    "another direction": (
        "A_1",
        lambda d: d["displacement"].__setitem__(1, [[[[1, []]], [0, 2]]]),
        "may change along the displacement",
    ),
    "a low witness": ("A_1", lambda d: d["witness"]["neighbors"].pop(), "no tuple of a higher order"),
    "a blind witness": (
        "A_1",
        lambda d: d["witness"].update(neighbors=[1, 3, 0], slots=[0, 0]),
        "witness may not change",
    ),
    "a witness of no invariant": ("A_1", lambda d: d["witness"].update(slots=[0, 7]), "no such invariant"),
    "the statement": ("A_1", lambda d: d.update(statement=d["statement"].replace("null", "void")), "not the one"),
    "the format": ("A_1", lambda d: d.update(version=2), "format is unknown"),
    "a missing field": ("A_1", lambda d: d.pop("nu"), "malformed: KeyError"),
    "a missing lemma": ("rings", lambda d: d["lemmas"].pop(), "may change along the displacement"),
    "a false lemma": ("rings", lambda d: d["lemmas"][-1]["zero"][0].__setitem__(0, 2), "does not follow"),
    "a lemma times zero": ("rings", lambda d: d["lemmas"][0].update(multiplier=[], minors=[]), "may vanish"),
    "a minor of two": (
        "rings",
        lambda d: d["lemmas"][0]["minors"].append([[[1, []]], [0, 1], [0, 1]]),
        "wrong size",
    ),
    "the order of rings": ("rings", lambda d: d.update(nu=4), "may change along the displacement"),
}


@pytest.mark.parametrize("fault", TAMPERED)
def test_a_certificate_that_proves_less_is_refused(fault, proofs):
    name, tamper, message = TAMPERED[fault]
    data = json.loads(json.dumps(proofs[name]))
    assert check_certificate(deepcopy(data))
    tamper(data)
    if fault not in ("the statement", "a missing field", "a low witness"):
        data["statement"] = certificate.make_statement(data)
    with pytest.raises(InvalidCertificate, match=message):
        check_certificate(data)


def test_what_is_no_certificate_is_refused():
    for text in ("[]", "{}", "3", "{", '{"format": "jaxfeat certificate"}'):
        with pytest.raises(InvalidCertificate, match="malformed"):
            check_certificate(text)


def test_the_precision_of_balls_is_put_back(proofs):
    before = flint.ctx.prec
    check_certificate(proofs["A_1"])
    with pytest.raises(InvalidCertificate):
        check_certificate("{}")
    assert flint.ctx.prec == before
