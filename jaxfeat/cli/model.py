"""Featurizers that --model names: models of other packages, and factories in modules of users."""

from __future__ import annotations

import argparse
import importlib
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jaxfeat
from jaxfeat.cli.output import say
from jaxfeat.cli.trust import admit_module
from jaxfeat.errors import BasisError, ModelError, ReadError, SpeciesError

if TYPE_CHECKING:
    from jaxfeat.geometry.structure import Item

CHOICES = "mace:FILE, so3lr, metatomic:FILE, torchani:NAME, dscribe:SPEC, or package.module:factory"
FROM_FILES = ("mace", "metatomic", "so3lr")  # kinds whose files run code when they are opened
RESPONSE = 1e-4  # relative changes of features from which on a motion is said to change them
DSCRIBE_KINDS = ("SOAP", "ACSF")
DSCRIBE_EXAMPLE = '{"kind": "SOAP", "species": ["H", "C"], "r_cut": 5, "n_max": 8, "l_max": 6}'


def add_model(options: Any) -> None:
    """Add --model."""
    options.add_argument(
        "--model",
        metavar="MODEL",
        help="a model of another package, instead of options: mace:FILE, so3lr, metatomic:FILE, torchani:ANI-2x; or "
        "dscribe:SPEC, a JSON file or text with the `kind` of a DScribe descriptor and its arguments; or "
        "package.module:factory, a function without arguments that returns a featurizer. Files of torch models run "
        "code when they are opened, and so does a module: both need --trust",
    )


def load_model(text: str, trust: bool) -> jaxfeat.AbstractFeaturizer:
    """Make the featurizer that --model names.

    **Raises:** `BasisError` if the name is unknown, if its package is missing or refuses it, and for code without
    `trust`; `ReadError` for a missing file.
    """
    kind, colon, rest = text.partition(":")
    try:
        if kind == "dscribe":
            return _make_dscribe(rest)
        if kind in (*FROM_FILES, "torchani") and (rest or text == "so3lr"):
            return _make_by_adapter(kind, rest, trust)
        if not (colon and kind and rest) or kind in FROM_FILES:
            raise BasisError(f"there is no such model; choose {CHOICES}.")
        return _make_by_factory(kind, rest, trust)
    except ImportError as error:
        # Adapters say how to install the package.
        raise BasisError(f"--model {text}: {error}") from error
    except (BasisError, ModelError, ReadError, SpeciesError) as error:
        raise (BasisError if isinstance(error, ModelError) else type(error))(f"--model {text}: {error}") from error


def _make_by_adapter(kind: str, argument: str, trust: bool) -> jaxfeat.AbstractFeaturizer:
    make = _adapter(kind)
    if kind not in FROM_FILES or not argument:
        return make(argument) if argument else make()
    path = Path(argument)
    if not path.is_file():
        raise ReadError("there is no such file." if not path.exists() else "this is a folder; name a file in it.")
    if not trust:
        raise BasisError("such a file runs code when it is opened; add --trust if you know where it comes from.")
    try:
        return make(path)
    except (ImportError, BasisError, ModelError):
        raise
    except Exception as error:  # torch raises errors of any kind for files that are not its own
        message = " ".join(str(error).split())[:300]
        raise BasisError(f"the file cannot be opened as one of {kind} ({type(error).__name__}: {message}).") from error


def _make_dscribe(text: str) -> jaxfeat.AbstractFeaturizer:
    """Make a descriptor of DScribe from a JSON text, or from a file with one."""
    if not text.lstrip().startswith("{"):
        if not Path(text).is_file():
            raise ReadError(f"there is no such file; name one, or give its text, as in {DSCRIBE_EXAMPLE}.")
        text = Path(text).read_text(encoding="utf-8")
    try:
        values = json.loads(text)
    except ValueError as error:
        raise BasisError(f"this is no JSON ({error}); write it as in {DSCRIBE_EXAMPLE}.") from error
    kind = values.pop("kind", None) if isinstance(values, dict) else None
    if kind not in DSCRIBE_KINDS:
        raise BasisError(f"kind is {kind!r}; choose one of {', '.join(DSCRIBE_KINDS)}, as in {DSCRIBE_EXAMPLE}.")
    try:
        descriptors = importlib.import_module("dscribe.descriptors")
    except ImportError as error:
        raise ImportError(f"DScribe cannot be imported ({error}); install it with `pip install dscribe`.") from error
    try:
        descriptor = getattr(descriptors, kind)(**values)
    except (TypeError, ValueError) as error:
        raise BasisError(f"DScribe refuses these arguments of {kind}: {' '.join(str(error).split())}") from error
    return _adapter("dscribe")(descriptor)


