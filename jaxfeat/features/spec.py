"""Featurizers as plain values that a file can hold, and back. The arguments of a constructor are read off its
signature, and their values off the attributes of the same names. A new argument therefore needs no code here."""

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
from jaxfeat.basis.optimal import OptimalRadial
from jaxfeat.basis.radial import RADIAL_BASES
from jaxfeat.cutoffs import AbstractCutoff, NoCutoff, ShiftedCosine, Smoothstep, Willatt2018, Zhu2016
from jaxfeat.errors import BasisError
from jaxfeat.features.base import AbstractFeaturizer
from jaxfeat.features.correlations import Bispectrum, Correlations
from jaxfeat.features.function import FunctionFeaturizer
from jaxfeat.features.overlap_matrix import OverlapMatrix
from jaxfeat.features.power_spectrum.featurizer import PowerSpectrum
from jaxfeat.features.radial_spectrum import RadialSpectrum
from jaxfeat.features.selected import SelectedFeatures
from jaxfeat.features.structure_map import AbstractStructureMap, FeatureMap, Stacked, Summed
from jaxfeat.features.symmetry_functions import SymmetryFunctions
from jaxfeat.geometry.species import SYMBOLS

_FEATURIZERS = (
    *(RadialSpectrum, PowerSpectrum, Bispectrum, Correlations),
    *(SymmetryFunctions, OverlapMatrix, SelectedFeatures, Stacked, Summed),
)
_PARTS = (NoCutoff, ShiftedCosine, Smoothstep, Zhu2016, Willatt2018, OptimalRadial)
KINDS: dict[str, type] = {cls.__name__: cls for cls in (*_FEATURIZERS, *_PARTS)}  # by their `kind` in a spec
FUNCTION_KIND = "function"  # kind of a `jaxfeat.function` in an identity, not in a spec: no file holds the function
# Also for classes from modules of users.
SPEC_BASES = (AbstractFeaturizer, AbstractStructureMap, AbstractCutoff, Willatt2018, AbstractRadialBasis)


def spec(f: FeatureMap) -> dict[str, Any]:
    """Write the arguments of a featurizer or structure map as values that JSON and YAML can hold.

    `jaxfeat.from_spec` makes the same featurizer of them, bit for bit.

    **Arguments:**

    - `f`: The featurizer or structure map.

    **Returns:** `{"kind": ..., argument: value, ...}` with every argument of the constructor, also those left at their
    defaults. Parts, for example a cutoff or the featurizer of a structure map, are specs themselves. `kind` is the name
    of a class of jaxfeat, or `"module:Class"` for one of yours, which must keep each argument of its constructor in an
    attribute of that name. Lengths are in Å.

    **Raises:** `BasisError` if no plain values make the same featurizer, for example because it holds a function.
    """
    values = _write(f, "")
    # The class of `f` is loaded, so nothing foreign is imported.
    if not eqx.tree_equal(f.prepared(), from_spec(values, trust=True).prepared()):
        raise BasisError(
            f"this {type(f).__name__} was changed after its constructor made it of {', '.join(values)}, and no spec "
            "holds the change; make a new one with the constructor."
        )
    return values


def from_spec(d: dict[str, Any], trust: bool = False) -> Any:
    """Make the featurizer or structure map that a spec describes.

    A `kind` of `"module:Class"` names a class of yours. Importing its module runs the code of that module. A module
    that Python has not loaded yet is therefore imported only if `trust` is True.

    **Arguments:**

    - `d`: A result of `jaxfeat.spec`, also after writing it to a file. Arguments with a default may be missing.
    - `trust`: If True, import the modules that the spec names.

    **Returns:** The featurizer or structure map.

    **Raises:** `BasisError` if a module would have to be imported without `trust`, if a kind does not exist, or if an
    argument is unknown, missing or of a wrong type. Errors of the constructor are raised too.
    """
    made = _make(d, "", trust)
    if not isinstance(made, (AbstractFeaturizer, AbstractStructureMap)):
        raise BasisError(f"kind is {d['kind']!r}, a part of a featurizer; give the spec of a whole one.")
    return made


