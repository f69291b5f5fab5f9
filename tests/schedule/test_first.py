"""There is a schedule to go by before anything is learnt, and what level switches leave amiss is put right."""

from __future__ import annotations

import numpy as np
import pytest
from tests.schedule.feature_cases import with_valve
from tests.schedule.small_networks import Small

from levada.domain.pumping import PumpingProblem
from levada.hydraulics.audit import audit
from levada.schedule import Progress, follow_rules, rules, solve
from levada.schedule.assignment import Fits
from levada.schedule.candidate import Runner
from levada.schedule.first import first_schedule
from levada.schedule.plant import Plant
from levada.schedule.progress import Teller
from levada.schedule.rules import rules_of, set_valves


def hard() -> PumpingProblem:
    """Level switches do not know that power is limited, nor what is asked at the end."""
    return Small(demand_l_per_s=14, upper=True).problem(n=24, max_starts=np.full(3, 5), max_power_kw=20.0)


def _first(problem: PumpingProblem, *, programmes: bool) -> float:
    plant = Plant(problem)
    runner = Runner(plant, Fits(plant))
    return runner.simulate(first_schedule(runner, Teller(None, plant), programmes=programmes)).severity


def test_what_level_switches_leave_amiss_is_put_right() -> None:
    assert _first(hard(), programmes=False) > 0
    assert _first(hard(), programmes=True) == 0


def test_a_search_tells_of_a_schedule_before_it_knows_a_bound() -> None:
    told: list[Progress] = []

    def stop_early(now: Progress) -> bool:
        told.append(now)
        return now.cost is None

    solution = solve(hard(), progress=stop_early)
    assert told[-1].cost is not None
    assert told[-1].bound is None
    assert solution.feasible


def test_level_switches_are_followed_with_the_valves_as_they_are_set() -> None:
    small = Small(demand_l_per_s=14)
    plant = Plant(with_valve(small.problem(n=24, max_starts=np.full(2, 12)), small))
    set_valves(plant)
    for choice in (0, 1):
        plant.first_choice[0, 0] = choice
        assert (rules_of(plant).valve_choice == choice).all()


def test_switches_fill_the_tanks_for_the_end_where_that_holds_the_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = Small(demand_l_per_s=14, diameter_m=18, upper=True).problem(n=24, max_starts=np.full(3, 12), end_level_m=np.full(2, 2.5))
    assert audit(problem, follow_rules(problem)).accepted
    monkeypatch.setattr(rules, "_LAST", 0.0)
    assert not audit(problem, follow_rules(problem)).accepted
