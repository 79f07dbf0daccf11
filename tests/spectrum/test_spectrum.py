"""Properties and repr of a `Spectrum`. Statuses compare with names, explain themselves and refuse other texts."""

import json
import operator
import re

import jax
import numpy as np
import pytest

import jaxfeat
from jaxfeat import Environment
from jaxfeat.spectrum.spectrum import STATUS_NAMES, Spectrum, Status, StatusName

F = jaxfeat.PowerSpectrum(("C", "H"), n_max=2, l_max=2)
ENV = Environment.from_neighbors(np.random.default_rng(0).normal(size=(3, 3)), ["H"] * 3, "C")

BATCH = Spectrum(
    values=np.asarray([[2.0, 1.0, 1e-15], [4.0, 0.5, np.nan], [np.nan] * 3]),
    directions=np.zeros((3, 0, 2, 3)),
    scale=np.ones((3, 2)),
    n_values=np.asarray([3, 2, 0]),
    n_rigid=np.asarray([3, 3, 0]),
    floor=np.asarray([1e-13, 2e-13, np.nan]),
    certified=np.ones(3, bool),
    status=Status(np.asarray([0, 0, 1])),
)


@pytest.mark.parametrize("place", [np.asarray, jax.device_put])
def test_ratio_and_null_count_of_each_item(place):
    spectrum = jax.tree.map(place, BATCH)
    np.testing.assert_allclose(spectrum.ratio, [5e-16, 0.125, np.nan])
    assert spectrum.n_null.tolist() == [1, 0, 0]


def test_a_repr_shows_ranges_and_counts():
    assert repr(BATCH) == (
        "Spectrum(batch (3,), up to 3 values, σ_max = 2 to 4 per Å, σ_min/σ_max = 5e-16 to 0.125, "
        "floor = 1e-13 to 2e-13 per Å, 1 null in 1 items, status: 2 ok, 1 empty)"
    )
    one = jax.tree.map(lambda leaf: np.asarray(leaf[1]), BATCH)
    assert repr(one) == (
        "Spectrum(2 values, σ_max = 4 per Å, σ_min/σ_max = 0.125, floor = 2e-13 per Å, 0 null, status: ok)"
    )
    empty = jax.tree.map(lambda leaf: np.asarray(leaf[2]), BATCH)
    assert repr(empty) == "Spectrum(0 values, 0 null, status: empty)"


def test_a_repr_names_equilibrated_values_and_survives_jit():
    spectrum = jaxfeat.singular_spectrum(F, ENV, equilibrated=True)
    assert re.match(r"Spectrum\(6 values, σ_max = [\d.]+ \(equilibrated\), σ_min/σ_max = ", repr(spectrum))
    seen = []
    jax.jit(lambda spectrum: seen.append(repr(spectrum)))(spectrum)
    assert "f64[6]" in seen[0]
    assert repr(jax.tree.map(lambda _: 0, spectrum)).startswith("Spectrum(")


# --- statuses ---


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
    batch = Environment.stack([ENV, Environment.from_neighbors(np.zeros((0, 3)), [])])
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
