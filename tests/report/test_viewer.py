"""Scenes hold an environment and its displacements, and scripts cannot end early."""

import json
import re

import numpy as np
import pytest

from jaxfeat.report.palette import CAUSE_COLORS, LEAST
from jaxfeat.report.viewer import ARROW_LENGTH, Move, embed_scenes, make_scene, place_scene

POSITIONS = np.asarray([[1.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.5, -1.0, 0.0]])
ARROWS = np.asarray([[0.0, 0.0, 0.4], [0.0, 0.12, 0.0], [0.001, 0.0, 0.0]])


@pytest.mark.parametrize("center", ["C", ""])
def test_a_scene_is_the_environment(center):
    scene = make_scene("t", POSITIONS, ["H", "O", "H"], center, [Move("m", "truncation within 5e-05 Å", ARROWS)])
    np.testing.assert_allclose(scene["positions"], [[0, 0, 0], *POSITIONS])
    assert scene["symbols"] == [center, "H", "O", "H"] and len(scene["radii"]) == len(scene["colors"]) == 4
    (move,) = scene["moves"]
    assert move["color"] == CAUSE_COLORS["truncation"]
    arrows = np.asarray(move["arrows"])
    np.testing.assert_allclose(arrows[1], [0, 0, ARROW_LENGTH])
    np.testing.assert_allclose(arrows[2], ARROW_LENGTH / 0.4 * ARROWS[1])
    assert not arrows[0].any()
    assert move["moved"] == "Moves H at 1.00 Å, O at 2.00 Å."
    for view in (scene["view"], move["view"]):
        np.testing.assert_allclose(np.asarray(view) @ np.transpose(view), np.eye(3), atol=3e-4)
        assert np.linalg.det(view) == pytest.approx(1, abs=1e-3)


def test_arrows_grow_with_the_environment_and_many_atoms_are_counted():
    ring = 6 * np.stack([np.cos(np.arange(8)), np.sin(np.arange(8)), np.zeros(8)], -1)
    (move,) = make_scene("t", ring, ["H"] * 5 + ["O"] * 3, "C", [Move("m", "least", np.eye(8, 3) * 0 + 1)])["moves"]
    assert np.linalg.norm(move["arrows"][1]) > 1.5 * ARROW_LENGTH
    assert move["moved"] == "Moves 5 H, 3 O." and move["color"] == LEAST


def test_scripts_and_scenes_cannot_end_their_elements():
    scenes = [{"title": "</script><!--"}]
    text = embed_scenes(scenes)
    assert len(re.findall("</script>", text)) == 2 and "<!--" not in text
    data = re.search(r'<script type="application/json" id="scenes">(.*?)</script>', text).group(1)
    assert json.loads(data) == scenes


def test_a_scene_is_placed_with_words_and_controls():
    scene = make_scene("<t>", POSITIONS, ["H", "O", "H"], "C", [Move("a < b", "symmetry", ARROWS)] * 2)
    text = place_scene(3, scene)
    assert 'data-scene="3"' in text and "&lt;t&gt;" in text and text.count("<option") == 2 and "a &lt; b" in text
    assert "Moves H at 1.00 Å" in text and 'tabindex="0"' in text
    assert "<select" not in place_scene(0, make_scene("t", POSITIONS, ["H", "O", "H"], "C", []))
