"""How the pages are built: `make docs`."""

import importlib.metadata
import os
import re
import sys
from pathlib import Path
from typing import Any

from jaxfeat.bench.worker import FAST_COMPILE_FLAGS, accepted_flags

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]
# The gallery's experiments are small: nearly all of their time is compilation.
if "XLA_FLAGS" not in os.environ:
    os.environ["XLA_FLAGS"] = accepted_flags(FAST_COMPILE_FLAGS)

project = "jaxfeat"
copyright = "the authors of jaxfeat"
release = importlib.metadata.version("jaxfeat")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_gallery.gen_gallery"]
exclude_patterns = ["_build", "gallery"]
html_theme = "furo"
html_title = "jaxfeat"
html_show_sourcelink = False
html_static_path = ["_static"]
html_css_files = ["pages.css"]
pygments_style = "friendly"
# Docstrings have primes and quoted words of the code.
smartquotes = False

myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3

# Docstrings set names and shapes in single backticks.
default_role = "code"
add_module_names = False
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints = "none"

sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "auto_gallery",
    "image_scrapers": ("experiment",),
    "download_all_examples": False,
    "show_memory": False,
    "show_signature": False,
    "plot_gallery": "True",
    "abort_on_example_error": True,
}


def setup(app: Any) -> None:
    app.connect("autodoc-process-docstring", _bars)


def _bars(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Docstrings write norms as |x|, which reStructuredText would take for names to put something in for."""
    lines[:] = ["".join(_escaped(part) for part in re.split("(`+[^`]*`+)", line)) for line in lines]


def _escaped(part: str) -> str:
    return part if part.startswith("`") else part.replace("|", r"\|")
