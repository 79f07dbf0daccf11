"""jaxfeat features: features and Jacobians as numbers in a file."""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jaxfeat
from jaxfeat.cli.arguments import add_centers, add_descriptor, add_input
from jaxfeat.cli.inputs import check_species, count, list_species, make_featurizer, open_frames, read_environments
from jaxfeat.cli.model import say_model
from jaxfeat.cli.output import check_targets, open_replacement, say, say_written
from jaxfeat.errors import GeometryError, ReadError, SpeciesError
from jaxfeat.progress import show_progress

if TYPE_CHECKING:
    import numpy as np

EXAMPLES = (
    ("features molecules.xyz --out features.npz", "features of every atom, for numpy.load"),
    ("features molecules.xyz --centers O --jacobian --out o.npz", "those of oxygens, and derivatives by the atoms"),
    ("features trajectory.xyz --summed --jacobian --out t.zarr", "of structures, chunk by chunk, for xarray.open_zarr"),
)


def add_features(commands: Any) -> None:
    parser = commands.add_parser(
        "features",
        help="features and Jacobians as numbers in a file, and nothing else",
        description="Write the features of the environments of INPUT, and their derivatives by the positions of the "
        "atoms, with the indices of structures, centers and atoms, the labels of the features and the spec of the "
        "descriptor. Lengths are in Å.",
        examples=EXAMPLES,
    )
    parser.set_defaults(run=_features, begins="reading {input}.")
    add_input(parser)
    add_descriptor(parser, models=True)
    add_centers(parser)
    what = parser.add_argument_group("the features")
    what.add_argument(
        "--jacobian",
        action="store_true",
        help="write the derivatives by the atoms within the cutoff, one entry for each; a center moves with its atom",
    )
    what.add_argument(
        "--dense", action="store_true", help="with --jacobian: one axis for all atoms, with zeros, in a .npz"
    )
    what.add_argument(
        "--summed", action="store_true", help="add up the features of all centers of one species in a structure"
    )
    what.add_argument(
        "--dtype",
        choices=("float64", "float32"),
        default="float64",
        help="type of the numbers in the file; they are computed in float64 (default: %(default)s)",
    )
    results = parser.add_argument_group("results")
    results.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="FILE",
        help="FILE.npz, for numpy.load; FILE.zarr, written chunk by chunk, for xarray.open_zarr; or FILE.extxyz, for "
        "ase.io.read, with the features as an array of the atoms",
    )
    results.add_argument("--overwrite", action="store_true", help="replace a .zarr that is there")


def _features(arguments: argparse.Namespace) -> None:
    from jaxfeat.store.feature_file import SUFFIXES

    path = arguments.out
    if path.suffix not in SUFFIXES:
        raise ReadError(f"{path} names no file of features; end it in {', '.join(SUFFIXES)}.")
    if path.suffix == ".zarr":
        _check_store(path, arguments.overwrite)
    else:
        check_targets(path, None)
    if path.suffix == ".extxyz" and (arguments.jacobian or arguments.summed):
        raise ReadError("extended xyz has arrays of atoms only; write Jacobians and sums into a .npz or .zarr.")
    if arguments.dense and not (arguments.jacobian and path.suffix == ".npz"):
        raise ReadError("--dense is a form of --jacobian in a .npz; add the one, and name the other.")
    shapes = _write_store(arguments) if path.suffix == ".zarr" else _write_file(arguments)
    _print_arrays(arguments, shapes)
    say_written(path)


def _check_store(path: Path, overwrite: bool) -> None:
    from jaxfeat.geometry.files.write import check_folder
    from jaxfeat.store.zarr_arrays import is_group

    check_folder(path)
    if path.exists() and not (overwrite and is_group(path)):
        cure = "add --overwrite to replace it" if is_group(path) else "it is no zarr store; name another"
        raise ReadError(f"{path} exists already; {cure}.")


