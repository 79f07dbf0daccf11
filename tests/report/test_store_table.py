"""Tables of a store show its summary and its most blind environments."""

import io

from records import ATOMIC_NUMBERS, record, summarize
from rich.console import Console

from jaxfeat.report.store_table import most_blind_examples, print_store


def test_a_summary_is_printed_as_tables():
    records = [record(structure=k, sigma=(1.0, 10.0**-k)) for k in range(1, 4)] + [record(structure=9, status="empty")]
    records[0]["status"] = "ambiguous"
    summary, text = summarize(records, 3), io.StringIO()
    symbols = {number: name for name, number in ATOMIC_NUMBERS.items()}
    assert [one.structure for one in most_blind_examples(summary)] == [3, 2, 1]
    print_store(summary, ["why", "", ""], "molecule {}".format, symbols, Console(file=text, width=100))
    found = text.getvalue()
    assert "The most blind of 3 environments" in found and "of molecule 3" in found and "why" in found
    assert "1.0e-03" in found and "certain: 1 ambiguous." in found and "Without a spectrum: 1 empty." in found
