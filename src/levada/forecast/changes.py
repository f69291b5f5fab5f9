"""Lasting changes of a zone's level: a main that has burst, customers moved to another zone, a meter exchanged.

A change is seen when days on one side of an instant agree with each other and differ from those on the other side by far more than
days do in this zone. What lies before it is then moved to the new level, so that everything that looks back compares like with like.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

import numpy as np

from levada.domain.series import Floats
from levada.domain.time import to_np
from levada.forecast.history import median_of_known
from levada.forecast.output import Change
from levada.forecast.wall_clock import wall_clock

__all__ = ["Followed", "follow_change"]

_SEEN_DAYS: Final = 42
_TABLE_DAYS: Final = 70
_NEWEST_DAYS, _OLDEST_DAYS = 3, 14
_BEFORE_DAYS: Final = 14
_LEAST_RATIO: Final = 0.1
_SIGMAS: Final = 4.0
_LEAST_SIGMA: Final = 0.015
_MAD_TO_SIGMA: Final = 1.4826
_LEAST_HOURS_OF_DAY: Final = 12


@dataclass(frozen=True, slots=True, eq=False)
class Followed:
    """Hours (known,), m3/s, as they would have been at the present level, and the change that was found, if any."""

    hourly: Floats
    change: Change | None


def follow_change(hourly: Floats, start: datetime, time_zone: str, holidays: Mapping[date, str]) -> Followed:
    """Look for a change in the last two weeks of `hourly`, the mean flows of the hours that end at `start`.

    Days are the 24-hour spans that end at `start`, each measured against the usual flow of its hours before the last two weeks.
    Those before the change are moved by a factor, or by an amount where that fits the hours after it better (a burst adds the same at
    night), save where they were at the present level already (a return after a closure).
    """
    nothing = Followed(hourly, None)
    days = min(len(hourly) // 24, _TABLE_DAYS)
    if days < _BEFORE_DAYS + _OLDEST_DAYS:
        return nothing
    recent = hourly[len(hourly) - 24 * days :]
    usual = _usual(recent, start, time_zone, holidays)
    departures = _departures(recent, usual)[-_SEEN_DAYS:]
    found = _change(departures)
    if found is None:
        return nothing
    age_days, level_before, ratio, was_before = found
    after, before = recent[-24 * age_days :], usual[-24 * age_days :] * level_before
    factor, amount = _move(after, before, ratio)
    older = was_before[: _SEEN_DAYS - _OLDEST_DAYS]
    moved_hours = np.full(len(hourly), older.mean() > 0.5)
    moved_hours[len(hourly) - 24 * len(was_before) :] = np.repeat(was_before, 24)
    moved = np.where(moved_hours, np.maximum(hourly * factor + amount, 0.0), hourly)
    return Followed(moved, Change(since=start - timedelta(days=age_days), ratio=ratio))


def _usual(recent: Floats, start: datetime, time_zone: str, holidays: Mapping[date, str]) -> Floats:
    """The median flow of each hour's sort of day and hour before the last two weeks, (hours,); NaN where it has not been seen."""
    times = to_np(start) + np.arange(-len(recent), 0) * np.timedelta64(3_600_000_000, "us")
    clock = wall_clock(times, time_zone, holidays)
    cell = np.where(clock.free[clock.day], 24, 0) + clock.slot
    past = len(recent) - 24 * _OLDEST_DAYS
    table = np.full(48, np.nan)
    for c in np.unique(cell[:past]):
        table[c] = median_of_known(recent[:past][cell[:past] == c], axis=0)
    return table[cell]


def _departures(recent: Floats, usual: Floats) -> Floats:
    """Logarithm of flow over usual flow of each day, (days,); NaN where too few hours are known."""
    flow, base = recent.reshape(-1, 24), usual.reshape(-1, 24)
    known = np.isfinite(flow) & np.isfinite(base)
    total, expected = np.where(known, flow, 0.0).sum(axis=1), np.where(known, base, 0.0).sum(axis=1)
    enough = (known.sum(axis=1) >= _LEAST_HOURS_OF_DAY) & (total > 0) & (expected > 0)
    found: Floats = np.where(enough, np.log(np.where(enough, total, 1.0) / np.where(enough, expected, 1.0)), np.nan)
    return found


def _change(departures: Floats) -> tuple[int, float, float, np.ndarray[tuple[int], np.dtype[np.bool_]]] | None:
    """Age in days, level before it (over usual), flow after over before, and which days lie nearer to the level before; None where no instant divides them so clearly."""
    best: tuple[float, int] | None = None
    for age in range(_NEWEST_DAYS, _OLDEST_DAYS + 1):
        after, before = departures[-age:], departures[-age - _BEFORE_DAYS : -age]
        after, before = after[np.isfinite(after)], before[np.isfinite(before)]
        if len(after) < _NEWEST_DAYS or len(before) < _BEFORE_DAYS // 2:
            continue
        low, high = float(np.median(before)), float(np.median(after))
        step = high - low
        sigma = max(_LEAST_SIGMA, _MAD_TO_SIGMA * float(np.median(np.abs(before - low))))
        # All days after it, and the two just before it, must be on their side.
        sides = np.concatenate([(after - low) / step > 0.5, (before[-2:] - low) / step < 0.5]) if step else np.array([False])
        if abs(step) < max(_LEAST_RATIO, _SIGMAS * sigma) or not sides.all():
            continue
        misfit = float(np.abs(after - high).sum() + np.abs(before - low).sum()) / (len(after) + len(before))
        if best is None or misfit < best[0]:
            best = misfit, age
    if best is None:
        return None
    age = best[1]
    low, high = (float(np.nanmedian(part)) for part in (departures[-age - _BEFORE_DAYS : -age], departures[-age:]))
    nearer = np.isfinite(departures) & (np.abs(departures - low) < np.abs(departures - high))
    nearer[-age:] = False
    return age, float(np.exp(low)), float(np.exp(high - low)), nearer


def _move(after: Floats, before: Floats, ratio: float) -> tuple[float, float]:
    """Factor and amount (m3/s) that bring the flow as it was nearest to that after the change: one of them, the other is 1 or 0."""
    known = np.isfinite(after) & np.isfinite(before)
    flow, base = after[known], before[known]
    amount = float(np.median(flow - base))
    if np.abs(flow - base - amount).mean() < np.abs(flow - base * ratio).mean():
        return 1.0, amount
    return ratio, 0.0
