"""Measure the CPU seconds that commands and short scripts take when a user runs them for the first or second time.

    python benchmarks/first_contact.py                          # this checkout
    python benchmarks/first_contact.py --against ../old         # and another one, in turns
    python benchmarks/first_contact.py --rows help g2 --json first.json
    python benchmarks/first_contact.py --smoke

Every run is a fresh process in an empty folder, and no variable that concerns JAX, XLA or threads is set. A cold run
finds an empty cache folder, and a warm run finds the programs that the run before it kept. CPU seconds are user and
system time of the process and its children. A run is disturbed if other processes had more than a tenth of the cores
meanwhile: it is dropped and counted, unless all runs were disturbed.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.util
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import ase.io
import numpy as np
from ase import Atoms
from ase.build import molecule
from ase.collections import g2, s22
from rich.console import Console
from rich.table import Table

from jaxfeat.bench.timing import ONE_THREAD
from jaxfeat.bench.workloads import DATA

HERE = Path(__file__).parents[1]
CONCERNED = ("JAX_", "JAXFEAT_", "XLA_", "TF_", "OMP_", "OPENBLAS_", "MKL_", "RAYON_", "PYTHON", "XDG_")
"""Beginnings of the names of variables that are taken out of the environment."""

MOST_OF_OTHERS = 0.1
"""Share of all cores that other processes may have during a run."""

LIQUID = ["--r-cut", "5", "--n-max", "6", "--l-max", "6", "--sigma", "0.5"]
"""The descriptor of the liquid."""

SMOKE = ["--n-max", "2", "--l-max", "2"]

SCAN = {"species": ["H", "C", "N", "O"], "r_cut": 4.0, "n_max": 8, "l_max": 6, "sigma": 0.3}
"""The default descriptor of `jaxfeat scan`, with the species of organic molecules."""

W7 = SCAN | {"r_cut": 5.0, "n_max": 6}
"""The descriptor of 100 molecules, of which every package computes features and Jacobians once, as NumPy arrays."""

COMMAND = "import sys; from jaxfeat.cli import main; sys.exit(main())"
PRELUDE = """
import json, os, sys, time
job = json.loads(sys.argv[1])
import numpy as np
from ase.collections import g2, s22
molecules = [g2[name] if name in g2.names else s22[name] for name in job["molecules"]]
"""
JAXFEAT = """
import jax, jaxfeat
jax.config.update("jax_enable_x64", True)
if job["keep"] and hasattr(jaxfeat, "keep_compilations"):
    jaxfeat.keep_compilations()
elif job["keep"]:  # in checkouts from before it
    jax.config.update("jax_compilation_cache_dir", os.environ["XDG_CACHE_HOME"])
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
f = jaxfeat.PowerSpectrum(**job["settings"])
start = time.process_time()
"""
END = """
print(json.dumps({"work": time.process_time() - start}))
"""
SPECTRA = """
for atoms in molecules:
    np.asarray(jaxfeat.singular_spectrum(f, jaxfeat.environments(atoms, f)).values)
"""
NULL_SPACES = """
for atoms in molecules:
    jaxfeat.null_space(f, jaxfeat.environments(atoms, f, [0])[0])
"""
JACOBIANS = """
stacked = jaxfeat.stacked(f)
for atoms in molecules:
    structure = jaxfeat.structures(atoms, f)
    np.asarray(stacked(structure)), np.asarray(jaxfeat.jacobian(stacked, structure))
"""
PEERS = {
    "dscribe": """
from dscribe.descriptors import SOAP
start = time.process_time()
soap = SOAP(**job["settings"], periodic=False)
for atoms in molecules:
    soap.derivatives(atoms, method="analytical", attach=True)
""",
    "featomic": """
