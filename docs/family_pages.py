"""Pages of the families of singular environments: closed form, codimension, how often it was found, a view in 3D."""

import json
import re
import shutil
from html import escape
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxfeat import strata
from jaxfeat.report.viewer import Move, embed_scenes, make_scene, place_scene

ATLAS = Path(__file__).resolve().parents[1] / "experiments" / "atlas" / "atlas.json"
PAGES = Path(__file__).resolve().parent / "families"
SIZES = range(4, 9)
KINDS = {"ν = 2": (2, False), "ν = 3": (3, False), "ν = 3 with pseudoscalars": (3, True)}
SEED = 1  # of the member that a page shows
SPECIES = ("H", "O")  # Neighbors that must be alike are of one kind, others often of another.


def write() -> None:
    """Write the pages anew: one for each family, with all numbers of neighbors and all sizes of its parts."""
    shutil.rmtree(PAGES, ignore_errors=True)
    PAGES.mkdir()
    atlas = json.loads(ATLAS.read_text())
    found = atlas["families"]
    proofs = {(row["order"], row["neighbors"], row["family"]): row for row in atlas["proofs"]}
    members: dict[tuple[str, str], list[Any]] = {}
    with jax.enable_x64(True):
        for kind, (nu, pseudoscalars) in KINDS.items():
            for n in SIZES:
                for stratum in strata(n, nu, pseudoscalars).values():
                    if stratum.name != "planar":
                        members.setdefault((kind, family_of(stratum.name)), []).append(stratum)
        # A family that is there with and without pseudoscalars has one page.
        shown = {}
        for (kind, family), entries in members.items():
            shown.setdefault(family, []).append((kind, entries))
        for family, kinds in shown.items():
            (PAGES / f"{file_name(family)}.md").write_text(_page(family, kinds, found, proofs))
    (PAGES / "index.md").write_text(_index(shown, found))


def family_of(name: str) -> str:
    """Name the family of a stratum, without the sizes of its parts: "A" for "A_1", "cones" for "cones 3 + 1"."""
    return re.sub(r"[_ ][\d,+ ]+$", "", name)


def file_name(family: str) -> str:
    return family.lower().replace(" ", "-")


def _page(
    family: str, kinds: list[tuple[str, list[Any]]], found: list[dict[str, Any]], proofs: dict[Any, dict[str, Any]]
) -> str:
    kind, entries = kinds[0]
    first = entries[0]
    env = first.member(SEED, SPECIES)
    positions = np.asarray(env.positions)
    symbols = ["H" if z == 1 else "O" for z in np.asarray(env.species)]
    move = Move(f"Hidden from every map with {kind}", "incompleteness", first.direction(positions))
    scene = make_scene(f"{first.name}, {first.n_neighbors} neighbors", positions, symbols, "C", [move])
    # Letters are numbers, so that the conditions can be read off the picture.
    scene["symbols"] = ["C", *map(str, range(first.n_neighbors))]
    scene["bonds"] = [(0, i) for i in range(1, first.n_neighbors + 1)]
    moving = [str(i) for i, row in enumerate(first.displacement) if row]
    scene["moves"][0]["moved"] = f"Moves {', '.join(moving)}."
    rows = []
    for kind, entries in kinds:
        for stratum in entries:
            count = _count(found, kind, stratum.n_neighbors, stratum.name)
            degrees = 3 * stratum.n_neighbors - 3
            proof = proofs.get((kind, stratum.n_neighbors, stratum.name))
            proved = f"seen by ν = {proof['seen_by']}" if proof and proof["proved"] else "no"
            cells = stratum.name, kind, stratum.n_neighbors, f"{stratum.codimension} of {degrees}", count, proved
            rows.append("| " + " | ".join(map(str, cells)) + " |")
    conditions = "\n".join(f"- {condition}" for condition in map(_math, map(str, first.conditions)))
    return "\n".join(
        [
            f"# {title_of(family)}",
            "",
            first.text,
            "",
            "```{raw} html",
            f"<style>{_STYLE}</style>",
            place_scene(0, scene),
            embed_scenes([scene]),
            "```",
            "",
            f"*A random member of {first.name} with {first.n_neighbors} neighbors, which have numbers. White and pale "
            "red ones are of different species. Arrows show the hidden displacement. Drag to turn it.*",
            "",
            f"**Conditions** for {first.n_neighbors} neighbors, {first.name}:",
            "",
            conditions,
            "",
            f"Neighbors that must be of one species: {_groups(first.like)}.",
            "",
            f"**Hidden displacement:** {_displacement(first)}.",
            "",
            "**How often.** Codimension of 3N - 3 degrees of freedom, and points of this family among the points that "
            "hide more than symmetry does, in [searches](../experiments/atlas.md) from random starts. The "
            "[certificate](../proofs.md) of a member says which order sees the displacement.",
            "",
            "| family | order | N | codimension | found | a random member is proved |",
            "|---|---|---|---|---|---|",
            *rows,
            "",
        ]
    )


