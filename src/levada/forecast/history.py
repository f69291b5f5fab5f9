"""One zone's past as hourly arrays on the tenant's clock, with a baseline that needs nothing later than a week before its hour.

Hours are counted from the forecast's start, so they begin at its minute: every issue time has a whole last hour behind it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from levada.domain.series import Floats
from levada.domain.time import to_np
from levada.forecast.wall_clock import FREE_KIND, Ints, WallClock, wall_clock

__all__ = ["REFERENCES", "History", "history", "mean_of_known", "median_of_known"]

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
    `filled`, `filled_by_day`: flow with gaps before the forecast filled by the baseline, to be looked back at, never to be learnt from.
    `level` (days,): mean filled flow over the seven days before that one, NaN where too few are known; `scale`: mean flow of all.
    `weather`: variable -> (known + ahead,) hourly means, observed and then foretold; NaN where unknown.
    """

    known: int
    ahead: int
    clock: WallClock
    flow: Floats
    by_day: Floats
    baseline: Floats
    baseline_by_day: Floats
    filled: Floats
    filled_by_day: Floats
    level: Floats
    scale: float
    weather: Mapping[str, Floats]
    _memory: dict[object, Floats] = field(default_factory=dict)

    def median_by_day(self, days: int) -> Floats:
        """The median of each hour of the day over the `days` days up to and with each day, (days, 24)."""
        if days not in self._memory:
            padded = np.concatenate([np.full((days - 1, 24), np.nan), self.filled_by_day])
            self._memory[days] = median_of_known(np.moveaxis(sliding_window_view(padded, days, axis=0), -1, 1), axis=1)
        return self._memory[days]

    def daily_weather(self, variable: str) -> Floats:
        """Mean of a weather variable over each local day, (days,)."""
        if variable not in self._memory:
            self._memory[variable] = mean_of_known(_on_days(self.weather[variable], self.clock), axis=1)
        return self._memory[variable]

    def like_days(self, origin_day: Ints, day: Ints, count: int) -> Ints:
        """The `count` latest days with data before `origin_day` that are of the same kind as `day`, (rows, count); -1 where too few.

        A sort of day that has not been seen twice is looked up by its weekday.
        """
        kind = self.clock.kind[day]
        found = self.days_of_kind(kind, origin_day, count)
        unseen = (kind > FREE_KIND) & (found[:, 1] < 0)
        found[unseen] = self.days_of_kind(self.clock.weekday[day[unseen]], origin_day[unseen], count)
        return found

    def days_of_kind(self, kind: Ints, origin_day: Ints, count: int) -> Ints:
        """The `count` latest days with data of each kind (rows,) before `origin_day`, (rows, count); -1 where too few."""
        has_data = np.isfinite(self.by_day).any(axis=1)
        found = np.full((len(kind), count), -1, np.int64)
        for sort in np.unique(kind):
            of = np.flatnonzero(kind == sort)
            candidates = np.flatnonzero(has_data & (self.clock.kind == sort))
            back = np.searchsorted(candidates, origin_day[of])[:, None] - 1 - np.arange(count)
            if len(candidates):
                found[of] = np.where(back >= 0, candidates[np.maximum(back, 0)], -1)
        return found

    @property
    def full_days(self) -> int:
        """Local days with at least 20 known hours."""
        return int((np.isfinite(self.by_day).sum(axis=1) >= 20).sum())


def history(
    hourly: Floats,
    start: datetime,
    ahead: int,
    time_zone: str,
    holidays: Mapping[date, str],
    local_days: Mapping[date, str] | None = None,
    weather: Mapping[str, Floats] | None = None,
) -> History:
    """Arrange `hourly` (known,), the mean flows of the hours that end at `start`, and the `ahead` hours after it."""
    known = len(hourly)
    hours = np.arange(-known, ahead) * np.timedelta64(_HOUR_S * 1_000_000, "us")
    clock = wall_clock(to_np(start) + hours, time_zone, holidays, local_days or {})
    flow = np.concatenate([hourly, np.full(ahead, np.nan)])
    by_day = _on_days(flow, clock)
    level = _weekly_level(by_day)
    # A local day's own sort may be too rare for a baseline: like_days() looks for its like.
    baseline_by_day = _baseline(by_day, level, np.where(clock.kind > FREE_KIND, clock.weekday, clock.kind))
    baseline = baseline_by_day[clock.day, clock.slot]
    filled = np.where(np.isfinite(flow) | (np.arange(len(flow)) >= known), flow, baseline)
    filled_by_day = _on_days(filled, clock)
    finite = hourly[np.isfinite(hourly)]
    return History(
        known=known,
        ahead=ahead,
        clock=clock,
        flow=flow,
        by_day=by_day,
        baseline=baseline,
        baseline_by_day=baseline_by_day,
        filled=filled,
        filled_by_day=filled_by_day,
        level=np.concatenate([[np.nan], _weekly_level(filled_by_day)[:-1]]),
        scale=float(finite.mean()) if len(finite) else 0.0,
        weather=weather or {},
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
    seen: dict[int, list[int]] = {int(k): [] for k in np.unique(kind)}
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


def mean_of_known(values: Floats, axis: int) -> Floats:
    """The mean along an axis, of what is not NaN; NaN where nothing is."""
    has = np.isfinite(values)
    number = has.sum(axis=axis)
    mean: Floats = np.where(number > 0, np.where(has, values, 0.0).sum(axis=axis) / np.maximum(number, 1), np.nan)
    return mean


def median_of_known(values: Floats, axis: int) -> Floats:
    """The median along an axis, of what is not NaN; NaN where nothing is."""
    ordered = np.sort(values, axis=axis)  # NaN last
    number = np.isfinite(ordered).sum(axis=axis, keepdims=True)
    low = np.take_along_axis(ordered, np.maximum((number - 1) // 2, 0), axis=axis)
    high = np.take_along_axis(ordered, np.maximum(number // 2, 0), axis=axis)
    # For an odd count both are the middle one; NaN stays NaN, as the first value is then NaN.
    median: Floats = np.squeeze(np.where(number % 2 == 1, low, 0.5 * (low + high)), axis=axis)
    return median
