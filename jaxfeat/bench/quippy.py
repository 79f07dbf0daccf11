"""quippy in the benchmark: one descriptor object, and one structure in each call."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from jaxfeat.bench.peer import AbstractPeer
from jaxfeat.bench.workloads import WINDOW_WIDTH, Workload


class Quippy(AbstractPeer):
    """The soap descriptor of QUIP, not normalized.

    Its radial functions are orthonormalized Gaussians on a grid, which jaxfeat does not have. Its matrices have the
    same sizes as jaxfeat's, and other numbers.
    """

    def __init__(self, workload: Workload) -> None:
        from ase.data import atomic_numbers
        from quippy.descriptors import Descriptor

        super().__init__(workload)
        settings = workload.settings
        species = sorted(atomic_numbers[symbol] for symbol in settings["species"])
        centers = sorted({int(a.numbers[c]) for a in workload.atoms for c in workload.centers_of(a)})
        for atoms in workload.atoms:
            asked = [int(n) for n in np.flatnonzero(np.isin(atoms.numbers, centers))]
            assert asked == workload.centers_of(atoms), "quippy chooses centers by their species"
            # At most one image of an atom is in reach, so no gradient is a sum over images.
            assert not workload.periodic or (atoms.cell.lengths() > 2 * settings["r_cut"]).all()
        self.descriptor = Descriptor(
            f"soap cutoff={settings['r_cut']} cutoff_transition_width={WINDOW_WIDTH} n_max={settings['n_max']} "
            f"l_max={settings['l_max']} atom_sigma={settings['sigma']} n_Z={len(centers)} Z={_listed(centers)} "
            f"n_species={len(species)} species_Z={_listed(species)} normalise=F"
        )

    def features(self) -> Any:
        return [self.descriptor.calc(atoms) for atoms in self.workload.atoms]

    def batches(self) -> Sequence[int]:
        return range(len(self.workload.atoms))

    def jacobian(self, batch: int) -> Any:
        return self.descriptor.calc(self.workload.atoms[batch], grad=True)

    def matrices(self, batch: int, jacobian: Any) -> Iterator[tuple[list[int], np.ndarray]]:
        atoms, index, gradient = self.workload.atoms[batch], jacobian["grad_index_0based"], jacobian["grad_data"]
        size = gradient.shape[-1]
        if self.workload.stacked:
            centers = self.workload.centers_of(atoms)
            slot = np.zeros(len(atoms), int)
            slot[centers] = np.arange(len(centers))
            dense = np.zeros((len(atoms), 3, len(centers), size))
            dense[index[:, 1], :, slot[index[:, 0]]] = gradient
            yield [batch], dense.reshape(1, 3 * len(atoms), len(centers) * size)
            return
        for item, (_, center, _) in self.environments[batch]:
            rows = np.flatnonzero((index[:, 0] == center) & (index[:, 1] != center))
            rows = rows[np.argsort(index[rows, 1])]
            yield [item], gradient[rows].reshape(1, -1, size)


def _listed(numbers: list[int]) -> str:
    return "{" + " ".join(map(str, numbers)) + "}"
