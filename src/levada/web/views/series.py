"""Readings as lines of a chart: points of (epoch ms, value), thinned so that no peak is lost."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import numpy as np

from levada.domain.series import Readings
from levada.domain.time import from_np
from levada.web.views.plan import Bar

__all__ = ["Point", "measured_bars", "points", "thinned", "total"]

Point = tuple[int, float]

_MOST_POINTS = 1500


def thinned(readings: Readings, limit: int = _MOST_POINTS) -> Readings:
    """At most about `limit` readings: of each of limit/2 equal runs the lowest and the highest, so extremes stay."""
    if len(readings) <= limit:
        return readings
    kept: set[int] = {0, len(readings) - 1}
    for run in np.array_split(np.arange(len(readings)), max(1, limit // 2)):
        values = readings.values[run]
        kept.update((int(run[int(values.argmin())]), int(run[int(values.argmax())])))
    at = np.array(sorted(kept))
    return Readings(times=readings.times[at], values=readings.values[at], quality=readings.quality[at])


def points(readings: Readings, factor: float = 1.0, decimals: int = 3) -> list[Point]:
    """(epoch ms, value x factor) of the usable readings, thinned."""
    few = thinned(readings.usable())
    ms = few.times.astype("datetime64[ms]").astype(np.int64)
    return [(int(t), round(float(v) * factor, decimals)) for t, v in zip(ms, few.values, strict=True)]


def total(zones: Sequence[Readings]) -> Readings:
    """The sum of several series at the instants at which all of them have a usable reading."""
    if not zones:
        return Readings.empty()
    usable = [z.usable() for z in zones]
    times = reduce(np.intersect1d, [z.times for z in usable])
    values = np.zeros(len(times))
    for z in usable:
        values += z.values[np.isin(z.times, times)]
    return Readings.good(times, values)


def measured_bars(status: Readings, speed: Readings | None, longest_gap_s: float) -> list[Bar]:
    """Stretches in which a pump was reported running. A state holds until the next reading, for at most `longest_gap_s`.

    Where no speed is reported, a running pump counts as at full speed.
    """
    state = status.usable()
    found: list[Bar] = []
    speeds = speed.usable() if speed is not None and len(speed) else None
    gap = np.timedelta64(int(longest_gap_s * 1e6), "us")
    for i, (time, on) in enumerate(zip(state.times, state.values, strict=True)):
        if on < 0.5:
            continue
        end = time + gap if i + 1 == len(state) else min(state.times[i + 1], time + gap)
        value = 1.0
        if speeds is not None:
            j = int(np.searchsorted(speeds.times, time, side="right")) - 1
            value = float(speeds.values[j]) if j >= 0 else 1.0
        start, stop = from_np(time), from_np(end)
        if found and found[-1].end == start and abs(found[-1].speed - value) < 0.01:
            found[-1] = Bar(found[-1].start, stop, found[-1].speed)
        else:
            found.append(Bar(start, stop, value))
    return found
