"""What the pages show is what comes out: their sessions are run, their commands too."""

import doctest
import re
import shlex
import shutil
import sys
from pathlib import Path

import jax
import pytest

import jaxfeat
from jaxfeat.cli import main, make_parser

DOCS = Path(__file__).parents[1] / "docs"
BLOCKS = re.compile(r"^```(pycon|console|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PAGES = [path for path in sorted(DOCS.rglob("*.md")) if BLOCKS.search(path.read_text())]
FLOOR = re.compile(r"<\S+")
"""What is below a floor is printed as `<` and the floor, whose digits are those of rounding errors."""


def squeeze(text):
    """Write a text in one line. Sentences are broken into lines on a page and in a terminal, and not in a pipe."""
    return " ".join(FLOOR.sub("<", text).split())


def run_command(block, capsys):
    command, _, shown = block.partition("\n")
    prompt, program, *words = shlex.split(command)
    assert (prompt, program) == ("$", "jaxfeat")
    capsys.readouterr()
    assert main(words) == 0
    printed = capsys.readouterr().out
    for part in re.split(r"^\.\.\.$", shown, flags=re.MULTILINE):
        assert squeeze(part) in squeeze(printed), f"not printed:\n{part}\nbut:\n{printed}"


@pytest.mark.parametrize("page", [pytest.param(page, id=page.relative_to(DOCS).as_posix()) for page in PAGES])
def test_a_page_shows_what_comes_out(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    shutil.copytree(DOCS.parent / "examples", tmp_path / "examples")
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
    pages = "".join(page.read_text() for page in (DOCS / "api").glob("*.md"))
    listed = set(re.findall(r"^\.\. auto\w+:: (\S+)$", pages, re.MULTILINE))
    public = {f"jaxfeat.{name}" if name in ("errors", "manifolds", "plot") else name for name in jaxfeat.__all__}
    # The windows of `cutoffs` stand one by one.
    assert public - {"__version__", "cutoffs"} <= listed


def test_every_family_has_a_page(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(DOCS)
    import family_pages

    monkeypatch.setattr(family_pages, "PAGES", tmp_path / "families")
    family_pages.write()
    index = (tmp_path / "families/index.md").read_text()
    listed = re.findall(r"\]\(([\w-]+\.md)\)", index)
    pages = {path.name for path in (tmp_path / "families").glob("*.md")} - {"index.md"}
    assert set(listed) == pages and len(listed) == len(pages)
    for n, nu, pseudoscalars in ((4, 2, False), (8, 2, False), (7, 3, True), (6, 3, False)):
        for name in set(jaxfeat.strata(n, nu, pseudoscalars)) - {"planar"}:
            page = (tmp_path / "families" / f"{family_pages.file_name(family_pages.family_of(name))}.md").read_text()
            assert re.search(rf"^\| {re.escape(name)} \| .* \| {n} \|", page, re.MULTILINE), name
    page = (tmp_path / "families/heptagon.md").read_text()
    assert "neighbor 3 by 3 r<sub>0</sub>, neighbor 4 by -r<sub>0</sub>." in page
    assert "- r<sub>0</sub>·r<sub>1</sub> = 0\n" in page and '"symbols":["C","0","1","2","3","4"]' in page
    assert "| heptagon | ν = 3 | 5 | 10 of 12 | " in page and page.count('<figure class="scene"') == 1


def test_the_command_line_page_has_every_option(monkeypatch):
    monkeypatch.syspath_prepend(DOCS)
    from command_reference import insert_commands

    page = (DOCS / "cli.md").read_text()
    made = insert_commands(page)
    assert "<!--" not in made and len(made) > 10 * len(page)
    for name, parser in make_parser().commands().items():
        section = made.partition(f"\n## jaxfeat {name}\n")[2].partition("\n## ")[0]
        for _, actions in parser.groups():
            for action in actions:
                assert all(option in section for option in action.option_strings)
                assert action.nargs != 0 or f"`{', '.join(action.option_strings)}`\n: " in section
                assert action.option_strings or action.default is None or str(action.default) in section
        assert ("Default" not in section and "(default: 4.0)" in section) or name in ("report", "bench")
        assert all(f"jaxfeat {words}" in section for words, _ in parser.examples)


def test_every_experiment_has_a_card_in_the_gallery():
    experiments = DOCS.parent / "experiments"
    listed = re.findall(r"^- \[(\w+)\]\(\1/README\.md\) ", (experiments / "README.md").read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(path.parent.name for path in experiments.glob("*/run.py"))


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
