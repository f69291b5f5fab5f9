"""Zones whose demand is known by construction: a daily and weekly rhythm on the tenant's own clock, with seeded noise."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from levada.domain.series import Floats, Readings
from levada.domain.time import Instants, from_np, to_np
from levada.forecast import ForecastInput

ROME = "Europe/Rome"
NOW = datetime(2026, 5, 19, 22, tzinfo=UTC)  # midnight in Rome, Wednesday the 20th
MEAN = 0.02


def rhythm(times: Instants, time_zone: str = ROME, holidays: Mapping[date, str] | None = None) -> Floats:
    """Flow without noise, m3/s: a peak at 7 on working days and at 10 on free ones, on the wall clock."""
    tz = ZoneInfo(time_zone)
    flow = np.empty(len(times))
    for i, instant in enumerate(times):
        local = from_np(instant).astimezone(tz)
        hour = local.hour + local.minute / 60
        free = local.weekday() >= 5 or local.date() in (holidays or {})
        flow[i] = MEAN * (0.6 + 0.9 * np.exp(-0.5 * ((hour - (10.5 if free else 7.5)) / 1.5) ** 2) + 0.5 * np.exp(-0.5 * ((hour - 20) / 2) ** 2))
    return flow


def measured(until: datetime = NOW, days: float = 60, step_s: int = 3600, noise: float = 0.03, seed: int = 5, **of: Any) -> Readings:
    """Readings of the intervals that end by `until`."""
    count = int(days * 86_400 / step_s)
    times = to_np(until) + (np.arange(-count, 0) * step_s * 1_000_000).astype("timedelta64[us]")
    return Readings.good(times, rhythm(times, **of) * (1 + noise * np.random.default_rng(seed).normal(size=count)))


def ahead(start: datetime, count: int, step_s: int = 3600) -> Instants:
    times: Instants = to_np(start) + (np.arange(count) * step_s * 1_000_000).astype("timedelta64[us]")
    return times


def asked(zones: Mapping[str, Readings], **changes: Any) -> ForecastInput:
    """48 hours from NOW in hourly steps, without holidays and fallback."""
    fields: dict[str, Any] = {
        "issue_time": NOW, "step_s": 3600, "count": 48, "time_zone": ROME, "holidays": {}, "zones": zones, "fallback": None, "seed": 3,
    }  # fmt: skip
    return ForecastInput(**(fields | changes))


def with_values(readings: Readings, changes: Mapping[timedelta, float], issue: datetime = NOW) -> Readings:
    """The same readings, with other values at these distances from the issue time."""
    values = readings.values.copy()
    for distance, value in changes.items():
        values[int(np.flatnonzero(readings.times == to_np(issue + distance))[0])] = value
    return Readings(times=readings.times, values=values, quality=readings.quality)
