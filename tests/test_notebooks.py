"""The notebook of the documentation runs in a kernel, and shows its results as HTML."""

import re
from pathlib import Path

import pytest

import jaxfeat

NOTEBOOK = Path(__file__).parents[1] / "docs" / "notebooks" / "tutorial.ipynb"
PROGRESS = """
import time
from jaxfeat import progress
progress.NOTEBOOK_SECONDS = 0.05
with progress.show_progress(True, "stars", 3) as tell:
    for k in range(4):
        tell(k, 3)
        time.sleep(0.1)
"""


def test_the_tutorial_runs_and_says_nothing_on_stderr(tmp_path, monkeypatch):
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    notebook = nbformat.read(NOTEBOOK, 4)
    assert not any(cell.get("outputs") for cell in notebook.cells), "the notebook is kept without outputs"
    notebook.cells.append(nbformat.v4.new_code_cell(PROGRESS))
    monkeypatch.setenv("PYTHONPATH", str(Path(jaxfeat.__file__).parents[1]))
    monkeypatch.setenv("MPLCONFIGDIR", str(tmp_path))
    nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3").execute(cwd=str(tmp_path))
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert [output.text for output in outputs if output.output_type == "stream"] == []
    data = [output.data for output in outputs]
    shown = "".join(one.get("text/html", "") for one in data)
    for words in ("9 environments", "5 hide something by symmetry", "<svg", "curable: a higher order", "<td>C</td>"):
        assert words in shown, words
    assert sum("image/png" in one for one in data) == 2
    # The bar was drawn in place, in the output of its own cell, and became words.
    (bar,) = notebook.cells[-1].outputs
    assert re.fullmatch(r"jaxfeat: 3 of 3 stars, .* in all", bar.data["text/plain"])
    assert "<progress" not in bar.data["text/html"]
