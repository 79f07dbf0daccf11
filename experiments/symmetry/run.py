"""Count the null directions of environments of rising symmetry, for orders ν = 1 to 4.

python experiments/symmetry/run.py [--smoke] [--out FOLDER]
"""

import sys
from pathlib import Path

import numpy as np
from matplotlib.patches import Patch

import jaxfeat

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common import BLUE, GREY, ORANGE, VERMILION, begin, new_figure, parser, save, show

FLAT = [[1.1, 0.0, 0.0], [-0.3, 1.4, 0.0], [-0.8, -0.9, 0.0], [0.5, -1.7, 0.0]]
BUCKLING = [0.5, -0.8, -0.3, 0.6]
"""Heights of the neighbors of the planar environment above its plane, in units of one height. No rotation does this."""

POSITIONS = {
    "generic": [[0.9, -0.3, 0.5], [-0.4, 1.1, 0.7], [0.2, 0.8, -1.3], [-1.2, -0.5, 0.1]],
    "planar": FLAT,
    "linear": [[0.0, 0.0, 1.0], [0.0, 0.0, -1.3]],
    "C2v": [[0.9, 0.0, 0.6], [-0.9, 0.0, 0.6], [0.0, 1.0, -0.8], [0.0, -1.0, -0.8]],
    "Td": (1.09 / np.sqrt(3) * np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])).tolist(),
    "Oh": (1.3 * np.concatenate([np.eye(3), -np.eye(3)])).tolist(),
}
"""Positions (Å) of like neighbors. No atom sits at the center."""

ROOM = max(map(len, POSITIONS.values()))
"""The padded size of all environments, so that a featurizer compiles only once."""

COLORS = {"rigid": GREY, "symmetry": BLUE, "incompleteness": VERMILION, "truncation": ORANGE}


def featurizers(smoke):
    """Make one featurizer of each order and group, in a basis that truncates nothing."""
    small = {"n_max": 2, "l_max": 2 if smoke else 3}
    chosen = {
        "ν = 3": jaxfeat.Bispectrum(("H",), **small),
        "ν = 3, SO(3)": jaxfeat.Bispectrum(("H",), **small, pseudoscalars=True),
    }
    if smoke:
        return chosen
    return {
        "ν = 1": jaxfeat.RadialSpectrum(("H",), n_max=6),
        "ν = 2": jaxfeat.PowerSpectrum(("H",), n_max=3, l_max=4),
        **chosen,
        "ν = 4": jaxfeat.Correlations(("H",), nu=4, **small),
        "ν = 4, SO(3)": jaxfeat.Correlations(("H",), nu=4, **small, pseudoscalars=True),
    }


def environment(positions):
    return jaxfeat.Environment.from_neighbors(positions, ["H"] * len(positions)).padded(ROOM)


def counted(chosen):
    """Count null directions by class and in the complete basis, by environment and order."""
    found = {}
    for name, positions in POSITIONS.items():
        env = environment(positions)
        for order, f in chosen.items():
            complete = jaxfeat.complete_kernel(env, f.nu, pseudoscalars=f.group == "SO3")
            found[name, order] = jaxfeat.null_space(f, env), complete.nullity
    return found


def buckled(chosen, heights):
    """Compute the equilibrated σ_min/σ_max on the way out of the plane, by order."""
    normal = np.outer(BUCKLING, [0.0, 0.0, 1.0])
    envs = [environment(np.asarray(FLAT) + height * normal) for height in heights]
    return {order: [jaxfeat.null_space(f, env).sensitivity[1] for env in envs] for order, f in chosen.items()}


