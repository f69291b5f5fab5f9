"""An invented day-ahead market: quarter-hourly prices with the shape that such prices have where there is much sun.

Mornings and evenings dear, a hollow around noon that deepens with the season's sun and falls below zero on bright, windy or idle days.
The figures are our own; no market's prices are used or reproduced.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta

import numpy as np

from levada.domain.series import Floats
from levada.domain.settings import Utility
from levada.domain.time import Instants, local_midnight, to_np, zone

__all__ = ["PUBLISHED_AT_HOUR", "day_prices", "published_until"]

PUBLISHED_AT_HOUR = 13
"""Local hour at which the next day's prices are sent."""

_PER_KWH = 1e-3  # from currency/MWh


def day_prices(utility: Utility, day: date, seed: int) -> tuple[Instants, Floats]:
    """Start of each quarter-hour of a local day (92, 96 or 100 of them) and its price, currency/kWh."""
    tz = zone(utility.time_zone)
    start, end = local_midnight(day, tz), local_midnight(day + timedelta(days=1), tz)
    count = int((end - start) / timedelta(minutes=15))
    times: Instants = to_np(start) + np.arange(count) * np.timedelta64(15, "m")
    clock = [(start + timedelta(minutes=15 * i)).astimezone(tz) for i in range(count)]
    hour = np.array([local.hour + local.minute / 60 for local in clock])
    rng = np.random.default_rng([seed, 5, day.toordinal()])
    sun = 0.5 - 0.5 * np.cos(2 * np.pi * (day.timetuple().tm_yday + 10) / 365.25)  # 0 in midwinter, 1 in midsummer
    cloud, wind = rng.beta(2, 3), rng.beta(2, 4)
    idle = (0.0, 0.0, 0.0, 0.0, 0.0, 0.15, 0.28)[day.weekday()]
    base = (92 - 14 * sun) * (1 - 0.45 * wind) * (1 - idle) * np.exp(0.1 * rng.standard_normal())
    half_width = 2.6 + 1.1 * sun
    noon = 13.9  # of the sun, on summer's clock in the west of the zone
    hollow = (62 + 42 * sun) * (1 - 0.8 * cloud) * np.exp(-0.5 * ((hour - noon) / half_width) ** 2)
    morning = 24 * np.exp(-0.5 * ((hour - 8.0) / 1.1) ** 2)
    evening = (38 + 14 * sun) * np.exp(-0.5 * ((hour - 21.0) / 1.5) ** 2)
    night = 18 * np.exp(-0.5 * ((hour - 3.8) / 2.0) ** 2)
    # Quarter-hours saw about the hour's price: plants ramp.
    saw = 3.5 * np.tile([1.0, 0.3, -0.4, -0.9], count // 4) * np.sign(hour - noon)
    ripple = np.convolve(rng.standard_normal(count + 7), np.ones(8) / 8, "valid") * 5
    price = base + morning + evening - night - hollow + saw * 0.6 + ripple
    return times, np.round(np.maximum(price, -15.0), 2) * _PER_KWH


def published_until(utility: Utility, now: datetime) -> date:
    """The last local day whose prices are out at `now`: tomorrow from one o'clock on, else today."""
    local = now.astimezone(zone(utility.time_zone))
    return local.date() + timedelta(days=1 if local.hour >= PUBLISHED_AT_HOUR else 0)
