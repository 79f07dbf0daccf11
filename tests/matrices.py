"""Matrices that are hard to decompose."""

import numpy as np


def graded_matrices(shape, seed=0):
    """Make random matrices `(..., m, c)` with singular values from 1 down to 1e-15 and one zero."""
    *batch, m, c = shape
    rng = np.random.default_rng(seed)
    u = np.linalg.qr(rng.normal(size=(*batch, m, c)))[0]
    v = np.linalg.qr(rng.normal(size=(*batch, c, c)))[0]
    sizes = np.geomspace(1, 1e-15, c) * (np.arange(c) < c - 1)
    return (u * sizes) @ v


def psd_matrices(c):
    """Make positive semidefinite matrices: graded, one, zero, with a triple eigenvalue, huge in blocks, of rank one."""
    blocks = np.kron(np.eye(-(-c // 2)), [[2.0, 1], [1, 2]])[:c, :c]
    turn = np.linalg.qr(np.random.default_rng(2).normal(size=(c, c)))[0]
    repeated = (turn * np.resize([1, 1e-3, 1e-3, 1e-9], c)) @ turn.T
    square = graded_matrices((c + 3, c))
    return np.stack([square.T @ square, np.eye(c), np.zeros((c, c)), repeated, 1e90 * blocks, np.ones((c, c))])
