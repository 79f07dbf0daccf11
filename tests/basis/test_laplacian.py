import mpmath
import numpy as np
import pytest
from references import bessel_zeros as reference_zeros

from jaxfeat.basis.laplacian import bessel_zeros


def test_zeros_of_bessel_functions():
    found = bessel_zeros(5, 8)
    assert found.shape == (5, 9)
    for l in range(9):
        assert np.allclose(found[:, l], reference_zeros(l, 5), rtol=1e-14, atol=0)
        assert found[4, l] == pytest.approx(float(mpmath.besseljzero(l + 0.5, 5)), rel=1e-14)
