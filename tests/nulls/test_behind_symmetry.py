"""What scans and sentences say of the second order behind symmetry, and at which cost."""

import json

import ase.io
import numpy as np
import pytest
from ase.build import bulk
from null_cases import OCTAHEDRON, rotated, shell

import jaxfeat
from jaxfeat import Environment, PowerSpectrum
from jaxfeat.cli import main
from jaxfeat.nulls import behind_symmetry
from jaxfeat.nulls.cure import cure, describe_cure, explain_null_space

F = PowerSpectrum(("H",), r_cut=4.0, n_max=2, l_max=7, sigma=0.35)
SENTENCE = "5 of 19 second-order responses are invisible to ν = 2; ν = 3 sees all"
FCC = 2.1 / 2**0.5 * shell("fcc", 12)


def environment(positions):
    return Environment.from_neighbors(positions, ["H"] * len(positions), "H")


@pytest.mark.parametrize("digits", [None, 5, 4])
def test_sentences_say_what_a_higher_order_would_see(digits):
    """At an exact site of fcc, and at one whose coordinates were rounded, in a random orientation."""
    positions = rotated(FCC, np.random.default_rng(2))
    env = environment(positions if digits is None else positions.round(digits))
    text = explain_null_space(F, env)
    assert SENTENCE in text, text
    assert text.count(SENTENCE) == 1
    start = f"symmetry (O_h): {SENTENCE}" if digits != 4 else "symmetry (C_i): "
    assert text.startswith(start) and text.endswith("the same" if digits == 5 else SENTENCE), text
    assert ("nearly O_h, within" in text) == (digits is not None)
    if digits is None:
        found = cure(F, env)["symmetry"]
        assert (found.symbol, found.reason) == ("O_h", SENTENCE) and describe_cure(found) == text


def test_symmetry_is_physics_where_the_order_sees_all():
    env = environment(rotated(OCTAHEDRON, np.random.default_rng(3)))
    assert explain_null_space(F, env) == "symmetry (O_h): physics"
    no_order = jaxfeat.function(lambda x, species, mask: (x**2).sum(0), species=("H",))
    assert behind_symmetry.look_behind_symmetry(no_order, env, env.mask, 1e-5) is None


def test_scans_look_once_at_each_kind_and_never_without_symmetry(monkeypatch):
    rng = np.random.default_rng(4)
    sites = [rotated(FCC, rng) for _ in range(3)]
    generic = [rng.normal(size=(12, 3)) + 2 * np.sign(FCC)]
    batch = Environment.stack([environment(p) for p in [*sites, sites[0].round(5), *generic, OCTAHEDRON]])
    looked = []
    look = behind_symmetry.look_behind_symmetry
    monkeypatch.setattr(behind_symmetry, "look_behind_symmetry", lambda *at: looked.append(at) or look(*at))
    records = jaxfeat.scan(F, batch)
    expected = {
        "symbol": "O_h",
        "distance": 0.0,
        "order": 2,
        "allowed": 19,
        "seen_by_order": 14,
        "seen_by_next_order": 19,
    }
    assert all(record["second_order"] == expected for record in records[:3])
    rounded = records[3]["second_order"]
    assert 0 < rounded["distance"] < 1e-4 and {**rounded, "distance": 0.0} == expected
    assert "second_order" not in records[4]
    assert records[5]["second_order"]["allowed"] == records[5]["second_order"]["seen_by_order"] == 6
    # Sites that differ in orientation and rounding are of one kind.
    assert len(looked) == 2, [one[1].positions.shape for one in looked]


def test_large_or_doubtful_environments_are_left_out():
    env = environment(rotated(shell("fcc", 54), np.random.default_rng(5)))
    assert behind_symmetry.look_behind_symmetry(F, env, np.asarray(env.mask), 1e-5) is None
    found = behind_symmetry.look_behind_symmetry(F, env, np.arange(54) < 18, 1e-5)
    assert (found.allowed, found.seen_by_order) == (39, 34)
    assert behind_symmetry.explain_symmetry(F, env, None, 1e-5) == ""


def test_the_command_writes_it(tmp_path, capsys):
    ase.io.write(tmp_path / "copper.xyz", bulk("Cu"))
    out = tmp_path / "copper.json"
    assert main(["scan", str(tmp_path / "copper.xyz"), "--r-cut", "2.7", "--json", str(out)]) == 0
    (record,) = json.loads(out.read_text())
    assert record["second_order"]["seen_by_order"] == 14 and list(record)[-2:] == ["second_order", "status"]
    printed = " ".join(capsys.readouterr().out.split())
    assert (
        "1 hides something by symmetry (nothing to cure to first order; at least 1 has second-order responses"
        in printed
    )
