"""jaxfeat report: the page holds what the store does, and needs nothing else."""

import html
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import xarray
import zarr
from ase.build import molecule

import jaxfeat
from jaxfeat.cli import converge, main
from jaxfeat.report import viewer
from jaxfeat.store import reader

F = jaxfeat.PowerSpectrum(("C", "H"), n_max=2, l_max=6)
# A pair of degenerate environments where it coalesces, which the power spectrum does not see: theory, section 3.
PAIR = [[-0.45, 0, 0.95], [0.6, 0.7, 0.5], [0.6, -0.7, -0.5], [-0.75, 0, 0]]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    methane = molecule("CH4")
    rattled = methane.copy()
    rattled.rattle(0.1, seed=0)
    blind = methane.copy()
    blind.positions[1:] = blind.positions[0] + np.asarray(PAIR)
    batch = jaxfeat.environments([methane, blind, rattled], r_cut=4.0, centers=["C"])
    path = tmp_path_factory.mktemp("stores") / "three.zarr"
    jaxfeat.sweep(F, batch, out=path, chunk=2, command="a <command>")
    return path


@pytest.fixture
def copy(store, tmp_path):
    shutil.copytree(store, tmp_path / "copy.zarr")
    return tmp_path / "copy.zarr"


def report(path, tmp_path, *words):
    assert main(["report", str(path), "-o", str(tmp_path / "r.html"), *words]) == 0
    return (tmp_path / "r.html").read_text()


class Read(HTMLParser):
    """Cells of all tables, links, and paragraphs of a page."""

    def __init__(self, text):
        super().__init__()
        self.rows, self.links, self._cell = [], [], None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.links += [(tag, value) for name, value in attrs if name in ("src", "href", "xlink:href", "data", "action")]
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self._cell = True

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self._cell = None

    def handle_data(self, data):
        if self._cell:
            self.rows[-1][-1] += data

    def row(self, head, *, cells):
        (found,) = [row for row in self.rows if row[0] == head and len(row) == cells]
        return found[1:]


def cards_of(text):
    """Read the cards of environments: the group of the section, the name, the cause, and the facts."""
    found = []
    for card in re.findall(r"<article.*?</article>", text, re.S):
        group = re.search(r"var\(--cause-(\w+)\)", card).group(1)
        parts = [
            re.findall(pattern, card) for pattern in ("<h[34][^>]*>(.*?)</h", 'class="cause">(.*?)</p>', "<dd>(.*?)<")
        ]
        (name,), cause, facts = [[html.unescape(re.sub("<[^>]*>", "", one)) for one in part] for part in parts]
        found.append((group, name, "".join(cause), *facts))
    return found


def scenes_of(text):
    return json.loads(re.search(r'<script type="application/json" id="scenes">(.*?)</script>', text, re.S).group(1))


