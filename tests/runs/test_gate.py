"""What the gate refuses, one rule at a time."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from levada.runs.backtest import DayResult, Decision, TriedDay
from levada.runs.day_kind import DayKind
from levada.runs.gate import GateLimits, judge
from levada.runs.outcome import OutcomeViolation

DECISION = Decision(issue_time=datetime(2026, 5, 4, 4, tzinfo=UTC), ladder="new", failure=None, wall_s=10.0, cpu_s=10.0, peak_memory_bytes=300_000_000)
GOOD = DayResult(decisions=(DECISION,), cost=100.0, demand_m3=1000.0)
KINDS = [DayKind.WEEKDAY] * 5 + [DayKind.SATURDAY, DayKind.SUNDAY]


def broken(amount: float, element: str = "T1") -> OutcomeViolation:
    return OutcomeViolation(limit="level", element=element, amount=amount, unit="m", text=f"tank {element} {amount} m below its limit")


def week(new: DayResult, kind: DayKind | None = None, old: DayResult = GOOD) -> list[TriedDay]:
    """A week in which the candidate's days of a kind (all where none is named) are `new`, and the other version's `old`."""
    return [
        TriedDay(day=date(2026, 5, 4) + timedelta(days=i), kind=k, results=(old, new if kind in (None, k) else GOOD)) for i, k in enumerate(KINDS)
    ]


def refusals(days: list[TriedDay], limits: GateLimits | None = None) -> list[str]:
    return list(judge("serra", days, limits or GateLimits(), "EUR").refusals)


def test_a_candidate_that_is_no_worse_passes_and_what_it_saves_is_told() -> None:
    verdict = judge("serra", week(replace(GOOD, cost=99.0)), GateLimits(), "EUR")
    assert verdict.refusals == ()
    assert "all days (7): 700.00 -> 693.00 EUR (-1.00%)" in verdict.told


def test_money_counts_over_all_days_and_by_kind_of_day() -> None:
    assert refusals(week(replace(GOOD, cost=100.4))) == []
    assert "all days" in refusals(week(replace(GOOD, cost=101.0)))[0]
    (only,) = refusals(week(replace(GOOD, cost=103.0), DayKind.SUNDAY))
    assert only.startswith("Sundays (1): 100.00 -> 103.00 EUR (+3.00%): dearer by more than 2.0%")


def test_emptying_the_tanks_is_no_saving() -> None:
    # A cubic metre has cost 0.1: 50 m3 less in the tanks are 5 more.
    assert "+5.00%" in refusals(week(replace(GOOD, stored_m3=-50.0)))[0]
    assert refusals(week(replace(GOOD, cost=105.0, stored_m3=50.0))) == []


def test_negative_costs_are_compared_by_their_size() -> None:
    paid = replace(GOOD, cost=-100.0)
    assert refusals(week(replace(paid, cost=-101.0), old=paid)[:5]) == []
    assert "all days" in refusals(week(replace(paid, cost=-98.0), old=paid)[:5])[0]


@pytest.mark.parametrize(
    ("old", "new", "is_refused"),
    [((), (broken(0.1),), True), ((broken(0.1),), (broken(0.105),), False), ((broken(0.1),), (broken(0.2),), True), ((broken(0.1),), (broken(0.1, "T2"),), True), ((broken(0.1),), (), False)],
    ids=["new", "about the same", "greater", "another tank", "mended"],
)  # fmt: skip
def test_a_violation_counts_where_it_is_new_or_greater(old: tuple[OutcomeViolation, ...], new: tuple[OutcomeViolation, ...], is_refused: bool) -> None:
    found = refusals(week(replace(GOOD, violations=new), DayKind.SUNDAY, replace(GOOD, violations=old)))
    assert bool(found) is is_refused
    assert all("Sun 2026-05-10 (Sunday)" in text for text in found)


def test_a_failure_that_the_other_version_does_not_have_is_refused_with_its_reason() -> None:
    failed = replace(GOOD, decisions=(replace(DECISION, ladder=None, failure="computing died"),))
    assert "1 failures instead of 0: 04:00 UTC: computing died" in refusals(week(failed, DayKind.SATURDAY))[0]
    assert refusals(week(failed, old=failed)) == []
    assert "1 failures instead of 0" in refusals(week(DayResult(failure="no data")))[0]


def test_time_and_memory_have_limits() -> None:
    slow = replace(GOOD, decisions=(replace(DECISION, cpu_s=13.0),))
    large = replace(GOOD, decisions=(replace(DECISION, peak_memory_bytes=400_000_000),))
    assert "13.0 s of processor time instead of 10.0" in refusals(week(slow))[0]
    assert "400.0 MB of memory instead of 300.0" in refusals(week(large))[0]
    assert refusals(week(slow), GateLimits(time=0.5)) == []


def test_without_a_day_to_try_it_on_nothing_passes() -> None:
    assert "no day to try" in refusals([])[0]
