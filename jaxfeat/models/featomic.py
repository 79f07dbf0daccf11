"""Calculators of featomic as featurizers."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxfeat.errors import ModelError
from jaxfeat.geometry.species import SYMBOLS, atomic_numbers
from jaxfeat.geometry.structure import Structure
from jaxfeat.models.ase_atoms import as_atoms
from jaxfeat.models.external import ExternalFeaturizer, make_model

ORDERS = {"SoapRadialSpectrum": 1, "SoapPowerSpectrum": 2}


def from_featomic(calculator: Any, species: Sequence[str | int], *, key: str | None = None) -> ExternalFeaturizer:
    """Make a featurizer of a featomic calculator of invariant features of atoms, with its analytic derivatives.

    featomic gives one block for each center species and each tuple of neighbor species that occur. The features are all
    blocks of `species` side by side, zero for species that do not occur; centers of different species share them.

    **Arguments:**

    - `calculator`: A calculator, such as `featomic.SoapPowerSpectrum`, with gradients by positions.
    - `species`: Symbols or atomic numbers of all atoms.
    - `key`: A text that identifies the calculator in a store. By default it is made of the parameters.

    **Returns:** a featurizer as of `jaxfeat.external`. The order ν is 2 for `SoapPowerSpectrum`, 1 for
    `SoapRadialSpectrum`, and not declared for others.

    **Raises:** `ModelError` if the calculator has no cutoff, or gives no features of atoms.
    """
    numbers = np.sort(atomic_numbers(list(species)))
    kind, parameters = type(calculator).__name__, json.loads(calculator.parameters)
    cutoff = parameters.get("cutoff")
    reach = cutoff.get("radius") if isinstance(cutoff, dict) else cutoff
    if reach is None:
        raise ModelError(f"{kind} declares no cutoff; give its values and derivatives to jaxfeat.external.")
    columns, d = _lay_out(calculator, numbers, float(reach))

    def evaluate(structure: Structure) -> tuple[np.ndarray, np.ndarray]:
        from metatensor import Labels

        centers = np.asarray(structure.center)
        place = np.full(len(structure.positions), -1)
        place[centers] = np.arange(len(centers))
        chosen = Labels(["atom"], centers.astype(np.int32)[:, None])
        output = calculator.compute(as_atoms(structure), gradients=["positions"], selected_samples=chosen)
        features, slopes = np.zeros((len(centers), d)), np.zeros((len(centers), len(structure.positions), 3, d))
        for names, block in output.items():
            rows = place[np.asarray(block.samples.column("atom"))]
            where, gradient = columns[_name(names)], block.gradient("positions")
            features[rows, where] = block.values
            samples = np.asarray(gradient.samples.values)
            slopes[rows[samples[:, 0]], samples[:, 2], :, where] = gradient.values
        return features, slopes.transpose(0, 3, 1, 2)

    symbols = [SYMBOLS[number] for number in numbers]
    return make_model(
        evaluate,
        reach=float(reach),
        nu=ORDERS.get(kind),
        group="O3",
        species=numbers,
        key=key or f"featomic {kind} {json.dumps(parameters, sort_keys=True)} {symbols}",
        name=f"featomic {kind}",
    )


def _name(names: Any) -> tuple[int, ...]:
    """Name a block by all of its key but the species of the center."""
    return tuple(int(names[name]) for name in names.names if name != "center_type")


def _lay_out(calculator: Any, numbers: np.ndarray, reach: float) -> tuple[dict[tuple[int, ...], slice], int]:
    """Find the columns of each block from a cluster that holds all tuples of species."""
    from ase import Atoms

    all_species = np.repeat(numbers, 3)
    points = np.random.default_rng(0).uniform(-0.2, 0.2, (len(all_species), 3)) * reach
    columns: dict[tuple[int, ...], slice] = {}
    d = 0
    for names, block in calculator.compute(Atoms(numbers=all_species, positions=points)).items():
        if block.components or "atom" not in block.samples.names:
            raise ModelError(f"{type(calculator).__name__} gives no invariant features of atoms; take another.")
        if _name(names) not in columns:
            columns[_name(names)] = slice(d, d + len(block.properties))
            d += len(block.properties)
    return columns, d
