"""Experiments as the gallery shows them: their small modes, and the figures that these draw."""

import contextlib
import runpy
import shutil
from collections.abc import Callable
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

EXPERIMENTS = Path(__file__).resolve().parents[1] / "experiments"

_drawn: list[Path] = []


def smoke(name: str) -> None:
    """Run the small mode of an experiment, which prints what it finds, and keep its figures for the page."""
    folder = Path(mkdtemp())
    main = runpy.run_path(str(EXPERIMENTS / name / "run.py"))["main"]
    # There, so that the page shows no path of this machine.
    with contextlib.chdir(folder):
        status = main(["--smoke", "--out", "."])
    if status:
        raise RuntimeError(f"{name} ended with status {status}.")
    _drawn.extend(sorted(folder.glob("*.png")))


def _figures(block: Any, block_vars: dict[str, Any], gallery_conf: dict[str, Any]) -> str:
    from sphinx_gallery.scrapers import figure_rst

    placed = []
    while _drawn:
        placed.append(str(next(block_vars["image_path_iterator"])))
        shutil.move(_drawn.pop(0), placed[-1])
    return figure_rst(placed, gallery_conf["src_dir"])


def _get_sg_image_scraper() -> Callable[..., str]:
    """Where sphinx-gallery looks for what collects the figures of an example."""
    return _figures
