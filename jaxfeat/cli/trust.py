"""Imports of modules that only the user can vouch for."""

import os
import sys

from jaxfeat.errors import BasisError


def admit_module(kind: str, trust: bool, subject: str, missing: str) -> None:
    """Make the module of a kind, "module:name", importable, also from the current folder, and say that it is imported.
    Nothing is imported here.

    **Raises:** `BasisError` without `trust`, whose sentence begins with `subject`; and for a module that does not
    exist, with the sentence `missing`.
    """
    from jaxfeat.features.spec import find_module

    folder, module = os.getcwd(), kind.partition(":")[0]
    file = find_module(kind, [folder])
    if not file:
        raise BasisError(missing)
    if not trust:
        raise BasisError(f"{subject} would import {module} ({file}) and run its code; add --trust if you know it.")
    print(f"importing {module} ({file}) for {kind}, because of --trust.", file=sys.stderr)
    if folder not in sys.path:
        # At the end, so that no file here hides an installed module.
        sys.path.append(folder)
