"""Scenes are drawn as SVG that stands alone, and goes with the numbers to turn it."""

import json
from xml.etree import ElementTree

import numpy as np
import pytest

from jaxfeat.report.displacement import make_scene
from jaxfeat.report.displacement_svg import draw_svg


def drawn(moved, name="a name"):
    scene = make_scene(np.asarray([[0.0, 0.8, 0.6], [0.0, -0.8, 0.6]]), ["H", "H"], "O", moved)
    figure = ElementTree.fromstring(draw_svg(scene, name, "#D55E00"))
    return scene, figure, figure.find("svg")


def test_atoms_bonds_and_arrows_lie_in_the_box():
    scene, figure, svg = drawn(np.asarray([[0.0, 0.0, 0.2], [0.0, 0.0, 0.0]]))
    assert figure.find("figcaption").text == "a name"
    assert len(svg.findall("circle")) == 3 and len(svg.findall("polygon")) == 1
    assert sorted(text.text for text in svg.findall("text")) == ["H", "H", "O"]
    left, top, width, height = map(float, svg.get("viewBox").split())
    points = [tuple(map(float, pair.split(","))) for pair in svg.find("polygon").get("points").split()]
    points += [(float(mark.get("cx")), float(mark.get("cy"))) for mark in svg.findall("circle")]
    assert all(left < x < left + width and top < y < top + height for x, y in points)
    # The tip of the arrow is where the scene has it, with y upwards.
    tip = scene.tips[1]
    assert points[0] == pytest.approx((tip[0], -tip[1]), abs=2e-3)


def test_the_numbers_to_turn_it_go_with_it():
    scene, _, svg = drawn(None, "<&")
    numbers = json.loads(svg.get("data-scene"))
    np.testing.assert_allclose(numbers["places"], scene.places, atol=1e-3)
    assert numbers["symbols"] == ["O", "H", "H"] and svg.get("aria-label") == "<&: O H H"
    assert not svg.findall("polygon")
