from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pytest
from tests.runs import tiny

from levada.domain.plan import ForecastReport, Ladder, Plan, PlanResult, ZoneForecast
from levada.domain.plan_input import PlanInput
from levada.domain.pumping import PumpingProblem, PumpSchedule
from levada.hydraulics.inp import read_network
from levada.runs import ladder
from levada.runs.ladder import rest_of
from levada.runs.pipeline import compute
from levada.runs.problem import state_problem
from levada.runs.steps import plan_steps
from levada.schedule import Work

QUICK = Work(audit_samples=200, beam=50, candidates=1, simulations=200, quick_programmes=0, programmes=0)
LATER = tiny.NOW + timedelta(hours=2, minutes=20)


def plan_of(inputs: PlanInput) -> Plan:
    return PlanResult.model_validate_json(compute(inputs.to_bundle())).plan


@pytest.fixture(scope="module")
def previous() -> Plan:
    return plan_of(tiny.plan_input())


@pytest.fixture
def no_new_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scheduler finds nothing that keeps the limits: a real solution, said to be infeasible."""
    solve = ladder.solve

    def fruitless(problem: PumpingProblem, start: PumpSchedule | None, progress: Any) -> Any:
        return replace(solve(problem, work=QUICK), feasible=False)

    monkeypatch.setattr(ladder, "solve", fruitless)


def later(previous: Plan | None, at: datetime = LATER, off_m: float = 0.0) -> PlanInput:
    """The input at a later time; the tank stands `off_m` from where the previous plan had it."""
    if previous is None:
        return tiny.plan_input(at)
    step = max(i for i, start in enumerate(previous.step_starts) if start <= at)
    into = (at - previous.step_starts[step]).total_seconds() / previous.step_seconds[step]
    a, b = previous.tanks[0].level_m[step : step + 2]
    return tiny.plan_input(at, previous_plan=previous, level_m=a + (b - a) * into + off_m)


def stated(inputs: PlanInput) -> PumpingProblem:
    start = inputs.issue_time.replace(minute=0)
    times = [start + timedelta(hours=i) for i in range(48)]
    zone = ZoneForecast(zone="village", method="ensemble", q10_m3_per_s=[0.01] * 48, q50_m3_per_s=[0.012] * 48, q90_m3_per_s=[0.014] * 48)
    report = ForecastReport(issue_time=inputs.issue_time, step_s=3600, times=times, zones=[zone])
    return state_problem(inputs, read_network(inputs.inp, "tiny"), plan_steps(inputs.issue_time, inputs.operation), report, {}).problem


def test_the_previous_plan_that_still_holds_takes_the_place_of_a_new_one_with_its_expiry_unchanged(previous: Plan, no_new_plan: None) -> None:
    plan = plan_of(later(previous))
    assert plan.ladder is Ladder.PREVIOUS
    assert plan.audit.accepted
    assert plan.expires_at == previous.expires_at
    assert plan.certificate.lower_bound is None
    assert "simulated again from the current levels and holds" in plan.ladder_reason
    # It does at each of its own steps what the previous plan says for that time.
    for pump, before in zip(plan.pumps, previous.pumps, strict=True):
        for at, on in zip(plan.step_starts, pump.on, strict=True):
            assert on == before.on[max(i for i, start in enumerate(previous.step_starts) if start <= at)]


def test_a_previous_plan_that_no_longer_holds_is_refused_and_the_reason_says_why(previous: Plan, no_new_plan: None) -> None:
    inputs = later(previous)
    dry = tiny.plan_input(LATER, previous_plan=previous, level_m=1.02)
    assert inputs.previous_plan == dry.previous_plan
    plan = plan_of(dry)
    assert plan.ladder is Ladder.RULES
    assert "The plan before this one no longer holds" in plan.ladder_reason
    assert "tank TNK" in plan.ladder_reason


def test_an_expired_plan_is_not_followed_however_well_it_would_hold(previous: Plan, no_new_plan: None) -> None:
    plan = plan_of(later(previous, previous.expires_at + timedelta(minutes=1)))
    assert plan.ladder is Ladder.RULES
    assert "expired 2026-06-03 12:00 UTC" in plan.ladder_reason


def test_rule_based_control_is_never_carried_on_as_a_valid_plan(previous: Plan, no_new_plan: None) -> None:
    plan = plan_of(later(previous.model_copy(update={"ladder": Ladder.RULES})))
    assert plan.ladder is Ladder.RULES
    assert "rule-based control as well" in plan.ladder_reason


def test_without_an_earlier_plan_rules_are_shown_and_labelled(no_new_plan: None) -> None:
    plan = plan_of(later(None))
    assert plan.ladder is Ladder.RULES
    assert "There is no earlier plan" in plan.ladder_reason
    assert plan.expires_at == plan.starts_at + timedelta(hours=6)
    assert any(any(pump.on) for pump in plan.pumps)


def test_what_is_left_of_a_plan_is_its_schedule_on_the_new_steps_to_its_own_end(previous: Plan) -> None:
    problem = stated(later(previous))
    rest = rest_of(problem, previous)
    assert rest is not None
    rest_problem, schedule = rest
    assert rest_problem.steps.start == problem.steps.start == tiny.NOW + timedelta(hours=2, minutes=15)
    assert rest_problem.steps.durations_s == (2700, *[3600] * 21)
    np.testing.assert_array_equal(schedule.on[:, 0], previous.pumps[0].on[2:])
    np.testing.assert_array_equal(rest_problem.demand_m3_per_s, problem.demand_m3_per_s[:22])


def test_nothing_is_left_of_a_plan_of_other_pumps_or_another_day(previous: Plan) -> None:
    problem = stated(later(previous))
    other = previous.model_copy(update={"pumps": [previous.pumps[0].model_copy(update={"name": "PU9"}), *previous.pumps[1:]]})
    assert rest_of(problem, other) is None
    shift = timedelta(days=2)
    old = previous.model_copy(update={"step_starts": [at - shift for at in previous.step_starts]})
    assert rest_of(problem, old) is None


def test_a_new_plan_begins_its_search_from_the_previous_one(previous: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    solve, starts = ladder.solve, []

    def watched(problem: PumpingProblem, start: PumpSchedule | None, progress: Any) -> Any:
        starts.append(start)
        return solve(problem, work=QUICK, start=start)

    monkeypatch.setattr(ladder, "solve", watched)
    plan_of(later(previous))
    plan_of(later(None))
    first, second = starts
    assert second is None
    assert first is not None
    assert first.on[:, 0].tolist() == [previous.pumps[0].on[i % 24] for i in range(2, 27)]


def test_what_rules_would_have_done_is_no_plan_to_begin_from(previous: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    solve, starts = ladder.solve, list[PumpSchedule | None]()

    def watched(problem: PumpingProblem, start: PumpSchedule | None, progress: Any) -> Any:
        starts.append(start)
        return solve(problem, start=start, progress=progress, work=QUICK)

    monkeypatch.setattr(ladder, "solve", watched)
    plan_of(later(previous.model_copy(update={"ladder": Ladder.RULES})))
    assert starts == [None]
