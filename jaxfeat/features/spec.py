"""Featurizers as plain values that a file can hold, and back.

What a constructor takes is read off its signature, and what it was given off the attributes of the same names, so
that a new argument needs nothing here.
"""

from __future__ import annotations

import importlib
import inspect
from math import isfinite
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import equinox as eqx
import jax
import numpy as np

from jaxfeat.basis.cutoff import AbstractCutoff, NoCutoff, ShiftedCosine, Smoothstep, Willatt2018
from jaxfeat.basis.radial import RADIAL_BASES, AbstractRadialBasis
from jaxfeat.errors import BasisError
from jaxfeat.features.base import AbstractFeaturizer, AbstractStructureMap
from jaxfeat.features.correlations import Bispectrum, Correlations, PowerSpectrum, RadialSpectrum
from jaxfeat.features.lift import Stacked, Summed
from jaxfeat.geometry.species import SYMBOLS

OURS = (RadialSpectrum, PowerSpectrum, Bispectrum, Correlations, Stacked, Summed)
PARTS = (NoCutoff, ShiftedCosine, Smoothstep, Willatt2018)
KINDS: dict[str, type] = {cls.__name__: cls for cls in (*OURS, *PARTS)}

FIT = (AbstractFeaturizer, AbstractStructureMap, AbstractCutoff, Willatt2018)
"""What a spec may stand for: classes that a module of the user's defines are to derive from one of these."""


def spec(f: AbstractFeaturizer | AbstractStructureMap) -> dict[str, Any]:
    """What `f` was made with, in values that JSON and YAML know: `jaxfeat.from_spec` makes the same of it, bit for bit.

    **Returns:** `{"kind": ..., argument: value, ...}` with every argument of the class's constructor, those left at
    their defaults too; parts such as a cutoff, or the featurizer of a structure map, are specs themselves. `kind` is
    the name of a class of jaxfeat, or `"module:Class"` for one of yours, which has to keep each argument of its
    constructor in an attribute of that name. Lengths are in Å.

    **Raises:** `BasisError` where values would not make the same featurizer, as of one that holds a function.
    """
    found = _written(f, "")
    if not eqx.tree_equal(f.prepared(), from_spec(found).prepared()):
        raise BasisError(
            f"this {type(f).__name__} is not what its constructor makes of {_listed(found)}; it was changed since, "
            "and no spec tells how."
        )
    return found


def from_spec(d: dict[str, Any]) -> Any:
    """The featurizer or structure map that a spec stands for.

    Arguments with a default may be missing. A `kind` of `"module:Class"` imports that module: specs from elsewhere are
    to be trusted as code is.

    **Raises:** `BasisError` for a kind that there is not, and for arguments that are unknown, missing or of a wrong
    type; and what the constructor raises.
    """
    made = _made(d, "")
    if not isinstance(made, (AbstractFeaturizer, AbstractStructureMap)):
        raise BasisError(f"kind is {d['kind']!r}, a part of a featurizer; give the spec of a whole one.")
    return made


def _written(part: Any, where: str) -> dict[str, Any]:
    cls = type(part)
    if not isinstance(part, FIT):
        raise BasisError(f"{where}{cls.__name__} has no spec; featurizers, structure maps and their parts have one.")
    values = {"kind": _kind(cls)}
    for name in _arguments(cls):
        if not hasattr(part, name):
            raise BasisError(
                f"{where}{cls.__name__} does not keep its argument {name!r}; have an attribute of that name."
            )
        values[name] = _plain(getattr(part, name), f"{where}{name}")
    return values


def _kind(cls: type) -> str:
    if KINDS.get(cls.__name__) is cls:
        return cls.__name__
    if cls.__module__ == "__main__" or "<locals>" in cls.__qualname__:
        raise BasisError(f"{cls.__name__} cannot be imported; define it at the top level of a module to have a spec.")
    return f"{cls.__module__}:{cls.__qualname__}"


def _arguments(cls: type) -> dict[str, tuple[Any, Any]]:
    """Type and default of each argument of a class's constructor, those that it passes on to its base included."""
    found: dict[str, tuple[Any, Any]] = {}
    for base in cls.__mro__:
        init = vars(base).get("__init__")
        if init is None:
            continue
        hints, parameters = get_type_hints(init), list(inspect.signature(init).parameters.values())[1:]
        named = {
            p.name: (hints.get(p.name, Any), p.default)
            for p in parameters
            if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
        }
        found = {**named, **found}
        if all(p.kind != p.VAR_KEYWORD for p in parameters):
            break
    return found


