from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from levada.domain.errors import DocumentError
from levada.domain.time import Steps, Window, floor_to, from_np, isoformat_z, local_midnight, parse_instant, to_np, zone

instants = st.datetimes(min_value=datetime(1990, 1, 1), max_value=datetime(2090, 1, 1), timezones=st.sampled_from([UTC, ZoneInfo("Europe/Lisbon"), ZoneInfo("Asia/Kathmandu")]))


@given(instants)
def test_an_instant_survives_numpy_and_text(instant: datetime) -> None:
    # Python holds that instants in a repeated hour equal none of another zone: compare in UTC.
    assert from_np(to_np(instant)) == instant.astimezone(UTC)
    assert parse_instant(isoformat_z(instant)) == instant.astimezone(UTC)


def test_an_instant_without_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        to_np(datetime(2026, 1, 1))
    with pytest.raises(ValueError, match="no time zone"):
        parse_instant("2026-01-01T00:00:00")


@pytest.mark.parametrize(
    ("day", "hours"),
    [(date(2027, 3, 28), 23), (date(2026, 10, 25), 25), (date(2026, 7, 1), 24)],
    ids=["spring", "autumn", "summer"],
)
@pytest.mark.parametrize("name", ["Europe/Lisbon", "Europe/Madrid"])
def test_days_have_the_hours_that_the_calendar_gives_them(day: date, hours: int, name: str) -> None:
    tz = zone(name)
    begin = local_midnight(day, tz)
    days = dict(Window(begin, begin + timedelta(hours=1)).days(tz))
    assert days[day].duration == timedelta(hours=hours)


def test_an_unknown_zone_is_named_with_an_example() -> None:
    with pytest.raises(DocumentError, match=r"'Europe/Atlantis' is not an IANA time zone such as Europe/Lisbon"):
        zone("Europe/Atlantis")


@given(instants, st.sampled_from([300, 900, 1800, 3600]))
def test_floor_is_a_multiple_not_after(instant: datetime, step_s: int) -> None:
    floored = floor_to(instant, timedelta(seconds=step_s))
    assert timedelta(0) <= instant - floored < timedelta(seconds=step_s)
    assert floored.timestamp() % step_s == 0


def test_steps_may_be_uneven_and_tell_their_edges() -> None:
    steps = Steps(datetime(2026, 3, 1, 10, 45, tzinfo=UTC), (900, 3600, 3600))
    assert [from_np(e).strftime("%H:%M") for e in steps.edges] == ["10:45", "11:00", "12:00", "13:00"]
    assert steps.window.duration == timedelta(hours=2, minutes=15)
    assert np.allclose(steps.hours, [0.25, 1, 1])
