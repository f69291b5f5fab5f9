"""Pumps that may be switched within steps: the search on instants, against trying all, and what binds it."""

from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from tests.schedule.small_networks import Small, every_schedule

from levada.domain.errors import ProblemError
from levada.domain.pumping import PumpingProblem, PumpSchedule
from levada.hydraulics.audit import audit
from levada.hydraulics.operation import operation_violations
from levada.hydraulics.simulate import Simulator
from levada.schedule import Solution, Work, solve
from levada.schedule.switches import Switches

LITTLE = Work(beam=40, candidates=3, simulations=3000, audit_samples=300, exact_solves=20_000, switch_solves=8_000, quick_programmes=4, programmes=4)


def at_ten_minutes(small: Small, **fields: Any) -> PumpingProblem:
    return small.problem(**{"switch_resolution_s": 600, "prices": [0.1, 0.3, 0.3, 0.1, 0.1, 0.3], **fields})


def solved(problem: PumpingProblem) -> Solution:
    solution = solve(problem, work=LITTLE)
    verdict = audit(solution.problem, solution.schedule)
    assert solution.feasible == verdict.accepted
    assert verdict.trajectory.cost == pytest.approx(solution.certificate.cost, rel=1e-5)
    instants = solution.problem.steps.offsets_s
    assert set(problem.steps.offsets_s.tolist()) <= set(instants.tolist())
    assert (instants % 600 == 0).all()
    return solution


def test_with_one_run_no_instants_are_cheaper_than_those_found() -> None:
    problem = at_ten_minutes(Small(pumps=1), n=4, max_starts=np.array([1]), end_level_m=np.array([1.9]))
    best = np.inf
    for begin, end in combinations(range(0, 4 * 3600 + 1, 600), 2):
        asked = problem.on_steps(np.array([begin, end]))
        on = (asked.steps.offsets_s[:-1] >= begin) & (asked.steps.offsets_s[:-1] < end)
        found = Simulator(asked).run(PumpSchedule(on=on[:, None], speed=on[:, None].astype(float)))
        if not found.violations:
            best = min(best, found.cost)
    solution = solved(problem)
    assert solution.feasible
    assert solution.certificate.cost == pytest.approx(best, rel=1e-3)


@pytest.mark.parametrize("fields", [{}, {"count_starts": "periodic"}, {"may_stand_full": np.array([True, True])}])
def test_free_instants_cost_less_than_steps_do_and_the_bound_is_one_of_switches_within_steps(fields: dict[str, Any]) -> None:
    problem = at_ten_minutes(Small(identical=False, upper=True), max_starts=np.full(3, 2), **fields)
    stepwise, free = solve(replace(problem, switch_resolution_s=None), work=LITTLE), solved(problem)
    assert stepwise.feasible
    assert free.feasible
    assert free.certificate.cost < 0.995 * stepwise.certificate.cost
    assert free.certificate.lower_bound is not None
    assert free.certificate.lower_bound <= free.certificate.cost
    assert "shares of steps" in free.certificate.method
    assert len(free.water_value_per_m3) == len(free.problem.steps) + 1
    assert {r.step for r in free.reasons} <= set(range(len(free.problem.steps)))
    again = solved(problem)
    assert again.schedule.on.tobytes() == free.schedule.on.tobytes()
    assert again.certificate.cost == free.certificate.cost


def test_least_times_outages_and_runs_that_must_be_are_kept_to_the_minute() -> None:
    available, forced = np.ones((6, 2), bool), np.zeros((6, 2), bool)
    available[2, 0] = False
    forced[4, 1] = True
    problem = at_ten_minutes(Small(identical=False), available=available, forced_on=forced, min_on_s=np.full(2, 5400.0), min_off_s=np.full(2, 3000.0), max_starts_total=3)
    solution = solved(problem)
    assert solution.feasible
    assert not operation_violations(solution.problem, solution.schedule)
    switches = Switches.of(solution.problem, solution.schedule)
    assert (switches.at_s % 3600).any()


