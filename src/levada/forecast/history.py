"""One zone's past as hourly arrays on the tenant's clock, with a baseline that needs nothing later than a week before its hour.

Hours are counted from the forecast's start, so they begin at its minute: every issue time has a whole last hour behind it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

import numpy as np

from levada.domain.series import Floats
from levada.domain.time import to_np
from levada.forecast.wall_clock import Ints, WallClock, wall_clock

__all__ = ["REFERENCES", "History", "history", "median_of_known"]

REFERENCES = 4
"""Earlier days of the same kind that make the baseline."""

_HOUR_S = 3600
_SCALE_LIMITS = (0.5, 2.0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class History:
    """Hours 0 .. known - 1 are past, known .. known + ahead - 1 are to be forecast.

    `flow` (known + ahead,): mean flow of each hour, m3/s; NaN where unknown and ahead. `by_day` (days, 24): the same on local days.
    `baseline` (known + ahead,) and `baseline_by_day` (days, 24): the median of the last REFERENCES days of the same kind that lie
    at least a week back, each scaled by the level of the week before; NaN where there is none.
    `level` (days,): mean flow over the seven days up to and including that one, NaN where too few are known; `scale`: mean flow of all.
    """

    known: int
    ahead: int
    clock: WallClock
    flow: Floats
    by_day: Floats
    baseline: Floats
    baseline_by_day: Floats
    level: Floats
    scale: float

    @property
    def full_days(self) -> int:
        """Local days with at least 20 known hours."""
        return int((np.isfinite(self.by_day).sum(axis=1) >= 20).sum())


def history(hourly: Floats, start: datetime, ahead: int, time_zone: str, holidays: Mapping[date, str]) -> History:
    """Arrange `hourly` (known,), the mean flows of the hours that end at `start`, and the `ahead` hours after it."""
    known = len(hourly)
    hours = np.arange(-known, ahead) * np.timedelta64(_HOUR_S * 1_000_000, "us")
    clock = wall_clock(to_np(start) + hours, time_zone, holidays)
    flow = np.concatenate([hourly, np.full(ahead, np.nan)])
    by_day = _on_days(flow, clock)
    level = _weekly_level(by_day)
    baseline_by_day = _baseline(by_day, level, clock.kind)
    finite = hourly[np.isfinite(hourly)]
    return History(
        known=known,
        ahead=ahead,
        clock=clock,
        flow=flow,
        by_day=by_day,
        baseline=baseline_by_day[clock.day, clock.slot],
        baseline_by_day=baseline_by_day,
        level=level,
        scale=float(finite.mean()) if len(finite) else 0.0,
    )


def _on_days(flow: Floats, clock: WallClock) -> Floats:
    """(days, 24): the hour that is repeated in autumn is the mean of both, the one skipped in spring is NaN."""
    cell = clock.day * 24 + clock.slot
    has = np.isfinite(flow)
    total = np.bincount(cell[has], weights=flow[has], minlength=clock.days * 24)
    number = np.bincount(cell[has], minlength=clock.days * 24)
    return np.where(number > 0, total / np.maximum(number, 1), np.nan).reshape(clock.days, 24)


def _weekly_level(by_day: Floats) -> Floats:
    """Mean over seven days, slot by slot first, so that a gap at night does not look like a wet week; NaN with under five days known.

    A day is known here with half of its slots. Fewer days could be a weekend alone, whose level is not a week's.
    """
    padded = np.concatenate([np.full((6, 24), np.nan), by_day])
    week = np.stack([padded[i : i + len(by_day)] for i in range(7)])
    has = np.isfinite(week)
    by_slot = np.where(has, week, 0.0).sum(axis=0) / np.maximum(has.sum(axis=0), 1)
    slots = has.any(axis=0).sum(axis=1)
    enough = (has.sum(axis=2) >= 12).sum(axis=0) >= 5
    level: Floats = np.where(enough, by_slot.sum(axis=1) / np.maximum(slots, 1), np.nan)
    return level


def _references(by_day: Floats, kind: Ints) -> Ints:
    """(days, REFERENCES): for each day the latest days of the same kind at least a week before it that have data; -1 where too few."""
    has_data = np.isfinite(by_day).sum(axis=1) > 0
    references = np.full((len(kind), REFERENCES), -1, np.int64)
    seen: dict[int, list[int]] = {k: [] for k in range(7)}
    for day in range(len(kind)):
        if day >= 7 and has_data[day - 7]:
            seen[int(kind[day - 7])].append(day - 7)
        latest = seen[int(kind[day])][-REFERENCES:]
        references[day, : len(latest)] = latest[::-1]
    return references


def _baseline(by_day: Floats, level: Floats, kind: Ints) -> Floats:
    days = np.arange(len(kind))
    references = _references(by_day, kind)
    rows = np.where((references >= 0)[:, :, None], by_day[references], np.nan)
    # Levels up to the day before: that of the day itself would hold hours less than a week before the early hours of the target's day.
    before = np.concatenate([[np.nan], level[:-1]])
    week_before = np.where(days >= 7, before[np.maximum(days - 7, 0)], np.nan)
    then = before[references]
    comparable = np.isfinite(week_before)[:, None] & (then > 0)
    scaling = np.where(comparable, np.clip(week_before[:, None] / np.where(comparable, then, 1.0), *_SCALE_LIMITS), 1.0)
    return median_of_known(rows * scaling[:, :, None], axis=1)


def median_of_known(values: Floats, axis: int) -> Floats:
    """The median along an axis, of what is not NaN; NaN where nothing is."""
    ordered = np.sort(values, axis=axis)  # NaN last
    number = np.isfinite(ordered).sum(axis=axis, keepdims=True)
    low = np.take_along_axis(ordered, np.maximum((number - 1) // 2, 0), axis=axis)
    high = np.take_along_axis(ordered, np.maximum(number // 2, 0), axis=axis)
    # For an odd count both are the middle one; NaN stays NaN, as the first value is then NaN.
    median: Floats = np.squeeze(np.where(number % 2 == 1, low, 0.5 * (low + high)), axis=axis)
    return median
