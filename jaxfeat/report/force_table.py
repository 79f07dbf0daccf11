"""Tables of reference forces on the singular directions of structures, and the shares that the picture shows too."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from jaxfeat.report.tables import highlight_count, open_console, plain_table

Record = dict[str, Any]
MOST_DEMANDING_STRUCTURES = 12
LEAST_RIGID_SHARE = 1e-3  # share of net force and torque above which forces deserve a word; files round them to 1e-4
BLIND_SHARE = 1e-6  # share of a force in the null space above which it is listed as invisible
RATIOS = (1e-1, 1e-2, 1e-3, 1e-4)
"""σ/σ_max below which the table gives the share of the force."""

LEGEND = (
    "Invisible: share of the force in the null space of the Jacobian, which no model of these features can fit. "
    "Scale-free: the norm of the slopes |v·f|/σ times the root mean square of σ, over the norm of the visible force; 1 "
    "if all displacements were seen equally well. Norms are those of the forces on all atoms, without net force and "
    "torque."
)


def print_forces(records: Sequence[Record], map_name: str, console: Console | None = None) -> None:
    """Print distributions over structures, and the structures that ask most of a model. `map_name` names the map."""
    console = console or open_console()
    seen = select_forced(records)
    if seen:
        console.print(_distribution_table(seen, f"Forces of {_count(len(seen))}, {map_name} features"))
        console.print(demanding_table(seen))
        console.print(LEGEND, style="italic")
    if n_rigid := sum((record["rigid_share"] or 0) > LEAST_RIGID_SHARE for record in records):
        most = max(record["rigid_share"] or 0 for record in records)
        console.print(
            f"{_count(n_rigid)} with net forces or torques of up to {most:.1e} of the force. No energy without "
            "external fields has them; they are left out."
        )
    if without := len(records) - len(seen):
        statuses = Counter(record["status"] for record in records if record not in seen)
        named = ", ".join(f"{n} {status}" for status, n in statuses.most_common())
        console.print(f"{_count(without)} without a spectrum, or with no forces but rigid ones: {named}.")


def _count(n: int) -> str:
    return f"{n:,} structure" + "s" * (n != 1)


def list_records(found: Any) -> list[Record]:
    """Write a `jaxfeat.VisibleForce` of one structure or of a batch as records."""
    names = ("invisible_share", "scale_free", "force_norm", "rigid_share", "n_null")
    numbers = {name: np.asarray(getattr(found, name)).reshape(-1) for name in names}
    n = len(numbers["n_null"])
    sigma, slopes = (np.asarray(rows).reshape(n, -1) for rows in (found.sigma, found.slopes))
    statuses = np.asarray(found.status.names).reshape(-1)
    return [
        {name: column[k].item() for name, column in numbers.items()}
        | {"sigma": sigma[k][known := np.isfinite(sigma[k])].tolist(), "slopes": slopes[k][known].tolist()}
        | {"status": str(statuses[k])}
        for k in range(n)
    ]


def select_forced(records: Sequence[Record]) -> list[Record]:
    """Select the records with a force that is not rigid."""
    return [record for record in records if record["force_norm"] and np.isfinite(record["force_norm"])]


def share_below(record: Record, ratio: float) -> float:
    """Compute the share of the force in directions with σ below `ratio` times σ_max, null directions included."""
    sigma = np.asarray(record["sigma"], float)
    components = sigma * np.asarray(record["slopes"], float) / record["force_norm"]
    low = components[sigma < ratio * sigma.max(initial=0)]
    return float(np.sqrt((low**2).sum() + record["invisible_share"] ** 2))


def steepest_slope(record: Record) -> float:
    """Find the largest slope; 0 if nothing is seen."""
    return max(record["slopes"], default=0.0)


def most_demanding(records: Sequence[Record]) -> list[Record]:
    """Sort the structures with the largest invisible share first, then those with the largest scale-free number."""

    def key(record: Record) -> tuple[float, float]:
        invisible, number = record["invisible_share"], record["scale_free"]
        return (-invisible if invisible > BLIND_SHARE else 0.0), -(number if np.isfinite(number) else np.inf)

    return sorted(records, key=key)[:MOST_DEMANDING_STRUCTURES]


def _distribution_table(records: Sequence[Record], title: str) -> Table:
    table = plain_table(title, "Number", ("least", "median", "90 %", "largest"))
    rows = {
        "invisible share of the force": [record["invisible_share"] for record in records],
        **{f"share where σ < {ratio:g} σ_max": [share_below(one, ratio) for one in records] for ratio in RATIOS},
        "scale-free": [record["scale_free"] for record in records],
        "steepest slope": [steepest_slope(record) for record in records],
        "norm of the slopes": [float(np.linalg.norm(record["slopes"])) for record in records],
        "norm of the force": [record["force_norm"] for record in records],
    }
    for name, values in rows.items():
        known = [value for value in values if np.isfinite(value)]
        cells = np.quantile(known, (0, 0.5, 0.9, 1), method="nearest") if known else [np.nan] * 4
        table.add_row(name, *map(format_number, cells))
    return table


def demanding_table(records: Sequence[Record]) -> Table:
    """Make a table of the structures that ask most of a model, the worst first."""
    shown = most_demanding(records)
    heads = ("atoms", "null di-\nrections", "invisible", "scale-\nfree", "steepest\nslope")
    table = plain_table(f"The most demanding of {_count(len(records))}", "Structure", heads)
    for record in shown:
        table.add_row(
            escape(record["name"]), str(record["n_atoms"]), 
            highlight_count(record["n_null"], record["invisible_share"] > BLIND_SHARE),
            *map(format_number, (record["invisible_share"], record["scale_free"], steepest_slope(record))),
        )  # fmt: skip
    return table


def format_number(value: float) -> str:
    """Write a number with three digits; a dash if it is unknown."""
    if not np.isfinite(value):
        return "-"
    return f"{value:.3g}" if value == 0 or 1e-3 <= abs(value) < 1e5 else f"{value:.1e}"