def write_identity(f: FeatureMap) -> str | None:
    """Write as JSON what distinguishes `f` from all other featurizers: its spec, or the key of a function or model.

    **Returns:** A text that two featurizers share only if they compute the same features, or `None` if no text can
    tell, because a function has no key.
    """
    try:
        return json.dumps(spec(f))
    except BasisError:
        if isinstance(f, AbstractFeaturizer) and f.only_on_host:
            return f.identity
        key = getattr(f, "key", None)
        if key is None or not isinstance(f, AbstractFeaturizer):
            return None
    species = None if f.species is None else [SYMBOLS[number] for number in f.species]
    names = getattr(f, "names", None)
    labels = None if names is None else [list(map(str, label)) for label in names]
    facts: dict[str, Any] = {"kind": FUNCTION_KIND, "key": key, "nu": f.nu, "group": f.group, "species": species}
    facts["labels"] = labels
    arrays: Any = f
    if isinstance(f, FunctionFeaturizer):
        arrays = f.fn
    else:
        radii = [str(float(radius)) for radius in f.accepted_radii]
        facts |= {"kind": type(f).__name__, "radii": radii, "layers": getattr(f, "n_layers", None)}
    # Arrays are part of the identity, so that new parameters under an old key are noticed.
    digest = hashlib.sha256()
    for leaf in map(np.asarray, jax.tree.leaves(eqx.filter(arrays, eqx.is_array))):
        digest.update(f"{leaf.shape} {leaf.dtype}".encode() + leaf.tobytes())
    return json.dumps({**facts, "parameters": digest.hexdigest()[:16]})


def list_unimported_kinds(d: Any) -> list[str]:
    """List the kinds in a spec whose modules `from_spec` would have to import."""
    if not isinstance(d, dict):
        return []
    module, colon, _ = str(d.get("kind")).partition(":")
    outside = [d["kind"]] if colon and module not in sys.modules else []
    return outside + [kind for value in d.values() for kind in list_unimported_kinds(value)]


def find_module(kind: str, folders: Sequence[str] = ()) -> str:
    """Find the file, or the package, that `from_spec` would import for a kind, without importing anything. `folders`
    are searched after those of `sys.path`. The path is an empty text if there is no such module."""
    # Only a package itself can tell where the modules inside it are.
    top = kind.partition(":")[0].partition(".")[0]
    try:
        found = importlib.util.find_spec(top) or importlib.machinery.PathFinder.find_spec(top, folders)
    except (ImportError, ValueError):
        return ""
    return "" if found is None else found.origin or ", ".join(found.submodule_search_locations or ())


# From a featurizer to values


def _write(part: Any, where: str) -> dict[str, Any]:
    cls = type(part)
    if not isinstance(part, SPEC_BASES):
        raise BasisError(f"{where}{cls.__name__} has no spec; featurizers, structure maps and their parts have one.")
    values = {"kind": _kind(cls)}
    for name in _arguments(cls):
        if not hasattr(part, name):
            message = f"{cls.__name__} does not keep its argument {name!r}; have an attribute of that name."
            raise BasisError(where + message)
        values[name] = write_value(getattr(part, name), f"{where}{name}")
    return values


def _kind(cls: type) -> str:
    if KINDS.get(cls.__name__) is cls:
        return cls.__name__
    if cls.__module__ == "__main__" or "<locals>" in cls.__qualname__:
        raise BasisError(f"{cls.__name__} cannot be imported; define it at the top level of a module to have a spec.")
    return f"{cls.__module__}:{cls.__qualname__}"


