from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.runs import tiny

from levada.domain.errors import DocumentError
from levada.domain.settings import Operation
from levada.domain.time import floor_to
from levada.runs.steps import forecast_count, plan_steps


def operation(**changes: object) -> Operation:
    made = tiny.document("operation", **changes)
    assert isinstance(made, Operation)
    return made


def test_a_plan_made_on_the_hour_has_even_steps() -> None:
    steps = plan_steps(datetime(2026, 6, 3, 6, 3, tzinfo=UTC), operation())
    assert steps.start == datetime(2026, 6, 3, 6, tzinfo=UTC)
    assert steps.durations_s == (3600,) * 24


def test_a_plan_made_between_starts_with_the_rest_of_the_step_and_keeps_its_horizon() -> None:
    steps = plan_steps(datetime(2026, 6, 3, 6, 33, tzinfo=UTC), operation())
    assert steps.start == datetime(2026, 6, 3, 6, 30, tzinfo=UTC)
    assert steps.durations_s == (1800, *[3600] * 23, 1800)


def test_a_hydraulic_step_that_divides_no_step_is_refused_with_its_path() -> None:
    with pytest.raises(DocumentError, match="operation, hydraulic_step_s: 700 s does not divide"):
        plan_steps(tiny.NOW, operation(hydraulic_step_s=700))


@given(
    st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1)), st.sampled_from([15, 30, 60]), st.sampled_from([60, 300, 600, 900, 1800, 3600]), st.integers(6, 72)
)
def test_steps_are_on_the_clock_and_hydraulic_steps_and_the_forecast_covers_them(at: datetime, minutes: int, hydraulic_s: int, hours: int) -> None:
    made, issue_time = operation(step_minutes=minutes, hydraulic_step_s=hydraulic_s, horizon_hours=hours, forecast_hours=max(24, hours)), at.replace(tzinfo=UTC)
    if minutes * 60 % hydraulic_s:
        return
    steps = plan_steps(issue_time, made)
    step = timedelta(minutes=minutes)
    assert steps.window.duration == timedelta(hours=hours)
    assert steps.start <= issue_time < steps.start + step
    assert all(d % hydraulic_s == 0 and d <= minutes * 60 for d in steps.durations_s)
    inner = [steps.start + timedelta(seconds=int(s)) for s in steps.offsets_s[1:-1]]
    assert all(floor_to(edge, step) == edge for edge in inner)
    assert floor_to(issue_time, step) + forecast_count(made) * step >= steps.window.end
