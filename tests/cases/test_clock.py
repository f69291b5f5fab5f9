"""Local hours come out right, on days of 23 and 25 hours too; what holds for part of a step counts for that part."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.cases.case_folder import HEAD, load_case

from levada.cases.terms import Period, Span
from levada.domain.time import Steps
from levada.domain.timeline import Timeline, instant_of

LISBON = ZoneInfo("Europe/Lisbon")
TARIFF = 'tariff = { periods = [{ value = 0.1, from = "01:00", to = "03:00" }], otherwise = 0.2 }'


def head(start: str, horizon: str = "6h", zone: str = "Europe/Lisbon", tariff: str = TARIFF) -> str:
    return HEAD.replace("2026-03-02T00:00:00", start).replace('"4h"', f'"{horizon}"').replace("Europe/Lisbon", zone).replace("tariff = 0.15", tariff)


def test_a_price_by_local_hours_on_an_ordinary_day(tmp_path: Path) -> None:
    prices = load_case(tmp_path, head=head("2026-03-02T00:00:00")).problem.price_per_kwh[:, 0]
    assert prices.tolist() == [0.2, 0.1, 0.1, 0.2, 0.2, 0.2]


def test_in_spring_the_skipped_hour_has_no_price(tmp_path: Path) -> None:
    """Lisbon, 29 March 2026: the clock goes from 01:00 to 02:00."""
    p = load_case(tmp_path, head=head("2026-03-29T00:00:00")).problem
    assert p.price_per_kwh[:, 0].tolist() == [0.2, 0.1, 0.2, 0.2, 0.2, 0.2]


def test_in_autumn_the_repeated_hour_has_its_price_twice(tmp_path: Path) -> None:
    """Lisbon, 25 October 2026: the clock goes from 02:00 back to 01:00."""
    p = load_case(tmp_path, head=head("2026-10-25T00:00:00")).problem
    assert p.price_per_kwh[:, 0].tolist() == [0.2, 0.1, 0.1, 0.1, 0.2, 0.2]


def test_days_of_23_and_25_hours_are_days(tmp_path: Path) -> None:
    for start, hours in (("2026-03-29T00:00:00", 23), ("2026-10-25T00:00:00", 25)):
        day = load_case(tmp_path, head=head(start, "48h")).problem.day
        assert day is not None
        assert day.tolist() == [0] * hours + [1] * min(24, 48 - hours) + [2] * max(0, 48 - hours - 24)


def test_demand_patterns_follow_the_clock_over_its_change(tmp_path: Path) -> None:
    """The pattern has four hours: 0.5, 1, 1.5, 1. In autumn the hour from 01:00 comes twice; in spring it is left out."""
    autumn = load_case(tmp_path, head=head("2026-10-25T00:00:00")).problem.demand_m3_per_s[:, 1] / 0.012
    assert np.allclose(autumn, [0.5, 1, 1, 1.5, 1, 0.5])
    spring = load_case(tmp_path, head=head("2026-03-29T00:00:00")).problem.demand_m3_per_s[:, 1] / 0.012
    assert np.allclose(spring, [0.5, 1.5, 1, 0.5, 1, 1.5])
    long_steps = load_case(tmp_path, 'step = "2h"\n', head=head("2026-10-25T00:00:00")).problem.demand_m3_per_s[:, 1] / 0.012
    assert np.allclose(long_steps, [0.75, 1.25, 0.75])
    by_time = load_case(tmp_path, '[demand]\npatterns_begin = "start"\n', head=head("2026-10-25T00:00:00")).problem.demand_m3_per_s[:, 1] / 0.012
    assert np.allclose(by_time, [0.5, 1, 1.5, 1, 0.5, 1])


def test_local_rows_of_a_file_tell_the_repeated_hour_by_their_order(tmp_path: Path) -> None:
    rows = "time,p\n" + "".join(f"2026-10-25T{hour:02d}:00,{value}\n" for hour, value in ((0, 1), (1, 2), (1, 3), (2, 4), (3, 5), (4, 6)))
    p = load_case(tmp_path, head=head("2026-10-25T00:00:00", tariff='tariff = { file = "prices.csv" }'), prices_csv=rows).problem
    assert p.price_per_kwh[:, 0].tolist() == [1, 2, 3, 4, 5, 6]


def test_an_outage_may_be_told_by_the_second_of_two_like_times(tmp_path: Path) -> None:
    more = "[pumps.P]\noutages = [{ from = 2026-10-25T01:30:00, to = 2026-10-25T01:15:00 }]\n"
    p = load_case(tmp_path, more, head=head("2026-10-25T00:00:00")).problem
    assert p.available[:, 0].tolist() == [True, False, False, True, True, True]


def test_half_hour_zones_and_offsets_without_a_zone(tmp_path: Path) -> None:
    kolkata = load_case(tmp_path, head=head("2026-03-02T00:30:00", zone="Asia/Kolkata")).problem
    assert kolkata.steps.start == datetime(2026, 3, 1, 19, 0, tzinfo=UTC)
    assert np.allclose(kolkata.price_per_kwh[:, 0], [0.15, 0.1, 0.15, 0.2, 0.2, 0.2])
    offset = load_case(tmp_path, head=head("2026-03-02T00:00:00-03:00").replace('time_zone = "Europe/Lisbon"\n', "")).problem
    assert offset.steps.start == datetime(2026, 3, 2, 3, 0, tzinfo=UTC)
    assert offset.price_per_kwh[:, 0].tolist() == [0.2, 0.1, 0.1, 0.2, 0.2, 0.2]


def test_weekdays_months_and_the_first_period_that_holds(tmp_path: Path) -> None:
    tariff = (
        'tariff = { periods = [{ value = 1, days = ["mon"], to = "00:30" }, { value = 2, days = ["sun"] }, { value = 3, months = [3], from = "22:00", to = "02:00" }], otherwise = 9 }'
    )
    prices = load_case(tmp_path, head=head("2026-03-01T22:00:00", tariff=tariff)).problem.price_per_kwh[:, 0]
    assert np.allclose(prices, [2, 2, 2, 3, 9, 9])  # Monday's first half hour 1, its second 3


@settings(max_examples=60, deadline=None)
@given(
    start=st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1)),
    begin=st.integers(0, 1439), length=st.integers(1, 1439), zone=st.sampled_from(["Europe/Lisbon", "America/Santiago", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC"]),
)  # fmt: skip
def test_a_period_holds_exactly_when_the_clock_shows_it(start: datetime, begin: int, length: int, zone: str) -> None:
    clock = ZoneInfo(zone)
    first = start.replace(second=0, microsecond=0, tzinfo=UTC)
    timeline = Timeline(Steps.even(first, timedelta(hours=1), 30), clock)
    end = (begin + length) % 1440
    period = Period.model_validate({"value": 1.0, "from": f"{begin // 60:02d}:{begin % 60:02d}", "to": f"{end // 60:02d}:{end % 60:02d}"})
    holds = timeline.in_period(period)
    for minute in range(0, 1800, 7):
        local = (first + timedelta(minutes=minute)).astimezone(clock)
        shown = local.hour * 60 + local.minute
        assert holds[minute] == ((shown - begin) % 1440 < length)


def test_a_span_touches_the_minutes_it_reaches_into() -> None:
    timeline = Timeline(Steps.even(datetime(2026, 3, 2, tzinfo=UTC), timedelta(minutes=30), 4), UTC)
    span = Span.model_validate({"from": datetime(2026, 3, 2, 0, 29, 30), "to": datetime(2026, 3, 2, 0, 30, 1)})
    assert timeline.touched(timeline.in_span(span)).tolist() == [True, True, False, False]
    before = Span.model_validate({"from": datetime(2026, 3, 1), "to": datetime(2026, 3, 2)})
    assert not timeline.in_span(before).any()


def test_a_skipped_time_is_refused() -> None:
    with pytest.raises(ValueError, match="does not exist on the clock of Europe/Lisbon"):
        instant_of(datetime(2026, 3, 29, 1, 30), LISBON)
