"""How the pages are built: `make docs`."""

import importlib.metadata
import re
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import experiment_pages  # noqa: E402  # a module beside this file
import family_pages  # noqa: E402

project = "jaxfeat"
copyright = "the authors of jaxfeat"
release = importlib.metadata.version("jaxfeat")

extensions = ["myst_nb", "sphinx.ext.autodoc", "command_reference"]
exclude_patterns = ["_build"]
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
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 120

# Docstrings set names and shapes in single backticks.
default_role = "code"
add_module_names = False
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints = "none"


def setup(app: Any) -> None:
    app.connect("builder-inited", lambda app: experiment_pages.write())
    app.connect("builder-inited", lambda app: family_pages.write())
    app.connect("autodoc-process-docstring", _adapted)


def _adapted(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Adapt a docstring to reStructuredText: norms |x| would be names to put something in for, and a line that goes on
    an item of a list would be a definition if it stood four columns in."""
    item = None
    for number, line in enumerate(lines):
        line = "".join(_escaped(part) for part in re.split("(`+[^`]*`+)", line))
        indent = len(line) - len(line.lstrip())
        if line.lstrip().startswith("- "):
            item = indent
        elif line and item is not None:
            if indent == item + 4:
                line = line[2:]
            elif indent <= item:
                item = None
        lines[number] = line


def _escaped(part: str) -> str:
    return part if part.startswith("`") else part.replace("|", r"\|")
