"""Statuses: they compare with names, explain themselves and refuse what is no status."""

import json
import operator

import jax
import numpy as np
import pytest

import jaxfeat
from jaxfeat import Environment
from jaxfeat.spectrum.status import STATUS_NAMES, Status, StatusName

F = jaxfeat.PowerSpectrum(("C", "H"), n_max=2, l_max=2)
ENV = Environment.from_neighbors(np.random.default_rng(0).normal(size=(3, 3)), ["H"] * 3, "C")
EMPTY = Environment.from_neighbors(np.zeros((0, 3)), [])


def test_every_status_has_a_sentence():
    for name in STATUS_NAMES:
        assert name.message.endswith(".") and len(name.message) > 20


def test_statuses_compare_with_names_and_explain_themselves():
    spectrum = jaxfeat.singular_spectrum(F, ENV)
    assert spectrum.status == "ok" and not spectrum.status == "empty" and spectrum.status != "empty"
    assert str(spectrum.status) == "ok" and "floor" in spectrum.status.message
    assert spectrum.status == StatusName.OK and StatusName.OK == "ok" and StatusName.OK != "empty"
    assert {"ok": 1}[StatusName.OK] == 1 and json.dumps(StatusName.OK) == '"ok"' and f"{StatusName.OK}" == "ok"


def test_a_batch_of_statuses_explains_each():
    batch = Environment.stack([ENV, EMPTY])
    status = jaxfeat.singular_spectrum(F, batch).status
    assert status.message.tolist() == [StatusName.OK.message, StatusName.EMPTY.message]
    assert (status != "ok").tolist() == [False, True]


@pytest.mark.parametrize("compare", [operator.eq, operator.ne])
def test_a_misspelt_status_is_an_error(compare):
    for status in (jaxfeat.singular_spectrum(F, ENV).status, jaxfeat.null_space(F, ENV).status):
        assert status == "ok"
        with pytest.raises(ValueError, match=r"'non-finit' is no status; choose one of 'ok', .*'non-finite'"):
            compare(status, "non-finit")
    with pytest.raises(ValueError, match="'okay' is no status"):
        jax.jit(lambda env: compare(jaxfeat.singular_spectrum(F, ENV).status, "okay"))(ENV)


def test_a_repr_counts_the_statuses_of_a_batch():
    codes = np.asarray([STATUS_NAMES.index(name) for name in ("ok", "empty", "ok")])
    assert repr(Status(codes)) == "Status(2 ok, 1 empty)"
    assert repr(Status(codes[1])) == "Status(empty)"
    assert repr(Status(codes[:0])) == "Status(none)"
    traced = []
    jax.jit(lambda code: traced.append((repr(Status(code)), str(Status(code)))))(codes)
    assert "code" in traced[0][0] and traced[0][1] == "traced"
