"""The side from which to look at atoms with arrows, so that the arrows are seen."""

import numpy as np

N_VIEWS = 400  # directions that are tried, on a whole sphere
SHARE = 0.3  # Arrows shorter than this, over the longest, do not decide.
POINTS = np.linspace(0.2, 1.0, 5)  # places on an arrow that should be seen, over its length
FLAT = 0.93  # An arrow that appears at this share of its length is as good as one that lies in the picture.
CLEAR = 0.7  # Å between the middles of atoms in a picture, above which none hides another one


def choose_view(places: np.ndarray, arrows: np.ndarray, radii: np.ndarray) -> np.ndarray:
    """Choose a rotation `(3, 3)` whose rows are the axes of a picture: x to the right, y upwards, z to the reader.

    The long arrows lie in the picture, no atom covers them, and atoms cover each other least. The longest extent of the
    picture is along x. `places`, `arrows`: `(n, 3)`, and `radii` of the atoms: `(n,)`, all in Å.
    """
    views = _spread_directions(N_VIEWS)
    lengths = np.linalg.norm(arrows, axis=1)
    long = lengths > SHARE * lengths.max(initial=0.0)
    score = 0.35 * _clearance(views, places) + 0.25 * _breadth(views, places)
    if long.any():
        score = score + 2 * _arrows_seen(views, places, arrows, radii, np.flatnonzero(long))
    z = views[int(np.argmax(score))]
    ends = np.concatenate([places, (places + arrows)[long]])
    flat = ends - ends.mean(0)
    flat = flat - np.outer(flat @ z, z)
    # Atoms that lie behind each other span no plane, and any x will do.
    x = np.linalg.svd(np.concatenate([flat, 1e-9 * np.eye(3) @ (np.eye(3) - np.outer(z, z))]))[2][0]
    x = x - (x @ z) * z
    x /= np.linalg.norm(x)
    return np.stack([x, np.cross(z, x), z])


def _spread_directions(n: int) -> np.ndarray:
    """Spread directions over the sphere, `(n, 3)`: a Fibonacci lattice."""
    heights = 1 - (2 * np.arange(n) + 1) / n
    angles = np.pi * (1 + 5**0.5) * np.arange(n)
    around = np.sqrt(1 - heights**2)
    return np.stack([around * np.cos(angles), around * np.sin(angles), heights], -1)


def _project(views: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Compute the lengths of vectors in the pictures, `(views, *vectors)`."""
    along = np.tensordot(views, vectors, (1, -1))
    return np.sqrt(np.maximum((vectors**2).sum(-1) - along**2, 0.0))


def _clearance(views: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Compute how far the atoms of each picture are apart, from 0 to 1."""
    i, j = np.triu_indices(len(places), 1)
    gaps = np.sort(_project(views, places[i] - places[j]), axis=1)[:, : max(4, len(places) // 2)]
    return np.minimum(gaps / CLEAR, 1).mean(1) if gaps.size else np.zeros(len(views))


def _breadth(views: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Compute how broad the atoms appear in each picture, from 0 to 1."""
    centered = places - places.mean(0)
    return (_project(views, centered) ** 2).sum(1) / max(float((centered**2).sum()), 1e-30)


def _arrows_seen(
    views: np.ndarray, places: np.ndarray, arrows: np.ndarray, radii: np.ndarray, chosen: np.ndarray
) -> np.ndarray:
    """Compute the share of the chosen arrows that is seen in each picture, from 0 to 1: how long they appear, times the
    share of their points that no atom covers, weighted by their squared lengths."""
    total, weight = np.zeros(len(views)), 0.0
    for k in chosen:
        # An arrow begins at the rim of its atom.
        rim = radii[k] * arrows[k] / np.linalg.norm(arrows[k])
        points = places[k] + rim + POINTS[:, None] * arrows[k]
        away = places - points[:, None]  # (points, atoms, 3)
        ahead = np.tensordot(views, away, (1, -1)) > 0
        covered = ((_project(views, away) < radii) & ahead).any(-1)
        length = float(np.linalg.norm(arrows[k]))
        appears = np.minimum(_project(views, arrows[k]) / (FLAT * length), 1)
        total += length**2 * appears * (1 - covered.mean(-1))
        weight += length**2
    return total / weight
