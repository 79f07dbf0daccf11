"""Features that torch computes, and their Jacobian from backward passes alone.

Forward mode is never used: it drops the tangents of some scripted functions, and says nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from jaxfeat.errors import ModelError
from jaxfeat.memory import check_memory

BATCH_BYTES = 32e6
"""Bytes that one forward pass keeps, times the backward passes of one batch. Small passes are faster in batches (three
times at 2 MB each), and large ones alone (passes of 90 MB each take three times as long in a batch)."""

LEAST_BATCH = 4  # backward passes that are worth a batch
CHECK_ROUNDINGS = 1e4  # relative to Jacobian and features (per Å), by which columns may err along one direction


@contextmanager
def torch_state(dtype: Any) -> Iterator[None]:
    """Record derivatives, make new tensors of one type, and leave torch afterwards as it was."""
    import torch

    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.inference_mode(False), torch.enable_grad():
            yield
    finally:
        torch.set_default_dtype(before)


def features_and_jacobian(
    function: Callable[[Any], Any], positions: Any, centers: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Compute features `(c, d)` of some atoms, and their derivatives by all positions, `(c, d, n, 3)`.

    `function` takes the tensor of positions `(n, 3)`, which records derivatives, and returns the features of all atoms.
    """
    import torch

    kept = 0

    def count(tensor: Any) -> Any:
        nonlocal kept
        kept += tensor.numel() * tensor.element_size()
        # The tensor itself would keep its own graph alive.
        return tensor.detach()

    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        found = function(positions)
        if not isinstance(found, torch.Tensor) or found.ndim != 2 or len(found) != len(positions):
            shape = tuple(found.shape) if isinstance(found, torch.Tensor) else type(found).__name__
            raise ModelError(
                f"the torch function returned {shape} for {len(positions)} atoms; it must return a tensor "
                f"({len(positions)}, d), one row for each atom."
            )
        rows = found[torch.tensor(centers.tolist(), device=found.device)]
    shape = (*rows.shape, *positions.shape)
    work = f"the Jacobian of {shape[0]} centers with {shape[1]} features by {shape[2]} atoms"
    check_memory(3 * float(np.prod(shape)) * positions.element_size(), work, "take fewer centers at a time")
    features = rows.detach().cpu().numpy()
    if not rows.requires_grad:
        return features, np.zeros(shape, features.dtype)
    batch = int(BATCH_BYTES // max(kept, 1))
    jacobian = _by_columns(rows, positions, batch) if positions.numel() < rows.numel() else None
    if jacobian is None:
        jacobian = _backward_passes(rows, positions, batch).reshape(shape)
    return features, jacobian


def _by_columns(rows: Any, positions: Any, batch: int) -> np.ndarray | None:
    """Compute one column of the Jacobian after the other. A backward pass is linear in its cotangent, so that its own
    backward pass multiplies with the Jacobian. Return `None` where backward passes have no derivatives of their own."""
    import torch

    cotangent = torch.zeros_like(rows, requires_grad=True)
    try:
        (pulled,) = torch.autograd.grad(rows, positions, cotangent, create_graph=True)
        columns = _backward_passes(pulled, cotangent, batch)
    except RuntimeError:
        return None
    # A backward pass that is written by hand may lack derivatives silently.
    generator = torch.Generator().manual_seed(0)
    weights = torch.randn(rows.shape, generator=generator, dtype=rows.dtype).to(rows.device)
    (expected,) = torch.autograd.grad(rows, positions, weights, retain_graph=True)
    known = expected.cpu().numpy().ravel()
    error = np.linalg.norm(columns.reshape(len(columns), -1) @ weights.cpu().numpy().ravel() - known)
    # Features of symmetric structures do not react, so that their Jacobian is nothing but rounding errors.
    size = np.linalg.norm(columns) + np.linalg.norm(rows.detach().cpu().numpy())
    if not error <= CHECK_ROUNDINGS * np.finfo(columns.dtype).eps * size:
        return None
    return np.moveaxis(columns.reshape(*positions.shape, *rows.shape), (0, 1), (2, 3))


def _backward_passes(outputs: Any, inputs: Any, batch: int) -> np.ndarray:
    """Compute the derivatives of each output by the inputs, `(outputs, *inputs)`, in batches where they are small."""
    import torch

    size = outputs.numel()
    batch = min(batch, size) if batch >= LEAST_BATCH else 1
    derivatives = np.zeros((size, *inputs.shape), inputs.detach().cpu().numpy().dtype)
    start = 0
    while start < size:
        stop = min(start + batch, size)
        cotangents = torch.zeros((stop - start, size), dtype=outputs.dtype, device=outputs.device)
        cotangents[torch.arange(stop - start), torch.arange(start, stop)] = 1
        given = cotangents.reshape(-1, *outputs.shape) if batch > 1 else cotangents.reshape(outputs.shape)
        try:
            (found,) = torch.autograd.grad(
                outputs, inputs, given, retain_graph=True, allow_unused=True, is_grads_batched=batch > 1
            )
        except RuntimeError:
            if batch == 1:
                raise
            batch = 1  # Operations without a rule for batches are left to single passes.
            continue
        if found is not None:
            derivatives[start:stop] = found.detach().cpu().numpy()
        start = stop
    return derivatives
