"""Featurizers as plain values that a file can hold, and back.

What a constructor takes is read off its signature, and what it was given off the attributes of the same names, so
that a new argument needs nothing here.
"""

from __future__ import annotations

import hashlib
import importlib.machinery
import importlib.util
import inspect
import json
import sys
from collections.abc import Sequence
from math import isfinite
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import equinox as eqx
import jax
import numpy as np

from jaxfeat.basis.base import AbstractRadialBasis
from jaxfeat.basis.cutoff import AbstractCutoff, NoCutoff, ShiftedCosine, Smoothstep, Willatt2018
from jaxfeat.basis.radial import RADIAL_BASES
from jaxfeat.errors import BasisError
from jaxfeat.features.base import AbstractFeaturizer
from jaxfeat.features.correlations import Bispectrum, Correlations
from jaxfeat.features.function import FunctionFeaturizer
from jaxfeat.features.power_spectrum.featurizer import PowerSpectrum
from jaxfeat.features.radial_spectrum import RadialSpectrum
from jaxfeat.features.structure_map import AbstractStructureMap, Stacked, Summed
from jaxfeat.geometry.species import SYMBOLS

OURS = (RadialSpectrum, PowerSpectrum, Bispectrum, Correlations, Stacked, Summed)
PARTS = (NoCutoff, ShiftedCosine, Smoothstep, Willatt2018)
KINDS: dict[str, type] = {cls.__name__: cls for cls in (*OURS, *PARTS)}

FUNCTION = "function"
"""The kind of a `jaxfeat.function` in an `identity`. No file holds the function, so no spec has this kind."""

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
    # The class of `f` is loaded, whatever its module is called.
    if not eqx.tree_equal(f.prepared(), from_spec(found, trust=True).prepared()):
        raise BasisError(
            f"this {type(f).__name__} is not what its constructor makes of {_listed(found)}; it was changed since, "
            "and no spec tells how."
        )
    return found


def from_spec(d: dict[str, Any], trust: bool = False) -> Any:
    """Make the featurizer or structure map that a spec stands for.

    Arguments with a default may be missing. A `kind` of `"module:Class"` is a class of yours. Importing its module runs
    the code of that module, so a module that Python has not loaded yet is imported only for those who trust the spec.

    **Arguments:**

    - `d`: what `jaxfeat.spec` returned, perhaps after a way through a file.
    - `trust`: whether to import the modules that the spec names.

    **Raises:** `BasisError` for a module that would have to be imported without `trust`, for a kind that there is not,
    and for arguments that are unknown, missing or of a wrong type; and what the constructor raises.
    """
    made = _made(d, "", trust)
    if not isinstance(made, (AbstractFeaturizer, AbstractStructureMap)):
        raise BasisError(f"kind is {d['kind']!r}, a part of a featurizer; give the spec of a whole one.")
    return made


def identity(f: AbstractFeaturizer | AbstractStructureMap) -> str | None:
    """Write down as JSON what tells `f` from all others: its spec, or the key of a function.

    **Returns:** a text that two featurizers share only if they compute the same features; `None` for a featurizer of
    which nothing written tells that.
    """
    try:
        return json.dumps(spec(f))
    except BasisError:
        if not isinstance(f, FunctionFeaturizer) or f.key is None:
            return None
    species = None if f.species is None else [SYMBOLS[number] for number in f.species]
    labels = None if f.names is None else [list(map(str, label)) for label in f.names]
    known = {"kind": FUNCTION, "key": f.key, "nu": f.nu, "group": f.group, "species": species, "labels": labels}
    # A key that was left as it was does not hide that parameters of the function changed, where these can be seen.
    digest = hashlib.sha256()
    for leaf in map(np.asarray, jax.tree.leaves(eqx.filter(f.fn, eqx.is_array))):
        digest.update(f"{leaf.shape} {leaf.dtype}".encode() + leaf.tobytes())
    return json.dumps({**known, "parameters": digest.hexdigest()[:16]})


def foreign(d: Any) -> list[str]:
    """List the kinds in a spec whose modules `from_spec` would have to import."""
    if not isinstance(d, dict):
        return []
    kind, inner = d.get("kind"), [found for value in d.values() for found in foreign(value)]
    outside = isinstance(kind, str) and ":" in kind and kind.partition(":")[0] not in sys.modules
    return [str(kind), *inner] if outside else inner


def origin(kind: str, folders: Sequence[str] = ()) -> str:
    """Find the file, or the package, that making a foreign kind would import. Nothing is imported for that.

    **Arguments:** `folders`: where to look beside `sys.path`, after it.

    **Returns:** a path; empty where there is no such module.
    """
    # Only a package itself can tell where its modules are.
    top = kind.partition(":")[0].partition(".")[0]
    try:
        found = importlib.util.find_spec(top) or importlib.machinery.PathFinder.find_spec(top, folders)
    except (ImportError, ValueError):
        return ""
    if found is None:
        return ""
    return found.origin or ", ".join(found.submodule_search_locations or ())


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


def _made(d: Any, where: str, trust: bool) -> Any:
    if not isinstance(d, dict) or not isinstance(d.get("kind"), str):
        raise BasisError(f"{where}a spec names a class as its 'kind', with the arguments beside it; this is {d!r:.80}.")
    cls = _class(d["kind"], where, trust)
    known, given = _arguments(cls), {name: value for name, value in d.items() if name != "kind"}
    for name in given:
        if name not in known:
            raise BasisError(f"{where}{d['kind']} has no argument {name!r}; it takes {_listed(known) or 'none'}.")
    missing = [name for name, (_, default) in known.items() if default is inspect.Parameter.empty and name not in given]
    if missing:
        raise BasisError(f"{where}{d['kind']} needs {_listed(missing)}; give it beside 'kind'.")
    return cls(**{name: _read(value, known[name][0], f"{where}{name}", trust) for name, value in given.items()})


def _class(kind: str, where: str, trust: bool) -> type:
    if kind in KINDS:
        return KINDS[kind]
    module, colon, name = kind.partition(":")
    if kind == FUNCTION:
        raise BasisError(f"{where}this is a function, which no spec holds; make it again with jaxfeat.function.")
    if not colon:
        raise BasisError(f"{where}kind is {kind!r}; choose one of {_listed(KINDS)}, or 'module:Class' for your own.")
    if module not in sys.modules and not trust:
        file = origin(kind)
        if not file:
            raise BasisError(f"{where}kind is {kind!r}, which cannot be imported here: there is no module {module!r}.")
        raise BasisError(
            f"{where}kind is {kind!r}, which would import {module} ({file}) and run its code; import that module "
            "beforehand, or pass trust=True if you know it."
        )
    try:
        cls: Any = importlib.import_module(module)
    except (ImportError, ValueError) as error:
        raise BasisError(f"{where}kind is {kind!r}, which cannot be imported here: {error}.") from error
    for part in name.split("."):
        try:
            # Not getattr: a module, or a class in it, may run code of its own when it is asked for an attribute.
            cls = inspect.getattr_static(cls, part)
        except AttributeError:
            raise BasisError(f"{where}kind is {kind!r}, which cannot be imported here: there is no {part!r}.") from None
    if not (isinstance(cls, type) and issubclass(cls, FIT)):
        raise BasisError(f"{where}kind is {kind!r}, which is no featurizer, structure map or part of one.")
    return cls


def _read(value: Any, hint: Any, where: str, trust: bool) -> Any:
    """The value that a constructor takes, of the type that it asks for."""
    made = _made(value, f"{where}: ", trust) if isinstance(value, dict) else value
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
