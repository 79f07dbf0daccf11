"""The function of a model, called and checked."""

from collections.abc import Callable
from threading import RLock
from typing import Any

import numpy as np

from jaxfeat.errors import ModelError
from jaxfeat.geometry.structure import Structure
from jaxfeat.models.measure import Probe


class Model:
    """The function of a model, and facts about it that only calls tell. Featurizers that were changed share it."""

    def __init__(self, evaluate: Callable[[Structure], Any], periodic: bool = True) -> None:
        self.evaluate = evaluate
        self.periodic = periodic  # False if crystals are cut into clusters for the model
        self.lock = RLock()  # NumPy's work on several environments runs in threads, and models may not.
        self.n_features: int | None = None
        self.probe: Probe | None = None

    def __call__(self, structure: Structure) -> tuple[np.ndarray, np.ndarray]:
        """Compute features `(c, d)` and Jacobian `(c, d, n, 3)`, and check their shapes."""
        with self.lock:
            features, jacobian = map(np.asarray, self.evaluate(structure))
        c, n = len(structure.center), len(structure.positions)
        d = features.shape[-1] if features.ndim == 2 else -1
        if features.shape != (c, d) or jacobian.shape != (c, d, n, 3):
            raise ModelError(
                f"the model returned features {features.shape} and a Jacobian {jacobian.shape} of {c} centers among "
                f"{n} atoms; it must return shapes ({c}, d) and ({c}, d, {n}, 3)."
            )
        if self.n_features not in (None, d):
            raise ModelError(f"the model returned {d} features, and {self.n_features} before; it must return as many.")
        self.n_features = d
        return features, jacobian
