"""What kind of day it is on a utility's calendar, and which days to try a version on so that each kind is among them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from levada.domain.time import local_midnight

__all__ = ["DayKind", "days_to_try", "kind_of"]


class DayKind(StrEnum):
    """A day has one: what is rarer comes first."""

    CLOCK_CHANGE = "clock change"
    HOLIDAY = "holiday"
    SUNDAY = "Sunday"
    SATURDAY = "Saturday"
    WEEKDAY = "weekday"


_LEAST = {DayKind.CLOCK_CHANGE: 2, DayKind.HOLIDAY: 2, DayKind.SUNDAY: 2, DayKind.SATURDAY: 2, DayKind.WEEKDAY: 2}
"""So many of the latest days of each kind are always tried, as far as there are."""


def kind_of(day: date, tz: ZoneInfo, holidays: Collection[date]) -> DayKind:
    if local_midnight(day + timedelta(days=1), tz) - local_midnight(day, tz) != timedelta(days=1):
        return DayKind.CLOCK_CHANGE
    if day in holidays:
        return DayKind.HOLIDAY
    return {5: DayKind.SATURDAY, 6: DayKind.SUNDAY}.get(day.weekday(), DayKind.WEEKDAY)


def days_to_try(days: Sequence[date], tz: ZoneInfo, holidays: Collection[date], most: int) -> list[date]:
    """Of consecutive days about `most`, in order: the latest few of each kind, and others spread evenly. More than `most` only where the kinds need it."""
    if len(days) <= most:
        return list(days)
    chosen: set[date] = set()
    for kind, least in _LEAST.items():
        chosen |= set([day for day in days if kind_of(day, tz, holidays) is kind][-least:])
    rest = [day for day in days if day not in chosen]
    count = max(0, min(most - len(chosen), len(rest)))
    chosen |= {rest[(2 * i + 1) * len(rest) // (2 * count)] for i in range(count)}
    return sorted(chosen)
