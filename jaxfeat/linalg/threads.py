"""Threads of the linear algebra libraries."""

from contextlib import AbstractContextManager
from functools import cache
from typing import Any

from threadpoolctl import ThreadpoolController


def one_blas_thread() -> AbstractContextManager[Any]:
    """Limit BLAS and LAPACK to one thread inside a `with` block.

    On small matrices further threads only wait for each other: tenfold slower on a busy machine.
    """
    return _libraries().limit(limits=1, user_api="blas")


@cache
def _libraries() -> ThreadpoolController:
    # The search goes through all libraries of the process, so it is done once. XLA calls the LAPACK of SciPy, which
    # must be loaded before the search.
    import scipy.linalg  # noqa: F401

    return ThreadpoolController()