def _write_file(arguments: argparse.Namespace) -> dict[str, tuple[int, ...]]:
    """Compute everything, and write a file. Return the shapes of the arrays."""
    import numpy as np

    from jaxfeat.geometry.files.write import write_features_of_atoms
    from jaxfeat.spectrum.feature_rows import compute_feature_rows, fill_in_zeros, sum_by_structure, to_host
    from jaxfeat.store.feature_file import collect_arrays, write_npz

    path = arguments.out
    source, device_batch = read_environments(arguments)
    batch = to_host(device_batch)
    f = make_featurizer(arguments, list_species(batch))
    f.check(batch)
    say_model(arguments, f, batch)
    n_atoms = max(map(len, source.atoms))
    n_entries = len(batch) * n_atoms if arguments.dense else int(batch.mask.sum()) + len(batch)
    _check_size(arguments, f, batch[0], len(batch), n_entries)
    size = f"of up to {count(batch.max_neighbors, 'neighbor')}"
    say(f"{count(len(source.atoms), 'structure')}, {count(len(batch), 'environment')} {size}.")
    with show_progress(True, "environments", len(batch)) as report:
        rows = compute_feature_rows(f, batch, arguments.jacobian, len(batch), lambda n: report(n, len(batch)))
    if arguments.summed:
        rows = sum_by_structure(rows, _species(f))
    with open_replacement(path) as file:
        if path.suffix == ".extxyz":
            origin = _describe_origin(f, arguments)
            features = rows.features.astype(arguments.dtype)
            for k, atoms in enumerate(source.atoms):
                own = np.flatnonzero(rows.structure == k)
                info = {"name": source.names[k], "featurizer": origin["featurizer"]}
                write_features_of_atoms(file, atoms, features[own], rows.center[own], info)
            return {"features": features.shape}
        dense = fill_in_zeros(rows, n_atoms) if arguments.dense else None
        arrays = collect_arrays(rows, arguments.dtype, dense)
        labels = _list_labels(f, arguments, arrays["features"].shape[1])
        write_npz(file, arrays, labels, source.names, _describe_origin(f, arguments))
    return {name: array.shape for name, array in arrays.items()} | {
        "labels": labels.shape, "names": (len(source.names),)
    }  # fmt: skip


def _write_store(arguments: argparse.Namespace) -> dict[str, tuple[int, ...]]:
    """Compute and write batch by batch. Return the shapes of the arrays."""
    import numpy as np

    from jaxfeat.spectrum.feature_rows import compute_feature_rows, split_batch, sum_by_structure, to_host
    from jaxfeat.store.feature_file import collect_arrays, describe_arrays
    from jaxfeat.store.zarr_arrays import AppendedArrays

    frames, survey = open_frames(arguments)
    f = make_featurizer(arguments, survey.species)
    check_species(f, frames, survey.species)
    f.check_radius(frames.r_cut)
    total, first = int(survey.counts.sum()), next(frames.batches(0), None)
    if first is None:
        raise ReadError(f"{frames.name} holds no environments; choose other centers.")
    _check_batch(frames, to_host(first))
    say_model(arguments, f, first)
    _check_size(arguments, f, first[0], total, int(total * (np.mean(first.n_neighbors) + 1)))
    say(f"{count(len(survey.counts), 'structure')}, {count(total, 'environment')}.")
    described, done = describe_arrays(arguments.summed, False), 0
    lengths: dict[str, tuple[int, ...]] = {}
    with _new_folder(arguments.out) as folder, show_progress(True, "environments", total) as report:
        store = AppendedArrays(folder)

        def append(name: str, values: np.ndarray) -> None:
            array = described[name]
            store.append(name, values, array.axes, long_name=array.meaning, units=array.units)
            lengths[name] = (lengths.get(name, (0,))[0] + len(values), *values.shape[1:])

        for batch in frames.batches(0):
            _check_batch(frames, to_host(batch))
            for part in split_batch(f, to_host(batch), arguments.summed):
                rows = compute_feature_rows(f, part, arguments.jacobian, total, lambda n: report(done + n, total))  # noqa: B023
                if arguments.summed:
                    rows = sum_by_structure(rows, _species(f))
                before = lengths.get("features", (0,))[0]
                for name, values in collect_arrays(rows, arguments.dtype).items():
                    append(name, values + before if name == "jacobian_row" else values)
                done += len(part)
        append("labels", _list_labels(f, arguments, lengths["features"][1]))
        append("names", np.asarray([frames.label(k) for k in range(len(survey.counts))]))
        store.finish(_describe_origin(f, arguments))
    return lengths


