"""DScribe at a work: one SOAP object, lists of structures of one size in a call, only the centers and derivatives that
are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from jaxfeat.bench.peer import AbstractPeer, alike
from jaxfeat.bench.works import Work


class DScribe(AbstractPeer):
    """SOAP with GTOs. It has no window, and sees atoms to 3.7 sigma beyond `r_cut`."""

    def __init__(self, work: Work) -> None:
        from dscribe.descriptors import SOAP

        super().__init__(work)
        settings = {**work.settings, "species": list(work.settings["species"])}
        self.soap = SOAP(**settings, periodic=work.periodic)
        # Environments become molecules of their own, the center first: as fast, and exactly the atoms within r_cut.
        self.systems = work.atoms
        if not work.stacked:
            self.systems = [work.atoms[h.structure][[h.center, *h.neighbors]] for h in work.neighborhoods()]
        self._chunks = alike(range(len(self.systems)), lambda item: len(self.systems[item]))

    def features(self) -> Any:
        return self.soap.create(self.work.atoms, centers=[self.work.centers_of(a) for a in self.work.atoms])

    def chunks(self) -> Sequence[list[int]]:
        return self._chunks

    def jacobian(self, chunk: list[int]) -> np.ndarray:
        # Without the features, which cost extra. Analytic derivatives are refused for periodic structures.
        systems = [self.systems[item] for item in chunk]
        options: dict[str, Any] = {
            "method": "numerical" if self.work.periodic else "analytical",
            "return_descriptor": False,
        }
        if self.work.stacked:
            centers = self.work.centers_of(systems[0])
            return self.soap.derivatives(systems, centers=[centers] * len(systems), attach=True, **options)
        neighbors = list(range(1, len(systems[0])))
        return self.soap.derivatives(
            systems, centers=[[0]] * len(systems), include=[neighbors] * len(systems), attach=False, **options
        )

    def matrices(self, chunk: list[int], jacobian: np.ndarray) -> Iterator[tuple[list[int], np.ndarray]]:
        centers, atoms, _, features = jacobian.shape[-4:]
        whole = jacobian.reshape(len(chunk), centers, atoms, 3, features)
        yield chunk, whole.transpose(0, 2, 3, 1, 4).reshape(len(chunk), 3 * atoms, centers * features)

    def weighed(self, stack: np.ndarray) -> np.ndarray:
        """Redundant products, which DScribe stores once, times √2."""
        settings = self.work.settings
        weights = np.full(self.soap.get_number_of_features(), np.sqrt(2))
        n, m = np.triu_indices(settings["n_max"])
        for symbol in settings["species"]:
            once = np.tile(np.where(n == m, 1, np.sqrt(2)), settings["l_max"] + 1)
            weights[self.soap.get_location((symbol, symbol))] = once
        return stack * np.tile(weights, stack.shape[-1] // len(weights))
