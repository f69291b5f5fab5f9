"""One zone's past as a forecast sees it: screened, on even steps, at the present level, and what is to be told of all that."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from levada.domain.series import Floats, Readings
from levada.domain.time import from_np, isoformat_z, to_np
from levada.forecast.changes import follow_change
from levada.forecast.grid import even_steps, known_readings
from levada.forecast.history import History, history
from levada.forecast.inputs import ForecastInput
from levada.forecast.output import Change, LeftOut
from levada.forecast.screen import screen
from levada.forecast.wall_clock import Ints
from levada.forecast.weather import hourly_weather
from levada.forecast.within_hour import hours_of_steps, shape_within_hours, split_hours

__all__ = ["ENSEMBLE_DAYS", "Past", "read_past"]

ENSEMBLE_DAYS = 21
_LEAST_AHEAD_H = 24
"""Hours to look ahead where fewer are asked for: a model of the next hour alone would have too little to learn from."""

_STALE_H, _LEAST_FRESH_H = 72, 12


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Past:
    """`hours`: the past by the hour; `within` (known, per_hour): its steps; `shape`: see within_hour.py; `measured_hours`: known hours.

    `left_out`, `changes` and `notes` are told with the forecast; `fresh`: whether there are readings of the last three days.
    """

    zone: str
    hours: History
    within: Floats
    shape: NDArray[np.float64]
    measured_hours: int
    fresh: bool
    left_out: tuple[LeftOut, ...]
    changes: tuple[Change, ...]
    notes: list[str] = field(default_factory=list)

    @property
    def per_hour(self) -> int:
        return int(self.within.shape[1])

    @property
    def enough_for_ensemble(self) -> bool:
        return self.fresh and self.hours.full_days >= ENSEMBLE_DAYS and self.hours.scale > 0

    def step_errors(self, origin: Ints, target: Ints, flow: Floats) -> dict[str, NDArray[Any]]:
        """Of forecasts `flow` (rows,) of known hours, for each measured step: error, m3/s, lead and age in hours, whether its day is free,
        local hour; by the names that intervals.conformal_band knows them by."""
        clock, per_hour = self.hours.clock, self.per_hour
        error = (self.within[target] - split_hours(np.maximum(flow, 0.0), target, clock, self.shape)).ravel()
        lead_h = ((target - origin)[:, None] + np.arange(per_hour) / per_hour).ravel()
        known = np.isfinite(error)
        free, slot = np.repeat(clock.free[clock.day[target]], per_hour), np.repeat(clock.slot[target], per_hour)
        age_h = np.repeat(self.hours.known - target, per_hour)
        return {name: of[known] for name, of in {"error": error, "lead_h": lead_h, "free": free, "slot": slot, "age_h": age_h}.items()}


def read_past(inputs: ForecastInput, zone: str, days: int | None = None) -> Past:
    """The past of a zone, of the last `days` only where given. Raises DocumentError for an unknown time zone."""
    per_hour = 3600 // inputs.step_s
    ahead = max(_LEAST_AHEAD_H, -(-inputs.count // per_hour))
    given = inputs.zones[zone]
    if days is not None:
        since = int(np.searchsorted(given.times, to_np(inputs.issue_time - timedelta(days=days))))
        given = Readings(times=given.times[since:], values=given.values[since:], quality=given.quality[since:])
    known, interval_s = known_readings(given, inputs.issue_time)
    screened = screen(known, interval_s)
    within, measured = hours_of_steps(even_steps(screened.readings, interval_s, inputs.start, inputs.step_s), per_hour)
    followed = follow_change(measured, inputs.start, inputs.time_zone, inputs.holidays)
    within = within * np.where(measured > 0, followed.hourly / np.where(measured > 0, measured, 1.0), 1.0)[:, None]
    weather = {} if inputs.weather is None else hourly_weather(inputs.weather, inputs.issue_time, inputs.start, len(measured), ahead)
    arranged = history(followed.hourly, inputs.start, ahead, inputs.time_zone, inputs.holidays, inputs.local_days, weather)
    measured_hours = int(np.isfinite(measured).sum())
    fresh = int(np.isfinite(measured[-_STALE_H:]).sum()) >= _LEAST_FRESH_H
    notes = []
    if not fresh and measured_hours:
        last = isoformat_z(from_np(screened.readings.times[-1]))
        notes.append(f"under {_LEAST_FRESH_H} hours of readings in the last three days, the last at {last}")
    return Past(
        zone=zone,
        hours=arranged,
        within=within,
        shape=shape_within_hours(within, followed.hourly, arranged.clock),
        measured_hours=measured_hours,
        fresh=fresh,
        left_out=screened.left_out,
        changes=(followed.change,) if followed.change else (),
        notes=notes,
    )
