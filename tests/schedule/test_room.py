"""with_room: what the judge found amiss is asked for with room to the limit, and nothing else."""

import dataclasses
import sys
from typing import Any

import numpy as np
import pytest
from tests.schedule.small_networks import Small

from levada.domain.pumping import PumpingProblem, Violation
from levada.hydraulics.audit import audit
from levada.schedule import Work, solve
from levada.schedule.room import AMPLE, SCANT, with_room

QUICK = Work(fit_samples=12, audit_samples=300, beam=60, candidates=4, simulations=4000, quick_programmes=2, programmes=2)
PROBLEM = Small().problem(n=6)
HOUR = 3600
AT_LIMITS = np.stack([PROBLEM.min_level_m, *[PROBLEM.max_level_m] * 5, PROBLEM.end_level_m])


def amiss(limit: str, element: str, kind: str, amount: float, unit: str = "m", at_h: int | None = 2, until_h: int | None = 3) -> Violation:
    at_s, until_s = (None if at_h is None else at_h * HOUR), (None if until_h is None else until_h * HOUR)
    return Violation(limit=limit, element=element, at_s=at_s, amount=amount, unit=unit, text="", kind=kind, until_s=until_s)


def test_a_level_below_its_minimum_is_kept_away_from_it_in_the_hours_about_it() -> None:
    level_m = np.full((7, 1), float(PROBLEM.min_level_m[0]))
    asked = with_room(PROBLEM, [amiss("level", "T", "below", 0.1)], level_m, AMPLE)
    assert asked is not None
    assert asked.reserve_level_m is not None
    least = float(PROBLEM.min_level_m[0])
    np.testing.assert_allclose(asked.reserve_level_m[:, 0] - least, [0, 0.22, 0.22, 0.22, 0.22, 0], atol=1e-12)
    assert asked.ceiling_level_m is None
    # Where our simulation has it higher than the judge's, it is asked to be higher than there.
    higher = with_room(PROBLEM, [amiss("level", "T", "below", 0.1)], level_m + 0.3, AMPLE)
    assert higher is not None
    assert higher.reserve_level_m is not None
    np.testing.assert_allclose(higher.reserve_level_m[:, 0] - least, [0, 0.52, 0.52, 0.52, 0.52, 0], atol=1e-12)


def test_a_tank_that_is_full_and_fills_is_kept_below_its_maximum_but_not_below_where_it_begins() -> None:
    full = dataclasses.replace(PROBLEM, initial_level_m=PROBLEM.max_level_m.copy())
    asked = with_room(full, [amiss("saturation", "T", "above", 0.003, "m3/s", at_h=0, until_h=0)], AT_LIMITS, AMPLE)
    assert asked is not None
    assert asked.ceiling_level_m is not None
    most = float(PROBLEM.max_level_m[0])
    np.testing.assert_allclose(asked.ceiling_level_m[:, 0], [most, most - 0.02, *[most] * 4])


@pytest.mark.parametrize(
    ("violation", "field", "expected"),
    [
        (amiss("end level", "T", "below", 0.05, at_h=6, until_h=None), "end_level_m", lambda p: p.end_level_m + 0.12),
        (amiss("supply", "J1", "pressure", 0.01), "pressure_floors_m", lambda p: p.pressure_floors_m | {"J1": 0.04}),
    ],
    ids=["end level", "negative pressure"],
)
def test_other_limits_get_room_too(violation: Violation, field: str, expected: Any) -> None:
    asked = with_room(PROBLEM, [violation], AT_LIMITS, AMPLE)
    assert asked is not None
    assert getattr(asked, field) == pytest.approx(expected(PROBLEM))


def test_scant_room_is_what_was_missing_and_millimetres_more() -> None:
    short = amiss("end level", "T", "below", 0.05, at_h=6, until_h=None)
    scant, ample = (with_room(PROBLEM, [short], AT_LIMITS, room) for room in (SCANT, AMPLE))
    assert scant is not None
    assert ample is not None
    np.testing.assert_allclose(scant.end_level_m - PROBLEM.end_level_m, 0.052)
    np.testing.assert_allclose(ample.end_level_m - PROBLEM.end_level_m, 0.12)


