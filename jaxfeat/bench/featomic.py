"""featomic at a work: splined radial integrals (its default), many structures in a call, only the centers asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from jaxfeat.bench.peer import CHUNK, AbstractPeer, alike
from jaxfeat.bench.works import WIDTH, Work


class Featomic(AbstractPeer):
    """SoapPowerSpectrum with GTOs. Blocks are sparse: of the pairs of species that occur, and of atoms in reach.

    For two like species it stores both of redundant products, for unlike ones √2 times one of them: singular values are
    those of the whole tensor as they are.
    """

    def __init__(self, work: Work) -> None:
        from metatensor import Labels

        super().__init__(work)
        self.calculator = self._calculator()
        self.options: dict[str, Any] = {}
        if work.centers is not None:
            self.options["selected_samples"] = Labels(["atom"], np.asarray(work.centers)[:, None])
        n = len(work.atoms)
        self._chunks = [list(range(k, min(k + CHUNK, n))) for k in range(0, n, CHUNK)]

    def _calculator(self, **splines: Any) -> Any:
        from featomic import SoapPowerSpectrum
        from featomic.basis import Gto, TensorProduct
        from featomic.cutoff import Cutoff, ShiftedCosine
        from featomic.density import Gaussian

        settings = self.work.settings
        radial = Gto(max_radial=settings["n_max"] - 1, radius=settings["r_cut"])
        return SoapPowerSpectrum(
            cutoff=Cutoff(radius=settings["r_cut"], smoothing=ShiftedCosine(width=WIDTH)),
            density=Gaussian(width=settings["sigma"], center_atom_weight=1.0),
            basis=TensorProduct(max_angular=settings["l_max"], radial=radial, **splines),
        )

    def values(self) -> list[list[float]]:
        # Of exact integrals. Its splines, the default and what is timed, move values by some 1e-7.
        timed, self.calculator = self.calculator, self._calculator(spline_accuracy=None)
        found = super().values()
        self.calculator = timed
        return found

    def features(self) -> Any:
        return self.calculator.compute(self.work.atoms, **self.options)

    def chunks(self) -> Sequence[list[int]]:
        return self._chunks

    def jacobian(self, chunk: list[int]) -> Any:
        return self.calculator.compute([self.work.atoms[k] for k in chunk], gradients=["positions"], **self.options)

    def matrices(self, chunk: list[int], jacobian: Any) -> Iterator[tuple[list[int], np.ndarray]]:
        return self._stacked(chunk, jacobian) if self.work.stacked else self._single(chunk, jacobian)

    def _stacked(self, chunk: list[int], output: Any) -> Iterator[tuple[list[int], np.ndarray]]:
        """Structures of the same atoms have the same blocks, and go into one array."""
        blocks = [(int(key["center_type"]), *_gradient(block)) for key, block in output.items() if len(block.samples)]
        for members in alike(range(len(chunk)), lambda k: tuple(self.work.atoms[chunk[k]].numbers)):
            atoms = self.work.atoms[chunk[members[0]]]
            row = np.full(len(chunk), -1)
            row[members] = np.arange(len(members))
            parts = []
            for center_type, samples, index, values in blocks:
                systems = row[index[:, 1]]
                mine: Any = slice(None)
                if len(members) < len(chunk):
                    mine = systems >= 0
                    if not mine.any():
                        continue
                of_type = [c for c in self.work.centers_of(atoms) if atoms.numbers[c] == center_type]
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
            yield [chunk[k] for k in members], dense.reshape(len(members), 3 * len(atoms), width)

    def _single(self, chunk: list[int], output: Any) -> Iterator[tuple[list[int], np.ndarray]]:
        """An environment's blocks side by side, of its neighbors alone."""
        parts: dict[tuple[int, int], list[tuple[np.ndarray, np.ndarray]]] = {}
        for block in output.blocks():
            samples, index, values = _gradient(block)
            ends = np.searchsorted(index[:, 0], np.arange(len(samples) + 1))
            for k, (system, center) in enumerate(samples.tolist()):
                rows = slice(ends[k], ends[k + 1])
                parts.setdefault((system, center), []).append((index[rows, 2], values[rows]))
        for k, structure in enumerate(chunk):
            for item, (_, center, neighbors) in self.environments[structure]:
                own = parts[k, center]
                dense, start = np.zeros((len(self.work.atoms[structure]), 3, sum(v.shape[-1] for _, v in own))), 0
                for atom, values in own:
                    dense[atom, :, start : start + values.shape[-1]] = values
                    start += values.shape[-1]
                yield [item], dense[neighbors].reshape(1, 3 * len(neighbors), start)


def _gradient(block: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A block's samples (system, atom), those of its gradient (sample, system, atom), and the gradient."""
    gradient = block.gradient("positions")
    return np.asarray(block.samples.values), np.asarray(gradient.samples.values), gradient.values
