"""solve: against brute force, the audit, published optima, itself."""

import dataclasses
import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.schedule.feature_cases import with_valve
from tests.schedule.small_networks import Small, best_by_trying_all

from levada.domain.errors import ProblemError
from levada.domain.pumping import Audit, PumpingProblem, PumpSchedule, Violation
from levada.hydraulics.audit import audit
from levada.schedule import Solution, Work, solve

QUICK = Work(fit_samples=12, audit_samples=600, beam=120, candidates=6, simulations=8000, quick_programmes=4, programmes=4)


def _bytes(solution: Solution) -> bytes:
    return solution.schedule.on.tobytes() + solution.schedule.speed.tobytes() + solution.certificate.model_dump_json().encode() + repr(solution.reasons).encode()


@pytest.mark.parametrize(
    ("small", "changes"),
    [
        (Small(), {}),
        (Small(identical=False), {}),
        (Small(pumps=1, demand_l_per_s=9), {"n": 8}),
        (Small(), {"prices": [0.1, -0.05, -0.1, 0.2, 0.3, 0.1]}),
        (Small(pumps=1, upper=True, demand_l_per_s=12), {}),
    ],
    ids=["two alike", "two unlike", "one pump", "negative prices", "two stations"],
)
def test_the_schedule_is_near_the_best_of_all_and_the_bound_below_it(small: Small, changes: dict[str, object]) -> None:
    problem = small.problem(**changes)  # type: ignore[arg-type]
    best = best_by_trying_all(problem)
    assert best is not None, "the case has no feasible schedule, so it tests nothing"
    solution = solve(problem)
    assert solution.feasible
    assert solution.certificate.lower_bound is not None
    assert solution.certificate.lower_bound <= best[0] + 1e-9
    assert best[0] - 1e-6 <= solution.certificate.cost <= best[0] + 0.01 * abs(best[0])
    assert audit(problem, solution.schedule).accepted


@st.composite
def cases(draw: st.DrawFn) -> tuple[Small, dict[str, object]]:
    small = Small(
        pumps=draw(st.integers(1, 2)), identical=draw(st.booleans()), diameter_m=draw(st.floats(9, 20)),
        demand_l_per_s=draw(st.floats(6, 24)), lift_m=draw(st.floats(30, 44)),
    )  # fmt: skip
    prices = draw(st.lists(st.floats(-0.2, 0.5).map(lambda v: round(v, 3)), min_size=5, max_size=5))
    return small, {"n": 5, "prices": prices}


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(cases())
def test_no_schedule_of_a_random_network_undercuts_the_bound_and_the_audit_accepts_what_is_called_feasible(case: tuple[Small, dict[str, object]]) -> None:
    small, changes = case
    problem = small.problem(**changes)  # type: ignore[arg-type]
    best = best_by_trying_all(problem)
    solution = solve(problem, work=QUICK)
    verdict = audit(problem, solution.schedule)
    assert solution.feasible == verdict.accepted
    if best is not None:
        assert solution.feasible
        if solution.certificate.lower_bound is not None:
            assert solution.certificate.lower_bound <= best[0] + 1e-6 * (1 + abs(best[0]))
        assert solution.certificate.cost <= best[0] + 0.03 * max(abs(best[0]), 0.5)
    if solution.feasible:
        assert verdict.trajectory.cost == pytest.approx(solution.certificate.cost, rel=1e-3, abs=1e-3)


def test_variable_speed_is_used_and_the_bound_holds_for_unequal_speeds() -> None:
    problem = Small(demand_l_per_s=22).problem(n=8, min_speed=np.full(2, 0.85))
    solution = solve(problem)
    assert solution.feasible
    assert audit(problem, solution.schedule).accepted
    assert solution.certificate.lower_bound is not None
    assert solution.certificate.lower_bound <= solution.certificate.cost
    fixed = solve(Small(demand_l_per_s=22).problem(n=8))
    assert solution.certificate.cost <= fixed.certificate.cost + 1e-6
    rng = np.random.default_rng(5)
    feasible = 0
    for _ in range(400):
        on = solution.schedule.on ^ (rng.random(solution.schedule.on.shape) < 0.1)
        speed = np.where(on, np.clip(np.where(solution.schedule.speed > 0, solution.schedule.speed, 0.95) + rng.normal(0, 0.03, on.shape), 0.85, 1.0), 0.0)
        verdict = audit(problem, type(solution.schedule)(on=on, speed=speed))
        if verdict.accepted:
            feasible += 1
            assert verdict.trajectory.cost >= solution.certificate.lower_bound
    assert feasible > 5


