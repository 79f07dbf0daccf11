"""Torch models with random weights, and the packages that make them."""

import importlib
import os
import sys

import numpy as np
import pytest

WANTED = bool(os.environ.get("JAXFEAT_TEST_MODELS"))


def needs(*packages):
    """Import packages and return the first. Without them tests are skipped, but fail in `make test-models`."""
    for name in packages:
        if WANTED:
            importlib.import_module(name)
        else:
            pytest.importorskip(name, reason=f"{name} is not there; make test-models installs it")
    return sys.modules[packages[0]]


def random_mace(correlation, layers=1, channels=16, dtype="float64", numbers=(1, 6), r_max=4.0, seed=0):
    """A MACE model for hydrogen and carbon, unless other atomic `numbers` are given."""
    import mace.modules as parts
    import torch
    from e3nn import o3

    before, state = torch.get_default_dtype(), torch.get_rng_state()
    torch.set_default_dtype(getattr(torch, dtype))
    torch.manual_seed(seed)
    try:
        return parts.ScaleShiftMACE(
            atomic_inter_scale=1.0,
            atomic_inter_shift=0.0,
            r_max=r_max,
            num_bessel=8,
            num_polynomial_cutoff=5,
            max_ell=3,
            interaction_cls=parts.RealAgnosticResidualInteractionBlock,
            interaction_cls_first=parts.RealAgnosticInteractionBlock,
            num_interactions=layers,
            num_elements=len(numbers),
            hidden_irreps=o3.Irreps(f"{channels}x0e" + (f"+{channels}x1o" if layers > 1 else "")),
            MLP_irreps=o3.Irreps("16x0e"),
            atomic_energies=np.zeros(len(numbers)),
            avg_num_neighbors=4.0,
            atomic_numbers=list(numbers),
            correlation=correlation,
            gate=torch.nn.functional.silu,
            radial_MLP=[16, 16],
        )
    finally:
        torch.set_default_dtype(before)
        torch.set_rng_state(state)


def evaluated(m, atoms, centers=None):
    """Features and Jacobian, straight from the adapter, of some atoms or of all."""
    import jax

    import jaxfeat

    structure = jax.tree.map(lambda leaf: np.asarray(leaf)[0], jaxfeat.structures([atoms], m, centers))
    return m.model.evaluate(structure)


def difference_error(m, atoms, seed=0, step=1e-3):
    """The relative error of the Jacobian along a random direction against five-point differences."""
    along = np.random.default_rng(seed).normal(size=atoms.positions.shape)
    along /= np.linalg.norm(along, axis=1).max()

    def moved(k):
        other = atoms.copy()
        other.positions += k * step * along
        return evaluated(m, other)[0].astype(float)

    found = (moved(-2) - 8 * moved(-1) + 8 * moved(1) - moved(2)) / (12 * step)
    expected = np.einsum("cdnx,nx->cd", evaluated(m, atoms)[1], along)
    return np.linalg.norm(found - expected) / np.linalg.norm(expected)