from featomic import SoapPowerSpectrum
from featomic.basis import Gto, TensorProduct
from featomic.cutoff import Cutoff, ShiftedCosine
from featomic.density import Gaussian
start = time.process_time()
settings = job["settings"]
calculator = SoapPowerSpectrum(
    cutoff=Cutoff(radius=settings["r_cut"], smoothing=ShiftedCosine(width=0.5)),
    density=Gaussian(width=settings["sigma"], center_atom_weight=1.0),
    basis=TensorProduct(
        max_angular=settings["l_max"], radial=Gto(max_radial=settings["n_max"] - 1, radius=settings["r_cut"])
    ),
)
for block in calculator.compute(molecules, gradients=["positions"]).blocks():
    np.asarray(block.values), np.asarray(block.gradient("positions").values)
""",
}
"""Programs of W7 for other packages, which compile nothing: every run of them is like the first."""

LIQUID_BY_DSCRIBE = """
import ase.io
from ase import Atoms
from ase.neighborlist import neighbor_list
from dscribe.descriptors import SOAP
start = time.process_time()
soap, groups = SOAP(**job["settings"], periodic=False), {}
for frame in ase.io.read(job["file"], ":"):
    center, neighbor, offset = neighbor_list("ijD", frame, job["settings"]["r_cut"])
    for k in range(len(frame)):
        numbers = [frame.numbers[k], *frame.numbers[neighbor[center == k]]]
        groups.setdefault(len(numbers), []).append(Atoms(numbers, [[0, 0, 0], *offset[center == k]]))
for n, members in groups.items():
    for batch in (members[k : k + 20] for k in range(0, len(members), 20)):
        where = {"centers": [[0]] * len(batch), "include": [list(range(1, n))] * len(batch), "attach": False}
        found = soap.derivatives(batch, **where, method="analytical", return_descriptor=False)
        np.linalg.svd(found.reshape(len(batch), 3 * n - 3, -1).swapaxes(1, 2), compute_uv=False)
