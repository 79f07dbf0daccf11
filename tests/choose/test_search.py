"""Candidates are ranked by fronts."""

from types import SimpleNamespace

import numpy as np

from jaxfeat.choose.search import pareto_front, rank_by_front


def test_fronts_come_one_after_the_other():
    points = [(10, 1.0), (20, 3.0), (15, 0.5), (30, 2.0), (20, 2.5), (5, np.nan)]
    assert rank_by_front(points) == [1, 0, 4, 2, 3, 5]
    assert rank_by_front([]) == []


def test_a_front_ascends_in_both():
    made = [SimpleNamespace(n_features=n, level=s) for n, s in [(3, 1.0), (1, 0.5), (2, 0.4), (3, 2.0), (9, 2.0)]]
    assert [(one.n_features, one.level) for one in pareto_front(made)] == [(1, 0.5), (3, 2.0)]