def draw(found, heights, ratios):
    figure = new_figure(8.6, 3.6)
    left, right = figure.subplots(1, 2, width_ratios=(2.3, 1))
    draw_counts(left, found)
    for order, values in ratios.items():
        color = VERMILION if "SO(3)" in order else BLUE
        right.loglog(heights, values, color=color, lw=1.4, ls="-" if "3" in order[:5] else "--", label=order)
    right.set_xlabel("height out of the plane (Å)", fontsize=8)
    right.set_ylabel("σ$_\\mathrm{min}$/σ$_\\mathrm{max}$, equilibrated", fontsize=8)
    right.set_title("the planar one, buckled", fontsize=9)
    right.tick_params(labelsize=8)
    right.spines[["top", "right"]].set_visible(False)
    right.legend(fontsize=7.5, frameon=False)
    return figure


def draw_counts(axes, found):
    """Draw a bar of 3N displacements for each environment and order, colored by class, with a tick at the complete
    nullity."""
    orders = list(dict.fromkeys(order for _, order in found))
    width, height = 0.88, 0.62
    for (name, order), (null, complete) in found.items():
        x, y, unit = orders.index(order), list(POSITIONS).index(name), width / (3 * len(POSITIONS[name]))
        start = x
        for cause, color in COLORS.items():
            count = getattr(null, cause)
            axes.barh(y, unit * count, height, start, color=color, lw=0)
            if count:
                axes.text(start + unit * count / 2, y, count, ha="center", va="center", fontsize=7, color="white")
            start += unit * count
        axes.barh(y, width, height, x, facecolor="none", edgecolor="black", lw=0.6)
        axes.plot([x + unit * complete] * 2, [y - 0.43, y + 0.43], color="black", lw=1.8, solid_capstyle="butt")
    axes.set_xlim(-0.1, len(orders))
    axes.set_ylim(len(POSITIONS) - 0.4, -0.6)
    axes.set_yticks(range(len(POSITIONS)), [f"{name}, N = {len(at)}" for name, at in POSITIONS.items()])
    axes.set_xticks(np.arange(len(orders)) + width / 2, [order.replace(", ", "\n") for order in orders])
    axes.tick_params(length=0, labelsize=8)
    axes.spines[:].set_visible(False)
    axes.set_title("null directions by class, of 3N", fontsize=9)
    handles = [Patch(color=color, label=cause) for cause, color in COLORS.items() if cause != "truncation"]
    handles += [Patch(facecolor="white", edgecolor="black", label="seen")]
    handles += axes.plot([], [], color="black", lw=1.8, label="complete-basis nullity")
    axes.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=5, fontsize=7.5, frameon=False)


def main(argv=None):
    arguments = parser(__doc__).parse_args(argv)
    folder = begin(arguments, __file__)
    chosen = featurizers(arguments.smoke)

    found = counted(chosen)
    cells = {
        key: f"{'+'.join(str(getattr(null, cause)) for cause in COLORS)} ({complete})"
        for key, (null, complete) in found.items()
    }
    title = "Null directions: rigid+symmetry+incompleteness+truncation (nullity in the complete basis)"
    show(title, ("environment", *chosen), ([name, *(cells[name, order] for order in chosen)] for name in POSITIONS))
    for order in chosen:
        null, _ = found["planar", order]
        hidden = null.directions["symmetry"]
        inside = f", in-plane part {np.abs(hidden[..., :2]).max():.0e}" if len(hidden) else ""
        print(f"planar, {order}: symmetry {len(hidden)} ({null.stabilizer.symbol}){inside}")
    agreed = sum(null.nullity == complete and null.status == "ok" for null, complete in found.values())
    print(f"nullities that are those of the complete basis: {agreed} of {len(found)}")

    heights = np.geomspace(1e-6, 1.0, 4 if arguments.smoke else 49)
    ratios = buckled({order: f for order, f in chosen.items() if f.nu > 1}, heights)
    for order, values in ratios.items():
        print(f"buckled, {order}: σ_min/σ_max {values[0]:.1e} at {heights[0]:.0e} Å, {values[-1]:.1e} at 1 Å")
    save(draw(found, heights, ratios), folder)


if __name__ == "__main__":
    main()