def test_what_is_no_matter_of_room_is_not_tried() -> None:
    assert with_room(PROBLEM, [amiss("starts", "P1", "", 1.0, "1", at_h=None)], AT_LIMITS, AMPLE) is None
    assert with_room(PROBLEM, [amiss("supply", "EPANET", "system unbalanced", 0.0)], AT_LIMITS, AMPLE) is None
    # An end above the maximum contradicts itself.
    assert with_room(PROBLEM, [amiss("end level", "T", "below", 50.0, at_h=6)], AT_LIMITS, AMPLE) is None


def stricter(by_m: float) -> Any:
    """A judge who sees the tank so much lower than the search does."""
    return lambda problem, schedule: audit(dataclasses.replace(problem, min_level_m=problem.min_level_m + by_m), schedule)


def lowest_m(problem: PumpingProblem, solution: Any) -> float:
    return float((solution.trajectory.level_m[:, 0] - problem.min_level_m[0]).min())


def test_a_schedule_that_the_judge_refuses_is_planned_anew_with_room(monkeypatch: pytest.MonkeyPatch) -> None:
    free = solve(PROBLEM, work=QUICK)
    assert free.feasible
    by_m = lowest_m(PROBLEM, free) + 0.1
    monkeypatch.setattr(sys.modules["levada.schedule.solve"], "audit", stricter(by_m))
    held = solve(PROBLEM, work=QUICK)
    assert held.feasible
    assert lowest_m(PROBLEM, held) > lowest_m(PROBLEM, free)
    assert stricter(by_m)(PROBLEM, held.schedule).accepted
    assert held.certificate.cost >= free.certificate.cost
    # The bound is of the problem as it was asked.
    assert held.certificate.lower_bound is not None
    assert held.certificate.lower_bound <= free.certificate.cost


def test_what_stood_beside_the_refused_schedule_is_taken_where_room_brings_nothing_cheaper(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = Small(upper=True, identical=False).problem(n=6)
    work = dataclasses.replace(QUICK, exact_solves=0)
    free = solve(problem, work=work)
    assert free.feasible
    refused = audit(dataclasses.replace(problem, end_level_m=problem.end_level_m + 0.6), free.schedule)
    assert not refused.accepted
    asked = with_room(problem, refused.trajectory.violations, free.trajectory.level_m, SCANT)
    assert asked is not None
    monkeypatch.setattr(sys.modules["levada.schedule.solve"], "audit", lambda of, s: refused if np.array_equal(s.on, free.schedule.on) else audit(of, s))
    held = solve(problem, work=work)
    assert held.feasible
    assert not np.array_equal(held.schedule.on, free.schedule.on)
    assert free.certificate.cost <= held.certificate.cost < solve(asked, work=work).certificate.cost


def test_where_room_does_not_help_the_judges_words_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    never = stricter(float(PROBLEM.max_level_m[0] - PROBLEM.min_level_m[0]) * 0.9)
    monkeypatch.setattr(sys.modules["levada.schedule.solve"], "audit", never)
    told = solve(PROBLEM, work=QUICK)
    assert not told.feasible
    assert {v.limit for v in told.relaxations} <= {"level", "saturation", "reserve", "end level"}
    assert told.relaxations


def test_instants_that_the_judge_refuses_are_shifted_and_not_given_up_for_a_schedule_on_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = Small(upper=True, identical=False).problem(n=6, max_starts=np.full(3, 2), switch_resolution_s=60, hydraulic_step_s=600)
    work = dataclasses.replace(QUICK, switch_solves=80_000)
    free, stepwise = solve(problem, work=work), solve(dataclasses.replace(problem, switch_resolution_s=None), work=work)
    assert free.feasible
    assert free.certificate.cost < stepwise.certificate.cost
    short_m = float(np.diff(free.trajectory.level_m, axis=0).max()) * 0.02

    def asks_more(asked: PumpingProblem, schedule: Any) -> Any:
        return audit(dataclasses.replace(asked, end_level_m=asked.end_level_m + short_m), schedule)

    assert not asks_more(free.problem, free.schedule).accepted
    monkeypatch.setattr(sys.modules["levada.schedule.solve"], "audit", asks_more)
    held = solve(problem, work=work)
    assert held.feasible
    assert (held.schedule.starts(problem.count_starts, problem.initial_on) <= problem.max_starts).all()
    assert asks_more(held.problem, held.schedule).accepted
    # Centimetres at the end cost little, and less than what free instants save.
    assert free.certificate.cost <= held.certificate.cost < (free.certificate.cost + stepwise.certificate.cost) / 2