"""
"""Each environment of the liquid as a molecule of its own, because DScribe has no analytic derivatives of crystals."""

KINDS = {"cpu": "with imports", "work": "without"}


class Row(NamedTuple):
    """One command or script.

    **Attributes:**

    - `title`: For the table.
    - `words`: The words after `python`.
    - `at_most`: The largest ratio that the checkout may reach, by state.
    - `states`: "cold" and "warm" if it compiles.
    - `is_script`: True for a script, which keeps compiled programs only if its job says so.
    """

    title: str
    words: list[str]
    at_most: dict[str, float]
    states: tuple[str, ...] = ("cold", "warm")
    is_script: bool = False


class Run(NamedTuple):
    """Seconds of one run.

    **Attributes:**

    - `cpu`, `wall`: Of the process and its children, from start to end.
    - `work`: CPU seconds after imports, `None` for commands.
    - `others`: The share of all cores that other processes had meanwhile, `None` without Linux's /proc.
    - `megabytes`: The most memory that it held, or that this process held when it started it, if that is more.
    """

    cpu: float
    wall: float
    work: float | None
    others: float | None
    megabytes: float


def list_rows(folder: Path, data: Path | None, smoke: bool) -> dict[str, Row]:
    """List the rows. Files of structures are written into `folder`."""
    ase.io.write(folder / "ethanol.xyz", molecule("CH3CH2OH"))
    waters = [draw_waters(2 if smoke else 4, seed) for seed in range(2 if smoke else 10)]
    ase.io.write(folder / "water.extxyz", waters[0])
    ase.io.write(folder / "water10.extxyz", waters)
    if data is None:
        ase.io.write(folder / "pair.extxyz", rattled_pairs(10))
    if smoke:
        ase.io.write(folder / "g2.xyz", [g2[name] for name in g2.names[:2]])
    flexible, source = ("adenine-thymine", folder / "pair.extxyz") if data is None else ("3bpa", data)

    def scan(source: Any, *words: str) -> list[str]:
        return ["-c", COMMAND, "scan", str(source), *words, *(SMOKE if smoke else [])]

    def store(source: Path) -> list[str]:
        return scan(source, "--screened", "--out", "store.zarr", *LIQUID, *(["--r-cut", "2.5"] if smoke else []))

    def script(program: str, names: list[str], settings: dict[str, Any], file: Any = None) -> list[str]:
        small = {"n_max": 2, "l_max": 2} if smoke else {}
        job = {"molecules": names[:1] if smoke else names, "settings": settings | small, "file": file, "keep": False}
        return ["-c", PRELUDE + program + END, json.dumps(job)]

    organic = [name for name in g2.names if set(g2[name].symbols) <= set(SCAN["species"])]
    large = [name for name in organic if len(g2[name]) >= 5]
    hundred = [*(name for name in organic if len(g2[name]) >= 2), *s22.names][:100]
    spectra = script(JAXFEAT + SPECTRA, evenly(large, 20), SCAN)
    null_spaces = script(JAXFEAT + NULL_SPACES, evenly(large, 10), SCAN)
    jacobians = script(JAXFEAT + JACOBIANS, hundred, W7)
    frames = scan(source, "--screened", "--index", ":1" if smoke else ":10", *(["--centers", "0"] if smoke else []))
    ethanol, g2_set = folder / "ethanol.xyz", folder / "g2.xyz" if smoke else "g2"
    rows = {
        "help": Row("jaxfeat --help", ["-c", COMMAND, "--help"], {"": 1 / 4}, ("",)),
        "ethanol": Row("scan ethanol.xyz", scan(ethanol), {"cold": 1 / 3, "warm": 1 / 4}),
        "g2": Row("scan g2", scan(g2_set), {"cold": 1 / 4, "warm": 1 / 8}),
        "spectra": Row("spectra of 20 molecules", spectra, {"cold": 1 / 5}, is_script=True),
        "null": Row("null_space of 10 molecules", null_spaces, {"cold": 1 / 5}, is_script=True),
        "frames": Row(f"10 frames of {flexible}, screened", frames, {"warm": 1 / 4}),
        "water": Row("64 waters into a store", store(folder / "water.extxyz"), {"warm": 1 / 10}),
        "water10": Row("10 frames of 64 waters", store(folder / "water10.extxyz"), {}),
        "W7": Row("W7: 100 molecules, Jacobians", jacobians, {}, is_script=True),
    }
    liquid = {"species": ["H", "O"], "r_cut": 2.5 if smoke else 5.0, "n_max": 6, "l_max": 6, "sigma": 0.5}
    by_dscribe = script(LIQUID_BY_DSCRIBE, [], liquid, str(folder / "water10.extxyz"))
    programs = {f"W7-{peer}": script(program, hundred, W7) for peer, program in PEERS.items()}
    for name, words in (programs | {"water10-dscribe": by_dscribe}).items():
        work, _, peer = name.partition("-")
        if importlib.util.find_spec(peer) is not None:
            rows[name] = Row(f"{work} by {peer}", words, {}, ("",), is_script=True)
    return rows


def evenly(names: list[str], n: int) -> list[str]:
    return [names[k * len(names) // n] for k in range(n)]


def rattled_pairs(n: int) -> list[Atoms]:
    """Displace a pair of 30 atoms of four elements: as many neighbors as in a flexible molecule, no symmetry."""
    frames = []
    for seed in range(n):
        frames.append(s22["Adenine-thymine_complex_stack"])
        frames[-1].rattle(0.05, seed=seed)
    return frames


def draw_waters(n: int, seed: int) -> Atoms:
    """Draw n³ waters at 1 g/cm³ in a periodic cube, near a grid, turned at random without close contacts."""
    rng = np.random.default_rng(seed)
    spacing = (18.015 / (6.02214e23 * 1e-24)) ** (1 / 3)
    water = molecule("H2O")
    shape = water.positions - water.positions[0]
    side, placed = n * spacing, np.zeros((0, 3))
    for cell in np.ndindex(n, n, n):
        while True:
            turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
            atoms = spacing * np.asarray(cell) + rng.normal(0, 0.08, 3) + shape @ turn
            apart = placed[None] - atoms[:, None]
            apart -= side * np.round(apart / side)
            # Hydrogen bonds are 1.8 Å long.
            if np.linalg.norm(apart, axis=-1).min(initial=np.inf) > 1.5:
                break
        placed = np.concatenate([placed, atoms])
    return Atoms(water.get_chemical_formula(mode="all") * n**3, placed, cell=[side] * 3, pbc=True)


def run(words: list[str], checkout: Path, cache: Path, threads: dict[str, str]) -> Run:
    """Run a program once, with the package of a checkout."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(CONCERNED)}
    environment |= {"PYTHONPATH": str(checkout), "XDG_CACHE_HOME": str(cache), **threads}
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile("w+") as out:
        before, start = busy_seconds(), time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, *words], cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall, after = time.perf_counter() - start, busy_seconds()
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        said = out.read()
    if process.returncode:
        raise RuntimeError(f"status {process.returncode} in {checkout}: {said[-2000:]}")
    cpu = usage.ru_utime + usage.ru_stime
    last = said.strip().rpartition("\n")[2]
    work = json.loads(last)["work"] if last.startswith('{"work"') else None
    others = None if before is None or after is None else (after - before - cpu) / (wall * (os.cpu_count() or 1))
    return Run(cpu, wall, work, others, usage.ru_maxrss / 1024)