@contextmanager
def _new_folder(path: Path) -> Iterator[Path]:
    """Make a folder that takes the place of `path` when it is complete. After an error nothing is left of it."""
    folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        yield folder
        if path.exists():
            shutil.rmtree(path)
        folder.rename(path)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    umask = os.umask(0)
    os.umask(umask)
    path.chmod(0o777 & ~umask)


def _check_batch(frames: jaxfeat.Frames, batch: Any) -> None:
    """Raise `GeometryError` for a frame that cannot be described, which a sweep would give a status."""
    import numpy as np

    faulty = (batch.center_species == 0) | ((batch.species == 0) & batch.mask).any(1)
    faulty |= ~np.isfinite(batch.positions).all((1, 2)) | (np.abs(batch.r_cut - frames.r_cut) > 1e-6 * frames.r_cut)
    if faulty.any():
        where = frames.label(int(batch.structure_index[np.argmax(faulty)]))
        fault = "has ghosts, atoms that coincide, or positions or a cell that are not finite"
        raise GeometryError(f"{frames.name}: {where} {fault}; leave it out with --index, or ghosts with --skip-ghosts.")


def _check_size(arguments: argparse.Namespace, f: Any, item: Any, n_rows: int, n_entries: int) -> None:
    from jaxfeat.spectrum.feature_rows import count_features
    from jaxfeat.store.feature_file import check_size

    n_features = count_features(f, item)
    if arguments.summed:
        # Each entry has room for the centers of every species.
        n_features *= len(_species(f))
    itemsize = 4 if arguments.dtype == "float32" else 8
    rearranged = arguments.summed or arguments.dense
    check_size(arguments.out, n_rows, n_features, n_entries if arguments.jacobian else 0, itemsize, rearranged)


def _species(f: Any) -> Any:
    if f.species is None:
        raise SpeciesError("this featurizer declares no species, by which --summed tells centers apart; leave it out.")
    return f.species


def _list_labels(f: Any, arguments: argparse.Namespace, n_features: int) -> Any:
    from jaxfeat.geometry.species import SYMBOLS
    from jaxfeat.store.feature_file import list_labels

    symbols = [SYMBOLS[number] for number in _species(f)] if arguments.summed else None
    return list_labels(f, n_features // len(symbols or [0]), symbols)


def _describe_origin(f: Any, arguments: argparse.Namespace) -> dict[str, str]:
    from jaxfeat.store.feature_file import describe_origin

    return describe_origin(f, input=str(arguments.input), command=arguments.command_line)


def _print_arrays(arguments: argparse.Namespace, shapes: dict[str, tuple[int, ...]]) -> None:
    """List the arrays of the file."""
    from jaxfeat.report.tables import open_console, plain_table
    from jaxfeat.store.feature_file import describe_arrays

    described = describe_arrays(arguments.summed, arguments.dense)
    table = plain_table(f"Arrays of {arguments.out}", "Array", ("shape",), ("what it holds",))
    for name, shape in shapes.items():
        array = described[name]
        unit = f" ({array.units})" if array.units else ""
        table.add_row(name, " × ".join(f"{n:,}" for n in shape), f"{array.meaning}{unit}")
    for column in table.columns:
        column.vertical = "top"
    open_console().print(table)