def test_where_no_schedule_holds_all_limits_the_one_on_instants_is_no_worse() -> None:
    problem = at_ten_minutes(Small(pumps=1), end_level_m=np.array([4.4]))
    stepwise, free = solve(replace(problem, switch_resolution_s=None), work=LITTLE), solved(problem)
    assert not free.feasible
    assert len(free.relaxations) <= len(stepwise.relaxations)


def test_a_resolution_that_does_not_divide_the_steps_is_refused() -> None:
    with pytest.raises(ProblemError, match="switch_resolution_s: 420 s does not divide every step"):
        Small().problem(switch_resolution_s=420)


@pytest.mark.parametrize("identical", [True, False])
@pytest.mark.parametrize("count_starts", ["window", "periodic"])
@pytest.mark.parametrize("total", [1, 2])
def test_within_starts_of_all_pumps_together_no_schedule_is_cheaper_than_the_one_found(identical: bool, count_starts: str, total: int) -> None:
    problem = Small(identical=identical).problem(n=5, prices=[0.3, 0.1, 0.3, 0.1, 0.3], max_starts_total=total, count_starts=count_starts, end_level_m=np.array([1.7]))
    simulator, best = Simulator(problem), np.inf
    known: dict[tuple[int, bytes, bytes], Any] = {}
    for schedule in every_schedule(problem):
        if schedule.starts(problem.count_starts, problem.initial_on).sum() > total:
            continue
        volume, cost = simulator.volumes(problem.initial_level_m), 0.0
        for k in range(5):
            key = (k, volume.tobytes(), schedule.on[k].tobytes())
            step = known.get(key) or known.setdefault(key, simulator.step(k, volume, schedule.on[k], schedule.speed[k]))
            cost = np.inf if step.severity > 0 else cost + step.cost
            volume = step.volume
        if (volume >= simulator.end_volume - 1e-6).all():
            best = min(best, cost)
    assert np.isfinite(best)
    solution = solve(problem, work=LITTLE)
    assert solution.feasible
    assert solution.schedule.starts(problem.count_starts, problem.initial_on).sum() <= total
    assert solution.certificate.cost == pytest.approx(best, rel=1e-9)
    assert solution.certificate.lower_bound is not None
    assert solution.certificate.lower_bound <= best + 1e-9


def test_limits_hold_at_the_other_hydraulic_steps_asked_for_too_and_costs_are_those_of_the_first() -> None:
    problem = at_ten_minutes(Small(pumps=1), hydraulic_step_s=3600, also_hydraulic_steps_s=(1200, 300), max_starts=np.array([2]))
    solution = solved(problem)
    assert solution.feasible
    for other in solution.problem.at_other_hydraulic_steps():
        assert audit(other, solution.schedule).accepted
    assert audit(replace(solution.problem, also_hydraulic_steps_s=()), solution.schedule).trajectory.cost == audit(solution.problem, solution.schedule).trajectory.cost


def test_a_limit_that_fails_at_another_hydraulic_step_only_is_said_with_it() -> None:
    problem = Small(pumps=1).problem(hydraulic_step_s=3600)
    on = np.array([[1], [1], [0], [1], [1], [0]], bool)
    schedule = PumpSchedule(on=on, speed=on.astype(float))
    ends = [Simulator(replace(problem, hydraulic_step_s=h)).run(schedule).level_m[-1] for h in (3600, 300)]
    between = replace(problem, end_level_m=(ends[0] + ends[1]) / 2)
    first, second = (3600, 300) if ends[0] > ends[1] else (300, 3600)
    asked = replace(between, hydraulic_step_s=first, also_hydraulic_steps_s=(second,))
    for judged in (audit(asked, schedule).trajectory, Simulator(asked).run(schedule)):
        (violation,) = judged.violations
        assert violation.limit == "end level"
        assert "at hydraulic steps of" in violation.text
    assert not audit(replace(asked, also_hydraulic_steps_s=()), schedule).trajectory.violations
