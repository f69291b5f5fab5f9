"""Schedules that hold in other demands than the expected one, found by keeping further from the limits."""

from dataclasses import replace

import numpy as np
from tests.schedule.feature_cases import QUICK
from tests.schedule.small_networks import Small

from levada.domain.pumping import PumpingProblem, PumpSchedule
from levada.domain.pumping_terms import Scenarios
from levada.hydraulics.audit import audit
from levada.hydraulics.simulate import Simulator
from levada.schedule import solve
from levada.schedule.scenarios import hold_in_scenarios, scenario_violations, solve_with_scenarios


def _problem(spread: float, share: float) -> PumpingProblem:
    problem = Small(demand_l_per_s=14).problem(n=8, end_level_m=np.array([0.6]))
    rng = np.random.default_rng(2)
    demand = problem.demand_m3_per_s[None] * (1 + spread * rng.standard_normal(8))[:, None, None]
    return replace(problem, scenarios=Scenarios(demand_m3_per_s=demand, share=share))


def _solve_once(problem: PumpingProblem) -> PumpSchedule:
    return solve(problem, work=QUICK).schedule


def test_margins_are_kept_until_the_share_holds_and_no_longer() -> None:
    problem = _problem(0.08, 0.9)
    plain = _solve_once(replace(problem, scenarios=None))
    assert not hold_in_scenarios(problem, plain, Simulator).is_enough(0.9), "the case holds anyway, so it tests nothing"
    found = solve_with_scenarios(problem, _solve_once, Simulator)
    assert hold_in_scenarios(problem, found, Simulator).is_enough(0.9)
    assert audit(problem, found).accepted
    assert not scenario_violations(problem, found, Simulator)


def test_the_simulator_and_the_audit_agree_on_what_holds() -> None:
    problem = _problem(0.08, 0.9)
    plain = _solve_once(replace(problem, scenarios=None))
    told = [v for v in audit(problem, plain).trajectory.violations if v.limit == "scenario"]
    assert [v.amount for v in scenario_violations(problem, plain, Simulator)] == [v.amount for v in told]
    assert "demand scenarios" in scenario_violations(problem, plain, Simulator)[0].text


def test_demands_that_no_schedule_can_follow_get_the_schedule_that_holds_in_most() -> None:
    problem = _problem(0.8, 1.0)
    found = solve_with_scenarios(problem, _solve_once, Simulator)
    plain = _solve_once(replace(problem, scenarios=None))
    assert hold_in_scenarios(problem, found, Simulator).holds.sum() >= hold_in_scenarios(problem, plain, Simulator).holds.sum()
    assert scenario_violations(problem, found, Simulator)


def test_a_problem_without_scenarios_is_solved_once() -> None:
    problem, asked = Small().problem(), []

    def solve_once(p: PumpingProblem) -> PumpSchedule:
        asked.append(p)
        return PumpSchedule(on=np.zeros((6, 2), bool), speed=np.zeros((6, 2)))

    solve_with_scenarios(problem, solve_once, Simulator)
    assert asked == [problem]
