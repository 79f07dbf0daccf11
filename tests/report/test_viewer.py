"""Scenes hold an environment from its broad side, and scripts cannot end early."""

import json
import re
from importlib.metadata import PackageNotFoundError

import numpy as np
import pytest

from jaxfeat.report import viewer
from jaxfeat.report.viewer import ARROW_LENGTH, Viewer, embed_licence, embed_viewer, find_viewer, make_scene

POSITIONS = np.asarray([[1.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.5, -1.0, 0.0]])


@pytest.mark.parametrize("center", ["C", ""])
def test_a_scene_is_the_environment_turned(center):
    scene = make_scene("t", POSITIONS, ["H", "O", "H"], center, [("m", POSITIONS[::-1])])
    places = np.asarray(scene["positions"])
    every = np.concatenate([np.zeros((1 if center else 0, 3)), POSITIONS])
    distances = [np.linalg.norm(x[:, None] - x[None], axis=-1) for x in (places, every)]
    np.testing.assert_allclose(*distances, atol=3e-4)
    # The plane of the atoms is turned to the viewer, but for the tilt of 25 and 20 degrees.
    normal = np.linalg.svd(places - places.mean(0))[2][2]
    assert abs(normal[2]) == pytest.approx(np.prod(np.cos(np.deg2rad([25, 20]))), abs=1e-3)
    assert scene["symbols"] == ([center] if center else []) + ["H", "O", "H"] and scene["has_center"] == bool(center)
    arrows = np.asarray(scene["moves"][0]["arrows"])
    assert np.linalg.norm(arrows, axis=1).max() == pytest.approx(ARROW_LENGTH, abs=1e-3)
    assert arrows.shape == places.shape and np.linalg.norm(places, axis=1).max() == pytest.approx(scene["radius"], 1e-3)


def test_scripts_and_scenes_cannot_end_their_elements():
    scenes = [{"title": "</script>"}]
    text = embed_viewer(Viewer("a = '</script>' + '<!--'", "by <us>"), scenes)
    assert len(re.findall("</script>", text)) == 3 and "<!--" not in text
    data = re.search(r'<script type="application/json" id="scenes">(.*?)</script>', text).group(1)
    assert json.loads(data) == scenes
    assert "by &lt;us&gt;" in embed_licence(Viewer("", "by <us>"))


def test_the_viewer_is_found_with_its_licences():
    pytest.importorskip("chemiscope", reason="the viewer is an extra")
    found = find_viewer()
    assert len(found.script) > 1e5 and found.licence.startswith("chemiscope ") and "BSD" in found.licence


def test_a_missing_viewer_is_none(monkeypatch):
    def missing(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(viewer, "distribution", missing)
    assert find_viewer() is None
