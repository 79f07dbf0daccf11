"""Made-up results: records of scans and of grids of bases, columns of a store, and data sets of sweeps."""

import io

import numpy as np
import xarray
from rich.console import Console

from jaxfeat.report.scan_table import print_scan
from jaxfeat.report.store_summary import StoreSummary

FLOOR = 2e-13
"""Floor of all spectra, relative to the largest value."""


def record(structure=0, center=0, name="CH4", species="C", sigma=(2.0, 1.0, 0.5), raw=None, n_neighbors=2, status="ok"):
    """Make the record of an environment. `sigma` is its equilibrated spectrum, and its raw one without `raw`."""
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
    """Make records of molecules of five atoms with random spectra."""
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


def printed(shown, width=100):
    """Print records or a table as a terminal of this width shows them."""
    console = Console(file=io.StringIO(), width=width)
    if isinstance(shown, list):
        print_scan(shown, {}, console)
    else:
        console.print(shown)
    return console.file.getvalue()


def row(text, name):
    """Split the only line that begins with a name into its cells."""
    (line,) = [line for line in text.splitlines() if f"{line.strip()} ".startswith(f"{name} ")]
    return line.strip().removeprefix(name).split()


def basis_record(n_max, l_max, nu=2, median=1e-2, least=None, known=True, **counts):
    """Make the record of a basis in a grid over 2000 environments."""
    least = median / 10 if least is None else least
    ratios = {"least": least, "1%": least, "10%": median, "median": median}
    return {
        "nu": nu, "n_max": n_max, "l_max": l_max, "n_features": n_max**nu * (l_max + 1), "environments": 2000,
        "truncated": 0, "truncation": 0, "ambiguous": 0, "unclassified": 0, "symmetric": 0, "incomplete": 0,
        "nearly": 0, "equilibrated": {name: {"value": value, "known": known} for name, value in ratios.items()},
        "raw": {name: {"value": value / 7, "known": True} for name, value in ratios.items()},
        **counts,
    }  # fmt: skip


GRID = [
    basis_record(2, 2, median=1e-13, known=False, truncated=400, ambiguous=100),
    basis_record(2, 4, median=1e-3),
    basis_record(2, 6, median=2e-3),
    basis_record(4, 2, median=1e-4, truncated=1),
    basis_record(4, 4, median=6e-3),
    basis_record(4, 6, median=9e-3),
    basis_record(6, 2, median=2e-4, ambiguous=3),
    basis_record(6, 4, median=8e-3),
    basis_record(6, 6, median=1e-2),
]
ORDERS = [basis_record(2, 0, nu=1, incomplete=1900), basis_record(4, 0, nu=1, incomplete=1900), *GRID]
NO_NEIGHBORS = basis_record(2, 2, environments=0, equilibrated={}, raw={})
"""A basis for environments without neighbors."""

STORE_CAUSES = ("rigid", "symmetry", "incompleteness", "truncation", "locality", "other", "width")
ATOMIC_NUMBERS = {"H": 1, "C": 6, "N": 7, "O": 8}


def store_columns(records):
    """Convert records of a scan to the columns of a store."""
    width = max(len(r["sigma"]) for r in records)

    def padded(sigma):
        return np.pad(sigma, (0, width - len(sigma)), constant_values=np.nan)

    found = {name: np.stack([padded(r[name]) for r in records]) for name in ("sigma", "sigma_equilibrated")}
    found |= {f"floor{s}": np.asarray([r[f"floor{s}"] or np.nan for r in records]) for s in ("", "_equilibrated")}
    found["n_values"] = np.asarray([len(r["sigma"]) for r in records])
    found["certified"] = np.asarray([bool(r["sigma"]) for r in records])
    found["null"] = np.asarray([[r["null"].get(cause, 0) for cause in STORE_CAUSES] for r in records])
    found["status"] = np.asarray([r["status"] for r in records])
    found["center_species"] = np.asarray([ATOMIC_NUMBERS[r["species"]] for r in records])
    found["n_neighbors"] = np.asarray([r["n_neighbors"] for r in records])
    found["structure_index"] = np.asarray([r["structure"] for r in records])
    found["center_index"] = np.asarray([r["center"] for r in records])
    return found


