"""What a model may know of an hour ahead: only values of hours before the issue hour, the calendar, and weather where it is given.

A row is a pair (origin, target) of hours of one zone's history: what would be known at `origin` about `target`. All flows are
divided by the level at the origin, so that rows of a small and a large zone, of summer and winter, look alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from levada.domain.series import Floats
from levada.forecast.history import History, mean_of_known, median_of_known
from levada.forecast.wall_clock import FREE_KIND, SATURDAY, Ints

__all__ = ["CALENDAR", "FLOOR", "FLOWS", "WEATHER_FEATURES", "Rows", "departure_before", "feature_names", "floored_baseline", "rows"]

FLOOR: Final = 0.1
"""Least baseline as a fraction of mean flow: ratios to next to nothing would drown all others."""

_WINDOWS_H: Final = (1, 3, 6, 24, 72, 168, 672)
_DEPARTURES_H: Final = (1, 3, 6, 24)
_DAYS_BACK: Final = 7
_REFERENCES: Final = 4
_SCALE_LIMITS: Final = (0.5, 2.0)

SATURDAY_IN_BRIDGE: Final = 1 / 3
"""How much of a Saturday a bridge day is. A third errs 15 % less than none over the bridge days of 2021-2022 of five Italian districts
(BWDF, see benchmarks/forecast.py), and less in each of them; 21 % less on those outside the contest's weeks."""

FLOWS: Final = (
    *(f"like_day_{i}" for i in range(1, _REFERENCES + 1)), "like_days_mean", "like_days_spread", "usual", "usual_hour_before", "usual_hour_after",
    *(f"same_hour_{i}_days_back" for i in range(1, _DAYS_BACK + 1)), "median_of_week", "median_of_four_weeks",
    *(f"mean_of_{h}h" for h in _WINDOWS_H), "last_night", "night_of_week", "yesterday", "day_before_yesterday", "like_days_level",
)  # fmt: skip
CALENDAR: Final = (
    *(f"departure_{h}h" for h in _DEPARTURES_H), "hour", "weekday", "kind_of_day", "holiday", "before_free", "after_free", "bridge",
    "lead_days", "lead_hours", "issue_hour", "issue_weekday", "level",
)  # fmt: skip
WEATHER_FEATURES: Final = ("", "_day", "_against_week", "_against_like_days")


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """`table` (rows, features), float32, NaN where unknown; `usual` and `level` (rows,), m3/s: what trees depart from.

    `usual`: the median of the latest like days known at the origin, moved to the present level. `level`: mean of the week before the origin.
    `bridge` (rows,): what a bridge day draws over what a working day does, 1 on all other days.
    """

    table: NDArray[np.float32]
    usual: Floats
    level: Floats
    bridge: Floats

    def part(self, which: slice) -> Rows:
        """Some of the rows."""
        return Rows(self.table[which], self.usual[which], self.level[which], self.bridge[which])

    def without_weather(self) -> Rows:
        """The same rows, blind to the weather: its columns are the last."""
        return Rows(self.table[:, : len(FLOWS) + len(CALENDAR)], self.usual, self.level, self.bridge)


def feature_names(history: History) -> tuple[str, ...]:
    """Names of the columns of rows()."""
    return (*FLOWS, *CALENDAR, *(f"{variable}{of}" for variable in history.weather for of in WEATHER_FEATURES))


def floored_baseline(history: History) -> Floats:
    """The baseline of each hour, at least FLOOR of the mean flow; where it is unknown, the mean flow; (known + ahead,)."""
    return np.maximum(np.where(np.isfinite(history.baseline), history.baseline, history.scale), FLOOR * history.scale)


