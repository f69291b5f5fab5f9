"""From readings of any interval to even steps that end where the forecast starts."""

from __future__ import annotations

from datetime import datetime

import numpy as np

from levada.domain.series import Floats, Readings
from levada.domain.time import to_np

__all__ = ["MAX_HISTORY_S", "even_steps", "known_readings", "usual_interval_s"]

MAX_HISTORY_S = 3 * 366 * 86_400
"""Older readings are not looked at: towns change, and the cost of a forecast must have a bound."""

_SECOND = np.timedelta64(1, "s")


def usual_interval_s(readings: Readings) -> int:
    """The usual distance of readings in seconds: the median, at most an hour; an hour where there are fewer than two."""
    if len(readings) < 2:
        return 3600
    return int(min(3600, max(1, round(float(np.median(np.diff(readings.times) / _SECOND))))))


def known_readings(readings: Readings, issue_time: datetime) -> tuple[Readings, int]:
    """The usable readings of intervals that had ended by the issue time, and their usual interval in seconds.

    A reading is labelled by the start of its interval, so one that starts just before the issue time is not yet complete.
    """
    at = to_np(issue_time)
    usable = readings.usable()
    since = at - np.timedelta64(MAX_HISTORY_S, "s")
    kept = (usable.times < at) & (usable.times >= since) & np.isfinite(usable.values)
    known = Readings(times=usable.times[kept], values=usable.values[kept], quality=usable.quality[kept])
    interval_s = usual_interval_s(known)
    complete = known.times + np.timedelta64(interval_s, "s") <= at
    return Readings(times=known.times[complete], values=known.values[complete], quality=known.quality[complete]), interval_s


def even_steps(readings: Readings, interval_s: int, start: datetime, step_s: int) -> Floats:
    """Mean flow over consecutive steps up to `start`, the last one ending there; NaN where unknown; shape (steps,), may be empty.

    Readings finer than the step are averaged where at least half of a step is covered; coarser ones hold over their whole interval.
    """
    if not len(readings):
        return np.empty(0)
    offset_s = ((readings.times - to_np(start)) / _SECOND).astype(np.int64)
    first = int(offset_s[0] // step_s)
    if first >= 0:
        return np.empty(0)
    count = -first
    repeat = max(1, interval_s // step_s)
    # A coarse reading is laid over each of the steps that its interval covers.
    index = ((offset_s // step_s)[:, None] + np.arange(repeat)[None, :]).ravel() - first
    values = np.repeat(readings.values, repeat)
    inside = (index >= 0) & (index < count)
    total = np.bincount(index[inside], weights=values[inside], minlength=count)
    number = np.bincount(index[inside], minlength=count)
    enough = number >= max(1.0, 0.5 * step_s / max(1, interval_s))
    steps: Floats = np.where(enough, total / np.maximum(number, 1), np.nan)
    return steps