def summarize(records, step):
    """Add up the columns of records, `step` environments at a time."""
    whole, summary = store_columns(records), StoreSummary(STORE_CAUSES)
    for start in range(0, len(records), step):
        summary.add({name: column[start : start + step] for name, column in whole.items()})
    return summary


SWEEP_CAUSES = ["rigid", "symmetry", "incompleteness", "truncation", "other"]


def sweep_data_set(names, n_zeros):
    """Make the data set of a sweep: a valley along the first parameter, with zeros on it."""
    shape = (5, 6)[: len(names)]
    grid = np.meshgrid(*(np.linspace(0.5, 1.0, n) for n in shape), indexing="ij")
    sigma = np.stack([np.ones(shape), np.abs(grid[0] - 0.7) + 1e-9], -1)
    p = len(names)
    at = np.linspace(0.6, 0.9, max(n_zeros, 1))[:n_zeros, None] * np.ones(p)
    curve = np.zeros(n_zeros, int)
    high = at.copy()
    if p == 2 and n_zeros:
        curve[-1], high[-1, 1] = 1, 1.0
    null = np.zeros((n_zeros, 5), int)
    null[:, 0] = 3
    null[np.arange(n_zeros), np.arange(n_zeros) % 3 + 1] = 1
    sentences = ["symmetry (C_s): physics", "incompleteness: ν = 3 lifts it", "truncation: l_max >= 5 lifts it"]
    units = dict(zip(names, ("rad", "Å"), strict=False))
    return xarray.Dataset(
        {
            "sigma": ((*names, "value"), sigma),
            "sigma_equilibrated": ((*names, "value"), sigma),
            "floor": (names, np.full(shape, 1e-13)),
            "floor_equilibrated": (names, np.full(shape, 1e-13)),
            "n_values": (names, np.full(shape, 2)),
            "null": ((*names, "cause"), np.broadcast_to([3, 0, 0, 0, 0], (*shape, 5))),
            "status": (names, np.full(shape, "ok")),
            "zero_at": (("zero", "parameter"), at.reshape(n_zeros, p)),
            "zero_low": (("zero", "parameter"), at.reshape(n_zeros, p)),
            "zero_high": (("zero", "parameter"), high.reshape(n_zeros, p)),
            "zero_error": ("zero", np.full(n_zeros, 1e-12)),
            "zero_dimension": ("zero", curve),
            "zero_ratio": ("zero", np.full(n_zeros, 1e-16)),
            "zero_null": (("zero", "cause"), null),
            "zero_cause": ("zero", np.asarray([sentences[k % 3] for k in range(n_zeros)], str)),
            "zero_point": (("point", "parameter"), np.concatenate([at, high]).reshape(2 * n_zeros, p)),
            "zero_of_point": ("point", np.tile(np.arange(n_zeros), 2)),
        },
        coords={
            name: (name, np.linspace(0.5, 1.0, n), {"units": units[name]}) for name, n in zip(names, shape, strict=True)
        }
        | {"cause": SWEEP_CAUSES, "parameter": list(names)},
        attrs={"n_generic": 0},
    )


def force_record(structure=0, sigma=(1.0, 0.5, 0.1), components=(1.0, 1.0, 1.0), null=0.0, rigid_share=1e-5):
    """Make the record of a structure's forces, with one component in the null space."""
    sigma, components = np.asarray(sigma, float)[: len(components)], np.asarray(components, float)
    norm, visible = float(np.hypot(np.linalg.norm(components), null)), float(np.linalg.norm(components))
    slopes = components / sigma
    number = np.linalg.norm(slopes) * np.sqrt((sigma**2).mean()) / visible if visible else np.nan
    return {
        "structure": structure,
        "name": f"frame {structure}",
        "n_atoms": 3,
        "invisible_share": null / norm if norm else np.nan,
        "scale_free": float(number),
        "force_norm": norm,
        "rigid_share": rigid_share,
        "n_null": int(null > 0),
        "sigma": sigma.tolist(),
        "slopes": np.abs(slopes).tolist(),
        "status": "ok",
    }
