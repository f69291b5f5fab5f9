"""Weather on the hours of a forecast: what was observed up to its start, what was foretold from then on."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np

from levada.domain.series import Floats, Readings
from levada.domain.time import to_np
from levada.forecast.grid import even_steps, known_readings, usual_interval_s
from levada.forecast.inputs import Weather

__all__ = ["hourly_weather"]


def hourly_weather(weather: Weather, issue_time: datetime, start: datetime, known: int, ahead: int) -> dict[str, Floats]:
    """Variable -> (known + ahead,) means of the hours, NaN where unknown; in order of name, only variables that were observed."""
    return {name: np.concatenate([_observed(weather.observed[name], issue_time, start, known), _foretold(weather.forecast.get(name), start, ahead)]) for name in sorted(weather.observed)}


def _observed(readings: Readings, issue_time: datetime, start: datetime, known: int) -> Floats:
    usable, interval_s = known_readings(readings, issue_time)
    hours = even_steps(usable, interval_s, start, 3600)[-known:] if known else np.empty(0)
    return np.concatenate([np.full(known - len(hours), np.nan), hours])


def _foretold(readings: Readings | None, start: datetime, ahead: int) -> Floats:
    if readings is None:
        return np.full(ahead, np.nan)
    usable = readings.usable()
    end = start + timedelta(hours=ahead)
    kept = (usable.times >= to_np(start)) & (usable.times < to_np(end)) & np.isfinite(usable.values)
    within = Readings(times=usable.times[kept], values=usable.values[kept], quality=usable.quality[kept])
    hours = even_steps(within, usual_interval_s(usable), end, 3600)[-ahead:]
    return np.concatenate([np.full(ahead - len(hours), np.nan), hours])
