"""What the pages show is what comes out: their sessions are run, their commands too."""

import doctest
import re
import shlex
import sys
from pathlib import Path

import jax
import pytest

import jaxfeat
from jaxfeat.cli import main

DOCS = Path(__file__).parents[1] / "docs"
BLOCKS = re.compile(r"^```(pycon|console|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PAGES = [path for path in sorted(DOCS.rglob("*.md")) if BLOCKS.search(path.read_text())]
FLOOR = re.compile(r"<\S+")
"""What is below a floor is printed as `<` and the floor, whose digits are those of rounding errors."""


def lines_of(text):
    return [" ".join(FLOOR.sub("<", line).split()) for line in text.splitlines() if line.strip()]


def run_command(block, capsys):
    command, _, shown = block.partition("\n")
    prompt, program, *words = shlex.split(command)
    assert (prompt, program) == ("$", "jaxfeat")
    capsys.readouterr()
    assert main(words) == 0
    found = lines_of(capsys.readouterr().out)
    for line in lines_of(shown):
        assert line == "..." or line in found, "\n".join([f"not printed: {line}", *found])


@pytest.mark.parametrize("page", [pytest.param(page, id=page.relative_to(DOCS).as_posix()) for page in PAGES])
def test_a_page_shows_what_comes_out(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    session, known = {}, set(sys.modules)
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    # Pages are to work with JAX as it comes.
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        for kind, block in BLOCKS.findall(page.read_text()):
            if kind == "python":
                name = re.match(r"# (\w+\.py)\n", block)
                assert name is not None, f"say in its first line which file this is:\n{block}"
                Path(name[1]).write_text(block)
            elif kind == "console":
                run_command(block, capsys)
            else:
                test = doctest.DocTestParser().get_doctest(block, session, page.name, str(page), 0)
                complaints = []
                runner.run(test, out=complaints.append, clear_globs=False)
                session = test.globs
                assert not complaints, "".join(complaints)
    for module in set(sys.modules) - known:
        if (getattr(sys.modules[module], "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[module]


def test_the_reference_has_every_public_name():
    listed = set(re.findall(r"^\.\. auto\w+:: (\S+)$", (DOCS / "api.md").read_text(), re.MULTILINE))
    public = {f"jaxfeat.{name}" if name in ("errors", "manifolds", "plot") else name for name in jaxfeat.__all__}
    # The windows of `cutoffs` stand one by one.
    assert public - {"__version__", "cutoffs"} <= listed


def test_the_gallery_runs_experiments_that_there_are():
    examples = sorted((DOCS / "gallery").glob("plot_*.py"))
    assert examples
    for example in examples:
        name = example.stem.removeprefix("plot_")
        assert f'experiment.smoke("{name}")' in example.read_text()
        assert (DOCS.parent / "experiments" / name / "run.py").exists()


def test_the_tests_that_hold_promises_exist():
    named = re.findall(r"`(tests/\S+?\.py)`", (DOCS / "accuracy.md").read_text())
    assert len(named) > 5
    assert not [name for name in named if not (DOCS.parent / name).exists()]


def test_the_modules_of_the_architecture_exist():
    """Each module that the page names is a module or a folder of the package, or a function in one."""
    package = Path(jaxfeat.__file__).parent
    rooms = "|".join(folder.name for folder in package.iterdir() if folder.is_dir())
    page = (DOCS / "architecture.md").read_text()
    names = re.findall(rf"`((?:{rooms})[./][a-z0-9_./]+)`", page)
    assert len(names) > 40
    for name in names:
        *folder, last = name.replace(".", "/").split("/")
        place = package.joinpath(*folder)
        module = place / f"{last}.py"
        function = place.with_suffix(".py").exists() and f"def {last}(" in place.with_suffix(".py").read_text()
        assert module.exists() or (place / last).is_dir() or function, name
