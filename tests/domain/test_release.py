"""When a canary has to go, one rule at a time."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from levada.domain.release import COMPARED, Compared, Comparison, Release, ReleaseMode, worse_than_allowed

AT = datetime(2026, 6, 3, tzinfo=UTC)


def pair(candidate: Compared, stable: Compared | None = None) -> Comparison:
    return Comparison(candidate="next", by_stable=stable or plan(100.0), by_candidate=candidate, at=AT)


def plan(cost: float, violations: int = 0, ladder: str = "new") -> Compared:
    return Compared(cost=cost, ladder=ladder, violations=violations)


def test_cost_is_judged_over_several_plans_and_not_before_there_are_so_many() -> None:
    assert worse_than_allowed([pair(plan(110.0))] * (COMPARED - 1), 0.02) is None
    assert worse_than_allowed([pair(plan(110.0))] * COMPARED, 0.02) == "the candidate's last 5 plans cost +10.0%, more than the 2.0% allowed"
    assert worse_than_allowed([pair(plan(108.0)), *[pair(plan(100.0))] * 4], 0.02) is None
    assert worse_than_allowed([*[pair(plan(100.0))] * COMPARED, *[pair(plan(200.0))] * 5], 0.02) is None, "what is long ago does not count"


def test_income_is_compared_as_well() -> None:
    assert worse_than_allowed([pair(plan(-90.0), plan(-100.0))] * COMPARED, 0.02) is not None
    assert worse_than_allowed([pair(plan(-110.0), plan(-100.0))] * COMPARED, 0.02) is None


def test_plans_of_different_rungs_are_not_compared_by_cost() -> None:
    assert worse_than_allowed([pair(plan(150.0), plan(100.0, ladder="rules"))] * COMPARED, 0.02) is None


@pytest.mark.parametrize(
    ("candidate", "stable", "goes"),
    [
        (Compared(failure="died"), plan(100.0), True),
        (Compared(failure="died"), Compared(failure="no levels"), False),
        (plan(100.0), Compared(failure="no levels"), False),
        (plan(100.0, violations=2), plan(100.0, violations=1), True),
        (plan(100.0, violations=1), plan(100.0, violations=1), False),
    ],
)
def test_a_failure_or_violation_that_stable_does_not_have_counts_at_once(candidate: Compared, stable: Compared, goes: bool) -> None:
    assert (worse_than_allowed([pair(candidate, stable)], 0.02) is not None) is goes


@pytest.mark.parametrize(
    ("mode", "publishing", "comparing"), [(ReleaseMode.STABLE, "old", None), (ReleaseMode.SHADOW, "old", "next"), (ReleaseMode.CANARY, "next", "old")]
)
def test_a_mode_says_who_publishes_and_who_compares(mode: ReleaseMode, publishing: str, comparing: str | None) -> None:
    found = Release(stable="old", candidate="next", mode=mode, changed_at=AT, changed_by="ana")
    assert (found.publishing, found.comparing) == (publishing, comparing)
