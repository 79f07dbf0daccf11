"""Pages of the experiments: the README of each one with its figures, and a gallery that leads to them."""

import re
import shutil
from pathlib import Path

EXPERIMENTS = Path(__file__).resolve().parents[1] / "experiments"
PAGES = Path(__file__).resolve().parent / "experiments"
ENTRY = re.compile(r"^- \[(\w+)\]\(\1/README\.md\) (.*?)(?=\n- |\n\n|\Z)", re.MULTILINE | re.DOTALL)


def write() -> None:
    """Write the pages anew, because an experiment may have gone."""
    shutil.rmtree(PAGES, ignore_errors=True)
    PAGES.mkdir()
    readme = (EXPERIMENTS / "README.md").read_text()
    entries = ENTRY.findall(readme)
    for name, _ in entries:
        folder = EXPERIMENTS / name
        # Other experiments are neighbors here too, and pages are one folder up.
        text = re.sub(r"\]\(\.\./(\w+)/README\.md\)", r"](\1.md)", (folder / "README.md").read_text())
        text = text.replace("](../../docs/", "](../").replace("](../../experiments/", "](")
        for picture in sorted(folder.glob("*.png")):
            shutil.copy(picture, PAGES / f"{name}-{picture.name}")
            text = text.replace(f"]({picture.name})", f"]({name}-{picture.name})")
        (PAGES / f"{name}.md").write_text(text)
    introduction, rest = readme[: readme.index("\n- [")], readme[readme.rindex(entries[-1][1]) + len(entries[-1][1]) :]
    cards = "\n".join(_card(name, claim) for name, claim in entries)
    pages = "\n".join(name for name, _ in entries)
    gallery = f"`````{{container}} gallery\n{cards}\n`````\n"
    (PAGES / "index.md").write_text(f"{introduction}\n\n{gallery}\n{rest}\n```{{toctree}}\n:hidden:\n\n{pages}\n```\n")


def _card(name: str, claim: str) -> str:
    title = (EXPERIMENTS / name / "README.md").read_text().partition("\n")[0].removeprefix("# ")
    picture = "figure.png" if (EXPERIMENTS / name / "figure.png").exists() else None
    shown = f"[![{title}]({name}-{picture})]({name}.md)\n\n" if picture else ""
    return f"````{{container}} card\n{shown}**[{title}]({name}.md)**\n\nThis experiment {claim}\n````\n"
