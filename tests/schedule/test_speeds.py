"""Tuning speeds never makes a schedule worse, keeps its limits, and where pumps are far from their shut-off head finds the best there is."""

from dataclasses import replace
from itertools import product

import numpy as np
from tests.schedule.feature_cases import PRICE, Searching
from tests.schedule.small_networks import Small

from levada.schedule.speeds import tune_speeds


def searching(**changes: object) -> Searching:
    fields: dict[str, object] = {"min_speed": np.full(2, 0.88), "max_speed": np.full(2, 1.1), **changes}
    return Searching(replace(Small(demand_l_per_s=14).problem(n=3, prices=[0.1, 0.2, 0.15]), **fields))  # type: ignore[arg-type]


def test_speeds_come_near_to_the_best_by_trying_all() -> None:
    search = searching()
    counts = np.ones((3, 1), np.int64)
    start = search.runner.simulate((counts, np.full((3, 1), 1.05), search.runner.first_choices))
    assert start.severity == 0
    found = tune_speeds(search.runner, start, PRICE, budget=5000)
    grid = np.arange(0.88, 1.1001, 0.02)
    tried = search.runner.simulate_all([(counts, np.array(speeds)[:, None], search.runner.first_choices) for speeds in product(grid, repeat=3)])
    best = min(c.cost for c in tried if c is not None and c.severity == 0)
    assert found.severity == 0
    assert found.cost <= best * 1.002
    assert found.cost < start.cost


def test_what_is_broken_is_mended_and_never_made_worse() -> None:
    search = searching()
    counts = np.ones((3, 1), np.int64)
    low = search.runner.simulate((counts, np.full((3, 1), 0.89), search.runner.first_choices))
    assert low.severity > 0, "too little water at the end"
    found = tune_speeds(search.runner, low, PRICE, budget=5000)
    assert found.objective(PRICE) < low.objective(PRICE)
    assert found.severity == 0


def test_pressure_floors_hold() -> None:
    search = searching(pressure_floors_m={"J1": 38.0})
    counts = np.ones((3, 1), np.int64)
    start = search.runner.simulate((counts, np.full((3, 1), 1.08), search.runner.first_choices))
    found = tune_speeds(search.runner, start, PRICE, budget=5000)
    assert found.severity <= start.severity
    assert found.objective(PRICE) <= start.objective(PRICE)


def test_a_tank_is_not_filled_to_the_second_in_which_a_step_ends() -> None:
    # Water of the cheap step is wanted later, as much of it as the tank holds.
    usual = Small(demand_l_per_s=8).problem(n=3, prices=[0.05, 0.5, 0.5])
    level = 0.1 * usual.min_level_m + 0.9 * usual.max_level_m
    search = Searching(replace(usual, min_speed=np.full(2, 0.88), max_speed=np.full(2, 1.1), initial_level_m=level, end_level_m=level))
    start = search.runner.simulate((np.ones((3, 1), np.int64), np.ones((3, 1)), search.runner.first_choices))
    found = tune_speeds(search.runner, start, PRICE, budget=5000)
    x = search.plant.state(found.volume)[1:-1]
    assert found.severity == 0
    assert x.max() > 0.99
    assert x.max() < 1 - 2e-5


def test_pumps_of_fixed_speed_are_left_as_they_are() -> None:
    search = Searching(Small().problem(n=3))
    start = search.runner.simulate((np.ones((3, 1), np.int64), np.ones((3, 1)), search.runner.first_choices))
    assert tune_speeds(search.runner, start, PRICE, budget=5000) is start
