"""Structures and descriptors that the arguments of a command name."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jaxfeat
from jaxfeat.cli.model import load_model
from jaxfeat.cli.output import say
from jaxfeat.cli.trust import admit_module
from jaxfeat.errors import BasisError, GeometryError, ReadError, SpeciesError
from jaxfeat.progress import show_progress

if TYPE_CHECKING:
    from jaxfeat.geometry.files.frames import FramesSurvey
    from jaxfeat.geometry.structure import Structure


def read_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """Collect the options of `jaxfeat.read` and `jaxfeat.frames`."""
    names = ("format", "index", "units", "skip_ghosts", "ignore")
    return {**{name: getattr(arguments, name) for name in names}, "types": dict(arguments.types or ())}


def read_environments(arguments: argparse.Namespace) -> tuple[jaxfeat.StructureSet, jaxfeat.Environment]:
    """Read INPUT whole. Return its structures, and the environments of the chosen centers."""
    source, centers = _read_source(arguments)
    with _search(arguments, source):
        return source, jaxfeat.environments(source.atoms, choose_r_cut(arguments), centers, names=source.names)


def read_structures(arguments: argparse.Namespace) -> tuple[Sequence[str], list[Structure], list[str]]:
    """Read INPUT whole. Return the names of its structures, the structures with the chosen centers, and the symbols of
    their atoms."""
    import numpy as np

    from jaxfeat.geometry.neighbors import iterate_structures
    from jaxfeat.geometry.species import SYMBOLS

    source, centers = _read_source(arguments)
    with _search(arguments, source):
        found = list(iterate_structures(source.atoms, choose_r_cut(arguments), centers, source.names))
    numbers = np.unique(np.concatenate([one.species for one in found]))
    return source.names, found, [SYMBOLS[number] for number in numbers]


def _read_source(arguments: argparse.Namespace) -> tuple[jaxfeat.StructureSet, Any]:
    """Read INPUT whole, with --symmetrize at symmetric geometries. Return its structures and the choice of centers."""
    source = jaxfeat.read(arguments.input, **read_options(arguments), progress=True)
    tolerance = getattr(arguments, "symmetrize", None)
    if tolerance is not None:
        from jaxfeat.geometry.symmetrize import symmetrize_atoms

        with show_progress(True, "structures symmetrized", len(source.atoms)) as report:
            found = symmetrize_atoms(source.atoms, choose_r_cut(arguments), tolerance, report)
        say(found.describe(tolerance))
        source = source._replace(atoms=found.atoms)
    return source, source.centers if arguments.centers is None else parse_centers(arguments.centers)


@contextmanager
def _search(arguments: argparse.Namespace, source: jaxfeat.StructureSet) -> Iterator[None]:
    """Show the progress of a search for neighbors, and name INPUT in its errors."""
    try:
        with show_progress(True, "structures searched for neighbors", len(source.atoms)):
            yield
    except (GeometryError, SpeciesError) as error:
        # Errors about one structure begin with its name, and the file is added to them.
        if str(error).partition(": ")[0] not in source.names:
            raise
        raise type(error)(f"{arguments.input}: {error}") from error


def open_frames(arguments: argparse.Namespace) -> tuple[jaxfeat.Frames, FramesSurvey]:
    """Open INPUT, to read the environments of the chosen centers batch by batch, and go through its frames once."""
    centers = None if arguments.centers is None else parse_centers(arguments.centers)
    frames = jaxfeat.frames(arguments.input, choose_r_cut(arguments), centers, **read_options(arguments))
    survey = frames.survey(progress=True)
    known = frames._replace(total=int(survey.counts.sum()), survey=lambda progress=None: survey)
    return known, survey


def parse_centers(words: Sequence[str]) -> list[str] | list[int]:
    """Parse --centers: indices if all words are numbers, and symbols otherwise."""
    return [int(word) for word in words] if all(word.lstrip("-").isdecimal() for word in words) else list(words)


def choose_r_cut(arguments: argparse.Namespace) -> float:
    """Take the radius of the environments (Å) from the spec or model if it has one, and from the options otherwise."""
    return float(getattr(_named_featurizer(arguments), "r_cut", arguments.r_cut))


def make_featurizer(arguments: argparse.Namespace, species: Sequence[str], **sizes: int) -> jaxfeat.AbstractFeaturizer:
    """Make the descriptor from the spec or the model, or from the options, `sizes` in their place, with channels for
    `species`."""
    if (f := _named_featurizer(arguments)) is not None:
        return f
    given = {**vars(arguments), **sizes}
    options: dict[str, Any] = {name: given[name] for name in ("r_cut", "n_max", "l_max", "sigma", "radial")}
    options |= {"species": tuple(arguments.species or species), "include_center": not arguments.no_center}
    dedicated = {1: jaxfeat.RadialSpectrum, 2: jaxfeat.PowerSpectrum, 3: jaxfeat.Bispectrum}
    if given["nu"] in dedicated:
        return dedicated[given["nu"]](**options)
    return jaxfeat.Correlations(nu=given["nu"], **options)


def list_species(batch: jaxfeat.Environment) -> list[str]:
    """List the symbols of the atoms in a batch, by atomic number."""
    import numpy as np

    from jaxfeat.geometry.species import SYMBOLS

    present = np.unique(np.concatenate([np.asarray(batch.species).ravel(), np.asarray(batch.center_species)]))
    return [SYMBOLS[number] for number in present if number > 0]


def check_species(f: jaxfeat.AbstractFeaturizer, frames: jaxfeat.Frames, species: Sequence[str]) -> None:
    """Raise `SpeciesError` for atoms that the descriptor does not know. `species` are those of all frames."""
    import numpy as np

    from jaxfeat.geometry.species import SYMBOLS

    if f.species is None:
        return
    known = [SYMBOLS[number] for number in np.asarray(f.species).tolist()]
    if set(species) <= set(known):
        return
    # An unknown atom does no harm if it is beyond the reach of every chosen center.
    for batch in frames.batches(0):
        present = np.unique(np.concatenate([batch.species[batch.mask], batch.center_species])).tolist()
        unknown = [SYMBOLS[number] for number in present if number and SYMBOLS[number] not in known]
        if unknown:
            fault = f"{frames.name}: species {', '.join(unknown)} not among the featurizer's ({', '.join(known)})"
            raise SpeciesError(f"{fault}; add them to its species, or leave the atoms out with --ignore.")


def _named_featurizer(arguments: argparse.Namespace) -> jaxfeat.AbstractFeaturizer | None:
    """Make the featurizer that --spec or --model names, once for each command."""
    spec: Any = getattr(arguments, "spec", None)
    model = getattr(arguments, "model", None)
    if spec is None and model is None:
        return None
    if spec is not None and model is not None:
        raise BasisError("--spec and --model name a descriptor each; leave one out.")
    if "featurizer" not in arguments:
        if model is None:
            arguments.featurizer = _read_spec(spec, arguments)
            _refuse_options(arguments, "--spec", f", or change {spec}")
        else:
            # A model may take long to load.
            _refuse_options(arguments, "--model")
            arguments.featurizer = load_model(model, arguments.trust)
            _refuse_options(arguments, "--model")
    return arguments.featurizer


def _refuse_options(arguments: argparse.Namespace, named: str, cure: str = "") -> None:
    """Raise `BasisError` for options of a descriptor beside --spec or --model. One without a radius takes --r-cut."""
    f, given = getattr(arguments, "featurizer", None), getattr(arguments, "given", {})
    beside = [option for name, option in given.items() if name != "r_cut" or hasattr(f, "r_cut")]
    if beside:
        raise BasisError(f"{named} sets the whole descriptor; leave out {', '.join(beside)}{cure}.")


def _read_spec(path: Path, arguments: argparse.Namespace) -> jaxfeat.AbstractFeaturizer:
    try:
        f = make_from_spec(json.loads(path.read_text(encoding="utf-8")), arguments.trust)
    except FileNotFoundError:
        raise ReadError(f"{path}: there is no such file.") from None
    except ValueError as error:
        # Errors of JSON, and those of the spec.
        raise BasisError(f"{path}: {error}") from error
    if not isinstance(f, jaxfeat.AbstractFeaturizer):
        raise BasisError(f"{path}: {type(f).__name__} describes structures, and this command looks at environments.")
    return f


def make_from_spec(spec: Any, trust: bool) -> Any:
    """Make the featurizer of a spec. With `trust`, print the modules that are imported for it. **Raises:** `BasisError`
    for a class outside jaxfeat without `trust`; otherwise as `jaxfeat.from_spec`."""
    from jaxfeat.features.spec import list_unimported_kinds

    for kind in list_unimported_kinds(spec):
        cure = "install it, or name its folder in PYTHONPATH"
        missing = f"kind is {kind!r}, and there is no module {kind.partition(':')[0]!r}; {cure}."
        admit_module(kind, trust, f"kind is {kind!r}, which", missing)
    return jaxfeat.from_spec(spec, trust)


def describe_work(
    f: jaxfeat.AbstractFeaturizer,
    n_structures: int,
    batch: jaxfeat.Environment,
    total: int | None = None,
    chunk: int | None = None,
) -> str:
    """Say how large the work is: `total`, or what `batch` holds; and whether NumPy does it or programs compile."""
    import jax
    import numpy as np

    from jaxfeat.spectrum.blocks import count_programs, restrict_species
    from jaxfeat.spectrum.plan import choose_chunk_length

    n, size = len(batch), f"up to {batch.max_neighbors}"
    work: Any = "job"
    if total is not None:
        chunk = chunk or choose_chunk_length(restrict_species(f, batch), batch)
        n, size, work = total, f"about {np.mean(batch.n_neighbors):.0f}", "chunk" if total > chunk else "job"
        batch = batch[np.resize(np.arange(len(batch)), min(chunk, total))]
    n_in_numpy, n_programs = count_programs(f, batch, work)
    kept = jax.config.values["jax_enable_compilation_cache"] and jax.config.values["jax_compilation_cache_dir"]
    way = f"programs for {count(n_programs, 'size')} are compiled" + (f", or taken from {kept}" if kept else "")
    if f.only_on_host:
        way = "the model computes them, and no program is compiled"
    elif not n_programs:
        way = "NumPy computes them, and no program is compiled"
    elif n_in_numpy:
        way += "; NumPy computes some of them"
    return f"{count(n_structures, 'structure')}, {count(n, 'environment')} of {size} neighbors; {way}."


def count(n: int, word: str) -> str:
    """Write a number of things."""
    return f"{n:,} {word}" + "s" * (n != 1)


def make_title(f: jaxfeat.AbstractFeaturizer, subject: str) -> str:
    """Write the title of a picture: the subject and the descriptor."""
    from jaxfeat.features.density import DensityFeaturizer

    if not isinstance(f, DensityFeaturizer):
        return f"{subject}: {getattr(f, 'name', type(f).__name__)}"
    descriptor = {1: "radial spectrum", 2: "power spectrum", 3: "bispectrum"}.get(f.nu or 0, f"ν = {f.nu}")
    return (
        f"{subject}: {descriptor}, {jaxfeat.spec(f)['radial']}, r_cut {f.r_cut:g} Å, "
        f"n_max {f.n_max}, l_max {f.l_max}, σ {f.sigma:g} Å"
    )
