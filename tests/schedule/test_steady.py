"""Valves are set no more often than pays: choices that make no difference are left as they are, those that do are kept."""

from __future__ import annotations

import numpy as np
import pytest
from tests.schedule.feature_cases import with_valve
from tests.schedule.small_networks import Small

from levada.domain.pumping import PumpingProblem, PumpSchedule
from levada.hydraulics.simulate import Simulator
from levada.schedule import solve
from levada.schedule.assignment import Fits
from levada.schedule.candidate import Runner, Trial
from levada.schedule.plant import Plant
from levada.schedule.steady import steadied


def _changes(choices: np.ndarray) -> int:
    return int((np.diff(choices[:, 0], prepend=0) != 0).sum())


def _steadied(problem: PumpingProblem, choices: list[int]) -> tuple[PumpSchedule, PumpSchedule]:
    """A schedule of one pump at all hours with these choices of the valve, and what it is steadied to."""
    plant = Plant(problem)
    runner = Runner(plant, Fits(plant))
    trial: Trial = (np.ones((plant.n, 1), np.int64), np.ones((plant.n, 1)), np.array(choices, np.int64)[:, None])
    schedule = PumpSchedule(on=np.tile([True, False], (plant.n, 1)), speed=np.tile([1.0, 0.0], (plant.n, 1)), valve_choice=trial[2])
    return schedule, steadied(runner, schedule, trial)


def test_a_valve_that_makes_no_difference_stays_as_it_was_before_the_start() -> None:
    small = Small(demand_l_per_s=22)
    problem = with_valve(small.problem(n=6, end_level_m=np.array([0.6]), initial_level_m=np.array([3.0])), small)
    schedule, calm = _steadied(problem, [1, 0, 1, 1, 0, 1])
    simulator = Simulator(problem)
    before, after = simulator.run(schedule), simulator.run(calm)
    assert not before.violations
    assert not after.violations
    assert after.cost <= before.cost * (1 + 1e-4)
    assert _changes(calm.valve_choice) < _changes(schedule.valve_choice)
    assert np.array_equal(calm.on, schedule.on)


def test_a_valve_that_saves_energy_is_still_set() -> None:
    small = Small(demand_l_per_s=38)
    problem = with_valve(small.problem(n=5, prices=[0.1, 0.3, 0.1, 0.25, 0.2], max_starts=np.full(2, 3)), small)
    found = solve(problem)
    shut = PumpSchedule(on=found.schedule.on, speed=found.schedule.speed, valve_choice=np.zeros((5, 1), np.int64))
    assert found.schedule.valve_choice.any()
    without = Simulator(problem).run(shut)
    assert without.violations or without.cost > 1.0001 * found.certificate.cost


@pytest.mark.parametrize("demand_l_per_s", [14.0, 26.0])
def test_plans_set_a_valve_no_more_often_than_pays(demand_l_per_s: float) -> None:
    small = Small(demand_l_per_s=demand_l_per_s)
    problem = with_valve(small.problem(n=8), small)
    found = solve(problem)
    simulator, choices = Simulator(problem), found.schedule.valve_choice
    assert found.feasible
    for k in np.flatnonzero(np.diff(choices[:, 0], prepend=0)).tolist():
        # Later or not at all: each change that is left pays, or is needed.
        end = next((j for j in range(k + 1, 8) if choices[j, 0] != choices[k, 0]), 8)
        other = choices.copy()
        other[k:end] = 1 - other[k:end]
        again = simulator.run(PumpSchedule(on=found.schedule.on, speed=found.schedule.speed, valve_choice=other))
        assert again.violations or again.cost > found.certificate.cost + 1e-9
