"""One zone: which rung of the ladder its history reaches, and the forecast from it.

| rung | needs | what it is |
|---|---|---|
| ensemble | 21 full days, readings within the last three days | boosted trees and the seasonal model, weighted by recent skill |
| seasonal | 20 known hours | the usual week at the present level; in the first two weeks a typical day |
| network pattern | the network's own demand pattern | what the engineer who built the model thought |
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

import numpy as np
from numpy.typing import NDArray

from levada.domain.errors import InputGap
from levada.domain.plan import ZoneForecast
from levada.domain.series import Floats, Readings
from levada.domain.time import from_np, isoformat_z
from levada.forecast.grid import even_steps, known_readings
from levada.forecast.history import History, history
from levada.forecast.intervals import conformal_band
from levada.forecast.models.boosted import Boosted, fit_boosted
from levada.forecast.models.seasonal import seasonal
from levada.forecast.models.typical_day import typical_day
from levada.forecast.screen import screen
from levada.forecast.wall_clock import Ints
from levada.forecast.within_hour import hours_of_steps, shape_within_hours, split_hours

__all__ = ["ENSEMBLE_DAYS", "Horizon", "forecast_zone"]

ENSEMBLE_DAYS = 21
_WEEKS_KNOWN_DAYS = 14
_LEAST_HOURS = 20
_PATTERN_SPREAD = 0.6
_FIRST_DAY_SPREAD, _TWO_WEEKS_SPREAD = 0.4, 0.25
_CALIBRATION_DAYS = 84
_CALIBRATION_EVERY_H = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Horizon:
    """The steps to forecast, and the clock and calendar they are told on."""

    issue_time: datetime
    start: datetime
    step_s: int
    count: int
    time_zone: str
    holidays: Mapping[date, str]
    seed: int

    @property
    def per_hour(self) -> int:
        return 3600 // self.step_s

    @property
    def hours(self) -> int:
        return -(-self.count // self.per_hour)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Past:
    """A zone's past: hours, and their steps, (known, per_hour)."""

    hours: History
    within: Floats
    shape: NDArray[np.float64]

    def free(self, target: Ints) -> NDArray[np.int64]:
        return (self.hours.clock.kind[self.hours.clock.day[target]] >= 5).astype(np.int64)


def forecast_zone(zone: str, readings: Readings, fallback: Floats | None, horizon: Horizon) -> ZoneForecast:
    """Quantiles of one zone's flow over the horizon's steps. Raises InputGap where there is neither a day of readings nor a pattern."""
    known, interval_s = known_readings(readings, horizon.issue_time)
    screened = screen(known, interval_s)
    notes = list(screened.notes)
    steps = even_steps(screened.readings, interval_s, horizon.start, horizon.step_s)
    within, hourly = hours_of_steps(steps, horizon.per_hour)
    known_hours = int(np.isfinite(hourly).sum())
    if known_hours < _LEAST_HOURS:
        notes.append(f"{known_hours} hours of readings: {_LEAST_HOURS} are needed for a forecast from measurements")
        if fallback is None:
            raise InputGap(
                f"zone {zone!r} has {known_hours} hours of usable flow readings by {isoformat_z(horizon.issue_time)} and no demand pattern",
                f"deliver at least {_LEAST_HOURS} hours of its flow, or give its junctions a demand pattern in the network",
            )
        flow = np.maximum(np.nan_to_num(fallback), 0.0)
        return _document(zone, "network pattern", flow * (1 - _PATTERN_SPREAD), flow, flow * (1 + _PATTERN_SPREAD), notes)
    arranged = history(hourly, horizon.start, horizon.hours, horizon.time_zone, horizon.holidays)
    past = _Past(hours=arranged, within=within, shape=shape_within_hours(within, hourly, arranged.clock))
    if arranged.scale <= 0:
        nothing = np.zeros(horizon.count)
        return _document(zone, "seasonal", nothing, nothing, nothing, [*notes, "every usable reading is zero"])
    stale = _stale(screened.readings, hourly)
    if stale:
        notes.append(stale)
    if arranged.full_days >= ENSEMBLE_DAYS and not stale:
        found = _ensemble(zone, past, horizon, notes)
        if found is not None:
            return found
    if arranged.full_days < ENSEMBLE_DAYS:
        notes.append(f"{arranged.full_days} full days of readings: {ENSEMBLE_DAYS} are needed for the ensemble")
    return _seasonal(zone, past, horizon, notes)


def _stale(readings: Readings, hourly: Floats) -> str | None:
    if np.isfinite(hourly[-72:]).sum() >= 12:
        return None
    return f"under 12 hours of readings in the last three days, the last at {isoformat_z(from_np(readings.times[-1]))}"


def _ahead(past: _Past, horizon: Horizon) -> tuple[Ints, Ints]:
    known = past.hours.known
    target = known + np.arange(horizon.hours)
    return np.full(horizon.hours, known), target


