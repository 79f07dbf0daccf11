"""Threads of the linear algebra."""

from contextlib import AbstractContextManager
from functools import cache
from typing import Any

from threadpoolctl import ThreadpoolController


def one_blas_thread() -> AbstractContextManager[Any]:
    """LAPACK on small matrices: more BLAS threads than one only wait for each other, tenfold on a busy machine."""
    return _libraries().limit(limits=1, user_api="blas")


@cache
def _libraries() -> ThreadpoolController:
    # Looking for them goes through all libraries of the process. XLA calls SciPy's LAPACK: that has to be there.
    import scipy.linalg  # noqa: F401

    return ThreadpoolController()
