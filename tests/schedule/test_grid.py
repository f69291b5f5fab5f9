"""Grids over tank levels: what lies between nodes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from levada.schedule.grid import Grid


@given(st.integers(2, 3), st.integers(2, 7), st.integers(0, 10_000))
def test_a_function_linear_in_each_level_is_met_everywhere(tanks: int, nodes: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    low = rng.uniform(-1, 0, tanks)
    grid = Grid(nodes, low, low + rng.uniform(0.1, 2, tanks))
    a, b = rng.normal(size=tanks), rng.normal()

    def function(x: np.ndarray) -> np.ndarray:
        return x @ a + b * x.prod(axis=1)

    x = grid.low + rng.random((50, tanks)) * (grid.high - grid.low)
    assert grid.at(function(grid.states), x) == pytest.approx(function(x), abs=1e-9)
    assert grid.at(np.stack([function(grid.states)] * 2, axis=1), x)[:, 1] == pytest.approx(function(x), abs=1e-9)


def test_states_outside_are_taken_to_the_edge() -> None:
    grid = Grid(5, np.array([0.0, 0.2]), np.array([1.0, 0.8]))
    value = grid.states @ np.array([1.0, 10.0])
    assert grid.at(value, np.array([[-3.0, 0.5], [2.0, 9.0]])) == pytest.approx([5.0, 9.0])


def test_a_cell_goes_by_its_lowest_node_and_holds_the_states_around_it() -> None:
    grid = Grid(4, np.zeros(3), np.array([1.0, 2.0, 3.0]))
    assert len(grid.cells) == 27
    x = np.array([[0.5, 1.9, 0.1]])
    corners, weights = grid.around(x)
    assert corners[0, 0] in grid.cells
    at = grid.states[corners[0]]
    assert (at.min(axis=0) <= x[0]).all()
    assert (at.max(axis=0) >= x[0]).all()
    assert at.max(axis=0) - at.min(axis=0) == pytest.approx(grid.width)
    assert weights.sum() == pytest.approx(1.0)
    assert weights[0] @ at == pytest.approx(x[0])
    assert grid.is_beyond(np.array([[0.5, 1.9, 0.1], [1.0, 2.0, 3.0], [0.5, 2.1, 0.1], [-0.1, 1.0, 1.0]])).tolist() == [False, False, True, True]
