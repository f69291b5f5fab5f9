"""When a plan may be followed."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.store.conftest import a_plan

from levada.domain.plan import Plan
from levada.publish.expiry import StandingState, standing

T = datetime(2026, 3, 1, 6, tzinfo=UTC)


def plan(hours: float = 0, valid_hours: float = 1.5) -> Plan:
    return a_plan("t", T + timedelta(hours=hours), valid=timedelta(hours=valid_hours))  # two steps of an hour


@pytest.mark.parametrize(
    ("at_hours", "state", "seconds"),
    [(-1, StandingState.AHEAD, 9000), (0, StandingState.VALID, 5400), (1.49, StandingState.VALID, 36), (1.5, StandingState.EXPIRED, 0), (9, StandingState.EXPIRED, 0)],
)
def test_a_plan_holds_from_its_start_to_its_expiry(at_hours: float, state: StandingState, seconds: float) -> None:
    found = standing(plan(), T + timedelta(hours=at_hours))
    assert (found.state, found.seconds_left) == (state, pytest.approx(seconds))


def test_a_plan_cannot_be_followed_beyond_its_last_step() -> None:
    assert standing(plan(valid_hours=6), T + timedelta(hours=2)).state is StandingState.EXPIRED


def test_a_newer_plan_takes_over_when_it_begins_and_an_older_one_never() -> None:
    newer = plan(hours=0.5).model_copy(update={"starts_at": T + timedelta(hours=1)})
    assert standing(plan(), T + timedelta(minutes=45), newer).state is StandingState.VALID
    assert standing(plan(), T + timedelta(hours=1), newer).state is StandingState.SUPERSEDED
    assert standing(newer, T + timedelta(hours=1), plan()).state is StandingState.VALID


@given(st.lists(st.integers(0, 10), min_size=1, max_size=5, unique=True), st.integers(0, 16))
def test_never_may_two_plans_be_followed_at_an_instant(issued: list[int], at_halves: int) -> None:
    plans = [plan(hours=h / 2) for h in issued]
    newest = max(plans, key=lambda p: p.issue_time)
    at = T + timedelta(hours=at_halves / 2)
    begun = [p for p in plans if p.starts_at <= at]
    current = max(begun, key=lambda p: p.issue_time) if begun else newest
    assert sum(standing(p, at, current).may_be_followed for p in plans) <= 1
