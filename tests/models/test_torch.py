"""Adapters of torch models say what to install. Tests of the models themselves are in tests/models_torch."""

import sys

import pytest

import jaxfeat


@pytest.mark.parametrize(
    "call, missing, install",
    [
        (lambda: jaxfeat.from_mace("a.model"), "mace", "mace-torch"),
        (lambda: jaxfeat.from_so3lr(), "so3krates_torch", "so3krates-torch"),
        (lambda: jaxfeat.from_torchani(), "torchani.aev", "--no-deps torchani"),
        (lambda: jaxfeat.from_metatomic("a.pt"), "metatomic.torch", "metatomic-torch"),
    ],
)
def test_a_missing_package_is_named_with_the_way_to_install_it(call, missing, install, monkeypatch):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ImportError, match=f"{missing} cannot be imported.*pip install {install}"):
        call()
