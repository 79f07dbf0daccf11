"""Docstrings of public names describe every argument, result and error."""

import ast
import inspect
import re
import textwrap
from pathlib import Path

import pytest

import jaxfeat

PACKAGE = Path(jaxfeat.__file__).parent

RIDDLE = re.compile(r"(As|Of|Such|What|Where)\b")
"""Words that begin no docstring, because their sentences have no subject."""


def public_objects():
    """Collect the functions and classes that a user reaches from `jaxfeat`, and the classes' own methods, by name."""
    found = {}
    for name in jaxfeat.__all__:
        value = getattr(jaxfeat, name)
        if inspect.ismodule(value):
            inside = {f"{name}.{key}": member for key, member in vars(value).items() if not key.startswith("_")}
            # A package lists what its modules define; a module may import helpers.
            defined = value.__name__ if not hasattr(value, "__path__") else "jaxfeat"
            found |= {key: m for key, m in inside.items() if getattr(m, "__module__", "").startswith(defined)}
        elif callable(value):
            found[name] = value
    for key, value in list(found.items()):
        if inspect.isclass(value):
            members = {name: getattr(value, name) for name in vars(value) if not name.startswith("_")}
            found |= {f"{key}.{name}": member for name, member in members.items() if inspect.isroutine(member)}
    return found


OBJECTS = public_objects()


def arguments_of(value):
    if inspect.isclass(value) and issubclass(value, Exception):
        return []
    return [name for name in inspect.signature(value).parameters if not name.startswith("_") and name != "self"]


def undescribed(arguments, doc):
    """List the arguments that are described neither by name, nor in a range of names, nor as those of a function."""
    if "**Arguments:** as `" in doc:
        return []
    named = {name for name in arguments if re.search(rf"`[^`]*\b{name}\b[^`]*`", doc)}
    for first, last in re.findall(r"`(\w+)`, \.\.\., `(\w+)`", doc):
        if first in arguments and last in arguments:
            named |= set(arguments[arguments.index(first) : arguments.index(last)])
    return [name for name in arguments if name not in named]


def raises(function):
    """Tell whether the body of a function raises an error itself."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(function))))
    return any(isinstance(node, ast.Raise) and node.exc is not None for node in ast.walk(tree))


def faults(name):
    """List what is missing in the docstring of a public name. A method needs no sections."""
    value, doc = OBJECTS[name], inspect.getdoc(OBJECTS[name]) or ""
    if not doc:
        return ["no docstring"]
    wrong, first = [], doc.split("\n\n")[0]
    if not first.endswith((".", ":")):
        wrong.append("the first paragraph does not end")
    if RIDDLE.match(first):
        wrong.append(f"begins with {first.split()[0]}")
    if name.count(".") > name.startswith(("cutoffs.", "errors.", "manifolds.", "plot.")):
        return wrong
    arguments = arguments_of(value)
    if missing := undescribed(arguments, doc):
        wrong.append(f"does not describe {', '.join(missing)}")
    if not inspect.isclass(value):
        returned = inspect.signature(value).return_annotation
        needed = {
            "Arguments": bool(arguments),
            "Returns": returned not in (None, "None", inspect.Signature.empty),
            "Raises": raises(value),
        }
        wrong += [f"has no {section}" for section, need in needed.items() if need and f"**{section}:**" not in doc]
    return wrong


@pytest.mark.parametrize("name", sorted(OBJECTS))
def test_the_docstring_is_complete(name):
    assert not faults(name)


FILES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_no_docstring_begins_with_a_riddle(path):
    """Private functions, modules and constants count as well."""
    texts = [
        node.value.value
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    ]
    assert not [text for text in texts if RIDDLE.match(text)]