def test_start_limits_hold_and_cost_something() -> None:
    free = solve(Small(demand_l_per_s=14).problem(n=12, max_starts=np.full(2, 6)))
    tight = Small(demand_l_per_s=14).problem(n=12, max_starts=np.full(2, 1))
    solution = solve(tight)
    assert solution.feasible
    assert (solution.schedule.starts("window", tight.initial_on) <= 1).all()
    assert solution.certificate.cost >= free.certificate.cost - 1e-9


def test_a_pump_that_is_not_available_does_not_run() -> None:
    available = np.ones((6, 2), bool)
    available[2:4, 0] = False
    problem = Small().problem(available=available)
    solution = solve(problem)
    assert solution.feasible
    assert not solution.schedule.on[2:4, 0].any()


def test_power_stays_below_the_cap() -> None:
    problem = Small(demand_l_per_s=12).problem(max_power_kw=25.0)
    solution = solve(problem)
    assert solution.feasible
    assert solution.trajectory.power_w.sum(axis=1).max() <= 25_000
    assert audit(problem, solution.schedule).accepted


def test_uneven_steps_and_pressure_floors_are_planned_for() -> None:
    base = Small(demand_l_per_s=14).problem(n=8)
    steps = dataclasses.replace(base.steps, durations_s=(1800, 1800, 1800, 1800, 3600, 3600, 3600, 7200))
    problem = dataclasses.replace(base, steps=steps, pressure_floors_m={"J1": 36.5})
    solution = solve(problem)
    assert solution.feasible
    assert audit(problem, solution.schedule).accepted


def test_a_tank_that_may_stand_full_is_accepted_full_by_the_audit() -> None:
    problem = Small(demand_l_per_s=10).problem(prices=[-0.1] * 6, may_stand_full=np.ones(1, bool))
    solution = solve(problem)
    assert solution.feasible
    assert audit(problem, solution.schedule).accepted
    assert solution.certificate.lower_bound is None or solution.certificate.lower_bound <= solution.certificate.cost


def test_an_infeasible_problem_gets_an_answer_that_names_what_does_not_hold() -> None:
    available = np.zeros((6, 2), bool)
    solution = solve(Small().problem(available=available), work=QUICK)
    assert not solution.feasible
    assert not solution.schedule.on.any()
    named = {(v.limit, v.element) for v in solution.relaxations}
    assert ("end level", "T") in named
    assert any("T" in v.text and v.amount > 0 for v in solution.relaxations)
    assert solution.certificate.kind == "none"


def test_a_contradiction_is_refused() -> None:
    with pytest.raises(ProblemError, match="min_speed"):
        solve(Small().problem(min_speed=np.zeros(2)))


def test_each_switch_has_a_reason_whose_figures_are_in_the_problem() -> None:
    problem = Small().problem()
    solution = solve(problem)
    before = np.vstack([problem.initial_on, solution.schedule.on[:-1]])
    switched = {(int(k), problem.network.pumps[int(j)].name) for k, j in zip(*np.nonzero(solution.schedule.on != before), strict=True)}
    assert {(r.step, r.pump) for r in solution.reasons if r.action != "speed"} == switched
    for r in solution.reasons:
        assert r.figures["price"] == problem.price_per_kwh[r.step, 0]
        assert r.text.startswith(r.pump)


def test_the_same_problem_gives_the_same_bytes_here_and_in_a_fresh_process() -> None:
    problem = Small(identical=False).problem()
    first, again = _bytes(solve(problem, work=QUICK)), _bytes(solve(problem, work=QUICK))
    assert first == again
    code = "from tests.schedule.test_solve import QUICK, Small, _bytes, solve; import hashlib; print(hashlib.sha256(_bytes(solve(Small(identical=False).problem(), work=QUICK))).hexdigest())"
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert done.stdout.split()[-1] == hashlib.sha256(first).hexdigest()


def _solves(solution: Solution) -> int:
    return solution.certificate.work["hydraulic_solves"]