def departure_before(history: History, origin: Ints, hours: int) -> Floats:
    """Flow over baseline in the `hours` before each origin, (rows,); NaN where under a quarter of them are known."""
    base = floored_baseline(history)
    known = np.isfinite(history.flow)
    flow, number = _running(np.where(known, history.flow, np.nan))
    usual, _ = _running(np.where(known, base, np.nan))
    first = np.maximum(origin - hours, 0)
    enough = number[origin] - number[first] >= max(1, hours // 4)
    found: Floats = np.where(enough, (flow[origin] - flow[first]) / np.maximum(usual[origin] - usual[first], 1e-12), np.nan)
    return found


def rows(history: History, origin: Ints, target: Ints, *, with_weather: bool = True) -> Rows:
    """Rows for pairs of hours, target >= origin; with the weather, where the history has any and it is wanted."""
    clock, filled = history.clock, history.filled_by_day
    day, slot = clock.day[target], clock.slot[target]
    origin_day, origin_slot = clock.day[origin], clock.slot[origin]
    means = {h: _mean_before(history, origin, h) for h in _WINDOWS_H}
    level = _first_known(means[168], means[672], np.full(len(origin), history.scale))
    level = np.maximum(level, 1e-9)
    # The latest day on which the target's hour of day is over at the origin.
    latest = np.where(slot < origin_slot, origin_day, origin_day - 1)
    like = history.like_days(origin_day, day, _REFERENCES)
    scaling = _to_level(history, like, level)
    references = _cell(filled, like, slot[:, None])
    usual = _first_known(median_of_known(references * scaling, axis=1), level)
    before, after = (median_of_known(_cell(filled, like, (slot[:, None] + shift) % 24) * scaling, axis=1) for shift in (-1, 1))
    scaled_mean = mean_of_known(references * scaling, axis=1)
    night = mean_of_known(filled[:, 2:5], axis=1)
    # The night is over once its last hour is; whole days end with the day before the origin's.
    last_night = np.where(origin_slot >= 5, origin_day, origin_day - 1)
    of_day = mean_of_known(filled, axis=1)
    flows = [
        *references.T, scaled_mean, _spread(references * scaling), usual, before, after,
        *(_cell(filled, latest - i, slot) for i in range(_DAYS_BACK)),
        _cell(history.median_by_day(7), latest, slot), _cell(history.median_by_day(28), latest, slot), *means.values(),
        _cell_1d(night, last_night), median_of_known(_cell_1d(night, last_night[:, None] - np.arange(7)), axis=1),
        _cell_1d(of_day, origin_day - 1), _cell_1d(of_day, origin_day - 2), mean_of_known(_cell_1d(of_day, like), axis=1),
    ]  # fmt: skip
    calendar = [
        *(departure_before(history, origin, h) for h in _DEPARTURES_H), slot, clock.weekday[day],
        np.minimum(clock.kind[day], FREE_KIND + 1), clock.holiday[day],
        clock.before_free[day], clock.after_free[day], clock.bridge[day], day - origin_day, target - origin, origin_slot,
        clock.weekday[origin_day], level / max(history.scale, 1e-12),
    ]  # fmt: skip
    weather = _weather(history, target, day, origin_day, like) if with_weather else []
    table = np.empty((len(origin), len(flows) + len(calendar) + len(weather)), np.float32)
    for i, column in enumerate([*(flow / level for flow in flows), *calendar, *weather]):
        table[:, i] = column
    return Rows(table, usual, level, _bridge(history, origin_day, day, slot, usual, level))


def _bridge(history: History, origin_day: Ints, day: Ints, slot: Ints, usual: Floats, level: Floats) -> Floats:
    """Bridge days are too rare to be learnt from one town's years: part of those who draw have a free day, so it is partly a Saturday."""
    factor = np.ones(len(day))
    of = np.flatnonzero(history.clock.bridge[day])
    if len(of):
        saturdays = history.days_of_kind(np.full(len(of), SATURDAY), origin_day[of], _REFERENCES)
        free = median_of_known(_cell(history.filled_by_day, saturdays, slot[of][:, None]) * _to_level(history, saturdays, level[of]), axis=1)
        ratio = np.clip(free / np.maximum(usual[of], FLOOR * level[of]), *_SCALE_LIMITS)
        factor[of] = np.where(np.isfinite(ratio), 1 + SATURDAY_IN_BRIDGE * (ratio - 1), 1.0)
    return factor


def _to_level(history: History, days: Ints, level: Floats) -> Floats:
    """Factors (rows, days) from the level of earlier days to that of each row."""
    then = _cell_1d(history.level, days)
    scaling = np.clip(level[:, None] / np.where(then > 0, then, np.nan), *_SCALE_LIMITS)
    return np.where(np.isfinite(scaling), scaling, 1.0)


def _weather(history: History, target: Ints, day: Ints, origin_day: Ints, like: Ints) -> list[Floats]:
    """Of each variable: at the hour, its day's mean, and that against the week before the origin and the like days."""
    columns = []
    for variable in history.weather:
        hourly = history.weather[variable]
        of_day = history.daily_weather(variable)
        week = mean_of_known(_cell_1d(of_day, origin_day[:, None] - 1 - np.arange(7)), axis=1)
        columns += [hourly[target], of_day[day], of_day[day] - week, of_day[day] - mean_of_known(_cell_1d(of_day, like), axis=1)]
    return columns


def _running(values: Floats) -> tuple[Floats, Ints]:
    has = np.isfinite(values)
    return np.concatenate([[0.0], np.cumsum(np.where(has, values, 0.0))]), np.concatenate([[0], np.cumsum(has)])


def _mean_before(history: History, origin: Ints, hours: int) -> Floats:
    """Mean flow of the `hours` before each origin, gaps filled as far as they can be; NaN where under a quarter of them are known."""
    total, number = _running(history.filled)
    first = np.maximum(origin - hours, 0)
    count = number[origin] - number[first]
    mean: Floats = np.where(count >= max(1, hours // 4), (total[origin] - total[first]) / np.maximum(count, 1), np.nan)
    return mean


def _cell(by_day: Floats, day: Ints, slot: Ints) -> Floats:
    cells: Floats = np.where(day >= 0, by_day[np.maximum(day, 0), slot], np.nan)
    return cells


def _cell_1d(by_day: Floats, day: Ints) -> Floats:
    cells: Floats = np.where(day >= 0, by_day[np.maximum(day, 0)], np.nan)
    return cells


def _first_known(*choices: Floats) -> Floats:
    found = choices[0]
    for other in choices[1:]:
        found = np.where(np.isfinite(found), found, other)
    return found


def _spread(values: Floats) -> Floats:
    """Standard deviation over columns of what is known, (rows,)."""
    middle = mean_of_known(values, axis=1)
    return np.sqrt(mean_of_known((values - middle[:, None]) ** 2, axis=1))
