"""What a model may know of an hour ahead: only values of hours before the issue hour, and the calendar.

A row is a pair (origin, target) of hours of one zone's history: what would be known at `origin` about `target`. All flows are
divided by the baseline of their own hour, so that a model learns departures from the usual week.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from levada.domain.series import Floats
from levada.forecast.history import History
from levada.forecast.wall_clock import Ints

__all__ = ["FEATURES", "FLOOR", "features", "floored_baseline", "level_before"]

FLOOR: Final = 0.1
"""Least baseline as a fraction of mean flow: ratios to next to nothing would drown all others."""

_WINDOWS_H: Final = (1, 3, 6, 24, 72, 168)
_YESTERDAYS: Final = 3

FEATURES: Final = (
    "slot", "weekday", "kind", "holiday", "before_free", "after_free", "bridge", "hour_of_week", "lead", "origin_slot",
    "baseline", "spread_of_references", "last_week", "two_weeks_ago", "three_weeks_ago",
    *(f"level_{h}h" for h in _WINDOWS_H),
    *(f"same_hour_{i}_days_back" for i in range(1, _YESTERDAYS + 1)),
    "same_hours_mean", "around_last", "night_level", "week_trend",
)  # fmt: skip


def floored_baseline(history: History) -> Floats:
    """The baseline of each hour, at least FLOOR of the mean flow; where it is unknown, the mean flow; (known + ahead,)."""
    return np.maximum(np.where(np.isfinite(history.baseline), history.baseline, history.scale), FLOOR * history.scale)


class _Levels:
    """Flow over baseline in the hours before an origin, from running sums over hours where both are known."""

    def __init__(self, flow: Floats, base: Floats) -> None:
        both = np.isfinite(flow)
        self._flow = np.concatenate([[0.0], np.cumsum(np.where(both, flow, 0.0))])
        self._base = np.concatenate([[0.0], np.cumsum(np.where(both, base, 0.0))])
        self._count = np.concatenate([[0], np.cumsum(both)])

    def over(self, origin: Ints, hours: int) -> Floats:
        first = np.maximum(origin - hours, 0)
        base = self._base[origin] - self._base[first]
        enough = self._count[origin] - self._count[first] >= max(1, hours // 4)
        level: Floats = np.where(enough, (self._flow[origin] - self._flow[first]) / np.maximum(base, 1e-12), np.nan)
        return level


def level_before(history: History, origin: Ints, hours: int) -> Floats:
    """Flow over baseline in the `hours` before each origin, (rows,); NaN where under a quarter of them are known."""
    return _Levels(history.flow, floored_baseline(history)).over(origin, hours)


def features(history: History, origin: Ints, target: Ints) -> NDArray[np.float32]:
    """Rows for pairs of hours, target >= origin; (rows, FEATURES), float32, NaN where unknown."""
    clock, base = history.clock, floored_baseline(history)
    floor = FLOOR * history.scale
    day, slot = clock.day[target], clock.slot[target]
    base_of_days = np.maximum(np.where(np.isfinite(history.baseline_by_day), history.baseline_by_day, history.scale), floor)
    ratio = history.by_day / base_of_days
    weeks = [
        _cell(history.by_day, day - 7 * k, slot) / base[target]
        for k in (1, 2, 3)
    ]  # fmt: skip
    # With more than seven days of lead, last week's value is not yet known at the origin.
    weeks[0] = np.where(target - origin >= 168, np.nan, weeks[0])
    origin_day, origin_slot = clock.day[origin], clock.slot[origin]
    latest = np.where(slot < origin_slot, origin_day, origin_day - 1)
    # Only slots up to the target's own are looked at: on the origin's day, later ones may not be over yet.
    around = _trailing_mean(ratio)
    same = [_cell(ratio, latest - i, slot) for i in range(_YESTERDAYS)]
    levels = _Levels(history.flow, base)
    by_window = [levels.over(origin, h) for h in _WINDOWS_H]
    night = _night(ratio)
    last_night = np.where(origin_slot > 5, origin_day, origin_day - 1)
    columns = [
        slot, clock.weekday[day], clock.kind[day], clock.holiday[day], clock.before_free[day], clock.after_free[day],
        clock.bridge[day], clock.kind[day] * 24 + slot, target - origin, origin_slot,
        base[target] / max(history.scale, 1e-12), np.abs(weeks[0] - weeks[1]), *weeks, *by_window, *same,
        _mean_of_known(np.stack(same)), _cell(around, latest, slot), _cell(night[:, None], last_night, np.zeros_like(slot)),
        by_window[-2] / np.maximum(by_window[-1], 1e-6),
    ]  # fmt: skip
    return np.column_stack(columns).astype(np.float32)


def _cell(by_day: Floats, day: Ints, slot: Ints) -> Floats:
    inside = day >= 0
    cells: Floats = np.where(inside, by_day[np.where(inside, day, 0), slot], np.nan)
    return cells


def _shift(by_day: Floats, slots: int) -> Floats:
    flat = by_day.ravel()
    return np.concatenate([np.full(slots, np.nan), flat[:-slots]]).reshape(by_day.shape)


def _trailing_mean(by_day: Floats) -> Floats:
    return _mean_of_known(np.stack([by_day, _shift(by_day, 1), _shift(by_day, 2)]))


def _mean_of_known(stacked: Floats) -> Floats:
    has = np.isfinite(stacked)
    number = has.sum(axis=0)
    mean: Floats = np.where(number > 0, np.where(has, stacked, 0.0).sum(axis=0) / np.maximum(number, 1), np.nan)
    return mean


def _night(ratio: Floats) -> Floats:
    """Level of slots 2-4 of each day: leakage and continuous users, (days,)."""
    return _mean_of_known(ratio[:, 2:5].T)
