"""Plants whose states no model follows are planned near one schedule: it holds, it is near the best, and what water is worth comes with it."""

from __future__ import annotations

import numpy as np
import pytest
from tests.schedule.feature_cases import PRICE, with_valve
from tests.schedule.small_networks import Small

from levada.hydraulics.audit import audit
from levada.schedule import exact, near_search, solve
from levada.schedule import near as near_of
from levada.schedule import problem as problem_parts
from levada.schedule.assignment import Fits
from levada.schedule.candidate import Runner
from levada.schedule.near import levers_of
from levada.schedule.near_search import are_states_lost, search_near
from levada.schedule.plant import Plant
from levada.schedule.problem import Work
from levada.schedule.progress import Teller
from levada.schedule.solve import explain_schedule


def test_it_comes_near_what_the_whole_search_finds() -> None:
    problem = Small(demand_l_per_s=14, upper=True).problem(n=12, max_starts=np.full(3, 4))
    plant = Plant(problem)
    runner = Runner(plant, Fits(plant))
    start = (np.ones((12, len(plant.classes)), np.int64), np.ones((12, len(plant.classes))), runner.first_choices)
    best, schedule, water = search_near(runner, [start], PRICE, Work(), Teller(None, plant))
    assert best.severity == 0
    assert audit(problem, schedule).accepted
    assert best.cost <= 1.03 * solve(problem).certificate.cost
    assert water.shape == (13, plant.tanks)
    assert (water[:-1] >= -1e-9).all()
    assert water.max() > 0


def test_only_plants_with_many_tanks_and_no_bound_are_planned_so() -> None:
    small = Small(demand_l_per_s=14)
    assert not are_states_lost(Plant(small.problem()))
    assert not are_states_lost(Plant(with_valve(small.problem(), small)))


def test_such_a_plant_is_solved_with_reasons_and_the_bound_by_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    small = Small(demand_l_per_s=14)
    problem = with_valve(small.problem(n=8), small)
    whole = solve(problem).certificate.cost
    monkeypatch.setattr(exact, "_MOST_JOINT", 0)
    monkeypatch.setattr(problem_parts, "MOST_CONFIGURATIONS", 3)
    monkeypatch.setattr(near_search, "MOST_TANKS", 0)
    solution = solve(problem)
    assert solution.feasible
    assert solution.certificate.lower_bound is not None
    assert solution.certificate.lower_bound <= min(whole, solution.certificate.cost)
    assert "column" in solution.certificate.method
    assert solution.certificate.cost <= 1.02 * whole
    assert solution.reasons
    assert solution.water_value_per_m3.max() > 0
    assert explain_schedule(problem, solution.schedule)


def test_each_class_is_a_lever_by_itself_where_there_would_be_too_many_options(monkeypatch: pytest.MonkeyPatch) -> None:
    plant = Plant(Small(pumps=2, identical=False, demand_l_per_s=14).problem())
    assert [lever.classes for lever in levers_of(plant)] == [(0, 1)]
    monkeypatch.setattr(near_of, "_LARGE", 10)
    assert [lever.classes for lever in levers_of(plant)] == [(0,), (1,)]
