"""Tables of forces: shares below a sensitivity, the most demanding structures, and what is left out."""

import io

import numpy as np
import pytest
from records import force_record
from rich.console import Console

from jaxfeat.report.force_table import format_number, most_demanding, print_forces, share_below, steepest_slope


def printed(records):
    text = io.StringIO()
    print_forces(records, "stacked", Console(file=text, width=100))
    return text.getvalue()


def test_shares_count_components_below_a_sensitivity_and_null_directions():
    # Components 3, 4 and 12 of a force of norm 13 in all.
    record = force_record(sigma=(1.0, 0.1, 0.01), components=(12.0, 4.0), null=3.0)
    record["sigma"] = record["sigma"][:2]
    assert record["force_norm"] == pytest.approx(13)
    np.testing.assert_allclose(share_below(record, 1e-3), 3 / 13)
    np.testing.assert_allclose(share_below(record, 0.5), 5 / 13)
    np.testing.assert_allclose(share_below(record, 2.0), 1)
    assert steepest_slope(record) == pytest.approx(40)


def test_invisible_forces_come_first_then_large_numbers():
    records = [
        force_record(0, components=(1.0, 1.0)),
        force_record(1, components=(1.0, 1.0), null=0.5),
        force_record(2, components=(0.1, 1.0)),
        force_record(3, components=(), null=1.0),
    ]
    assert [record["structure"] for record in most_demanding(records)] == [3, 1, 2, 0]
    text = printed(records)
    assert "Forces of 4 structures, stacked features" in text and "The most demanding of 4 structures" in text
    assert text.index("frame 3") < text.index("frame 1") < text.index("frame 2") < text.index("frame 0")
    assert "net forces" not in text and "without a spectrum" not in text


def test_rigid_and_missing_forces_are_told():
    records = [force_record(0, rigid_share=0.02), force_record(1, components=(0.0,) * 3)]
    records[1] |= {"invisible_share": np.nan, "scale_free": np.nan}
    text = printed(records)
    assert "1 structure with net forces or torques of up to 2.0e-02 of the force" in text
    assert "1 structure without a spectrum, or with no forces but rigid ones: 1 ok." in text
    assert "Forces of" not in printed(records[1:])


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, "0"), (0.1234, "0.123"), (1e-9, "1.0e-09"), (2.5e6, "2.5e+06"), (np.nan, "-")]
)
def test_numbers_are_short(value, text):
    assert format_number(value) == text
