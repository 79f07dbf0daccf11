"""Facts that a user declares of a function or a model, and that nothing can check but their form."""

from collections.abc import Sequence

from jaxfeat.errors import BasisError
from jaxfeat.features.base import Label


def check_declared(nu: int | None, key: str | None, subject: str) -> None:
    """Raise `BasisError` if the body order is below 1, or if the key of a `subject` is blank or no text."""
    if nu is not None and nu < 1:
        raise BasisError(f"nu is {nu!r}; the body order must be at least 1, or None if it is not known.")
    if key is not None and not (isinstance(key, str) and key.strip()):
        raise BasisError(f"key is {key!r}; give a text that stands for this {subject} alone, or None.")


def check_group(group: str) -> None:
    """Raise `BasisError` if a group is neither "O3" nor "SO3"."""
    if group not in ("O3", "SO3"):
        raise BasisError(f"group is {group!r}; choose 'O3' or 'SO3'.")


def write_labels(labels: Sequence[Label | str] | int | None) -> tuple[Label, ...] | None:
    """Return a tuple for each feature. A number of features stands for the labels (0,), (1,), and so on."""
    if labels is None:
        return None
    if isinstance(labels, int):
        return tuple((i,) for i in range(labels))
    return tuple(label if isinstance(label, tuple) else (label,) for label in labels)
