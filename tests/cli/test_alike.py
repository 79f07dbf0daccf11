"""jaxfeat alike: a table, JSON, a picture, and pairs for viewers."""

import json

import ase.io
import numpy as np
import pytest
from ase import Atoms
from toy_features import PAIR

from jaxfeat import manifolds
from jaxfeat.cli import main
from jaxfeat.inverse.alike_search import AlikeSearch

SMALL = ["--n-max", "3", "--l-max", "2", "--centers", "C"]


@pytest.fixture(autouse=True, scope="module")
def few_pairs_in_the_background():
    """Overlays of pairs that only show what is usual take most of the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("jaxfeat.inverse.alike_search.BACKGROUND", 20)
        yield


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """A degenerate pair of methanes, a copy, and another one."""
    path, rng = tmp_path_factory.mktemp("alike") / "methanes.xyz", np.random.default_rng(0)
    pair = [np.asarray(manifolds.pair_family(*PAIR, sign).positions) for sign in (1, -1)]
    shapes = [*pair, pair[0][[3, 1, 0, 2]], pair[0] + rng.normal(scale=0.2, size=(4, 3))]
    ase.io.write(path, [Atoms("CH4", np.concatenate([np.zeros((1, 3)), x])) for x in shapes])
    return path


def test_a_pair_is_listed_drawn_and_written(path, tmp_path, capsys):
    targets = ["--json", tmp_path / "a.json", "--plot", tmp_path / "a.png", "--out", tmp_path / "a.xyz"]
    assert main(list(map(str, ["alike", path, *SMALL, "--count", 2, *targets]))) == 0
    captured = capsys.readouterr()
    words = " ".join(captured.out.split())
    assert "1 of 4 environments are copies" in words and "ν = 3" in words
    assert "1 pair of different environments has equal features, to rounding." in words
    found = json.loads((tmp_path / "a.json").read_text(), parse_constant=lambda name: pytest.fail(name))
    first = found["pairs"][0]
    assert (first["first"]["structure"], first["second"]["structure"], first["cause"]) == (0, 1, "incompleteness")
    assert found["n_copies"] == 1 and found["complete"]
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    frames = ase.io.read(tmp_path / "a.xyz", ":")
    assert len(frames) == 4 and [frame.info["pair"] for frame in frames] == [1, 1, 2, 2]
    # The displacements, as forces, lead from the first frame of a pair to the second one.
    ends = frames[0].positions + frames[0].arrays.get("forces", frames[0].get_forces())
    apart = np.linalg.norm(ends[:, None] - frames[1].positions, axis=-1).min(1)
    assert apart.max() < 1e-9 and frames[0].info["distance"] == pytest.approx(first["distance"])


def test_an_interruption_keeps_what_is_done(path, monkeypatch, capsys):
    def press(search, progress):
        search.careful = np.asarray([search._overlay(0)])
        raise KeyboardInterrupt

    monkeypatch.setattr(AlikeSearch, "overlay_pairs", press)
    assert main(["alike", str(path), *SMALL]) == 130
    captured = capsys.readouterr()
    assert "The search was interrupted" in captured.out and "Ranking what is done" in captured.err


@pytest.mark.parametrize(
    "words, message",
    [
        (["--count", "0"], "count is 0"),
        (["--tolerance", "-1"], "tolerance is -1"),
        (["--plot", "a.doc"], "names no picture"),
        (["--out", "nowhere/a.xyz"], "there is no folder nowhere"),
    ],
)
def test_bad_arguments_are_status_two_and_one_sentence(path, words, message, capsys):
    assert main(["alike", str(path), *SMALL, *words]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and message in captured.err.splitlines()[-1]