def test_planning_anew_from_the_plan_before_takes_a_fraction_of_the_work_and_is_as_good() -> None:
    problem = Small(pumps=1, upper=True, demand_l_per_s=12).problem(n=12)
    first = solve(problem)
    later = dataclasses.replace(problem, demand_m3_per_s=1.03 * problem.demand_m3_per_s, initial_level_m=problem.initial_level_m + 0.05)
    anew, cold = solve(later, start=first.schedule), solve(later)
    assert anew.feasible
    assert audit(later, anew.schedule).accepted
    assert anew.certificate.cost <= 1.01 * cold.certificate.cost
    assert anew.certificate.lower_bound is not None
    assert anew.certificate.lower_bound <= min(anew.certificate.cost, cold.certificate.cost)
    assert _solves(anew) < 0.4 * _solves(cold)


def test_an_earlier_plan_that_leads_nowhere_costs_no_feasible_schedule() -> None:
    problem = Small(pumps=1, upper=True, demand_l_per_s=12).problem(n=12)
    first = solve(problem, work=QUICK)
    off = dataclasses.replace(first.schedule, on=np.zeros_like(first.schedule.on), speed=np.zeros_like(first.schedule.speed))
    anew = solve(problem, work=QUICK, start=off)
    assert anew.feasible
    assert audit(problem, anew.schedule).accepted


def test_planning_anew_begins_with_the_valves_as_the_plan_before_sets_them() -> None:
    small = Small(pumps=2)
    problem = with_valve(small.problem(n=8), small)
    first = solve(problem, work=QUICK)
    assert first.feasible
    assert first.schedule.valve_choice.any(), "the valve is never moved, so the case tests nothing"
    anew = solve(problem, work=dataclasses.replace(QUICK, quick_programmes=0, programmes=0), start=first.schedule)
    assert anew.feasible
    assert anew.certificate.cost <= first.certificate.cost + 1e-6 * abs(first.certificate.cost)


def test_without_a_beam_the_search_begins_with_what_else_there_is() -> None:
    problem = Small(pumps=1, upper=True, demand_l_per_s=12).problem(n=8)
    found = solve(problem, work=dataclasses.replace(QUICK, beam=0))
    assert found.feasible
    assert audit(problem, found.schedule).accepted


def test_where_the_audit_refuses_the_best_the_cheapest_other_that_it_accepts_is_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = Small(upper=True, demand_l_per_s=14).problem(n=8)
    best = solve(problem)
    solving, judge = sys.modules["levada.schedule.solve"], audit

    def refusing(asked: PumpingProblem, schedule: PumpSchedule) -> Audit:
        found = judge(asked, schedule)
        if not np.array_equal(schedule.on, best.schedule.on):
            return found
        fault = Violation(limit="supply", element="EPANET", at_s=0, amount=0.0, unit="", text="EPANET warns: Maximum trials exceeded", kind="Maximum trials exceeded")
        return dataclasses.replace(found, trajectory=dataclasses.replace(found.trajectory, violations=(fault,)))

    monkeypatch.setattr(solving, "audit", refusing)
    other = solve(problem)
    assert other.feasible
    assert not np.array_equal(other.schedule.on, best.schedule.on)
    assert best.certificate.cost < other.certificate.cost < 1.5 * best.certificate.cost
    assert judge(problem, other.schedule).accepted


def test_valves_with_more_settings_than_patches_are_written_out_for_leave_the_bound_by_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    small = Small(demand_l_per_s=38)
    problem = with_valve(small.problem(n=5, prices=[0.1, 0.3, 0.1, 0.25, 0.2], max_starts=np.full(2, 3)), small)
    proved = solve(problem)
    # Three ways to run two like pumps, six with the valve.
    monkeypatch.setattr(sys.modules["levada.schedule.problem"], "MOST_CONFIGURATIONS", 3)
    monkeypatch.setattr(sys.modules["levada.schedule.problem"], "MOST_CODES", 3)
    monkeypatch.setattr(sys.modules["levada.schedule.exact"], "_MOST_JOINT", 0)
    found = solve(problem)
    assert found.certificate.cost <= 1.02 * proved.certificate.cost
    assert found.certificate.lower_bound is not None
    assert found.certificate.lower_bound <= proved.certificate.cost
    assert "column generation" in found.certificate.method
    without = solve(problem, work=Work(hull_solves=0)).certificate
    assert without.lower_bound is None
    assert "more configurations of pumps and valves" in without.method
    assert audit(problem, found.schedule).accepted
