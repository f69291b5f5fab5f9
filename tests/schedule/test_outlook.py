"""What is still to pay from any levels: near what it comes to, and a guide to the best schedules."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from tests.schedule.feature_cases import PRICE, Searching
from tests.schedule.small_networks import Small, best_by_trying_all

from levada.schedule.outlook import outlook_by_levels
from levada.schedule.problem import Work

NONE = np.zeros((1, 2), np.int64)
ROWS = Work().outlook_rows
SMALL = Small(upper=True, demand_l_per_s=14)


@pytest.fixture(scope="module")
def search() -> Searching:
    return Searching(SMALL.problem(n=5, prices=[0.1, 0.3, 0.1, 0.25, 0.15], max_starts=np.full(3, 5)))


def test_at_the_start_it_is_near_the_cost_of_the_best_schedule(search: Searching) -> None:
    best = best_by_trying_all(search.plant.problem)
    outlook = outlook_by_levels(search.forecast, search.actions, PRICE, ROWS)
    assert best is not None
    assert outlook is not None
    assert outlook(0, search.plant.x0[None], search.plant.initial_count[None], NONE)[0] == pytest.approx(best[0], rel=0.1)


def test_a_beam_that_looks_ahead_by_levels_finds_the_best_schedule(search: Searching) -> None:
    best = best_by_trying_all(search.plant.problem)
    assert best is not None
    found = search.runner.simulate(search.beam(outlook=outlook_by_levels(search.forecast, search.actions, PRICE, ROWS))[0])
    assert found.severity == 0
    assert found.cost == pytest.approx(best[0], rel=1e-6)


def test_more_water_is_never_dearer_where_prices_are_positive(search: Searching) -> None:
    outlook = outlook_by_levels(search.forecast, search.actions, PRICE, ROWS)
    assert outlook is not None
    levels = [np.array([[share, 0.5]]) for share in np.linspace(0.1, 0.7, 7)]
    costs = [float(outlook(2, x, NONE, NONE)[0]) for x in levels]
    assert all(b <= a + 0.02 * abs(a) for a, b in pairwise(costs))


def test_there_is_none_where_the_rows_do_not_allow_a_grid(search: Searching) -> None:
    assert outlook_by_levels(search.forecast, search.actions * 40_000, PRICE, ROWS) is None


def test_where_starts_are_few_it_knows_how_many_are_left_and_what_runs() -> None:
    search = Searching(SMALL.problem(n=6, prices=[0.3, 0.1, 0.3, 0.1, 0.3, 0.1], max_starts=np.full(3, 1)))
    outlook = outlook_by_levels(search.forecast, search.actions, PRICE, ROWS)
    assert outlook is not None
    x, idle, running = np.array([[0.4, 0.4]]), np.array([[0, 0]]), np.array([[1, 1]])
    none_used, all_used = np.array([[0, 0]]), np.array([[2, 1]])
    to_pay = {(name, used is all_used): float(outlook(2, x, counts, used)[0]) for name, counts in (("idle", idle), ("running", running)) for used in (none_used, all_used)}
    assert to_pay["idle", True] > to_pay["idle", False], "water is wanted and no pump may start any more"
    assert to_pay["running", True] < to_pay["idle", True], "a pump that runs need not be started"
