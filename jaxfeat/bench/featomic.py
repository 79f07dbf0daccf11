"""featomic in the benchmark: splined radial integrals, its default, and many structures in each call."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from jaxfeat.bench.peer import STRUCTURES_PER_CALL, AbstractPeer, group_by_key
from jaxfeat.bench.workloads import WINDOW_WIDTH, Workload


class Featomic(AbstractPeer):
    """SoapPowerSpectrum with GTOs. Its blocks are sparse: they contain the pairs of species and the atoms that occur.

    Of two equal products it stores both for two like species, and √2 times one for unlike species. Its singular values
    are therefore those of the whole tensor.
    """

    def __init__(self, workload: Workload) -> None:
        from metatensor import Labels

        super().__init__(workload)
        self.calculator = self._calculator()
        self.options: dict[str, Any] = {}
        if workload.centers is not None:
            self.options["selected_samples"] = Labels(["atom"], np.asarray(workload.centers)[:, None])
        n = len(workload.atoms)
        self._batches = [list(range(k, min(k + STRUCTURES_PER_CALL, n))) for k in range(0, n, STRUCTURES_PER_CALL)]

    def _calculator(self, **splines: Any) -> Any:
        from featomic import SoapPowerSpectrum
        from featomic.basis import Gto, TensorProduct
        from featomic.cutoff import Cutoff, ShiftedCosine
        from featomic.density import Gaussian

        settings = self.workload.settings
        radial = Gto(max_radial=settings["n_max"] - 1, radius=settings["r_cut"])
        return SoapPowerSpectrum(
            cutoff=Cutoff(radius=settings["r_cut"], smoothing=ShiftedCosine(width=WINDOW_WIDTH)),
            density=Gaussian(width=settings["sigma"], center_atom_weight=1.0),
            basis=TensorProduct(max_angular=settings["l_max"], radial=radial, **splines),
        )

    def values(self) -> list[list[float]]:
        # Values are compared without splines, which move them by some 1e-7. The splines, its default, are timed.
        timed, self.calculator = self.calculator, self._calculator(spline_accuracy=None)
        found = super().values()
        self.calculator = timed
        return found

    def features(self) -> Any:
        return self.calculator.compute(self.workload.atoms, **self.options)

    def batches(self) -> Sequence[list[int]]:
        return self._batches

    def jacobian(self, batch: list[int]) -> Any:
        return self.calculator.compute([self.workload.atoms[k] for k in batch], gradients=["positions"], **self.options)

    def matrices(self, batch: list[int], jacobian: Any) -> Iterator[tuple[list[int], np.ndarray]]:
        return self._stacked(batch, jacobian) if self.workload.stacked else self._single(batch, jacobian)

    def _stacked(self, batch: list[int], output: Any) -> Iterator[tuple[list[int], np.ndarray]]:
        """Put structures of the same atoms, which have the same blocks, into one array."""
        blocks = [(int(key["center_type"]), *_gradient(block)) for key, block in output.items() if len(block.samples)]
        for members in group_by_key(range(len(batch)), lambda k: tuple(self.workload.atoms[batch[k]].numbers)):
            atoms = self.workload.atoms[batch[members[0]]]
            row = np.full(len(batch), -1)
            row[members] = np.arange(len(members))
            parts = []
            for center_type, samples, index, values in blocks:
                systems = row[index[:, 1]]
                mine: Any = slice(None)
                if len(members) < len(batch):
                    mine = systems >= 0
                    if not mine.any():
                        continue
                of_type = [c for c in self.workload.centers_of(atoms) if atoms.numbers[c] == center_type]
                slot = np.zeros(len(atoms), int)
                slot[of_type] = np.arange(len(of_type))
                center = slot[samples[index[mine, 0], 1]]
                parts.append((len(of_type), systems[mine], index[mine, 2], center, values[mine]))
            width = sum(n * values.shape[-1] for n, *_, values in parts)
            dense, start = np.zeros((len(members), len(atoms), 3, width)), 0
            for n, system, atom, center, values in parts:
                size = values.shape[-1]
                view = dense[..., start : start + n * size].reshape(len(members), len(atoms), 3, n, size)
                assert view.base is not None
                view[system, atom, :, center] = values
                start += n * size
            yield [batch[k] for k in members], dense.reshape(len(members), 3 * len(atoms), width)

    def _single(self, batch: list[int], output: Any) -> Iterator[tuple[list[int], np.ndarray]]:
        """Put the blocks of each environment side by side, with rows for its neighbors alone."""
        parts: dict[tuple[int, int], list[tuple[np.ndarray, np.ndarray]]] = {}
        for block in output.blocks():
            samples, index, values = _gradient(block)
            ends = np.searchsorted(index[:, 0], np.arange(len(samples) + 1))
            for k, (system, center) in enumerate(samples.tolist()):
                rows = slice(ends[k], ends[k + 1])
                parts.setdefault((system, center), []).append((index[rows, 2], values[rows]))
        for k, structure in enumerate(batch):
            for item, (_, center, neighbors) in self.environments[structure]:
                own = parts[k, center]
                dense, start = np.zeros((len(self.workload.atoms[structure]), 3, sum(v.shape[-1] for _, v in own))), 0
                for atom, values in own:
                    dense[atom, :, start : start + values.shape[-1]] = values
                    start += values.shape[-1]
                yield [item], dense[neighbors].reshape(1, 3 * len(neighbors), start)


def _gradient(block: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the samples (system, atom) of a block, those of its gradient (sample, system, atom), and the gradient."""
    gradient = block.gradient("positions")
    return np.asarray(block.samples.values), np.asarray(gradient.samples.values), gradient.values
