"""Counts, shares and causes in words, as tables, pictures and pages write them."""

from collections.abc import Mapping


def format_causes(counts: Mapping[str, int]) -> str:
    """List how many null directions each cause has, rigid motions left out; an empty string if there are none."""
    return ", ".join(f"{cause} {n}" for cause, n in counts.items() if n and cause != "rigid")


def format_percent(n: float, total: float) -> str:
    """Write a share in percent that is 0 only for none and 100 only for all."""
    percent = 100 * n / max(total, 1)
    if percent in (0, 100):
        return f"{percent:.0f}"
    return "<0.1" if percent < 0.1 else ">99.9" if percent > 99.9 else f"{percent:.1f}"


def format_short(n: int) -> str:
    """Write a count in at most five characters."""
    return str(n) if n < 10000 else f"{n / 1000:.0f}k" if n < 10_000_000 else f"{n / 1e6:.0f}M"
