"""In a browser, the page fits a phone and a laptop, can be read, and draws and turns its pictures."""

import html
import json
import re
import shutil
import subprocess

import numpy as np
import pytest
from records import GRID, many, record, summarize

from jaxfeat.report.exhibit_cards import Exhibit
from jaxfeat.report.page import BasisAdvice, render_page
from jaxfeat.report.viewer import Move, make_scene

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
WIDTHS = (420, 1280)
SYMBOLS = "X H He Li Be B C N O".split()

CATCH = "<script>window.failures = []; addEventListener('error', (event) => failures.push(event.message));</script>"
MEASURE = """
function measure(frame) {
  const { document: page, failures, innerWidth } = frame.contentWindow;
  const all = [...page.querySelectorAll("body *")].filter((one) => one.getClientRects().length && !one.closest("svg"));
  const parts = (color) => color.match(/[\\d.]+/g).map(Number);
  const luminance = (color) => {
    const linear = (x) => (x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
    const [r, g, b] = parts(color).map((x) => linear(x / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const style = (one) => frame.contentWindow.getComputedStyle(one);
  const behind = (one) => {
    const color = one ? style(one).backgroundColor : "rgb(255,255,255)";
    return one && parts(color)[3] === 0 ? behind(one.parentElement) : color;
  };
  const contrast = (one) => {
    const [dark, light] = [style(one).color, behind(one)].map(luminance).sort((a, b) => a - b);
    return (light + 0.05) / (dark + 0.05);
  };
  const worded = all.filter((one) => [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim()));
  const name = (one) => `${one.tagName}.${one.className}: ${one.textContent.slice(0, 30)}`;
  const view = page.querySelector(".view");
  const figure = view.closest("figure");
  const states = [view.innerHTML];
  const change = (target, event) => (target.dispatchEvent(event), states.push(view.innerHTML));
  change(view, new frame.contentWindow.KeyboardEvent("keydown", { key: "ArrowRight" }));
  change(view, new frame.contentWindow.KeyboardEvent("keydown", { key: "+" }));
  const slider = figure.querySelector(".along");
  slider.value = 1;
  change(slider, new Event("input"));
  const select = figure.querySelector("select");
  select.value = 1;
  change(select, new Event("change"));
  const moved = figure.querySelector(".moved").textContent;
  select.value = 0;
  change(select, new Event("change"));
  return {
    width: innerWidth,
    scrolled: page.documentElement.scrollWidth,
    cut: all.filter((one) => !one.closest(".wide") && one.getBoundingClientRect().right > innerWidth).map(name),
    hidden: all.filter((one) => !one.matches(".wide") && one.scrollWidth > one.clientWidth + 1 && one.clientWidth
      && style(one).overflowX !== "visible" && !one.matches("select, input")).map(name),
    pale: worded.filter((one) => contrast(one) < 4.5).map(name),
    letters: [...page.querySelectorAll("figure > div > svg text")].filter((one) => one.getClientRects().length)
      .map((one) => one.getBoundingClientRect().height).reduce((a, b) => Math.min(a, b), Infinity),
    pictures: [...page.querySelectorAll(".view > svg")].map((one) => one.getAttribute("aria-label")),
    unlabelled: [...page.querySelectorAll("figure, svg")].filter((one) => !one.getAttribute("aria-label")).map(name),
    first: page.querySelector("h1").nextElementSibling.className,
    arrows: page.querySelectorAll('.view path[fill="#D55E00"]').length,
    moved, states, failures,
  };
}
addEventListener("load", () => {
  const found = [...document.querySelectorAll("iframe")].map(measure);
  document.body.replaceChildren(Object.assign(document.createElement("pre"), { textContent: JSON.stringify(found) }));
});
"""


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    if BROWSER is None:
        pytest.skip("there is no Chromium on the path, so the page is not opened; its HTML is tested elsewhere")
    blind = [record(k, sigma=(1.0, 1e-14), name="CH4") | {"null": {"rigid": 3, cause: 1}} for k, cause in
             enumerate(("symmetry", "incompleteness", "truncation", "locality", "width", "other"), 60)]  # fmt: skip
    summary = summarize([*many(20), *blind], 300)
    places = np.asarray([[0.6, 0.6, 0.6], [-0.6, -0.6, 0.6], [-0.6, 0.6, -0.6], [0.6, -0.6, -0.6]])
    moves = [Move("incompleteness, 1 of 2", "incompleteness", np.eye(4, 3)), Move("least", "least", np.eye(4, 3, -1))]
    scene = make_scene("C 0 of structure 1", places, ["H", "H", "O", "H"], "C", moves)
    why = "cutoff: a neighbor is within 0.1 Å of r_cut, the farthest within 6e-02 Å; σ_min/σ_max is 2e-08; nearly C_2v"
    attributes = {"complete": 0, "input": "a/" * 60, "input_hash": "0123456789abcdef" * 4}
    text = render_page(
        "a_file_with_a_long_name_" * 3, {"kind": "PowerSpectrum", "species": SYMBOLS[1:]}, attributes, summary,
        [Exhibit(one, "3 H, 1 O", why, scene) for one in summary.examples()], BasisAdvice(GRID, "2000", (4, 4)),
        SYMBOLS, {}, "",
    )  # fmt: skip
    framed = html.escape(text.replace("<head>", f"<head>{CATCH}"))
    frames = "".join(f'<iframe width="{width}" height="900" srcdoc="{framed}"></iframe>' for width in WIDTHS)
    folder = tmp_path_factory.mktemp("browser")
    (folder / "page.html").write_text(
        f"<!DOCTYPE html><meta charset=utf-8><body>{frames}<script>{MEASURE}</script></body>"
    )
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
               "--disable-background-networking", "--disable-component-update", "--window-size=1400,1000",
               "--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={folder / 'profile'}"]  # fmt: skip
    command = [BROWSER, *options, "--dump-dom", f"file://{folder / 'page.html'}"]
    dumped = subprocess.run(command, capture_output=True, text=True, timeout=240, check=True).stdout
    found = re.search("<pre>(.*?)</pre>", dumped, re.S)
    assert found, dumped[-2000:]
    return dict(zip(WIDTHS, json.loads(html.unescape(found.group(1))), strict=True))


@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_fits_and_can_be_read(measured, width):
    found = measured[width]
    assert found["width"] == width and not found["failures"]
    assert found["scrolled"] <= width and not found["cut"] and not found["hidden"]
    assert found["letters"] >= 10 and not found["pale"]
    assert found["first"].startswith("verdict")


@pytest.mark.parametrize("width", WIDTHS)
def test_pictures_are_drawn_named_and_turned_by_keys(measured, width):
    found = measured[width]
    assert not found["unlabelled"] and found["arrows"] >= len(found["pictures"]) > 6
    words = "C 0 of structure 1. incompleteness, 1 of 2. Moves H at 1.04 Å, H at 1.04 Å, O at 1.04 Å."
    assert set(found["pictures"]) == {words}
    drawn, turned, zoomed, moved, other, back = found["states"]
    assert len({drawn, turned, zoomed, moved, other}) == 5 and drawn == back
    assert found["moved"] == "Moves H at 1.04 Å, O at 1.04 Å, H at 1.04 Å."
