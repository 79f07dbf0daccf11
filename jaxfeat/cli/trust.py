"""Featurizers whose spec names a class outside jaxfeat. Its module is imported only with --trust."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any

from jaxfeat.errors import BasisError


def add_trust(options: Any) -> None:
    """Add --trust."""
    options.add_argument(
        "--trust",
        action="store_true",
        help="import the modules of classes outside jaxfeat that a spec names, which runs their code; the current "
        "folder is searched too",
    )


def make_from_spec(spec: Any, arguments: argparse.Namespace) -> Any:
    """Make the featurizer of a spec. With --trust, print the modules that are imported for it.

    **Raises:** `BasisError` for a class outside jaxfeat without --trust; otherwise as `jaxfeat.from_spec`.
    """
    from jaxfeat.features.spec import find_module, from_spec, list_unimported_kinds

    folder = os.getcwd()
    for kind in list_unimported_kinds(spec):
        module, file = kind.partition(":")[0], find_module(kind, [folder])
        if not file:
            raise BasisError(
                f"kind is {kind!r}, and there is no module {module!r}; install it, or name its folder in PYTHONPATH."
            )
        if not arguments.trust:
            raise BasisError(
                f"kind is {kind!r}, which would import {module} ({file}) and run its code; add --trust if you know it."
            )
        print(f"importing {module} ({file}) for {kind}, because of --trust.", file=sys.stderr)
        if folder not in sys.path:
            # At the end, so that no file here hides an installed module.
            sys.path.append(folder)
    return from_spec(spec, arguments.trust)
