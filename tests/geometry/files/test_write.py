"""Structures that are written are read again as the same points."""

import io

import numpy as np

from jaxfeat import Environment, environments, read
from jaxfeat.geometry.files.write import write_extxyz


def test_what_is_written_is_read_as_the_same_point(tmp_path):
    rng = np.random.default_rng(0)
    sets = [rng.normal(size=(4, 3)) * 10.0 ** rng.integers(-3, 2, (4, 3)) for _ in range(3)]
    batch = Environment.stack([Environment.from_neighbors(positions, ["H", "O", "Cl", "H"], "C") for positions in sets])
    vectors = rng.normal(size=(3, 4, 3))
    file = io.BytesIO()
    write_extxyz(file, batch, vectors, [{"start": k, "sigma_ratio": 1e-17} for k in range(3)])
    (tmp_path / "points.xyz").write_bytes(file.getvalue())
    found = read(tmp_path / "points.xyz")
    for atoms, positions, arrows in zip(found.atoms, sets, vectors, strict=True):
        assert atoms.get_chemical_formula() == "CH2ClO"
        np.testing.assert_array_equal(atoms.positions[1:], positions)
        np.testing.assert_array_equal(atoms.get_forces()[1:], arrows)
        assert atoms.info["sigma_ratio"] == 1e-17
        assert not atoms.pbc.any() and not atoms.positions[0].any()
    again = environments(found.atoms, 1e3, [0])
    order = np.argsort(np.linalg.norm(sets[0], axis=-1))
    np.testing.assert_array_equal(again.positions[0], sets[0][order])
