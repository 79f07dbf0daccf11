"""Warnings about code of our own are errors. Those about other packages are theirs to mend, and stop no test."""

import warnings

import pytest


def warn_about(module):
    """Warn as Python does where a function calls a deprecated one: about the module that the function stands in."""
    warnings.warn_explicit("this is deprecated", DeprecationWarning, f"{module}.py", 1, module)


@pytest.mark.parametrize(
    "module",
    ["jaxfeat", "jaxfeat.geometry.files.read", "tests.store.test_sweep", "test_docs", "conftest", "references"],
)
def test_of_our_own(module):
    with pytest.raises(DeprecationWarning, match="this is deprecated"):
        warn_about(module)


@pytest.mark.parametrize("module", ["ase.atoms", "numpy", "jaxfeature"])
def test_of_other_packages(module):
    # Recorded, rather than shown at the end of each run. Filters stay as they are.
    with warnings.catch_warnings(record=True) as caught:
        warn_about(module)
    assert [str(warning.message) for warning in caught] == ["this is deprecated"]
