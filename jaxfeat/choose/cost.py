"""The measured time of features and of gradients."""

from time import process_time
from typing import NamedTuple

import jax
import numpy as np

from jaxfeat.features.base import AbstractFeaturizer
from jaxfeat.features.host_work import HOST_SECONDS, HOST_SECONDS_PER_NEIGHBOR
from jaxfeat.geometry.environment import Environment
from jaxfeat.linalg.lapack import one_blas_thread
from jaxfeat.spectrum.jacobian import jacobian

MAX_ENVIRONMENTS = 4  # environments that are timed together
REPEATS = 2  # of which the shortest counts: the first may load or compile something


class Cost(NamedTuple):
    """CPU seconds for each environment, and the route: "numpy" or "compiled". Compilation is not included."""

    features: float
    gradients: float
    route: str


def measure_cost(f: AbstractFeaturizer, batch: Environment) -> Cost:
    """Measure the CPU time of features and of their gradients on environments of usual size."""
    counts = np.asarray(batch.n_neighbors)
    usual = np.argsort(np.abs(counts - np.median(counts)), kind="stable")
    # NumPy works on so many environments. For more, a program would have to be compiled.
    n = int(HOST_SECONDS["features"] / (HOST_SECONDS_PER_NEIGHBOR * max(batch.max_neighbors, 1)))
    some = jax.device_put(batch[usual[: int(np.clip(n, 1, MAX_ENVIRONMENTS))]].trimmed())
    f = f.prepared()
    seconds = []
    for call in (f, lambda env: jacobian(f, env)):
        found = []
        for _ in range(REPEATS):
            start = process_time()
            with one_blas_thread():
                jax.block_until_ready(call(some))
            found.append(process_time() - start)
        seconds.append(min(found) / len(some))
    features, gradients = seconds
    return Cost(features, gradients, "numpy" if f.takes_on_host(some) else "compiled")
