"""The verdict counts environments by cause, names the least sensitive one, and sorts what can be cured first."""

import pytest
from records import many, record, summarize

from jaxfeat.report.verdict import find_causes, group_equivalent, judge_records, judge_summary, rank

NULL = (2.0, 1.0, 1e-16)


def near(cause, distance, symbol="", sigma=(1e-9, 1e-8)):
    return {"cause": cause, "symbol": symbol, "distance": distance, "directions": 2, "sigma": list(sigma)}


def with_cause(cause, **options):
    return record(sigma=NULL, **options) | {"null": {"rigid": 3, "symmetry": 0, cause: 1}}


def test_environments_are_counted_by_cause_and_the_least_sensitive_is_named():
    records = [
        record(0, 0, "CH4", sigma=NULL),
        record(0, 1, "CH4", "H", sigma=(1.0, 1e-9)) | {"near": [near("symmetry", 2e-7, "C_s")]},
        with_cause("incompleteness"),
        with_cause("truncation"),
        with_cause("locality"),
        record(sigma=NULL, status="ok") | {"status": "ambiguous", "null": {"rigid": 3, "other": 1}},
        record(1, 4, "H2O", "O", sigma=(1.0, 0.1)),
        record(status="empty"),
    ]
    assert str(judge_records(records)) == (
        "8 environments: 2 hide something by symmetry (nothing to cure), 1 incomplete, 1 truncated, "
        "1 with neighbors out of reach at the cutoff's edge, 1 of other or uncertain cause; "
        "the least sensitive seen direction is 1e-09 of the largest (H1 of CH4, nearly C_s within 2e-07 Å)."
    )


def test_without_spectra_there_is_no_least_direction():
    assert str(judge_records([record(status="empty")])) == (
        "1 environment: 0 hide something by symmetry (nothing to cure), 0 incomplete, 0 truncated."
    )


@pytest.mark.parametrize(("distance", "found"), [(1e-4, {"symmetry"}), (0.05, set())])
def test_points_within_rounding_count_like_exact_ones(distance, found):
    assert find_causes(record() | {"near": [near("symmetry", distance, "C_s")]}) == found


def test_what_can_be_cured_comes_first_and_symmetry_last():
    incomplete, generic, symmetric = with_cause("incompleteness"), record(sigma=(1.0, 0.5)), record(sigma=NULL)
    nearly = record(sigma=(1.0, 1e-8)) | {"near": [near("truncation", 1e-5)]}
    ordered = sorted([symmetric, generic, nearly, incomplete], key=rank)
    assert [id(one) for one in ordered] == [id(one) for one in (incomplete, nearly, generic, symmetric)]


def test_equivalent_atoms_and_repeated_structures_share_a_group():
    records = [record(0, k, "CH4", "H", sigma=NULL) for k in range(4)]
    records += [record(1, 0, "CH4", "H", sigma=NULL), record(2, 0, "CH3", "H", sigma=NULL), record(status="empty")]
    assert group_equivalent(records) == [[0, 1, 2, 3, 4], [5]]


def test_stores_are_judged_like_records():
    records = many(20)
    found, stored = judge_records(records), judge_summary(summarize(records, 7), ["X", "H", *"?" * 4, "C", "N", "O"])
    assert stored[:6] == found[:6] and found.symmetric > 0
    assert stored.least == pytest.approx(found.least)
