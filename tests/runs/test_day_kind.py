"""Kinds of days on real calendars, and that each is among the days to try."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from levada.runs.day_kind import DayKind, days_to_try, kind_of

LISBON, PHOENIX = ZoneInfo("Europe/Lisbon"), ZoneInfo("America/Phoenix")
HOLIDAYS = {date(2026, 4, 25), date(2026, 6, 10), date(2026, 10, 5), date(2026, 12, 25)}
YEAR = [date(2026, 1, 1) + timedelta(days=i) for i in range(365)]


@pytest.mark.parametrize(
    ("day", "kind"),
    [
        (date(2026, 3, 29), DayKind.CLOCK_CHANGE), (date(2026, 10, 25), DayKind.CLOCK_CHANGE), (date(2026, 4, 25), DayKind.HOLIDAY), (date(2026, 4, 26), DayKind.SUNDAY),
        (date(2026, 5, 2), DayKind.SATURDAY), (date(2026, 5, 4), DayKind.WEEKDAY),
    ],
)  # fmt: skip
def test_a_day_has_the_rarest_kind_that_it_is_of(day: date, kind: DayKind) -> None:
    assert kind_of(day, LISBON, HOLIDAYS) is kind


def test_where_clocks_are_never_changed_there_is_no_such_day() -> None:
    assert not [day for day in YEAR if kind_of(day, PHOENIX, ()) is DayKind.CLOCK_CHANGE]


def test_both_clock_changes_holidays_and_weekends_are_always_tried() -> None:
    chosen = days_to_try(YEAR, LISBON, HOLIDAYS, 21)
    kinds = Counter(kind_of(day, LISBON, HOLIDAYS) for day in chosen)
    assert len(chosen) == 21
    assert {date(2026, 3, 29), date(2026, 10, 25), date(2026, 12, 25), date(2026, 10, 5)} <= set(chosen)
    assert min(kinds[kind] for kind in DayKind) >= 2


@given(st.integers(1, 400), st.integers(1, 120))
def test_days_to_try_are_in_order_none_twice_and_no_more_than_asked_or_the_kinds_need(count: int, most: int) -> None:
    days = YEAR[-count:]
    chosen = days_to_try(days, LISBON, HOLIDAYS, most)
    assert chosen == sorted(set(chosen))
    assert set(chosen) <= set(days)
    assert len(chosen) == min(len(days), most) or len(chosen) <= 10
