"""Threads of the linear algebra."""

from contextlib import AbstractContextManager
from typing import Any

from threadpoolctl import threadpool_limits


def one_thread() -> AbstractContextManager[Any]:
    """LAPACK on small matrices: more BLAS threads than one only wait for each other, tenfold on a busy machine."""
    return threadpool_limits(1, user_api="blas")
