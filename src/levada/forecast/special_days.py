"""Days of the horizon that a forecast treats as no ordinary ones."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta

import numpy as np

from levada.domain.time import local_midnight, to_np, zone
from levada.forecast.output import SpecialDay
from levada.forecast.wall_clock import wall_clock

__all__ = ["special_days", "whole_days"]

_DAY = timedelta(days=1)


def special_days(start: datetime, hours: int, time_zone: str, holidays: Mapping[date, str], local_days: Mapping[date, str]) -> tuple[SpecialDay, ...]:
    """Holidays, local days, bridge days and days of a changing clock among the local days that the hours touch, in order of day."""
    times = to_np(start) + np.arange(hours) * np.timedelta64(3_600_000_000, "us")
    clock, tz = wall_clock(times, time_zone, holidays, local_days), zone(time_zone)
    found = []
    for row in range(clock.days):
        day = clock.first_day + row * _DAY
        if day in holidays:
            found.append(SpecialDay(day=day, sort="holiday", name=holidays[day]))
        if day in local_days:
            found.append(SpecialDay(day=day, sort="local day", name=local_days[day]))
        if clock.bridge[row]:
            found.append(SpecialDay(day=day, sort="bridge day", name="between free days"))
        length = local_midnight(day + _DAY, tz) - local_midnight(day, tz)
        if length != _DAY:
            found.append(SpecialDay(day=day, sort="clock change", name=f"{length // timedelta(hours=1)} hours"))
    return tuple(found)


def whole_days(start: datetime, end: datetime, time_zone: str) -> list[tuple[date, datetime, datetime]]:
    """Local days that lie wholly within [start, end): their dates, first instants and ends, UTC."""
    tz = zone(time_zone)
    day = start.astimezone(tz).date()
    found: list[tuple[date, datetime, datetime]] = []
    while True:
        first, after = local_midnight(day, tz), local_midnight(day + _DAY, tz)
        if after > end:
            return found
        if first >= start:
            found.append((day, first, after))
        day += _DAY
