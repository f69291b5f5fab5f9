from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.forecast.made_up import ROME, ahead

from levada.domain.time import from_np, local_midnight
from levada.forecast.wall_clock import wall_clock

ZONES = [ROME, "Europe/Lisbon", "America/Los_Angeles", "Australia/Lord_Howe", "Asia/Kathmandu"]


@given(st.datetimes(datetime(2020, 1, 1), datetime(2027, 1, 1)), st.sampled_from(ZONES), st.sampled_from([900, 3600]))
def test_days_and_hours_are_those_of_the_standard_library(start: datetime, name: str, step_s: int) -> None:
    times = ahead(start.replace(tzinfo=UTC, microsecond=0), 60, step_s)
    found = wall_clock(times, name, {})
    for i, instant in enumerate(times):
        local = from_np(instant).astimezone(ZoneInfo(name))
        assert found.first_day + timedelta(days=int(found.day[i])) == local.date()
        assert (found.slot[i], found.minute[i]) == (local.hour, local.minute)
        assert found.weekday[found.day[i]] == local.weekday()


@pytest.mark.parametrize(("day", "hours", "twice", "never"), [(date(2021, 10, 31), 25, 2, None), (date(2022, 3, 27), 23, None, 2)])
def test_days_on_which_the_clock_changes_have_25_and_23_hours(day: date, hours: int, twice: int | None, never: int | None) -> None:
    start = local_midnight(day, ZoneInfo(ROME))
    found = wall_clock(ahead(start, 30), ROME, {})
    slots = found.slot[found.day == 0]
    assert len(slots) == hours
    counts = np.bincount(slots, minlength=24)
    assert [s for s in range(24) if counts[s] == 2] == ([twice] if twice is not None else [])
    assert [s for s in range(24) if counts[s] == 0] == ([never] if never is not None else [])


def test_holidays_count_as_sundays_and_mark_their_neighbours() -> None:
    # 2 June 2026 is a Tuesday: the Monday before it is a bridge
    found = wall_clock(ahead(local_midnight(date(2026, 5, 30), ZoneInfo(ROME)), 24 * 6), ROME, {date(2026, 6, 2): "Festa della Repubblica"})
    assert found.kind.tolist() == [5, 6, 0, 6, 2, 3]
    assert found.holiday.tolist() == [False, False, False, True, False, False]
    assert found.before_free.tolist() == [False, False, True, False, False, False]
    assert found.after_free.tolist() == [False, False, False, False, True, False]
    assert found.bridge.tolist() == [False, False, True, False, False, False]