def busy_seconds() -> float | None:
    """Return the seconds for which the cores of this machine have worked or were taken away from it."""
    try:
        first = Path("/proc/stat").read_text().partition("\n")[0].split()
    except OSError:
        return None
    user, nice, system, _, _, interrupts, soft, steal = map(int, first[1:9])
    return (user + nice + system + interrupts + soft + steal) / os.sysconf("SC_CLK_TCK")


def summarize(runs: list[Run]) -> dict[str, Any]:
    """Return medians of the runs that were not disturbed, or of all, and every run."""
    quiet = [one for one in runs if one.others is None or one.others <= MOST_OF_OTHERS]
    kept = quiet or runs
    found: dict[str, Any] = {kind: statistics.median(getattr(one, kind) for one in kept) for kind in ("cpu", "wall")}
    if kept[0].work is not None:
        found["work"] = statistics.median(one.work for one in kept)
    found |= {"n_runs": len(kept), "n_dropped": len(runs) - len(kept), "disturbed": not quiet}
    return found | {"runs": [one._asdict() for one in runs]}


def measure(row: Row, checkouts: dict[str, Path], rounds: int, threads: dict[str, str]) -> dict[str, Any]:
    """Run a row in each of its states, the checkouts in turns. Every state has a summary for each checkout."""
    found = {}
    # A script keeps programs only if its job says so, and what a user writes first does not.
    keeping = [word.replace('"keep": false', '"keep": true') for word in row.words]
    with tempfile.TemporaryDirectory() as folder:
        caches = {side: Path(folder) / side for side in checkouts}
        for state in row.states:
            warm = state == "warm"
            runs: dict[str, list[Run]] = {side: [] for side in checkouts}
            for k in range(rounds):
                # Each turn begins with another checkout than the one before, so that none always comes second.
                for side in list(checkouts)[:: (-1) ** k]:
                    if not warm:
                        shutil.rmtree(caches[side], ignore_errors=True)
                        caches[side].mkdir()
                    elif row.is_script and k == 0:
                        run(keeping, checkouts[side], caches[side], threads)
                    words = keeping if warm else row.words
                    runs[side].append(run(words, checkouts[side], caches[side], threads))
            found[state] = {side: summarize(laps) for side, laps in runs.items()}
    return found


def ratio(sides: dict[str, Any]) -> float | None:
    return sides["new"]["cpu"] / sides["old"]["cpu"] if "old" in sides else None


def commit(checkout: Path) -> str:
    """Return the commit of a checkout, and whether files of it have changed since."""
    words = ["git", "-C", str(checkout), "describe", "--always", "--dirty"]
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout.strip() or "unknown"


