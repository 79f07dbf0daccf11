"""The variables of stores are those of former stores, and have values for any batch."""

import json

import numpy as np
import pytest
from stores import F

import jaxfeat
from jaxfeat.nulls.scan import ScanArrays
from jaxfeat.store.schema import atom_arrays, provenance, spectrum_arrays, variables

KNOWN = {
    "sigma": "float64 value", "sigma_equilibrated": "float64 value", "floor": "float64",
    "floor_equilibrated": "float64", "n_values": "int32", "certified": "bool", "null": "int32 cause", "status": "str",
    "structure_index": "int32", "center_index": "int32", "center_species": "int16", "n_neighbors": "int32",
    "positions": "float64 neighbor xyz", "species": "int16 neighbor",
}  # fmt: skip
BATCH = jaxfeat.Environment.stack(
    [jaxfeat.Environment.from_neighbors(np.eye(3)[:n], ["H", "C", "O"][:n], "N") for n in (1, 3)]
)


@pytest.mark.parametrize("positions", [True, False])
def test_the_variables_are_those_of_former_stores(positions):
    """A change here leaves stores behind that no sweep resumes."""
    types = {name: "str" if v.dtype is str else str(np.dtype(v.dtype)) for name, v in variables(positions).items()}
    found = {name: " ".join([types[name], *v.axes]) for name, v in variables(positions).items()}
    assert found == {name: kind for name, kind in KNOWN.items() if positions or "neighbor" not in kind.split()}


def test_atoms_have_values_and_padding_is_missing():
    with_positions, without = atom_arrays(BATCH, True), atom_arrays(BATCH, False)
    assert set(with_positions) - set(without) == {"positions", "species"}
    assert with_positions["species"].tolist() == [[1, 0, 0], [1, 6, 8]]
    np.testing.assert_array_equal(with_positions["positions"][0], [[1, 0, 0], [np.nan] * 3, [np.nan] * 3])
    assert without["center_species"].tolist() == [7, 7] and without["n_neighbors"].tolist() == [1, 3]


@pytest.mark.parametrize("counts, width", [([3, 2], 3), ([0, 0], 0)])
def test_spectra_are_as_wide_as_the_longest(counts, width):
    numbers, values = np.asarray(counts), np.ones((2, 9))
    arrays = spectrum_arrays(ScanArrays(values, values, *[numbers] * 7, [[], []], {}))
    assert arrays["sigma"].shape == arrays["sigma_equilibrated"].shape == (2, width)


def test_provenance_names_the_featurizer_and_the_versions():
    found = provenance(F)
    assert json.loads(found["featurizer"]) == jaxfeat.spec(F)
    assert found["precision"] == "float64" and {"jax", "jaxlib", "numpy", "created"} <= set(found)
    assert found["jaxfeat"] == jaxfeat.__version__
    unknown = jaxfeat.function(lambda positions, species, mask: positions[0])
    assert provenance(unknown)["featurizer"] == " ".join(repr(unknown).split())
