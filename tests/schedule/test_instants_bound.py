"""The bound where pumps may be switched within steps: below all switchings of small plants, and none where it cannot know the bill."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.schedule.feature_cases import with_valve
from tests.schedule.small_networks import Small, every_schedule

from levada.domain.pumping import PumpingProblem, PumpSchedule, Trajectory
from levada.domain.pumping_terms import Meter
from levada.hydraulics.simulate import Simulator
from levada.schedule.assignment import Fits
from levada.schedule.certificate import Bound
from levada.schedule.instants_bound import bound_within_steps
from levada.schedule.plant import Plant
from levada.schedule.problem import Work
from levada.schedule.progress import Teller

LITTLE = Work(fit_samples=12, audit_samples=600)
PRICES = [0.1, 0.3, 0.1, 0.25]
HALF_HOURS = np.arange(0, 4 * 3600, 1800)

_Found = tuple[PumpingProblem, PumpSchedule, Trajectory]


def _bound(problem: PumpingProblem, found: _Found) -> Bound:
    plant = Plant(problem)
    return bound_within_steps(plant, Fits(plant), LITTLE, np.random.default_rng(5), *found, Teller(None, plant))


def _cheapest(tried: list[tuple[PumpingProblem, PumpSchedule]]) -> _Found:
    best, kept = None, 0
    for asked, schedule in tried:
        found = Simulator(asked).run(schedule)
        kept += not found.violations
        if not found.violations and (best is None or found.cost < best[2].cost):
            best = asked, schedule, found
    assert best is not None
    assert kept > 3, "hardly any schedule holds the limits, so this tests nothing"
    return best


@pytest.mark.parametrize("hydraulic_step_s", [600, 3600])
@pytest.mark.parametrize("full", [False, True], ids=["never full", "may stand full"])
def test_no_switching_at_half_hours_undercuts_it(full: bool, hydraulic_step_s: int) -> None:
    small = Small(pumps=1, demand_l_per_s=12 if full else 18)
    problem = small.problem(n=4, prices=PRICES, switch_resolution_s=1800, may_stand_full=np.array([full]), hydraulic_step_s=hydraulic_step_s, end_level_m=np.array([1.5]))
    asked = problem.on_steps(HALF_HOURS)
    best = _cheapest([(asked, schedule) for schedule in every_schedule(asked)])
    bound = _bound(problem, best)
    assert bound.value is not None
    assert 0.5 * best[2].cost < bound.value <= best[2].cost


@pytest.mark.parametrize("fields", [{}, {"hydraulic_step_s": 3600}, {"min_speed": np.full(3, 0.85)}])
def test_no_random_switching_of_two_zones_undercuts_it(fields: dict[str, Any]) -> None:
    small = Small(pumps=2, upper=True, demand_l_per_s=11)
    problem = small.problem(n=4, prices=PRICES, switch_resolution_s=600, may_stand_full=np.ones(2, bool), end_level_m=np.full(2, 1.0), max_starts=np.full(3, 9), **fields)
    rng, tried = np.random.default_rng(2), []
    for _ in range(150):
        asked = problem.on_steps(np.sort(rng.choice(np.arange(600, 4 * 3600, 600), 4, replace=False)))
        on = rng.random((len(asked.steps), 3)) < rng.uniform(0.3, 0.9)
        speed = np.where(on, rng.uniform(problem.min_speed, problem.max_speed, on.shape), 0.0)
        # Speeds hold for a planning step: the first part's, where a pump runs in several.
        of = np.searchsorted(problem.steps.offsets_s, asked.steps.offsets_s[:-1], side="right") - 1
        speed = np.where(on, np.array([np.max(speed[of == k], axis=0) for k in range(4)])[of], 0.0)
        tried.append((asked, PumpSchedule(on=on, speed=speed)))
    best = _cheapest(tried)
    assert any((Simulator(asked).run(schedule).level_m >= problem.max_level_m - 1e-6).any() for asked, schedule in tried), "no tank was ever full"
    bound = _bound(problem, best)
    assert bound.value is not None
    assert bound.value <= best[2].cost


def test_it_is_none_of_own_power_and_says_why() -> None:
    small = Small()
    plain = small.problem(n=3, switch_resolution_s=1800)
    schedule = PumpSchedule(on=np.ones((3, 2), bool), speed=np.ones((3, 2)))
    found = plain, schedule, Simulator(plain).run(schedule)
    sunny = replace(plain, meters=(Meter(name="M", pumps=("P0", "P1"), own_power_kw=np.full(3, 2.0), export_price_per_kwh=np.full(3, 0.05)),))
    bound = _bound(sunny, found)
    assert bound.value is None
    assert "own power" in bound.why


def test_it_is_below_random_schedules_with_a_valve_that_they_set() -> None:
    small = Small(demand_l_per_s=26)
    problem = with_valve(small.problem(n=3, switch_resolution_s=1800), small)
    asked = problem.on_steps(HALF_HOURS[:6])
    rng, tried = np.random.default_rng(5), []
    for _ in range(600):
        on, choice = rng.random((6, 2)) < 0.7, np.repeat(rng.integers(0, 2, (3, 1)), 2, axis=0)
        tried.append((asked, PumpSchedule(on=on, speed=on * 1.0, valve_choice=choice)))
    best = _cheapest(tried)
    assert best[1].valve_choice.any()
    bound = _bound(problem, best)
    assert bound.value is not None
    assert 0.5 * best[2].cost <= bound.value <= best[2].cost
