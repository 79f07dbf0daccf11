"""jaxfeat scan --forces: reference forces on the singular directions of whole structures."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jaxfeat
from jaxfeat.cli.inputs import choose_r_cut, make_featurizer, make_title, read_options
from jaxfeat.cli.model import say_model
from jaxfeat.cli.output import check_targets, save_figure, say, say_written, write_json
from jaxfeat.errors import GeometryError, ReadError, SpeciesError
from jaxfeat.progress import show_progress

if TYPE_CHECKING:
    import numpy as np

    from jaxfeat.geometry.species import Atoms

OF_ENVIRONMENTS = (
    "centers", "sample", "screened", "classify", "tolerance", "symmetrize", "out", "overwrite", "no_positions", "chunk",
    "cluster", "workers",
)  # fmt: skip


def add_forces(parser: argparse.ArgumentParser) -> None:
    """Add the options of a scan of forces."""
    forces = parser.add_argument_group("forces, instead of environments")
    forces.add_argument(
        "--forces",
        metavar="KEY",
        help="look at whole structures, and say which part of the forces in array KEY of INPUT no model of the "
        "features can fit, and how steep a model must be for the rest",
    )


def scan_forces(arguments: argparse.Namespace) -> None:
    """Print a table of the forces of each structure, and write what is asked for."""
    from jaxfeat.report.force_table import print_forces

    given = vars(arguments)
    # `classify` is absent unless it was given, and `None` stands for all.
    if beside := [name for name in OF_ENVIRONMENTS if given.get(name) or (name in given and name == "classify")]:
        option = f"--{beside[0].replace('_', '-')}"
        raise ReadError(f"{option} applies to environments, and --forces to whole structures; leave out one of them.")
    check_targets(arguments.json, arguments.plot)
    source = jaxfeat.read(arguments.input, **read_options(arguments), progress=True)
    forces = [
        find_forces(atoms, arguments.forces, name) for atoms, name in zip(source.atoms, source.names, strict=True)
    ]
    f = make_featurizer(arguments, sorted({symbol for atoms in source.atoms for symbol in atoms.symbols}))
    map_name = arguments.map or "stacked"
    say(f"{len(forces):,} structures of up to {max(map(len, forces))} atoms; {map_name} features.")
    try:
        if arguments.model is not None:
            say_model(arguments, f, jaxfeat.structures(source.atoms[0], choose_r_cut(arguments)))
        records = force_records(getattr(jaxfeat, map_name)(f), source, forces, choose_r_cut(arguments))
    except (GeometryError, SpeciesError) as error:
        raise type(error)(f"{arguments.input}: {error}") from error
    if arguments.json is not None:
        write_json(arguments.json, records)
    if arguments.plot is not None:
        from jaxfeat.report.force_plot import plot_forces

        save_figure(arguments.plot, plot_forces(records, make_title(f, Path(arguments.input).name)))
    print_forces(records, map_name)
    say_written(arguments.json, arguments.plot)


def find_forces(atoms: Atoms, key: str, name: str) -> np.ndarray:
    """Find the forces `(n, 3)` of a structure by the name of their array. **Raises:** `ReadError`."""
    import numpy as np

    from jaxfeat.geometry.files.trajectory import per_atom_arrays

    arrays = per_atom_arrays(atoms)
    if key not in arrays:
        present = [found for found, array in arrays.items() if array.shape == (len(atoms), 3) and found != "positions"]
        held = f"it holds {', '.join(present)}" if present else "it holds no vectors for each atom"
        raise ReadError(f"{name}: there is no array {key!r}; {held}.")
    forces = np.asarray(arrays[key])
    if forces.shape != (len(atoms), 3) or forces.dtype.kind not in "fiu":
        raise ReadError(f"{name}: {key} has shape {forces.shape}; forces are three numbers for each atom.")
    return forces.astype(float)


def force_records(f: Any, source: jaxfeat.StructureSet, forces: list[np.ndarray], r_cut: float) -> list[dict[str, Any]]:
    """Make one record for each structure, with progress on stderr."""
    import jax
    import numpy as np

    found: dict[int, dict[str, Any]] = {}
    with show_progress(True, "structures", len(forces)) as progress:
        for periodic in (False, True):
            chosen = [k for k, atoms in enumerate(source.atoms) if atoms.pbc.any() == periodic]
            if not chosen:
                continue
            # In one batch, all structures have the same room for neighbors, and share a program if one is compiled.
            batch = jax.tree.map(np.asarray, jaxfeat.structures([source.atoms[k] for k in chosen], r_cut))
            for row, k in enumerate(chosen):
                given = np.zeros(batch.positions.shape[1:])
                given[: len(forces[k])] = forces[k]
                try:
                    visible = jaxfeat.visible_force(f, batch[row], given)
                except (GeometryError, SpeciesError) as error:
                    raise type(error)(f"{source.names[k]}: {error}") from error
                found[k] = {"structure": k, "name": source.names[k], **make_record(visible, len(forces[k]))}
                progress(len(found), len(forces))
    return [found[k] for k in range(len(forces))]


def make_record(found: jaxfeat.VisibleForce, n_atoms: int) -> dict[str, Any]:
    """Write the forces of one structure as plain values."""
    numbers = ("invisible_share", "scale_free", "force_norm", "rigid_share")
    return {
        "n_atoms": n_atoms,
        **{name: float(getattr(found, name)) for name in numbers},
        "n_null": int(found.n_null),
        "sigma": found.sigma.tolist(),
        "slopes": found.slopes.tolist(),
        "status": str(found.status),
    }
