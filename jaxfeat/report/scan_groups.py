"""The group of a record by its worst cause, which colors it in pictures and pages."""

from jaxfeat.report.sensitivity import Record, sensitivity
from jaxfeat.report.store_summary import AMBIGUOUS, GROUPS
from jaxfeat.report.verdict import find_causes


def find_group(record: Record) -> str:
    """Find the worst cause of a record: a name in `GROUPS`. Causes at the geometry that was rounded count as well."""
    if record["status"] == AMBIGUOUS:
        return AMBIGUOUS
    causes = find_causes(record)
    return next((group for group in GROUPS if group in causes), "none" if is_known(record) else "other")


def is_known(record: Record) -> bool:
    """Tell whether all equilibrated singular values are above their floor."""
    found = sensitivity(record, equilibrated=True)
    return found is not None and found.known
