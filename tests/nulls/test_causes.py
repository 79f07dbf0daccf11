"""The null space of one Jacobian prints its counts, its symmetry and its status."""

from types import SimpleNamespace

import numpy as np

from jaxfeat import NullSpace
from jaxfeat.nulls.causes import CAUSES


def null_space(stabilizer, status="ok", **counts):
    directions = {cause: np.zeros((counts.get(cause, 0), 2, 3)) for cause in CAUSES}
    return NullSpace(directions, sum(counts.values()), stabilizer, {}, {}, (1.0, 1.0), status, "")


def stabilizer(symbol):
    return SimpleNamespace(symbol=symbol, order=1 if symbol == "C1" else 2)


def test_counts_are_those_of_the_directions():
    found = null_space(stabilizer("Td"), rigid=3, symmetry=2)
    assert found.counts == {**dict.fromkeys(CAUSES, 0), "rigid": 3, "symmetry": 2}
    assert [getattr(found, cause) for cause in CAUSES] == list(found.counts.values())


def test_symbols_are_written_with_an_index():
    assert null_space(stabilizer("Td")).symbol == "T_d"
    assert null_space(stabilizer("C1")).symbol == ""
    assert null_space((stabilizer("D*h"), stabilizer("C2v"), stabilizer("C2v"))).symbol == "C_2v, D_∞h"
    assert null_space(None).symbol == ""


def test_reprs_show_counts_symmetry_and_status():
    assert repr(null_space(stabilizer("Td"), rigid=3, symmetry=8)) == "NullSpace(rigid=3, symmetry=8 (T_d); ok)"
    assert repr(null_space(stabilizer("Cs"), rigid=3, incompleteness=1)) == "NullSpace(rigid=3, incompleteness=1; ok)"
    assert repr(null_space(None, status="empty")) == "NullSpace(nullity=0; empty)"