@pytest.fixture(scope="module")
def made(store, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(converge, "default_sizes", lambda orders: [1])
        return report(store, tmp_path_factory.mktemp("page"))


def test_the_page_holds_what_the_store_does(store, made):
    ds = xarray.open_zarr(store)
    page = Read(made)
    assert page.row("Environments", cells=2) == ["3"]
    assert page.row("Structures", cells=2) == ["3"]
    assert page.row("Species of the centers", cells=2) == ["C (3)"]
    assert page.row("Status", cells=2) == ["ok (3)"]
    for cause in ("symmetry", "incompleteness"):
        counts = ds["null"].sel(cause=cause).values
        assert page.row(cause, cells=4)[0::2] == [str((counts > 0).sum()), str(counts.sum())]
    assert "1 of 3 environments has blind spots that can be cured." in made
    cards = cards_of(made)
    group, name, cause, neighbors, null, ratio = cards[0]
    assert (group, name, cause) == ("incompleteness", "C 0 of structure 1", "incompleteness: ν = 3 lifts it")
    assert (neighbors, null) == ("4 H", "incompleteness 1") and ratio.startswith("<")
    least = float((ds["sigma_equilibrated"][2, -1] / ds["sigma_equilibrated"][2, 0]).values)
    (shown,) = [card for card in cards if card[0] == "none"]
    assert shown[4] == "none" and shown[5].startswith(f"{least:.1e} (raw ")
    for name, value in ds.attrs.items():
        assert page.row(name, cells=2) == [str(value) or "-"]
    bases = [row for row in page.rows if len(row) == 11 and row[0].isdecimal()]
    assert [row[:2] for row in bases] == [["1", "1"], ["1", "6"], ["2", "1"], ["2", "6"]]
    (own,) = [row for row in bases if "°" in row[3]]
    (advised,) = [row for row in bases if "+" in row[3]]
    assert own[:2] == ["2", "6"] and f"Take n_max {advised[0]}, l_max {advised[1]} ({advised[2]} features)" in made


def test_displacements_on_the_page_are_not_seen(made):
    seen = {}
    for scene in scenes_of(made):
        positions = np.asarray(scene["positions"])
        env = jaxfeat.Environment.from_neighbors(positions[1:] - positions[0], scene["symbols"][1:], "C")
        J = np.asarray(jaxfeat.jacobian(F, env))
        for move in scene["moves"]:
            arrows = np.asarray(move["arrows"])
            assert np.linalg.norm(arrows, axis=1).max() == pytest.approx(viewer.ARROW_LENGTH, abs=1e-3)
            np.testing.assert_array_equal(arrows[0], 0)
            seen[move["name"].split(",")[0]] = np.linalg.norm(np.tensordot(J, arrows[1:], 2)) / np.linalg.norm(J)
    # Places and arrows have four decimals.
    assert seen.pop("the least visible displacement") > 1e-3
    assert set(seen) == {"incompleteness", "symmetry"} and max(seen.values()) < 3e-4


def test_the_page_refers_to_nothing_outside(made):
    links = Read(made).links
    assert all(target.startswith("#") for _, target in links), links
    for style in re.findall(r"<style.*?</style>", made, re.S):
        assert "url(" not in re.sub(r"url\(#", "", style) and "@import" not in style


def test_names_are_escaped(copy, tmp_path):
    wicked = "a/<script>alert('&')</script>.xyz"
    zarr.open_group(copy, mode="r+").attrs.update({"input": wicked, "<b>": "</table>"})
    text = report(copy, tmp_path, "--no-advice")
    assert "<script>alert" not in text and "<b></table>" not in text and "<td></table>" not in text
    assert html.escape("</script>.xyz") in text
    assert Read(text).row("input", cells=2) == [wicked]


def test_an_unfinished_sweep_is_reported_as_such(copy, tmp_path, made):
    group = zarr.open_group(copy, mode="r+")
    group.attrs.update({"complete": 0})
    group["status"][2:] = np.asarray([""], object)
    text = report(copy, tmp_path, "--no-advice")
    assert "This sweep is not complete." in text and "2 of 3 environments" in text
    assert Read(text).row("Environments", cells=2) == ["2"]
    assert "This sweep is not complete." not in made


def test_without_positions_there_is_everything_but_the_view(copy, tmp_path):
    shutil.rmtree(copy / "positions")
    text = report(copy, tmp_path)
    assert "This store holds no positions" in text and 'id="scenes"' not in text
    assert cards_of(text)[0][:5] == ("incompleteness", "C 0 of structure 1", "", "4", "incompleteness 1")


def test_a_featurizer_that_cannot_be_made_again_leaves_the_counts(copy, tmp_path):
    zarr.open_group(copy, mode="r+").attrs.update({"featurizer": "Function(lambda) 0a1b"})
    text = report(copy, tmp_path)
    assert "The featurizer of this store cannot be made" in text and 'id="scenes"' not in text
    assert Read(text).row("Environments", cells=2) == ["3"]


@pytest.mark.parametrize(
    "name, words, message",
    [
        ("nowhere", [], "there is no such store"),
        ("folder", [], "is no store"),
        ("file", [], "is no store"),
        ("group", [], "is no store of a sweep: it holds no sigma"),
        ("empty", [], "holds no finished environment yet"),
        ("copy.zarr", ["-o", "nowhere/r.html"], "there is no folder nowhere"),
        ("copy.zarr", ["-o", "folder"], "folder is a folder"),
        ("copy.zarr", ["--sample", "-1"], "a sample of -1 cannot be drawn"),
    ],
)
def test_bad_input_is_one_sentence(copy, tmp_path, monkeypatch, capsys, name, words, message):
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    Path("file").write_text("Lorem ipsum")
    zarr.open_group("group", mode="w")
    shutil.copytree(copy, "empty")
    zarr.open_group("empty", mode="r+")["status"][:] = np.asarray([""] * 3, object)
    if words:
        monkeypatch.setattr(reader.StoreReader, "row_slices", lambda _: pytest.fail("work was begun"))
    assert main(["report", name, *words]) == 2
    captured = capsys.readouterr()
    assert message in captured.err and captured.err.splitlines()[-1].startswith("jaxfeat: ")
    assert captured.out == "" and not Path("report.html").exists()
