"""Measure everything and rewrite the tables of README.md.

    python benchmarks/page.py [W1 W2 ... M scaling] [--data FILE] [--render]

Without names, all works and scaling.py: about an hour. With names those only; the others stay as they were measured on
the same machine with the same versions. `--render` measures nothing and writes the page from results/.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
from pathlib import Path

from jaxfeat.bench.compare import compare_packages, failure_messages
from jaxfeat.bench.workloads import WORKLOAD_NAMES
from jaxfeat.cli.output import save_figure, write_json
from jaxfeat.progress import show_progress
from jaxfeat.report import benchmark as report

HERE = Path(__file__).resolve().parent
PAGE, WORKS, SCALING = HERE / "README.md", HERE / "results" / "works.json", HERE / "results" / "scaling.json"


def read(path):
    """Read results, and restore NaN, which JSON does not have."""
    return restored(json.loads(path.read_text())) if path.exists() else None


def restored(value):
    if isinstance(value, dict):
        return {key: math.nan if key == "memory" and entry is None else restored(entry) for key, entry in value.items()}
    return value


def merged(old, new):
    """Put new works among the old ones if these are of the same machine and versions."""
    same = old is not None and all(
        {**old[part], "date": ""} == {**new[part], "date": ""} for part in ("machine", "versions")
    )
    works = (old["works"] if same else {}) | new["works"]
    return new | {"works": {name: works[name] for name in WORKLOAD_NAMES if name in works}}


def to_markdown(results):
    """Write the tables of the works as Markdown: first the ratios, then a table for each work."""
    ratios = [
        (name, *(report.format_digits(found[stage]) if stage in found else "" for stage in report.STAGES))
        for name, found in report.list_ratios(results)
    ]
    lines = markdown_table(("jaxfeat over", *report.STAGES.values()), ratios)
    for heading, work, rows, shown, notes in report.describe_works(results):
        lines += ["", f"### {heading}", ""]
        if "skipped" in work:
            lines.append(work["skipped"])
            continue
        timed = [row for row in rows if row.stages]
        cells = [(row.name, *(report.format_cell(row.stages.get(stage), work) for stage in shown)) for row in timed]
        lines += [
            *markdown_table(("", *(report.STAGES[stage] for stage in shown)), cells),
            "",
            *(f"- {note}" for note in notes),
        ]
    return "\n".join(lines) + "\n"


def markdown_table(heads, rows):
    rule = "|---" * len(heads) + "|"
    first, *others = (f"| {' | '.join(cells).lstrip()} |" for cells in (heads, *rows))
    return [first, rule, *others]


def describe_machine(results):
    """Name the machine and the versions in a sentence."""
    at, versions = results["machine"], results["versions"]
    listed = ", ".join(f"{name} {number}" for name, number in versions.items())
    return f"{at['date']}: {at['processor']}, {at['cores']} cores, {at['system']}; {listed}."


def scaling_table(found):
    stages = ("features", "Jacobian", "singular values")
    named = {"neighbors": "N", "n_max": "n_max", "l_max": "l_max + 1", "nu": "features, by ν", "batch": "batch"}
    lines = ["| exponent of (expected) | " + " | ".join(stages) + " |", "|---" * 4 + "|"]
    for name, one in found.items():
        both = zip(one["exponents"], one["expected"], strict=True)
        span = f"{one['x'][-3]} to {one['x'][-1]}"
        lines.append(f"| {named[name]}, {span} | " + " | ".join(f"{at:.2f} ({most})" for at, most in both) + " |")
    return "\n".join(lines) + "\n"


def rendered(page, works, scaling):
    """Return the page with new tables between its markers."""
    if works is not None:
        picture = "![jaxfeat's rate over each peer's](results/works.png)"
        page = between(
            page, "works", f"{describe_machine(works)}\n\n{picture}\n\n{report.RATE_LEGEND}\n\n{to_markdown(works)}"
        )
    if scaling is not None:
        picture = "![Cost against sizes](results/scaling.png)"
        page = between(page, "scaling", f"{picture}\n\n{scaling_table(scaling)}")
    return page


def between(page, name, text):
    begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->\n"
    before, rest = page.split(begin)
    return before + begin + text + end + rest.split(end)[1]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--data", type=Path, metavar="FILE", help="3bpa_train_300K.xyz, for W6")
    parser.add_argument("--render", action="store_true", help="write the page from what was measured before")
    arguments = parser.parse_args()
    names = arguments.names or [*WORKLOAD_NAMES, "scaling"]
    if unknown := set(names) - {*WORKLOAD_NAMES, "scaling"}:
        parser.error(f"there is no {', '.join(sorted(unknown))}; choose among {', '.join(WORKLOAD_NAMES)}, scaling.")
    failed = []
    if not arguments.render:
        WORKS.parent.mkdir(exist_ok=True)
        for name in [name for name in WORKLOAD_NAMES if name in names]:
            # Results are written after each work, so that an hour is not lost.
            with show_progress(True, f"stages of {name}") as progress:
                results = compare_packages([name], data=arguments.data, progress=progress)
            failed += failure_messages(results)
            results = merged(read(WORKS), results)
            write_json(WORKS, results)
            save_figure(WORKS.with_suffix(".png"), report.plot_rates(results))
        if "scaling" in names:
            subprocess.run([sys.executable, HERE / "scaling.py"], check=True)
    PAGE.write_text(rendered(PAGE.read_text(), read(WORKS), read(SCALING)))
    print("\n".join([f"page: {PAGE}", *failed]))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
