"""Sensitivities below their floors are bounds, and sort before the known ones."""

from records import record

from jaxfeat.report.sensitivity import blindness, median_and_least, sensitivity

NULL = (2.0, 1.0, 1e-16)


def test_a_ratio_below_the_floor_is_a_bound():
    assert str(sensitivity(record(sigma=(2.0, 1.0, 0.5)), equilibrated=True)) == "2.5e-01"
    assert str(sensitivity(record(sigma=NULL), equilibrated=True)) == "<2e-13"
    assert str(sensitivity(record(sigma=(2.0, 0.5), raw=(1.0, 1e-15)), equilibrated=False)) == "<2e-13"
    assert sensitivity(record(sigma=()), equilibrated=True) is None
    assert sensitivity(record(status="empty"), equilibrated=True) is None


def shown(*records):
    return [str(found) for found in median_and_least(records, equilibrated=True)]


def test_unknown_ratios_are_the_smallest():
    records = [record(), record(sigma=NULL), record(sigma=(1.0, 1e-12)), record(status="empty")]
    assert shown(*records) == ["1.0e-12", "<2e-13"]
    assert shown(*records[:2]) == ["<2e-13", "<2e-13"]
    assert median_and_least(records[3:], equilibrated=True) is None


def test_below_the_floor_the_highest_floor_stands_for_all():
    null = [record(sigma=(1.0, 1e-16)) | {"floor_equilibrated": floor} for floor in (1e-14, 3e-13)]
    clear = [record(sigma=(1.0, 0.5)), record(sigma=(1.0, 0.7))]
    assert shown(*null, *clear) == ["<3e-13", "<3e-13"]
    assert shown(null[1], *clear) == ["5.0e-01", "<3e-13"]


def test_blindness_orders_by_equilibrated_ratio_then_nulls_then_raw_ratio():
    worst = [
        record(sigma=(1.0, 1e-15, 1e-17)),
        record(sigma=(1.0, 0.5, 1e-14)),
        record(sigma=(1.0, 1e-3), raw=(1.0, 1e-5)),
        record(sigma=(1.0, 1e-3), raw=(1.0, 1e-4)),
        record(sigma=(1.0, 1e-2), raw=(1.0, 1e-9)),
    ]
    assert sorted(reversed(worst), key=blindness) == worst
