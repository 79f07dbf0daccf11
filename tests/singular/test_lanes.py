"""Lanes are refilled as items finish, and results keep their order."""

import numpy as np
import pytest

from jaxfeat.singular.gauss_newton import RUNNING, SOLVED, STATIONARY, begin
from jaxfeat.singular.lanes import map_lanes, n_lanes_for, solve_all, vmapped


@pytest.mark.parametrize(("n", "lanes"), [(0, 1), (1, 1), (3, 4), (32, 32), (1000, 32)])
def test_numbers_of_lanes_are_few(n, lanes):
    assert n_lanes_for(n) == lanes


def test_blocks_are_of_one_shape_and_join_in_order():
    shapes = []

    def double(tree):
        shapes.append(tree["a"].shape)
        return {"b": 2 * tree["a"]}

    found = map_lanes(double, {"a": np.arange(7)}, lanes=3)
    assert found["b"].tolist() == [0, 2, 4, 6, 8, 10, 12] and shapes == [(3,)] * 3


def scaled(shared, item):
    return shared["factor"] * item


def test_one_argument_is_shared():
    np.testing.assert_array_equal(vmapped(scaled, {"factor": np.asarray(3.0)}, np.arange(4.0)), [0, 3, 6, 9])


def test_items_finish_at_their_own_time():
    """Item k halves its residual at each step, and is solved after k steps; the last one does not improve."""
    calls = []

    def advance(iterates, rows, steps):
        calls.append(rows.tolist())
        taken = np.where(iterates.code == RUNNING, np.minimum(steps, np.maximum(rows - iterates.iterations, 0)), 0)
        iterations = np.where(iterates.iterations < 0, 0, iterates.iterations + taken)
        residual = np.where(rows == 4, 1.0, 0.5**iterations)
        return iterates._replace(
            iterations=iterations, residual=residual, code=np.where(iterations >= rows, SOLVED, RUNNING)
        )

    state = begin(np.zeros((5, 2)))
    solve_all(advance, state, 20, lanes=2, steps_per_round=1)
    assert state.code.tolist() == [SOLVED] * 4 + [STATIONARY]
    assert state.iterations[:4].tolist() == [0, 1, 2, 3]
    assert all(len(rows) == 2 for rows in calls)


def test_without_steps_items_are_only_evaluated():
    def advance(iterates, rows, steps):
        assert steps == 1
        return iterates._replace(iterations=iterates.iterations + 1, residual=rows + 1.0)

    state = solve_all(advance, begin(np.zeros((3, 2)), np.zeros(3)), 0, lanes=2)
    assert state.iterations.tolist() == [0, 0, 0] and state.residual.tolist() == [1, 2, 3]
