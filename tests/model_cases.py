"""Models from outside of JAX for tests: featurizers of the package, called as other programs are, and broken ones."""

import numpy as np

import jaxfeat

LITMUS = np.array([[0.0, 0, 0], [-0.55, 0, 0.95], [0.6, 0.75, 0.5], [0.6, -0.75, -0.5], [-1.09, 0, 0]])
"""Å, a methane with the carbon first. A complete basis of order 2 misses one direction for the carbon and the last
hydrogen each, and order 1 misses six, five, five, five and six."""


def evaluate_with(f, features=None, jacobian=None, dtype=float):
    """Make the function of a model that computes `f` of every center. `features` and `jacobian` change its results, as
    functions of the structure and of both arrays."""

    def evaluate(structure):
        c, n = len(structure.center), len(structure.positions)
        stacked = jaxfeat.stacked(f)
        x = np.asarray(stacked(structure)).reshape(c, -1)
        slopes = np.asarray(jaxfeat.jacobian(stacked, structure)).reshape(c, -1, n, 3)
        changed = x if features is None else features(structure, x, slopes)
        moved = slopes if jacobian is None else jacobian(structure, x, slopes)
        return changed.astype(dtype), moved.astype(dtype)

    return evaluate


def model_of(f, **options):
    """Make the model of a featurizer that declares what the featurizer declares."""
    given = {"reach": float(f.r_cut), "nu": f.nu, "species": f.species}
    return jaxfeat.external(evaluate_with(f), **{**given, **options})
