"""Built-in sets are the published ones."""

import numpy as np
import pytest
from ase.collections import g2

from jaxfeat.errors import ReadError
from jaxfeat.geometry.files.read import read
from jaxfeat.geometry.neighbors import environments
from jaxfeat.manifolds import prl_methane


def test_g2_has_148_molecules_as_shipped():
    source = read("g2")
    assert len(source.atoms) == len(source.names) == len(set(source.names)) == 148
    for name, atoms in zip(source.names, source.atoms, strict=True):
        assert np.array_equal(atoms.positions, g2[name].positions)
    assert int(environments(source.atoms, 4.0, names=source.names).n_neighbors.min()) >= 1


@pytest.mark.parametrize("name, size", [("s22", 22), ("dcdft", 71)])
def test_other_collections(name, size):
    source = read(name)
    assert len(source.atoms) == len(source.names) == size


def test_prl_methane_is_the_grid_of_the_family():
    source = read("prl-methane")
    assert len(source.atoms) == len(set(source.names)) == 162
    assert source.centers == "C"
    expected = []
    for sign in (-1, 1):
        family = prl_methane(sign)
        azimuths, elevations = family.grid()
        expected += [family(f, l).positions for f in azimuths for l in elevations]
    hydrogens = np.stack([atoms.positions[1:] for atoms in source.atoms])
    assert np.allclose(hydrogens, np.stack(expected), rtol=0, atol=1e-15)
    batch = environments(source.atoms, 4.0, source.centers, names=source.names)
    assert batch.positions.shape == (162, 4, 3)


def test_random_methane_follows_its_recipe():
    source = read("random-methane:2000:7")
    positions = np.stack([atoms.positions for atoms in source.atoms])
    assert positions.shape == (2000, 5, 3)
    assert not positions[:, 0].any()
    radii = np.linalg.norm(positions[:, 1:], axis=-1)
    assert radii.max() <= 3.0
    # Uniform in the ball, the exclusion aside: r³ is uniform and no direction is preferred.
    assert abs(np.mean(radii**3 / 27) - 0.5) < 0.02
    assert np.all(np.abs(positions[:, 1:].mean((0, 1))) < 0.05)
    distances = np.linalg.norm(positions[:, :, None] - positions[:, None], axis=-1)[:, *np.triu_indices(5, 1)]
    assert 0.5 <= distances.min() < 0.51
    assert np.array_equal(read("random-methane:2000:7").atoms[5].positions, positions[5])
    assert not np.array_equal(read("random-methane:2000").atoms[5].positions, positions[5])


@pytest.mark.parametrize(
    "text", ["random-methane", "random-methane:", "random-methane:0", "random-methane:3:x", "random-methane:1:2:3"]
)
def test_random_methane_wants_numbers(text):
    with pytest.raises(ReadError, match=r"write random-methane:N or random-methane:N:SEED"):
        read(text)


def test_the_repr_counts_structures_and_atoms():
    assert repr(read("prl-methane")) == "StructureSet(162 structures, 810 atoms, centers: C)"
