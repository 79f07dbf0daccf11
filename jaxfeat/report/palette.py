"""Colors of causes, the same in pages and pictures."""

CAUSE_COLORS = {
    "incompleteness": "#D55E00",
    "truncation": "#E69F00",
    "locality": "#CC79A7",
    "width": "#009E73",
    "other": "#000000",
    "ambiguous": "#56B4E9",
    "symmetry": "#0072B2",
    "none": "#B8B8B8",
    "rigid": "#DDDDDD",
}
"""Colors of causes, of ambiguous environments, and of environments without null directions ("none"). The grays
aside, they are those of Okabe and Ito, which every kind of eye tells apart. Blue is physics, gray is nothing to see,
and the other colors are curable or unclear."""

LEAST = "#666666"
"""Color of the least visible displacement, which is not null."""

FAULT = "#B3261E"
"""Red of words and numbers about something that is wrong. Symmetry is never wrong."""


def color_cause(cause: str) -> str:
    """Return the color of a cause. A cause with a distance, such as "symmetry within 5e-05 Å", has that of the cause,
    and the displacement "least" has its own."""
    return CAUSE_COLORS.get(cause.split(" within ")[0], LEAST)


def write_css_variables() -> str:
    """Write the colors as variables of a style sheet: `--cause-symmetry` and so on, and `--fault`."""
    variables = {f"cause-{cause}": color for cause, color in CAUSE_COLORS.items()} | {"fault": FAULT}
    return "".join(f" --{name}: {color};" for name, color in variables.items()).strip()
