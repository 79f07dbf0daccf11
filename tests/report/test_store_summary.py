import io

import numpy as np
import pytest
from records import many, record
from rich.console import Console

from jaxfeat.report import store_table
from jaxfeat.report.sensitivity import blindness, count_null, median, sensitivities, sensitivity
from jaxfeat.report.store_summary import AMBIGUOUS, BINS_PER_DECADE, EXAMPLES, GROUPS, StoreSummary

CAUSES = ("rigid", "symmetry", "incompleteness", "truncation", "locality", "other")
NUMBERS = {"H": 1, "C": 6, "N": 7, "O": 8}


def columns(records):
    """Columns of a store, of what a scan says."""
    width = max(len(r["sigma"]) for r in records)

    def padded(sigma):
        return np.pad(sigma, (0, width - len(sigma)), constant_values=np.nan)

    found = {name: np.stack([padded(r[name]) for r in records]) for name in ("sigma", "sigma_equilibrated")}
    found |= {f"floor{s}": np.asarray([r[f"floor{s}"] or np.nan for r in records]) for s in ("", "_equilibrated")}
    found["n_values"] = np.asarray([len(r["sigma"]) for r in records])
    found["certified"] = np.asarray([bool(r["sigma"]) for r in records])
    found["null"] = np.asarray([[r["null"].get(cause, 0) for cause in CAUSES] for r in records])
    found["status"] = np.asarray([r["status"] for r in records])
    found["center_species"] = np.asarray([NUMBERS[r["species"]] for r in records])
    found["n_neighbors"] = np.asarray([r["n_neighbors"] for r in records])
    found["structure_index"] = np.asarray([r["structure"] for r in records])
    found["center_index"] = np.asarray([r["center"] for r in records])
    return found


def summarize(records, step):
    whole, summary = columns(records), StoreSummary(CAUSES)
    for start in range(0, len(records), step):
        summary.add({name: column[start : start + step] for name, column in whole.items()})
    return summary


def worst(record):
    return next((group for group in GROUPS if record["null"].get(group)), None)


@pytest.mark.parametrize("step", [1000, 37])
def test_a_tally_says_what_sorting_everything_does(step):
    records = [*many(60), record(structure=60, status="empty"), record(structure=60, center=1, status="")]
    for one in records[::9]:
        one["null"]["incompleteness"] = int(one["null"].get("symmetry", 0) > 0)
    for one in records[5::9]:
        one["status"] = AMBIGUOUS
    summary = summarize(records, step)
    done = records[:-1]
    assert (summary.total, summary.done, summary.structures, summary.certified) == (302, 301, 61, 300)
    assert summary.statuses == {"ok": 267, AMBIGUOUS: 33, "empty": 1}
    for name, number in NUMBERS.items():
        own = [r for r in done if r["species"] == name]
        assert summary.environments[number] == len(own)
        for kept, equilibrated in ((summary.equilibrated, True), (summary.raw, False)):
            parts = [part for (n, _), part in kept.items() if n == number]
            together = sum(parts[1:], parts[0])
            every = sensitivities(own, equilibrated=equilibrated)
            assert together.total == len(every)
            assert together.smallest().known == every[0].known
            assert together.least == min(r.value for r in every if r.known)
            assert together.median().known == median(every).known
            if median(every).known:
                assert abs(np.log10(together.median().value / median(every).value)) <= 0.5001 / BINS_PER_DECADE
        for cause in CAUSES[1:]:
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
        expected = [(r["structure"], r["center"]) for r in list(best.values())[:EXAMPLES]]
        shown = [e for e in examples if e.group == group]
        assert [(e.structure, e.center) for e in shown] == expected
        for e in shown:
            r = records[e.row]
            assert (r["structure"], r["center"], r["n_neighbors"]) == (e.structure, e.center, e.n_neighbors)
            assert (e.equilibrated, e.raw) == (sensitivity(r, equilibrated=True), sensitivity(r, equilibrated=False))
    assert len(examples) == 2 * EXAMPLES


def test_a_tally_is_printed_as_tables():
    records = [record(structure=k, sigma=(1.0, 10.0**-k)) for k in range(1, 4)] + [record(structure=9, status="empty")]
    records[0]["status"] = "ambiguous"
    summary, text = summarize(records, 3), io.StringIO()
    symbols = {number: name for name, number in NUMBERS.items()}
    assert [one.structure for one in store_table.most_blind_examples(summary)] == [3, 2, 1]
    store_table.print_store(summary, ["why", "", ""], "molecule {}".format, symbols, Console(file=text, width=100))
    found = text.getvalue()
    assert "The most blind of 3 environments" in found and "of molecule 3" in found and "why" in found
    assert "1.0e-03" in found and "certain: 1 ambiguous." in found and "Without a spectrum: 1 empty." in found
