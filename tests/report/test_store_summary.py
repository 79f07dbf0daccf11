"""A summary that is added up slice by slice equals one that sorts all environments."""

import numpy as np
import pytest
from records import ATOMIC_NUMBERS, STORE_CAUSES, many, record, summarize

from jaxfeat.report.sensitivity import blindness, count_null, median_and_least, sensitivity
from jaxfeat.report.store_summary import AMBIGUOUS, BINS_PER_DECADE, EXAMPLES_PER_GROUP, GROUPS


def worst(record):
    return next((group for group in GROUPS if record["null"].get(group)), None)


@pytest.mark.parametrize("step", [1000, 37])
def test_slices_add_up_to_what_sorting_finds(step):
    records = [*many(60), record(structure=60, status="empty"), record(structure=60, center=1, status="")]
    for one in records[::9]:
        one["null"]["incompleteness"] = int(one["null"].get("symmetry", 0) > 0)
    for one in records[5::9]:
        one["status"] = AMBIGUOUS
    summary = summarize(records, step)
    done = records[:-1]
    assert (summary.total, summary.done, summary.structures, summary.certified) == (302, 301, 61, 300)
    assert summary.statuses == {"ok": 267, AMBIGUOUS: 33, "empty": 1}
    for name, number in ATOMIC_NUMBERS.items():
        own = [r for r in done if r["species"] == name]
        assert summary.environments[number] == len(own)
        for kept, equilibrated in ((summary.equilibrated, True), (summary.raw, False)):
            parts = [part for (n, _), part in kept.items() if n == number]
            together = sum(parts[1:], parts[0])
            every = [found for r in own if (found := sensitivity(r, equilibrated=equilibrated))]
            median, least = median_and_least(own, equilibrated=equilibrated)
            assert together.total == len(every)
            assert together.smallest() == least
            assert together.least == min(r.value for r in every if r.known)
            assert together.median().known == median.known
            if median.known:
                assert abs(np.log10(together.median().value / median.value)) <= 0.5001 / BINS_PER_DECADE
        for cause in STORE_CAUSES[1:]:
            clear = [r for r in own if r["sigma"] and r["status"] != AMBIGUOUS]
            assert summary.directions[number, cause] == sum(r["null"].get(cause, 0) for r in clear)
            assert summary.blind[number, cause] == sum(worst(r) == cause for r in clear)
        unclear = [r for r in own if r["status"] == AMBIGUOUS]
        assert summary.directions[number, AMBIGUOUS] == sum(map(count_null, unclear))
        assert summary.blind[number, AMBIGUOUS] == sum(count_null(r) > 0 for r in unclear)
    assert sum(summary.directions.values()) == sum(count_null(r) for r in done if r["sigma"])
    assert sum(summary.blind.values()) == sum(count_null(r) > 0 for r in done if r["sigma"])


@pytest.mark.parametrize("step", [1000, 1])
def test_examples_are_the_most_blind_of_each_kind(step):
    records = many(60, species=("H", "C"))
    examples = summarize(records, step).examples()
    for group, blind in (("symmetry", True), ("none", False)):
        own = [r for r in records if (count_null(r) > 0) == blind]
        best = {}
        for r in sorted(own, key=blindness):
            best.setdefault((r["structure"], r["species"]), r)
        expected = [(r["structure"], r["center"]) for r in list(best.values())[:EXAMPLES_PER_GROUP]]
        shown = [e for e in examples if e.group == group]
        assert [(e.structure, e.center) for e in shown] == expected
        for e in shown:
            r = records[e.row]
            assert (r["structure"], r["center"], r["n_neighbors"]) == (e.structure, e.center, e.n_neighbors)
            assert (e.equilibrated, e.raw) == (sensitivity(r, equilibrated=True), sensitivity(r, equilibrated=False))
    assert len(examples) == 2 * EXAMPLES_PER_GROUP