def _arguments(cls: type) -> dict[str, tuple[Any, Any]]:
    """Read the type and the default of each argument of a constructor, and of those it passes on by `**`."""
    found: dict[str, tuple[Any, Any]] = {}
    for base in cls.__mro__:
        init = vars(base).get("__init__")
        if init is None:
            continue
        hints, (_, *parameters) = get_type_hints(init), inspect.signature(init).parameters.values()
        named = [p for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
        found = {**{p.name: (hints.get(p.name, Any), p.default) for p in named}, **found}
        if all(p.kind != p.VAR_KEYWORD for p in parameters):
            break
    return found


def write_value(value: Any, where: str) -> Any:
    """Write one argument of a featurizer as a plain value. `where` names it in messages."""
    if isinstance(value, AbstractRadialBasis) and type(value) is RADIAL_BASES.get(value.name):
        return value.name
    if isinstance(value, eqx.Module):
        return _write(value, f"{where}: ")
    if isinstance(value, (np.ndarray, np.generic, jax.Array)):
        value = np.asarray(value).tolist()
        if where.rpartition(" ")[2] == "species":
            value = [SYMBOLS[number] for number in value]
    if isinstance(value, (list, tuple)):
        return [write_value(item, where) for item in value]
    if isinstance(value, (bool, int, str, NoneType)) or (isinstance(value, float) and isfinite(value)):
        return value
    fault = f"{where} is {value!r}, and a spec holds finite numbers, texts, lists and parts of featurizers only"
    raise BasisError(f"{fault}; a class of your own, in a module that can be imported, may stand for a function.")


# From values to a featurizer


def _make(d: Any, where: str, trust: bool) -> Any:
    if not isinstance(d, dict) or not isinstance(d.get("kind"), str):
        raise BasisError(f"{where}a spec names a class as its 'kind', with the arguments beside it; this is {d!r:.80}.")
    cls = _find_class(d["kind"], where, trust)
    arguments, given = _arguments(cls), {name: value for name, value in d.items() if name != "kind"}
    for name in given:
        if name not in arguments:
            raise BasisError(f"{where}{d['kind']} has no argument {name!r}; it takes {', '.join(arguments) or 'none'}.")
    required = (name for name, (_, default) in arguments.items() if default is inspect.Parameter.empty)
    missing = [name for name in required if name not in given]
    if missing:
        raise BasisError(f"{where}{d['kind']} needs {', '.join(missing)}; give it beside 'kind'.")
    return cls(**{name: _read(value, arguments[name][0], f"{where}{name}", trust) for name, value in given.items()})


def _find_class(kind: str, where: str, trust: bool) -> type:
    if kind in KINDS:
        return KINDS[kind]
    module, colon, name = kind.partition(":")
    if kind == FUNCTION_KIND:
        raise BasisError(f"{where}this is a function, which no spec holds; make it again with jaxfeat.function.")
    if not colon:
        raise BasisError(f"{where}kind is {kind!r}; choose one of {', '.join(KINDS)}, or 'module:Class' for your own.")
    if module not in sys.modules and not trust:
        file = find_module(kind)
        if not file:
            raise BasisError(f"{where}kind is {kind!r}, which cannot be imported here: there is no module {module!r}.")
        cure = "import that module beforehand, or pass trust=True if you know it"
        raise BasisError(f"{where}kind is {kind!r}, which would import {module} ({file}) and run its code; {cure}.")
    try:
        cls: Any = importlib.import_module(module)
    except (ImportError, ValueError) as error:
        raise BasisError(f"{where}kind is {kind!r}, which cannot be imported here: {error}.") from error
    for part in name.split("."):
        # getattr could run code of the module, or of a class in it.
        cls = inspect.getattr_static(cls, part, None)
        if cls is None:
            raise BasisError(f"{where}kind is {kind!r}, which cannot be imported here: there is no {part!r}.")
    if not (isinstance(cls, type) and issubclass(cls, SPEC_BASES)):
        raise BasisError(f"{where}kind is {kind!r}, which is no featurizer, structure map or part of one.")
    return cls


def _read(value: Any, hint: Any, where: str, trust: bool) -> Any:
    made = _make(value, f"{where}: ", trust) if isinstance(value, dict) else value
    for choice in _choices(hint):
        if _fits(made, choice):
            return tuple(made) if get_origin(choice) is tuple else made
    names = " or ".join(dict.fromkeys(map(_type_name, _choices(hint))))
    raise BasisError(f"{where} is {value!r:.80}; it must be {names}.")


def _choices(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


def _fits(value: Any, hint: Any) -> bool:
    if get_origin(hint) in (tuple, list):
        items = [choice for item in get_args(hint) if item is not ... for choice in _choices(item)]
        return isinstance(value, (list, tuple)) and all(any(_fits(v, item) for item in items) for v in value)
    if hint in (int, float):
        return isinstance(value, (int, hint)) and not isinstance(value, bool)
    # Other types, for example of an array, are left to the constructor.
    checked = isinstance(hint, type) and (hint in (bool, str, NoneType) or issubclass(hint, eqx.Module))
    return not checked or isinstance(value, hint)


TYPE_NAMES = {bool: "true or false", int: "a whole number", float: "a number", str: "a text", NoneType: "null"}


def _type_name(hint: Any) -> str:
    if get_origin(hint) in (tuple, list):
        return "a list"
    if hint in TYPE_NAMES:
        return TYPE_NAMES[hint]
    return f"the spec of one of {', '.join(name for name, cls in KINDS.items() if issubclass(cls, hint))}"
