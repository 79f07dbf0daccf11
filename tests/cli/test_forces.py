"""jaxfeat scan --forces: tables, JSON and a picture of whole structures."""

import json

import ase.io
import numpy as np
import pytest
from ase.build import molecule
from ase.calculators.singlepoint import SinglePointCalculator

import jaxfeat
from jaxfeat.cli import main

SMALL = ["--n-max", "2", "--l-max", "2"]


@pytest.fixture
def water(tmp_path):
    """Two molecules of water with forces, which ASE moves to a calculator, and with another array of vectors."""
    frames = []
    for seed in range(2):
        atoms = molecule("H2O")
        atoms.rattle(0.05, seed=seed)
        forces = np.random.default_rng(seed).normal(size=(3, 3))
        atoms.calc = SinglePointCalculator(atoms, energy=0.0, forces=forces - forces.mean(0))
        atoms.new_array("mode", np.eye(3))
        frames.append(atoms)
    ase.io.write(tmp_path / "water.xyz", frames)
    return tmp_path / "water.xyz"


@pytest.mark.parametrize("name", ["stacked", "summed"])
def test_records_are_those_of_visible_force(tmp_path, water, capsys, name):
    words = ["scan", str(water), "--forces", "forces", *SMALL, "--json", str(tmp_path / "f.json")]
    assert main([*words, *(["--summed"] if name == "summed" else []), "--plot", str(tmp_path / "f.png")]) == 0
    captured = capsys.readouterr()
    assert f"Forces of 2 structures, {name} features" in captured.out and "frame 1, H2O" in captured.out
    assert f"2 structures of up to 3 atoms; {name} features." in captured.err
    assert "2 structures with net forces or torques" in captured.out
    records = json.loads((tmp_path / "f.json").read_text(), parse_constant=lambda word: pytest.fail(word))
    f = getattr(jaxfeat, name)(jaxfeat.PowerSpectrum(("H", "O"), n_max=2, l_max=2))
    for k, (record, atoms) in enumerate(zip(records, ase.io.read(water, ":"), strict=True)):
        found = jaxfeat.visible_force(f, jaxfeat.structures(atoms, f), atoms.get_forces())
        assert list(record)[:3] == ["structure", "name", "n_atoms"]
        assert (record["structure"], record["n_atoms"], record["n_null"]) == (k, 3, int(found.n_null))
        for key in ("sigma", "slopes", "scale_free", "force_norm", "rigid_share"):
            np.testing.assert_allclose(record[key], getattr(found, key), rtol=1e-7)
    assert (tmp_path / "f.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--forces", "force"], "frame 0, H2O: there is no array 'force'; it holds forces, mode."),
        (["--forces", "numbers"], "numbers has shape (3,); forces are three numbers for each atom"),
        (["--forces", "forces", "--centers", "O"], "--centers applies to environments, and --forces to whole"),
        (["--forces", "forces", "--classify", "all"], "--classify applies to environments"),
        (["--forces", "forces", "--no-positions"], "--no-positions applies to environments"),
        (["--forces", "forces", "--species", "H"], "water.xyz: frame 0, H2O: species O not among"),
    ],
)  # fmt: skip
def test_bad_arguments_are_refused_in_a_sentence(water, capsys, words, message):
    assert main(["scan", str(water), *words, *SMALL]) == 2
    assert message in " ".join(capsys.readouterr().err.split())


def test_molecules_and_crystals_keep_their_order(tmp_path, capsys):
    crystal, free = molecule("H2O", vacuum=4.0, pbc=True), molecule("OH")
    for atoms in (crystal, free):
        atoms.new_array("pull", np.diff(np.eye(len(atoms) + 1)[:, :4], axis=0)[:, :3])
    ase.io.write(tmp_path / "both.xyz", [crystal, free])
    words = ["scan", str(tmp_path / "both.xyz"), "--forces", "pull", *SMALL, "--json", str(tmp_path / "f.json")]
    assert main(words) == 0
    records = json.loads((tmp_path / "f.json").read_text())
    assert [record["n_atoms"] for record in records] == [3, 2]
    assert [len(record["sigma"]) + record["n_null"] for record in records] == [6, 1]
