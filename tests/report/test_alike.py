"""Look-alikes are shown in a table of 80 columns and a picture."""

from io import StringIO

import numpy as np
from matplotlib.colors import to_hex
from matplotlib.image import imread
from rich.console import Console

from jaxfeat.report.alike_plot import plot_alike
from jaxfeat.report.alike_table import describe_verdict, print_alike
from jaxfeat.report.palette import CAUSE_COLORS


def pair(ratio, cause="none", **changes):
    ends = {"first": {"species": "H", "center": 12, "name": "frame 3, CH4"},
            "second": {"species": "H", "center": 3, "name": "frame 417, CH4"}}  # fmt: skip
    numbers = {"ratio": ratio, "feature_distance": ratio / 10, "relative_distance": ratio / 20, "distance": 0.5,
               "largest_move": 0.25, "unmatched": 1, "equal": False, "sizes": {"n_max": 12, "l_max": 10},
               "larger_ratio": 0.2, "order": 3, "order_ratio": None, "symbol": ""}  # fmt: skip
    return {**ends, **numbers, "cause": cause, **changes}


COMPARED = {"distance": [0.1, 1.0], "feature_distance": [0.01, 0.3], "ratio": [0.2, None]}
FOUND = {
    "n_environments": 1000, "n_pairs": 4321, "n_copies": 12, "n_mirrored": 3, "tolerance": 1e-4, "complete": False,
    "usual_ratio": 0.5, "mirror_images": [pair(0.0)],
    "pairs": [pair(0.04, "truncation"), pair(0.05, "incompleteness"), pair(0.08, "symmetry", symbol="C2v"), pair(0.2)],
    "compared": {kind: COMPARED for kind in ("kept", "nearest", "random")},
}  # fmt: skip


def printed(width):
    console = Console(width=width, file=StringIO())
    print_alike(FOUND, console)
    return console.file.getvalue()


def test_a_terminal_of_80_columns_shows_everything():
    narrow, wide = printed(80), printed(300)
    assert sorted(narrow.replace("─", "").split()) == sorted(wide.replace("─", "").split())
    row = next(line.split() for line in wide.splitlines() if line.lstrip().startswith("H3 of frame 417"))
    assert row[4:10] == ["0.04", "0.50+", "0.25", "2e-03", "0.2", "-"]
    shown = ("n_max 12, l_max 10", "ν = 3", "near C2v", "nothing tried", "12 of 1,000", "3 more are mirror")
    for words in (*shown, "Mirror images: H12 of frame 3 and H3 of frame 417.", "was interrupted"):
        assert words in wide, words


def test_the_verdict_counts_pairs():
    assert (
        describe_verdict(FOUND) == "3 pairs below a ratio of 0.1; the least is 0.04; for nearest features 0.5 is usual."
    )
    equal = {**FOUND, "pairs": [pair(0.0, equal=True)]}
    assert describe_verdict(equal) == "At least 1 pair of different environments has equal features, to rounding."
    assert describe_verdict({**FOUND, "pairs": []}).startswith("No two environments")


def test_the_picture_marks_the_listed_pairs(tmp_path):
    left, right = plot_alike(FOUND, "title")
    left.figure.savefig(tmp_path / "picture.png")
    assert np.ptp(imread(tmp_path / "picture.png")[..., :3]) > 0.5
    rings = [one for one in left.collections if str(one.get_label()).startswith("listed")]
    names = ["listed, truncation", "listed, incompleteness", "listed, symmetry", "listed"]
    assert [ring.get_label() for ring in rings] == names
    assert [ring.get_offsets()[0, 1] for ring in rings] == [one["feature_distance"] for one in FOUND["pairs"]]
    colors = [CAUSE_COLORS[cause].lower() for cause in ("truncation", "incompleteness", "symmetry")]
    assert [to_hex(ring.get_edgecolor()[0]) for ring in rings[:3]] == colors
    # An unknown ratio is left out.
    assert len(right.collections[0].get_offsets()) == 1