def print_results(results: dict[str, Any], console: Console) -> None:
    sides = list(results["checkouts"])
    table = Table("", *(f"CPU s,\n{side}" for side in sides), *(f"wall s,\n{side}" for side in sides))
    table.add_column("new / old")
    table.add_column("at most")
    notes: list[str] = []
    disturbed: list[str] = []
    for row in results["rows"].values():
        if "failed" in row:
            notes.append(f"{row['title']} failed: {row['failed']}")
        for state, found in row.get("states", {}).items():
            title = f"{row['title']}{state and f', {state}'}"
            cells = [f"{found[side][kind]:.2f}" if side in found else "" for kind in ("cpu", "wall") for side in sides]
            least, reached = row["at_most"].get(state), ratio(found)
            verdict = "" if reached is None else f"{reached:.3f}"
            table.add_row(title, *cells, verdict, "" if least is None else f"{least:.3f}")
            for side, one in found.items():
                kept, dropped = one["n_runs"], one["n_dropped"]
                if one["disturbed"]:
                    disturbed.append(f"{title} ({side})")
                elif dropped:
                    notes.append(f"{title}, {side}: {dropped} of {kept + dropped} runs were disturbed and dropped.")
    console.print(table)
    if disturbed:
        notes.append(f"Other processes disturbed every run, so that the times are too long: {', '.join(disturbed)}.")
    for line in [*notes, *compare_with_peers(results["rows"])]:
        console.print(line, highlight=False)
    if results["smoke"]:
        console.print("This is a smoke run with small bases and few structures; its times mean nothing.", style="bold")


def compare_with_peers(rows: dict[str, Any]) -> Iterator[str]:
    """Say how many times longer jaxfeat takes than other packages, with imports and, if both are scripts, without."""
    for name in rows:
        work, _, peer = name.partition("-")
        if not peer or "states" not in rows[name]:
            continue
        theirs = rows[name]["states"][""]["new"]
        for state, ours in rows.get(work, {}).get("states", {}).items():
            kinds = [
                f"{ours['new'][kind] / theirs[kind]:.2f} {what}" for kind, what in KINDS.items() if kind in ours["new"]
            ]
            yield f"{work}, {state}: CPU time over that of {peer}: {', '.join(kinds)}."


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--against", type=Path, metavar="DIR", help="another checkout, measured in turns as the old one"
    )
    parser.add_argument("--rows", nargs="+", metavar="ROW", help="some of the rows (default: all)")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each state (default: %(default)s)")
    parser.add_argument("--data", type=Path, help=f"3bpa_train_300K.xyz (default: ${DATA}, or a pair made with ASE)")
    parser.add_argument("--one-blas-thread", action="store_true", help="set the variables that limit threads to 1")
    parser.add_argument("--smoke", action="store_true", help="small bases, few structures, one round")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write one object with every run")
    arguments = parser.parse_args()
    data = arguments.data or (Path(os.environ[DATA]) if os.environ.get(DATA) else None)
    checkouts = {} if arguments.against is None else {"old": arguments.against.resolve()}
    checkouts["new"] = HERE
    for checkout in checkouts.values():
        # Otherwise the first run would compile Python's own code, which users do when they install a package.
        subprocess.run([sys.executable, "-m", "compileall", "-q", str(checkout / "jaxfeat")], check=True)
    threads = ONE_THREAD if arguments.one_blas_thread else {}
    console = Console()
    results: dict[str, Any] = {
        "machine": {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count()},
        "date": datetime.date.today().isoformat(),
        "checkouts": {side: commit(checkout) for side, checkout in checkouts.items()},
        "one_blas_thread": arguments.one_blas_thread,
        "smoke": arguments.smoke,
        "rows": {},
    }
    with tempfile.TemporaryDirectory() as folder:
        rows = list_rows(Path(folder), None if data is None else data.resolve(), arguments.smoke)
        if unknown := set(arguments.rows or ()) - set(rows):
            parser.error(f"there is no row {', '.join(unknown)}; choose among {', '.join(rows)}.")
        for name in arguments.rows or rows:
            row = rows[name]
            console.print(f"{row.title} ...", highlight=False)
            sides = {"new": HERE} if "-" in name else checkouts
            found = results["rows"][name] = {"title": row.title, "at_most": row.at_most}
            try:
                found["states"] = measure(row, sides, 1 if arguments.smoke else arguments.rounds, threads)
            except RuntimeError as error:
                found["failed"] = str(error)
            if arguments.json is not None:
                arguments.json.write_text(json.dumps(results, indent=1) + "\n")
    print_results(results, console)
    return int(any("failed" in row for row in results["rows"].values()))


if __name__ == "__main__":
    sys.exit(main())
