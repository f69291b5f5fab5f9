"""What a demo town draws: real inflows, moved to any date by weekday and season, scaled, interpolated, with a little noise.

An instant takes the value of the same clock time on the source day with the same weekday that lies nearest in the year; holidays
take a Sunday. The source's own holidays stand for no other day. So any date works and weeks follow each other as they did.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache, cached_property
from importlib.resources import files
from zoneinfo import ZoneInfo

import numpy as np

from levada.demo.plant_settings import TrueZone
from levada.domain.calendar import holidays_in
from levada.domain.series import Floats
from levada.domain.settings import Utility
from levada.domain.time import Window, floor_to, local_midnight, parse_instant, zone

__all__ = ["QUARTER", "Demand", "SourceDays", "source_days"]

QUARTER = timedelta(minutes=15)
_DAY_QUARTERS = 96
_NOISE = 0.02
"""Standard deviation of the factor on each quarter-hour, and of that on each day."""

_SOURCE = Utility(name="source of the demand data", time_zone="Europe/Rome", country="IT", local_holidays={date(2022, 11, 3): "patron saint"})


@dataclass(frozen=True, eq=False)
class SourceDays:
    """The real data by day of their own clock: `flow_l_per_s` name -> (days, 24), gaps filled; days that are like any other."""

    first: date
    flow_l_per_s: Mapping[str, Floats]
    ordinary: Mapping[int, tuple[int, ...]]
    """ISO weekday -> indices of days that are no holiday there."""

    def nearest(self, day: date, weekday: int) -> int:
        """Index of the ordinary day of that ISO weekday that lies nearest in the year; of two, the earlier."""
        target = day.timetuple().tm_yday

        def apart(index: int) -> float:
            between = abs((self.first + timedelta(days=index)).timetuple().tm_yday - target)
            return min(between, 365.25 - between)

        return min(self.ordinary[weekday], key=apart)


@cache
def source_days() -> SourceDays:
    """Read the extract in data/ (see ATTRIBUTION.md there)."""
    lines = files("levada.demo.data").joinpath("bwdf_inflow_l_per_s.csv").read_text("utf-8").splitlines()
    names = lines[0].split(",")[1:]
    tz = zone(_SOURCE.time_zone)
    start = parse_instant(lines[1].split(",")[0].replace("Z", ":00+00:00"))
    hours = [(start + timedelta(hours=i)).astimezone(tz) for i in range(len(lines) - 1)]
    first, last = hours[0].date(), hours[-1].date() - timedelta(days=1)
    days = (last - first).days + 1
    total, count = np.zeros((len(names), days, 24)), np.zeros((len(names), days, 24))
    for local, line in zip(hours, lines[1:], strict=True):
        row = (local.date() - first).days
        if row >= days:
            break
        for k, cell in enumerate(line.split(",")[1:]):
            if cell:
                total[k, row, local.hour] += float(cell)  # the hour that occurs twice in autumn becomes its mean
                count[k, row, local.hour] += 1
    with np.errstate(invalid="ignore"):
        flow = np.where(count > 0, total / count, np.nan)
    holidays = holidays_in(_SOURCE, Window(local_midnight(first, tz), local_midnight(last, tz)))
    ordinary: dict[int, list[int]] = {}
    for i in range(days):
        if (day := first + timedelta(days=i)) not in holidays:
            ordinary.setdefault(day.isoweekday(), []).append(i)
    return SourceDays(first, {name: _filled(flow[k]) for k, name in enumerate(names)}, {k: tuple(v) for k, v in ordinary.items()})


def _filled(flow: Floats) -> Floats:
    """Fill gaps with the mean of the same hour in the nearest weeks that have it: a plant must draw something at every hour."""
    filled = flow.copy()
    for day, hour in np.argwhere(np.isnan(flow)):
        for weeks in range(1, len(flow) // 7):
            around = [flow[i, hour] for i in (day - 7 * weeks, day + 7 * weeks) if 0 <= i < len(flow) and np.isfinite(flow[i, hour])]
            if around:
                filled[day, hour] = np.mean(around)
                break
    return filled


class Demand:
    """The true demand of a town's zones. The same seed and instant always give the same value, in whatever order they are asked for."""

    def __init__(self, utility: Utility, zones: Mapping[str, TrueZone], seed: int) -> None:
        self.zones = tuple(zones)
        self._truth, self._utility, self._seed = dict(zones), utility, seed
        self._days: dict[date, Floats] = {}
        self._noise: dict[int, Floats] = {}

    @cached_property
    def _tz(self) -> ZoneInfo:
        return zone(self._utility.time_zone)

    def flow_m3_per_s(self, start: datetime) -> Floats:
        """Mean flow of each zone over the quarter-hour that begins at `start`, shape (zones,). Raises ValueError off the quarter-hour."""
        if floor_to(start, QUARTER) != start:
            raise ValueError(f"{start.isoformat()} is not the start of a quarter-hour")
        local = start.astimezone(self._tz)
        # Hourly means stand at the middle of their hours; between the middles the flow goes straight from one to the next.
        position = local.hour + (local.minute + 7.5) / 60 - 0.5
        before = int(np.floor(position))
        weight = position - before
        flow = (1 - weight) * self._hour(local.date(), before) + weight * self._hour(local.date(), before + 1)
        quarter = int(start.timestamp()) // 900
        day, index = divmod(quarter, _DAY_QUARTERS)
        result: Floats = flow * self._factors(day)[index]
        return result

    def _hour(self, day: date, hour: int) -> Floats:
        days, hour = divmod(hour, 24)
        values: Floats = self._day(day + timedelta(days=days))[:, hour]
        return values

    def _day(self, day: date) -> Floats:
        """Hourly means of all zones on a local day, m3/s, shape (zones, 24)."""
        if day not in self._days:
            source = source_days()
            noon = datetime(day.year, day.month, day.day, 12, tzinfo=self._tz)
            weekday = 7 if holidays_in(self._utility, Window(noon, noon)) else day.isoweekday()
            rows = []
            for truth in self._truth.values():
                flow = source.flow_l_per_s[truth.series]
                shifted = day + timedelta(days=truth.shift_days)
                year = flow[: 365]
                rows.append(flow[source.nearest(shifted, weekday)] / year.mean() * truth.mean_m3_per_h / 3600)
            if len(self._days) > 400:
                self._days.clear()
            self._days[day] = np.array(rows)
        return self._days[day]

    def _factors(self, utc_day: int) -> Floats:
        """Noise of a UTC day, shape (quarter-hours, zones)."""
        if utc_day not in self._noise:
            rng = np.random.default_rng([self._seed, 1, utc_day])
            n = len(self.zones)
            if len(self._noise) > 400:
                self._noise.clear()
            self._noise[utc_day] = np.exp(_NOISE * (rng.standard_normal((_DAY_QUARTERS, n)) + rng.standard_normal(n)))
        return self._noise[utc_day]
