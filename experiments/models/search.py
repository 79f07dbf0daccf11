"""Search networks in JAX for structures with a displacement that no atom sees, and ask other networks about them."""

import sys
from pathlib import Path

import numpy as np
from ase import Atoms

import jaxfeat

sys.path.insert(0, str(Path(__file__).resolve().parent))

import networks

WIDTH = 7  # features of an atom: with all atoms, more than the 3 n - 6 displacements of up to six atoms
SIZES = (4, 5, 6)
NEAREST, RADIUS = 0.9, 1.6  # Å: carbons in a ball of this radius
OTHER_SEEDS = (1, 2, 3)
INVISIBLE = 1e-9  # |J v| over the largest singular value
SEARCHED = {"linear, correlation 1": "linear", "tanh, correlation 1": "tanh", "angles, correlation 2": "angles"}


def random_molecules(n, count, seed):
    """Draw like atoms at random in a ball."""
    rng, found = np.random.default_rng(seed), []
    while len(found) < count:
        positions = rng.uniform(-RADIUS, RADIUS, (n, 3))
        apart = np.linalg.norm(positions[:, None] - positions, axis=-1)[np.triu_indices(n, 1)]
        if np.linalg.norm(positions, axis=1).max() < RADIUS and apart.min() > NEAREST:
            found.append(Atoms(f"C{n}", positions))
    return found


def visibility(m, atoms, direction):
    """Return |J v| of all atoms' features over the largest singular value."""
    jacobian = np.asarray(jaxfeat.jacobian(jaxfeat.stacked(m), jaxfeat.structures(atoms, m)))
    rows = jacobian.reshape(-1, direction.size)
    return float(np.linalg.norm(rows @ direction.ravel()) / np.linalg.norm(rows, 2))


BENT = [(1.2 * np.cos(2.2), 1.2 * np.sin(2.2), 0)]
CONSTRUCTED = {
    "5 atoms": Atoms("C5", [(1.2, 0, 0), *BENT, (-0.5, -1.5, 0), (0, 0, 0.8), (0, 0, -0.8)]),
    "6 atoms": Atoms("C6", [(1.3, 0, 0), (-1.3, 0, 0), (0.5, 1.1, 0), (-0.5, -1.1, 0), (0, 0.5, 0.9), (0, 0.5, -0.9)]),
}
"""Å. The last two atoms are mirror images, at one distance from the first two, and all others lie in the mirror plane.
In the second structure these are the corners of a parallelogram, so that the first two have the same distances from all
atoms."""


def constructed(models):
    """Print the null directions of all atoms of the structures that were constructed."""
    for title, atoms in CONSTRUCTED.items():
        for name, m in models.items():
            null = jaxfeat.null_space(jaxfeat.stacked(m), jaxfeat.structures(atoms, m))
            beyond = null.nullity - null.rigid - null.symmetry
            print(f"constructed, {title}, {name}: {beyond} beyond symmetry for all atoms together", flush=True)


def search(starts):
    """Search each network with and without symmetric points, and tell structural null directions from accidents."""
    for name, kind in SEARCHED.items():
        f = networks.scalar_network(kind, 2, WIDTH)
        # Networks of the same width, and wide ones.
        others = [[networks.scalar_network(kind, 2, w, seed) for seed in OTHER_SEEDS] for w in (WIDTH, networks.WIDTH)]
        for n in SIZES:
            molecules = random_molecules(n, starts, n)
            batch = jaxfeat.structures(molecules, f)
            for exclude in (None, "symmetric"):
                points = jaxfeat.find_singular_points(
                    jaxfeat.stacked(f), batch, exclude=exclude, restarts=1, constraints=jaxfeat.Free(min_distance=0.7)
                )
                print(f"{name}, {n} atoms, exclude = {exclude}: {points}", flush=True)
                for i in np.flatnonzero(points.landed):
                    judge(points, i, others)


def judge(points, i, others):
    """Print a landed point that is not symmetric, with its visibility for networks of other weights."""
    null, n = points.null_space[i], points.positions.shape[1]
    if null is None or not null.nullity > null.rigid + null.symmetry:
        return
    atoms, direction = Atoms(f"C{n}", np.asarray(points.environments.positions[i])), points.directions[i]
    alike, wide = ([visibility(m, atoms, direction) for m in of_width] for of_width in others)
    verdict = "lack of features" if max(alike) < INVISIBLE else "an accident of the weights"
    verdict = "structural" if max(wide) < INVISIBLE else verdict
    values = "; ".join(", ".join(f"{value:.0e}" for value in seen) for seen in (alike, wide))
    print(f"  start {i}: {null}, dimension {points.dimension[i]}, σ_min/σ_max = {points.sigma_ratio[i]:.0e}")
    print(f"    |J v| with other weights, and with {networks.WIDTH} features: {values}: {verdict}", flush=True)
    print(f"    positions {np.round(atoms.positions, 6).tolist()}", flush=True)
