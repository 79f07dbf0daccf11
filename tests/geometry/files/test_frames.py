"""Frames give the environments that their structures give all together, from any frame on."""

import ase.io
import jax
import numpy as np
import pytest
from ase.build import bulk, molecule

import jaxfeat
from jaxfeat import frames
from jaxfeat.errors import GeometryError, ReadError, SpeciesError
from jaxfeat.geometry.environment import concatenate_on_host
from jaxfeat.geometry.random import draw_evenly
from jaxfeat.geometry.species import SYMBOLS


def read_all(source, start=0):
    return concatenate_on_host(list(source.batches(start)))


@pytest.mark.parametrize("centers", [None, "H", [0, 2]])
@pytest.mark.parametrize("name", ["random-methane:40:5", "many.xyz", "many.traj", "one.cif", "s22"])
def test_frames_are_environments(tmp_path, monkeypatch, name, centers):
    monkeypatch.setattr("jaxfeat.geometry.files.frames.FRAMES_PER_SEARCH", 3)
    monkeypatch.setattr("jaxfeat.geometry.random.METHANES_PER_STREAM", 16)
    monkeypatch.chdir(tmp_path)
    molecules = [molecule(name) for name in ("CH4", "H2O", "C2H6", "CH3OH", "C2H6", "NH3", "C2H4")]
    if "many" in name:
        ase.io.write(name, molecules)
    if "one" in name:
        ase.io.write(name, bulk("LiH", "rocksalt", a=4.0) * (2, 1, 1))
    source = jaxfeat.read(name)
    expected = jaxfeat.environments(source.atoms, 3.0, centers or source.centers)
    found = frames(name, 3.0, centers)
    for start in (0, 4):
        part = read_all(found, start) if start < len(source.atoms) else expected[:0]
        kept = expected[np.asarray(expected.structure_index) >= start]
        for a, b in zip(jax.tree.leaves(part.trimmed()), jax.tree.leaves(kept.trimmed()), strict=True):
            np.testing.assert_array_equal(a, b)
    assert found.total in (None, len(expected))
    assert (np.bincount(expected.structure_index, minlength=len(source.atoms)) == found.survey().counts).all()
    sample = found.sampled(7, 1)
    drawn = expected[draw_evenly(len(expected), 7, 1)]
    assert len(drawn) == sample.total
    for a, b in zip(jax.tree.leaves(read_all(sample).trimmed()), jax.tree.leaves(drawn.trimmed()), strict=True):
        np.testing.assert_array_equal(a, b)
    again = expected[draw_evenly(len(expected), 7, 1)[draw_evenly(sample.total, 3, 2)]]
    np.testing.assert_array_equal(read_all(sample.sampled(3, 2)).structure_index, again.structure_index)
    held = np.unique(np.concatenate([atoms.numbers for atoms in source.atoms]))
    seen = []
    assert found.species(seen.append) == [SYMBOLS[number] for number in held]
    assert seen == (list(range(1, len(source.atoms) + 1)) if found.total is None else [])


def test_centers_of_several_species_need_not_be_in_every_frame(tmp_path):
    molecules = [molecule(name) for name in ("CH4", "H2O", "NH3", "CH3OH")]
    ase.io.write(tmp_path / "many.xyz", molecules)
    found = read_all(frames(tmp_path / "many.xyz", 3.0, ["C", "N"]))
    assert [SYMBOLS[number] for number in np.asarray(found.center_species)] == ["C", "N", "C"]
    np.testing.assert_array_equal(found.structure_index, [0, 2, 3])
    assert not list(frames(tmp_path / "many.xyz", 3.0, ["F"]).batches(0))


def test_the_first_of_many_random_methanes_are_those_of_few(monkeypatch):
    monkeypatch.setattr("jaxfeat.geometry.random.METHANES_PER_STREAM", 16)
    few, many = (jaxfeat.read(f"random-methane:{n}:3").atoms for n in (20, 70))
    for a, b in zip(few, many, strict=False):
        np.testing.assert_array_equal(a.positions, b.positions)
    assert len({tuple(atoms.positions[1]) for atoms in many}) == 70


def test_identities_tell_inputs_apart(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ase.io.write("a.xyz", molecule("H2O"))
    ase.io.write("b.xyz", molecule("H2O"))
    ase.io.write("c.xyz", molecule("SH2"))
    same = [("a.xyz", None), ("b.xyz", None)]
    others = [("c.xyz", None), ("a.xyz", "O"), ("a.xyz", [0]), ("s22", None), ("random-methane:3", None),
              ("random-methane:4", None), ("random-methane:3:1", None), ("random-methane:3", "H")]  # fmt: skip
    assert len({frames(name, 3.0, centers).identity for name, centers in same}) == 1
    assert len({frames(name, 3.0, centers).identity for name, centers in same + others}) == 1 + len(others)


@pytest.mark.parametrize(
    "source, r_cut, centers, error, message",
    [
        ("nowhere.xyz", 4.0, None, ReadError, "there is no such file"),
        ("random-methane:x", 4.0, None, ReadError, "write random-methane:N"),
        ("random-methane:3", -1.0, None, GeometryError, "r_cut is -1.0"),
        ("random-methane:3", 4.0, "N", SpeciesError, "no N among the atoms"),
        ("random-methane:3", 4.0, 7, GeometryError, "random-methane:3: there is no atom 7, only 0 to 4"),
        ("g2", 4.0, "Xy", SpeciesError, "'Xy' is not a chemical element"),
        ("g2", 4.0, [0.5], GeometryError, "centers is"),
    ],
)
def test_bad_input_is_named(source, r_cut, centers, error, message):
    with pytest.raises(error, match=message):
        frames(source, r_cut, centers)


def test_the_repr_shows_radius_centers_and_total():
    assert (
        repr(frames("random-methane:3", 4.0)) == "Frames('random-methane:3', r_cut = 4 Å, centers: C, 3 environments)"
    )
    assert repr(frames("g2", 3.5)) == "Frames('g2', r_cut = 3.5 Å, centers: every atom)"
