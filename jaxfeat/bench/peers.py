"""The packages that are timed beside jaxfeat."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from jaxfeat.bench.peer import AbstractPeer, group_by_key
from jaxfeat.bench.workloads import WINDOW_WIDTH, Workload


class DScribe(AbstractPeer):
    """One SOAP object with GTOs, which gets lists of structures of the same size, and only the centers of the workload.
    It has no window, and it includes atoms up to 3.7 σ beyond `r_cut`."""

    title, module, distribution = "DScribe", "dscribe", "dscribe"
    variant = "gto"

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
        self.batches = group_by_key(range(len(self.systems)), lambda item: len(self.systems[item]))

    def features(self) -> Any:
        return self.soap.create(self.workload.atoms, centers=[self.workload.centers_of(a) for a in self.workload.atoms])

    def jacobian(self, batch: list[int]) -> np.ndarray:
        systems = [self.systems[item] for item in batch]
        # The features are left out, because they cost extra. DScribe refuses analytic derivatives of crystals.
        method = "numerical" if self.workload.periodic else "analytical"
        centers, options = [0], {"include": [list(range(1, len(systems[0])))] * len(systems)}
        if self.workload.stacked:
            centers, options = self.workload.centers_of(systems[0]), {}
        return self.soap.derivatives(
            systems, centers=[centers] * len(systems), attach=self.workload.stacked, method=method,
            return_descriptor=False, **options,
        )  # fmt: skip

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


class Featomic(AbstractPeer):
    """SoapPowerSpectrum with GTOs and splined radial integrals, its default, and many structures in each call.

    Its blocks are sparse: they contain the pairs of species and the atoms that occur. Of two equal products it stores
    both for two like species, and √2 times one for unlike species. Its singular values are therefore those of the whole
    tensor.
    """

    title, module, distribution = "featomic", "featomic", "featomic"
    variant = "gto-rascal"

    def __init__(self, workload: Workload) -> None:
        from metatensor import Labels

        super().__init__(workload)
        self.calculator = self._calculator()
        self.options: dict[str, Any] = {}
        if workload.centers is not None:
            self.options["selected_samples"] = Labels(["atom"], np.asarray(workload.centers)[:, None])
        self.batches = group_by_key(range(len(workload.atoms)), lambda _: None)

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

    def jacobian(self, batch: list[int]) -> Any:
        return self.calculator.compute([self.workload.atoms[k] for k in batch], gradients=["positions"], **self.options)

    def matrices(self, batch: list[int], jacobian: Any) -> Iterator[tuple[list[int], np.ndarray]]:
        dense = self._dense_structures if self.workload.stacked else self._dense_environments
        return dense(batch, jacobian)

    def _dense_structures(self, batch: list[int], output: Any) -> Iterator[tuple[list[int], np.ndarray]]:
        """Put structures of the same atoms, which have the same blocks, into one array."""
        blocks = [(int(key["center_type"]), *_gradient(block)) for key, block in output.items() if len(block.samples)]
        for members in group_by_key(range(len(batch)), lambda k: tuple(self.workload.atoms[batch[k]].numbers)):
            atoms = self.workload.atoms[batch[members[0]]]
            row = np.full(len(batch), -1)  # of each structure in the array
            row[members] = np.arange(len(members))
            parts = []
            for center_type, samples, index, values in blocks:
                systems = row[index[:, 1]]
                mine: Any = slice(None)  # without a copy
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

    def _dense_environments(self, batch: list[int], output: Any) -> Iterator[tuple[list[int], np.ndarray]]:
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


class Quippy(AbstractPeer):
    """One soap descriptor object of QUIP, not normalized, and one structure in each call. Its radial functions,
    orthonormalized Gaussians on a grid, differ from jaxfeat's: matrices have the same sizes, and other numbers."""

    title, module, distribution = "quippy", "quippy", "quippy-ase"
    variant, comparable = "gto, window", False

    def __init__(self, workload: Workload) -> None:
        from ase.data import atomic_numbers
        from quippy.descriptors import Descriptor

        super().__init__(workload)
        settings = workload.settings
        species = sorted(atomic_numbers[symbol] for symbol in settings["species"])
        centers = sorted({int(a.numbers[c]) for a in workload.atoms for c in workload.centers_of(a)})
        for atoms in workload.atoms:
            asked = np.flatnonzero(np.isin(atoms.numbers, centers)).tolist()
            assert asked == workload.centers_of(atoms), "quippy chooses centers by their species"
            # At most one image of an atom is in reach, so no gradient is a sum over images.
            assert not workload.periodic or (atoms.cell.lengths() > 2 * settings["r_cut"]).all()
        listed = ["{" + " ".join(map(str, numbers)) + "}" for numbers in (centers, species)]
        self.descriptor = Descriptor(
            f"soap cutoff={settings['r_cut']} cutoff_transition_width={WINDOW_WIDTH} n_max={settings['n_max']} "
            f"l_max={settings['l_max']} atom_sigma={settings['sigma']} n_Z={len(centers)} Z={listed[0]} "
            f"n_species={len(species)} species_Z={listed[1]} normalise=F"
        )
        self.batches = range(len(workload.atoms))

    def features(self) -> Any:
        return [self.descriptor.calc(atoms) for atoms in self.workload.atoms]

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


PEERS: dict[str, type[AbstractPeer]] = {peer.module: peer for peer in (DScribe, Featomic, Quippy)}


def _gradient(block: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the samples (system, atom) of a block, those of its gradient (sample, system, atom), and the gradient."""
    gradient = block.gradient("positions")
    return np.asarray(block.samples.values), np.asarray(gradient.samples.values), gradient.values
