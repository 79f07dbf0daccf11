"""DScribe in the benchmark: one SOAP object, and lists of structures of the same size in each call.

Only the centers and derivatives of the workload are computed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from jaxfeat.bench.peer import AbstractPeer, group_by_key
from jaxfeat.bench.workloads import Workload


class DScribe(AbstractPeer):
    """SOAP with GTOs. It has no window, and it includes atoms up to 3.7 σ beyond `r_cut`."""

    def __init__(self, workload: Workload) -> None:
        from dscribe.descriptors import SOAP

        super().__init__(workload)
        settings = {**workload.settings, "species": list(workload.settings["species"])}
        self.soap = SOAP(**settings, periodic=workload.periodic)
        # Each environment becomes a molecule, with the center first. This is as fast as the whole structure, and
        # includes exactly the atoms within r_cut.
        self.systems = workload.atoms
        if not workload.stacked:
            self.systems = [workload.atoms[h.structure][[h.center, *h.neighbors]] for h in workload.neighborhoods()]
        self._batches = group_by_key(range(len(self.systems)), lambda item: len(self.systems[item]))

    def features(self) -> Any:
        return self.soap.create(self.workload.atoms, centers=[self.workload.centers_of(a) for a in self.workload.atoms])

    def batches(self) -> Sequence[list[int]]:
        return self._batches

    def jacobian(self, batch: list[int]) -> np.ndarray:
        # The features are left out, because they cost extra. DScribe refuses analytic derivatives of crystals.
        systems = [self.systems[item] for item in batch]
        options: dict[str, Any] = {
            "method": "numerical" if self.workload.periodic else "analytical",
            "return_descriptor": False,
        }
        if self.workload.stacked:
            centers = self.workload.centers_of(systems[0])
            return self.soap.derivatives(systems, centers=[centers] * len(systems), attach=True, **options)
        neighbors = list(range(1, len(systems[0])))
        return self.soap.derivatives(
            systems, centers=[[0]] * len(systems), include=[neighbors] * len(systems), attach=False, **options
        )

    def matrices(self, batch: list[int], jacobian: np.ndarray) -> Iterator[tuple[list[int], np.ndarray]]:
        centers, atoms, _, features = jacobian.shape[-4:]
        whole = jacobian.reshape(len(batch), centers, atoms, 3, features)
        yield batch, whole.transpose(0, 2, 3, 1, 4).reshape(len(batch), 3 * atoms, centers * features)

    def normalize(self, stack: np.ndarray) -> np.ndarray:
        """Multiply by √2 the products that DScribe stores once for two equal ones."""
        settings = self.workload.settings
        weights = np.full(self.soap.get_number_of_features(), np.sqrt(2))
        n, m = np.triu_indices(settings["n_max"])
        for symbol in settings["species"]:
            once = np.tile(np.where(n == m, 1, np.sqrt(2)), settings["l_max"] + 1)
            weights[self.soap.get_location((symbol, symbol))] = once
        return stack * np.tile(weights, stack.shape[-1] // len(weights))