def _plain(value: Any, where: str) -> Any:
    """A number, text, list or spec, with all digits of the numbers."""
    if isinstance(value, AbstractRadialBasis):
        return next(name for name, basis in RADIAL_BASES.items() if basis is type(value))
    if isinstance(value, eqx.Module):
        return _written(value, f"{where}: ")
    if isinstance(value, (np.ndarray, np.generic, jax.Array)):
        value = np.asarray(value).tolist()
        if where.rpartition(" ")[2] == "species":
            value = [SYMBOLS[number] for number in value]
    if isinstance(value, (list, tuple)):
        return [_plain(item, where) for item in value]
    if isinstance(value, (bool, int, str, NoneType)) or (isinstance(value, float) and isfinite(value)):
        return value
    raise BasisError(
        f"{where} is {value!r}, and a spec holds finite numbers, texts, lists and parts of featurizers only; a class "
        "of your own, in a module that can be imported, may stand for a function."
    )


def _made(d: Any, where: str) -> Any:
    if not isinstance(d, dict) or not isinstance(d.get("kind"), str):
        raise BasisError(f"{where}a spec names a class as its 'kind', with the arguments beside it; this is {d!r:.80}.")
    cls = _class(d["kind"], where)
    known, given = _arguments(cls), {name: value for name, value in d.items() if name != "kind"}
    for name in given:
        if name not in known:
            raise BasisError(f"{where}{d['kind']} has no argument {name!r}; it takes {_listed(known) or 'none'}.")
    missing = [name for name, (_, default) in known.items() if default is inspect.Parameter.empty and name not in given]
    if missing:
        raise BasisError(f"{where}{d['kind']} needs {_listed(missing)}; give it beside 'kind'.")
    return cls(**{name: _read(value, known[name][0], f"{where}{name}") for name, value in given.items()})


def _class(kind: str, where: str) -> type:
    if kind in KINDS:
        return KINDS[kind]
    module, colon, name = kind.partition(":")
    if not colon:
        raise BasisError(f"{where}kind is {kind!r}; choose one of {_listed(KINDS)}, or 'module:Class' for your own.")
    try:
        cls: Any = importlib.import_module(module)
        for part in name.split("."):
            cls = getattr(cls, part)
    except (ImportError, AttributeError, ValueError) as error:
        raise BasisError(f"{where}kind is {kind!r}, which cannot be imported here: {error}.") from error
    if not (isinstance(cls, type) and issubclass(cls, FIT)):
        raise BasisError(f"{where}kind is {kind!r}, which is no featurizer, structure map or part of one.")
    return cls


def _read(value: Any, hint: Any, where: str) -> Any:
    """The value that a constructor takes, of the type that it asks for."""
    made = _made(value, f"{where}: ") if isinstance(value, dict) else value
    for choice in _choices(hint):
        if _fits(made, choice):
            return tuple(made) if get_origin(choice) is tuple else made
    raise BasisError(f"{where} is {value!r:.80}; it must be {' or '.join(dict.fromkeys(map(_named, _choices(hint))))}.")


def _choices(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


NUMBERS = {bool: "true or false", int: "a whole number", float: "a number"}


def _fits(value: Any, hint: Any) -> bool:
    if get_origin(hint) in (tuple, list):
        items = [choice for item in get_args(hint) if item is not ... for choice in _choices(item)]
        return isinstance(value, (list, tuple)) and all(any(_fits(v, item) for item in items) for v in value)
    if hint in (int, float):
        return isinstance(value, (int, hint)) and not isinstance(value, bool)
    # What is neither a plain type nor a part, such as that of an array, is left to the constructor.
    return not _plainly(hint) or isinstance(value, hint)


def _plainly(hint: Any) -> bool:
    return isinstance(hint, type) and (hint in (bool, str, NoneType) or issubclass(hint, eqx.Module))


def _named(hint: Any) -> str:
    if get_origin(hint) in (tuple, list):
        return "a list"
    if hint in NUMBERS:
        return NUMBERS[hint]
    if hint in (str, NoneType):
        return "a text" if hint is str else "null"
    return f"the spec of one of {_listed(name for name, cls in KINDS.items() if issubclass(cls, hint))}"


def _listed(names: Any) -> str:
    return ", ".join(names)