def _adapter(kind: str) -> Callable[..., jaxfeat.AbstractFeaturizer]:
    return getattr(jaxfeat, f"from_{kind}")


def _make_by_factory(module: str, name: str, trust: bool) -> jaxfeat.AbstractFeaturizer:
    """Call a function of a module of the user. Errors other than those of jaxfeat keep their traceback."""
    missing = f"there is no module {module!r}; name its folder in PYTHONPATH, or choose {CHOICES}."
    admit_module(f"{module}:{name}", trust, "this", missing)
    found: Any = importlib.import_module(module)
    for part in name.split("."):
        if not hasattr(found, part):
            raise BasisError(f"there is no {part!r} in {module}.")
        found = getattr(found, part)
    made = found() if callable(found) and not isinstance(found, jaxfeat.AbstractFeaturizer) else found
    if not isinstance(made, jaxfeat.AbstractFeaturizer):
        raise BasisError(f"this gives a {type(made).__name__}; return a featurizer, as jaxfeat.external makes one.")
    return made


def say_model(arguments: argparse.Namespace, f: jaxfeat.AbstractFeaturizer, at: Item) -> None:
    """Describe the model of --model, if there is one, at the first member of a batch that is no lone atom."""
    import jax
    import numpy as np

    if arguments.model is not None:
        if at.batch_shape:
            at = at[int(np.argmax(np.asarray(at.mask).sum(-1) > 0))]
        say(describe_model(arguments.model, f, jax.tree.map(np.asarray, at)))


def describe_model(text: str, f: jaxfeat.AbstractFeaturizer, at: Item) -> str:
    """Describe a model by what it declares, and by its responses to motions at one environment or structure of NumPy
    arrays. A model from outside of JAX is probed there, because this is its first use."""
    from jaxfeat.geometry.structure import Structure
    from jaxfeat.models.external import EVERYWHERE, ExternalFeaturizer
    from jaxfeat.models.measure import MOTIONS

    if not isinstance(f, ExternalFeaturizer):
        return f"{text} is {f!r}; {_describe_responses(_respond(f, at), 'of their norm')}."
    _ = jaxfeat.stacked(f)(at) if isinstance(at, Structure) else f(at)
    reach = "any distance" if f.reach >= EVERYWHERE else f"{f.reach:.4g} Å"
    order = "no declared ν" if f.nu is None else f"ν = {f.nu}"
    found, about = f.model.probe, f"{text} is {f.name}: reach {reach}, {order}, {f.n_features} features"
    if found is None:
        return f"{about}; it does not react to the first {at.item_name}, and is probed later."
    about += f" in {found.dtype}, {found.group}, floor {found.floor:.0e} of the largest singular value"
    if not found.invariant:
        return f"{about}; it is not invariant, so its null directions have no causes: {found.defect}."
    responses = {name: float(getattr(found, name)) for name in MOTIONS}
    return f"{about}; {_describe_responses(responses, 'of that')}."


def _respond(f: jaxfeat.AbstractFeaturizer, at: Item) -> dict[str, float]:
    """Measure how much rotations, reflections and exchanges of like atoms change the features of an environment."""
    from dataclasses import replace

    import numpy as np

    env = at if isinstance(at, jaxfeat.Environment) else at.environments()[0]
    positions, species = np.asarray(env.positions), np.asarray(env.species)
    rng = np.random.default_rng(0)
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))
    order = np.arange(len(species))
    for number in np.unique(species[np.asarray(env.mask)]):
        like = np.flatnonzero(species == number)
        order[like] = np.roll(like, 1)
    moved = {"rotation": positions @ turn.T, "reflection": -positions @ turn.T, "exchange": positions[order]}
    here = np.asarray(f(env))
    size = float(np.linalg.norm(here)) or 1.0
    return {name: float(np.linalg.norm(f(replace(env, positions=one)) - here)) / size for name, one in moved.items()}


def _describe_responses(responses: Mapping[str, float], unit: str) -> str:
    """Name the motions that do not change the features, with the largest response, and those that do."""
    known = {name: value for name, value in responses.items() if value == value}
    changing = {name: value for name, value in known.items() if value > RESPONSE}
    kept = {name: value for name, value in known.items() if name not in changing}
    parts = [f"{_list_motions(kept)} change its features by {max(kept.values()):.0e} {unit} at most"] if kept else []
    parts += [f"{_list_motions([name])} change them by {value:.0e}" for name, value in changing.items()]
    return ", and ".join(parts) or "no motion was tried"


def _list_motions(names: Iterable[str]) -> str:
    plural = [f"{name}s of like atoms" if name == "exchange" else f"{name}s" for name in names]
    return f"{', '.join(plural[:-1])} and {plural[-1]}" if len(plural) > 1 else plural[0]