def _ensemble(zone: str, past: _Past, horizon: Horizon, notes: list[str]) -> ZoneForecast | None:
    """Members weighted by their skill on recent issue times that the first fit has not seen; then fitted again on all."""
    hours = past.hours
    known = hours.known
    held_out = 24 * int(np.clip(hours.full_days // 3, 7, _CALIBRATION_DAYS))
    first_fit = fit_boosted(hours, known - held_out, horizon.hours, horizon.seed)
    last_fit = fit_boosted(hours, known, horizon.hours, horizon.seed)
    if first_fit is None or last_fit is None:
        notes.append("too few complete weeks to fit the ensemble")
        return None
    origin, target = _recent_pairs(hours, held_out, horizon.hours)
    if len(origin) < 100:
        notes.append("too few recent readings to weigh the ensemble")
        return None
    trees, usual = first_fit.flow(hours, origin, target), seasonal(hours, origin, target)
    share = _share(hours.flow[target], trees, usual)
    at, ahead = _ahead(past, horizon)
    flow = _blend(last_fit, share, hours, at, ahead)
    low, mid, high = _with_band(past, horizon, flow, origin, target, share * trees + (1 - share) * usual)
    return _document(zone, "ensemble", low, mid, high, [*notes, f"weights: boosted trees {share:.2f}, seasonal {1 - share:.2f}"])


def _blend(model: Boosted, share: float, hours: History, origin: Ints, target: Ints) -> Floats:
    return share * model.flow(hours, origin, target) + (1 - share) * seasonal(hours, origin, target)


def _share(measured: Floats, trees: Floats, usual: Floats) -> float:
    """Weight of the trees: the best of eleven by mean absolute error, drawn half-way to equal weights, as recent skill is noisy."""
    candidates = np.linspace(0.0, 1.0, 11)
    errors = [float(np.abs(measured - (w * trees + (1 - w) * usual)).mean()) for w in candidates]
    return 0.5 * (0.5 + float(candidates[int(np.argmin(errors))]))


def _recent_pairs(hours: History, held_out: int, lead_hours: int) -> tuple[Ints, Ints]:
    """Earlier issue times within the last `held_out` hours, and the known hours that each looked ahead to."""
    origins = np.arange(hours.known - _CALIBRATION_EVERY_H, max(hours.known - held_out, 168) - 1, -_CALIBRATION_EVERY_H)[::-1]
    origin = np.repeat(origins, lead_hours)
    target = origin + np.tile(np.arange(lead_hours), len(origins))
    judged = target < hours.known
    origin, target = origin[judged], target[judged]
    judged = np.isfinite(hours.flow[target]) & np.isfinite(hours.baseline[target])
    return origin[judged], target[judged]


def _seasonal(zone: str, past: _Past, horizon: Horizon, notes: list[str]) -> ZoneForecast:
    hours = past.hours
    at, ahead = _ahead(past, horizon)
    if hours.full_days >= _WEEKS_KNOWN_DAYS:
        flow = np.where(np.isfinite(hours.baseline[ahead]), seasonal(hours, at, ahead), typical_day(hours, ahead))
        origin, target = _recent_pairs(hours, 24 * 7, horizon.hours)
        if len(origin) >= 100:
            low, mid, high = _with_band(past, horizon, flow, origin, target, seasonal(hours, origin, target))
            return _document(zone, "seasonal", low, mid, high, notes)
    else:
        flow = typical_day(hours, ahead)
    days = min(max(hours.full_days, 1), _WEEKS_KNOWN_DAYS)
    # So few days say little of how days differ: the band is a share of the flow, narrower as days come in.
    spread = _FIRST_DAY_SPREAD + (_TWO_WEEKS_SPREAD - _FIRST_DAY_SPREAD) * (days - 1) / (_WEEKS_KNOWN_DAYS - 1)
    notes.append(f"the band is {spread:.0%} of the flow: too few days to measure it")
    mid = np.maximum(split_hours(flow, ahead, hours.clock, past.shape).ravel()[: horizon.count], 0.0)
    return _document(zone, "seasonal", mid * (1 - spread), mid, mid * (1 + spread), notes)


def _with_band(
    past: _Past, horizon: Horizon, flow: Floats, origin: Ints, target: Ints, recent: Floats
) -> tuple[Floats, Floats, Floats]:
    """Steps of the forecast hours with the band that forecasts `recent` of known hours (rows,) have earned, all (count,)."""
    clock, per_hour = past.hours.clock, horizon.per_hour
    step_h = 1.0 / per_hour
    error = (past.within[target] - split_hours(np.maximum(recent, 0.0), target, clock, past.shape)).ravel()
    lead = ((target - origin)[:, None] + np.arange(per_hour) * step_h).ravel()
    measured = np.isfinite(error)
    band = conformal_band(
        error=error[measured],
        lead_h=lead[measured],
        free=np.repeat(past.free(target), per_hour)[measured],
        slot=np.repeat(clock.slot[target], per_hour)[measured],
        days=len(np.unique(clock.day[target])),
    )
    _, ahead = _ahead(past, horizon)
    count = horizon.count
    mid = np.maximum(split_hours(flow, ahead, clock, past.shape).ravel()[:count], 0.0)
    lead_ahead = (np.arange(count) * step_h).astype(np.float64)
    low, high = band.around(
        mid, lead_ahead, np.repeat(past.free(ahead), per_hour)[:count], np.repeat(clock.slot[ahead], per_hour)[:count]
    )
    return low, mid, high


def _document(zone: str, method: str, low: Floats, mid: Floats, high: Floats, notes: list[str]) -> ZoneForecast:
    def rounded(flow: Floats) -> list[float]:
        # A millilitre a second is far below any meter; shorter numbers make smaller documents.
        return [float(v) for v in np.round(flow, 9)]

    return ZoneForecast(
        zone=zone, method=method, q10_m3_per_s=rounded(low), q50_m3_per_s=rounded(mid), q90_m3_per_s=rounded(high), notes=notes
    )