def _index(shown: dict[str, list[tuple[str, list[Any]]]], found: list[dict[str, Any]]) -> str:
    rows = []
    for family, kinds in shown.items():
        orders = " and ".join(kind for kind, _ in kinds)
        entries = [stratum for _, some in kinds for stratum in some]
        sizes = sorted({stratum.n_neighbors for stratum in entries})
        sizes_text = f"{sizes[0]}" if len(sizes) == 1 else f"{sizes[0]} and more"
        own = (row for row in found if family_of(row["family"]) == family and row["start"] == "random")
        count = sum(row["points"] for row in own)
        least = min(stratum.codimension for stratum in entries if stratum.n_neighbors == sizes[0])
        link = f"[{title_of(family)}]({file_name(family)}.md)"
        rows.append(f"| {link} | {orders} | {sizes_text} | {least} of {3 * sizes[0] - 3} | {count} |")
    pages = "\n".join(file_name(family) for family in shown)
    return f"""# Families of singular environments

Each family is a set of environments at which no map of the given order sees a displacement, in any basis, although no
symmetry hides it. The [experiment](../experiments/atlas.md) finds them from random starts. `jaxfeat.strata` lists them
with members, `jaxfeat.propose_stratum` finds the family of a singular point, and the page on [strata](../strata.md)
derives them.

| family | order | neighbors | codimension at the fewest | points found |
|---|---|---|---|---|
{chr(10).join(rows)}

```{{toctree}}
:hidden:

{pages}
```
"""


def title_of(family: str) -> str:
    return {"A": "A: mirror pairs", "D": "D: two angles in two planes"}.get(family, family[0].upper() + family[1:])


def _count(found: list[dict[str, Any]], kind: str, n: int, name: str) -> str:
    some = [row for row in found if (row["order"], row["neighbors"], row["start"]) == (kind, n, "random")]
    total, own = sum(row["points"] for row in some), sum(row["points"] for row in some if row["family"] == name)
    return f"{own} of {total}" if total else "none"


def _groups(like: tuple[tuple[int, ...], ...]) -> str:
    return "; ".join(", ".join(map(str, group)) for group in like) or "none"


def _displacement(stratum: Any) -> str:
    """Write the displacement of each neighbor that moves."""
    if stratum.displacement is None:
        return "no closed form; the complete kernel gives it"
    parts = []
    for i, row in enumerate(stratum.displacement):
        if row:
            terms = " + ".join(_times(terms, vector) for terms, vector in row)
            parts.append(f"neighbor {i} by {_math(terms)}")
    return ", ".join(parts).replace("+ -", "- ")


def _times(terms: Any, vector: tuple[int, ...]) -> str:
    along = " × ".join(f"r_{j}" for j in vector)
    if len(terms) == 1 and not terms[0][1]:
        factor = {1: "", -1: "-"}.get(terms[0][0], f"{terms[0][0]} ")
        return f"{factor}{along}"
    names = [
        " ".join([*([] if abs(n) == 1 else [str(abs(n))]), *(_bracket(b) for b in brackets)]) for n, brackets in terms
    ]
    signs = ["- " if n < 0 else "+ " for n, _ in terms]
    total = " ".join(sign + name for sign, name in zip(signs, names, strict=True)).removeprefix("+ ")
    return f"({total}) {along}" if len(terms) > 1 else f"{total} {along}"


def _bracket(bracket: tuple[int, ...]) -> str:
    names = [f"r_{i}" for i in bracket]
    return "·".join(names) if len(names) == 2 else f"det({', '.join(names)})"


def _math(text: str) -> str:
    """Set indices as subscripts."""
    return re.sub(r"_(\d+)", r"<sub>\1</sub>", escape(text)).replace("|", "&#124;")


_STYLE = """
.scene { margin: 0; max-width: 34rem; --ink: #1b1b1b; --line: #ccc; }
.scene .view { aspect-ratio: 1.4; cursor: grab; touch-action: pan-y; user-select: none; background: #fff;
  border: 1px solid #ccc; border-radius: 4px; }
.scene .view svg { width: 100%; height: 100%; }
.scene .controls { display: flex; flex-wrap: wrap; gap: .4rem .6rem; align-items: center; margin-top: .35rem; }
.scene .controls select { flex: 1 1 100%; min-width: 0; }
.scene .controls label { display: flex; flex: 1; align-items: center; gap: .4rem; white-space: nowrap; }
.scene .controls input { flex: 1; min-width: 3rem; }
.scene button, .scene select { font: inherit; font-size: .9rem; padding: .1rem .6rem; border: 1px solid #767676;
  border-radius: 4px; background: #fff; color: #1b1b1b; }
"""
