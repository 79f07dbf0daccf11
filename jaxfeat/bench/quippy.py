"""quippy at a work: one descriptor object, one structure after the other, as it takes them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from jaxfeat.bench.peer import AbstractPeer
from jaxfeat.bench.works import WIDTH, Work


class Quippy(AbstractPeer):
    """QUIP's soap, not normalised. Its radial functions are orthonormalised Gaussians on a grid, which jaxfeat does not
    have: sizes are the same, numbers are not."""

    def __init__(self, work: Work) -> None:
        from ase.data import atomic_numbers
        from quippy.descriptors import Descriptor

        super().__init__(work)
        settings = work.settings
        species = sorted(atomic_numbers[symbol] for symbol in settings["species"])
        centers = sorted({int(a.numbers[c]) for a in work.atoms for c in work.centers_of(a)})
        for atoms in work.atoms:
            asked = [int(n) for n in np.flatnonzero(np.isin(atoms.numbers, centers))]
            assert asked == work.centers_of(atoms), "quippy chooses centers by their species"
            # One image of an atom at most is in reach, so that no gradient has two parts.
            assert not work.periodic or (atoms.cell.lengths() > 2 * settings["r_cut"]).all()
        self.descriptor = Descriptor(
            f"soap cutoff={settings['r_cut']} cutoff_transition_width={WIDTH} n_max={settings['n_max']} "
            f"l_max={settings['l_max']} atom_sigma={settings['sigma']} n_Z={len(centers)} Z={_listed(centers)} "
            f"n_species={len(species)} species_Z={_listed(species)} normalise=F"
        )

    def features(self) -> Any:
        return [self.descriptor.calc(atoms) for atoms in self.work.atoms]

    def chunks(self) -> Sequence[int]:
        return range(len(self.work.atoms))

    def jacobian(self, chunk: int) -> Any:
        return self.descriptor.calc(self.work.atoms[chunk], grad=True)

    def matrices(self, chunk: int, jacobian: Any) -> Iterator[tuple[list[int], np.ndarray]]:
        atoms, index, gradient = self.work.atoms[chunk], jacobian["grad_index_0based"], jacobian["grad_data"]
        size = gradient.shape[-1]
        if self.work.stacked:
            centers = self.work.centers_of(atoms)
            slot = np.zeros(len(atoms), int)
            slot[centers] = np.arange(len(centers))
            dense = np.zeros((len(atoms), 3, len(centers), size))
            dense[index[:, 1], :, slot[index[:, 0]]] = gradient
            yield [chunk], dense.reshape(1, 3 * len(atoms), len(centers) * size)
            return
        for item, (_, center, _) in self.environments[chunk]:
            rows = np.flatnonzero((index[:, 0] == center) & (index[:, 1] != center))
            rows = rows[np.argsort(index[rows, 1])]
            yield [item], gradient[rows].reshape(1, -1, size)


def _listed(numbers: list[int]) -> str:
    return "{" + " ".join(map(str, numbers)) + "}"
