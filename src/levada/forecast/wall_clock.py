"""The tenant's clock as arrays: which local day and hour an instant belongs to, and what kind of day that is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from levada.domain.time import Instants, zone

__all__ = ["FREE_KIND", "SATURDAY", "Ints", "WallClock", "wall_clock"]

Ints = NDArray[np.int64]

SATURDAY, FREE_KIND = 5, 6
"""The kinds of Saturdays, and of Sundays and holidays; sorts of local days are above it."""

_DAY_US = 86_400_000_000
_HOUR_US = 3_600_000_000
_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WallClock:
    """Local time of a run of instants.

    `day`: row of the instant's local day, counted from `first_day`; `slot`: local hour 0-23; `minute`: within that hour; all (n,).
    The hour that is repeated when the clock goes back has the same day and slot twice; the one that is skipped has none.
    Of days, all (days,): `weekday` 0-6 from Monday; `holiday`; `kind`: the weekday, with holidays counted as Sundays, and a number from
    7 for each name of local days; `free`: weekends and holidays;
    `before_free`, `after_free`: a working day just before or after a holiday; `bridge`: a working day with free days on both sides.
    """

    first_day: date
    day: Ints
    slot: Ints
    minute: Ints
    weekday: Ints
    kind: Ints
    holiday: NDArray[np.bool_]
    free: NDArray[np.bool_]
    before_free: NDArray[np.bool_]
    after_free: NDArray[np.bool_]
    bridge: NDArray[np.bool_]

    @property
    def days(self) -> int:
        return len(self.weekday)


def _offsets_us(times: Instants, time_zone: str) -> Ints:
    """Offset of local time from UTC at each instant, microseconds."""
    tz = zone(time_zone)

    def offset(us: int) -> int:
        shift = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=us)).astimezone(tz).utcoffset()
        assert shift is not None  # a zoned datetime always has one
        return shift // timedelta(microseconds=1)

    us = times.astype("datetime64[us]").astype(np.int64)
    utc_day = us // _DAY_US
    offsets = np.empty(len(us), np.int64)
    begins = np.flatnonzero(np.concatenate([[True], np.diff(utc_day) != 0]))
    for a, b in zip(begins, [*begins[1:], len(us)], strict=True):
        at_begin, at_end = offset(int(utc_day[a]) * _DAY_US), offset((int(utc_day[a]) + 1) * _DAY_US)
        # Zones are asked once a day, and for each instant only on the days on which the clock changes.
        offsets[a:b] = at_begin if at_begin == at_end else [offset(int(u)) for u in us[a:b]]
    return offsets


def wall_clock(times: Instants, time_zone: str, holidays: Mapping[date, str], local_days: Mapping[date, str] | None = None) -> WallClock:
    """Local days and hours of `times`: (n,), increasing, at least one. Raises DocumentError for a zone that does not exist."""
    local = times.astype("datetime64[us]").astype(np.int64) + _offsets_us(times, time_zone)
    day_number = local // _DAY_US
    first = int(day_number[0])
    count = int(day_number[-1]) - first + 1
    # A day more on each side, for the neighbours of the first and last.
    around = np.arange(first - 1, first + count + 1)
    weekday = (around + 3) % 7  # 1 January 1970 was a Thursday
    free_days = {(d - _EPOCH).days for d in holidays}
    holiday = np.array([int(d) in free_days for d in around])
    free = holiday | (weekday >= 5)
    inner = slice(1, -1)
    working = ~free[inner]
    kind = np.where(holiday, FREE_KIND, weekday)[inner]
    named = local_days or {}
    number = {name: FREE_KIND + 1 + i for i, name in enumerate(sorted(set(named.values())))}
    for local_day, name in named.items():
        row = (local_day - _EPOCH).days - first
        if 0 <= row < count and not holiday[inner][row]:
            kind[row] = number[name]
    return WallClock(
        first_day=_EPOCH + timedelta(days=first),
        day=day_number - first,
        slot=(local % _DAY_US) // _HOUR_US,
        minute=(local % _HOUR_US) // 60_000_000,
        weekday=weekday[inner],
        kind=kind,
        holiday=holiday[inner],
        free=free[inner],
        before_free=working & holiday[2:],
        after_free=working & holiday[:-2],
        bridge=working & free[2:] & free[:-2] & (holiday[2:] | holiday[:-2]),
    )
