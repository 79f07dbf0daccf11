"""Records made by hand, as a scan would make them."""

import io

import numpy as np
from rich.console import Console

from jaxfeat.report.scan_table import print_scan

FLOOR = 2e-13


def record(structure=0, center=0, name="CH4", species="C", sigma=(2.0, 1.0, 0.5), raw=None, n_neighbors=2, status="ok"):
    """`sigma` is the equilibrated spectrum over its largest value's scale; `raw` the same if not given."""
    ok = status == "ok"
    raw = sigma if raw is None else raw
    return {
        "structure": structure,
        "center": center,
        "name": name,
        "species": species,
        "n_neighbors": n_neighbors,
        "sigma": list(raw) if ok else [],
        "sigma_equilibrated": list(sigma) if ok else [],
        "floor": FLOOR * max(raw, default=0.0) if ok else None,
        "floor_equilibrated": FLOOR * max(sigma, default=0.0) if ok else None,
        "null": {"rigid": 3, "symmetry": sum(s <= FLOOR * max(sigma) for s in sigma) if ok else 0},
        "status": status,
    }


def many(n_structures, seed=0, species=("H", "C", "N", "O"), nulls=True, n_neighbors=(3, 12)):
    """Random spectra of molecules of a few atoms."""
    rng = np.random.default_rng(seed)
    records = []
    for structure in range(n_structures):
        for center in range(5):
            size = int(rng.integers(*n_neighbors)) if n_neighbors[0] < n_neighbors[1] else n_neighbors[0]
            sigma = np.sort(10 ** rng.uniform(-4, 0, 3 * size - 3))[::-1]
            if nulls and rng.uniform() < 0.2:
                sigma[-int(rng.integers(1, 4)) :] = 1e-17
            raw = np.sort(sigma * 10 ** -rng.uniform(0, 5, len(sigma)))[::-1]
            where = {"structure": structure, "center": center, "name": f"molecule {structure}"}
            records.append(
                record(**where, species=species[center % len(species)], sigma=sigma, raw=raw, n_neighbors=size)
            )
    return records


def printed(what, width=100):
    """What a terminal of this width shows of records or of a table."""
    console = Console(file=io.StringIO(), width=width)
    if isinstance(what, list):
        print_scan(what, {}, console)
    else:
        console.print(what)
    return console.file.getvalue()


def row(text, name):
    """The cells of the one line that begins with a name."""
    (line,) = [line for line in text.splitlines() if f"{line.strip()} ".startswith(f"{name} ")]
    return line.strip().removeprefix(name).split()
