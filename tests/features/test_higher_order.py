"""The next order has sizes that can be computed."""

import jaxfeat
from jaxfeat import Bispectrum, PowerSpectrum
from jaxfeat.features.higher_order import higher_order


def test_the_next_order_has_sizes_that_can_be_computed():
    lower, higher = higher_order(jaxfeat.spec(PowerSpectrum(("C", "H", "N", "O"))), 2)
    assert (higher["kind"], higher["n_max"], higher["l_max"]) == ("Bispectrum", 4, 3)
    assert (lower["kind"], lower["n_max"], jaxfeat.from_spec(higher).nu) == ("PowerSpectrum", 4, 3)
    assert jaxfeat.from_spec(higher_order(jaxfeat.spec(Bispectrum(("H",), n_max=2, l_max=1)), 3)[1]).nu == 4
