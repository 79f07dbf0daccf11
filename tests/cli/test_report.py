"""jaxfeat report: the page holds what the store does, needs nothing else, and draws in a browser."""

import html
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import matplotlib.image
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


def scenes_of(text):
    return json.loads(re.search(r'<script type="application/json" id="scenes">(.*?)</script>', text, re.S).group(1))


@pytest.fixture(scope="module")
def made(store, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(converge, "default_sizes", lambda orders: [1])
        return report(store, tmp_path_factory.mktemp("page"))


def test_the_page_holds_what_the_store_does(store, made):
    pytest.importorskip("chemiscope", reason="the viewer is an extra")
    ds = xarray.open_zarr(store)
    page = Read(made)
    assert page.row("Environments", cells=2) == ["3"]
    assert page.row("Structures", cells=2) == ["3"]
    assert page.row("Species of the centers", cells=2) == ["C (3)"]
    assert page.row("Status", cells=2) == ["ok (3)"]
    for cause in ("symmetry", "incompleteness", "truncation"):
        counts = ds["null"].sel(cause=cause).values
        assert page.row(cause, cells=5)[0::2][:2] == [str((counts > 0).sum()), str(counts.sum())]
    (shown,) = [row for row in page.rows if row[:1] == ["incompleteness"] and len(row) == 9]
    assert shown[1:5] == ["Show", "1", "C 0", "4 H"] and shown[7] == "incompleteness 1"
    assert shown[5].startswith("<") and shown[8] == "incompleteness: ν = 3 lifts it"
    least = float((ds["sigma_equilibrated"][2, -1] / ds["sigma_equilibrated"][2, 0]).values)
    (shown,) = [row for row in page.rows if row[:1] == ["least sensitive"]]
    assert shown[5] == f"{least:.1e}"
    for name, value in ds.attrs.items():
        assert page.row(name, cells=2) == [str(value) or "-"]
    bases = [row for row in page.rows if len(row) == 11 and row[0].isdecimal()]
    assert [row[:2] for row in bases] == [["1", "1"], ["1", "6"], ["2", "1"], ["2", "6"]]
    (own,) = [row for row in bases if "°" in row[3]]
    (advised,) = [row for row in bases if "+" in row[3]]
    assert own[:2] == ["2", "6"] and f"Take n_max {advised[0]}, l_max {advised[1]} ({advised[2]} features)" in made


def test_displacements_on_the_page_are_not_seen(made):
    pytest.importorskip("chemiscope", reason="the viewer is an extra")
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
    (shown,) = [row for row in Read(text).rows if row[:1] == ["incompleteness"] and len(row) == 7]
    assert shown[3] == "4" and shown[6] == "incompleteness 1"


def test_a_featurizer_that_cannot_be_made_again_leaves_the_counts(copy, tmp_path):
    zarr.open_group(copy, mode="r+").attrs.update({"featurizer": "Function(lambda) 0a1b"})
    text = report(copy, tmp_path)
    assert "The featurizer of this store cannot be made" in text and 'id="scenes"' not in text
    assert Read(text).row("Environments", cells=2) == ["3"]


def test_without_the_viewer_the_page_says_what_to_install(store, tmp_path, monkeypatch, capsys):
    def missing(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(viewer, "distribution", missing)
    text = report(store, tmp_path, "--no-advice")
    assert "pip install &#x27;jaxfeat[report]&#x27;" in text and 'id="scenes"' not in text
    assert viewer.MISSING in capsys.readouterr().out
    assert any(row[-1] == "incompleteness: ν = 3 lifts it" for row in Read(text).rows if row)


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


BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.mark.skipif(BROWSER is None, reason="there is no Chromium to open the page with")
def test_the_page_draws_in_a_browser_without_network(made, tmp_path):
    pytest.importorskip("chemiscope", reason="the viewer is an extra")
    # At the end, the page shows nothing but the view, one step along the displacement.
    script = """<script>
    window.addEventListener("load", () => setTimeout(() => {
      const button = document.querySelectorAll("button[data-scene]")[1];
      button.click();
      const shown = document.getElementById("scene-title").textContent;
      const chosen = button.getAttribute("aria-pressed") === "true" && button.closest("tr").textContent;
      if (!chosen || !chosen.includes(/structure (\\d+)/.exec(shown)[1])) console.error("another is shown");
      const slider = document.getElementById("along");
      slider.value = 1; slider.dispatchEvent(new Event("input"));
      document.querySelector("main").replaceChildren(document.getElementById("view"));
    }, 500));
    </script></body>"""
    (tmp_path / "page.html").write_text(made.replace("</body>", script))
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-unsafe-swiftshader", "--enable-logging=stderr",
               "--hide-scrollbars", "--window-size=900,700", "--virtual-time-budget=4000",
               "--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={tmp_path / 'profile'}"]  # fmt: skip
    command = [BROWSER, *options, f"--screenshot={tmp_path / 'page.png'}", f"file://{tmp_path / 'page.html'}"]
    log = subprocess.run(command, capture_output=True, text=True, timeout=240).stderr
    said = [line for line in log.splitlines() if "CONSOLE" in line and "GL Driver Message" not in line]
    assert not said
    pixels = np.rint(255 * matplotlib.image.imread(tmp_path / "page.png")[..., :3]).astype(int)
    red, green, blue = (pixels[..., k] for k in range(3))
    orange = (red > 150) & (green > 50) & (green < 130) & (blue < 60)
    sphere = (green > red + 25) & (green > blue + 25)
    assert orange.sum() > 300, "no arrows"
    assert sphere.sum() > 3000, "no center"
