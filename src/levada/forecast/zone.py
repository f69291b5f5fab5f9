"""One zone: which rung of the ladder its history reaches, and the forecast from it.

| rung | needs | what it is |
|---|---|---|
| ensemble | 21 full days, readings within the last three days | boosted trees, like days and the seasonal model, weighed by recent skill |
| seasonal | 20 known hours | the usual week at the present level; in the first two weeks a typical day |
| network pattern | the network's own demand pattern | what the engineer who built the model thought |
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np

from levada.domain.errors import InputGap
from levada.domain.series import Floats
from levada.domain.time import isoformat_z
from levada.forecast.ensemble import Ensemble
from levada.forecast.features import feature_names, rows
from levada.forecast.history import mean_of_known
from levada.forecast.inputs import ForecastInput
from levada.forecast.intervals import GRID, Band, conformal_band, conformal_quantiles, interpolated
from levada.forecast.models.seasonal import seasonal
from levada.forecast.models.typical_day import typical_day
from levada.forecast.output import Driver, Explanation, Rung, SeriesForecast
from levada.forecast.past import ENSEMBLE_DAYS, Past
from levada.forecast.special_days import special_days, whole_days
from levada.forecast.trained import Trained
from levada.forecast.wall_clock import Ints
from levada.forecast.weights import FIRST_DAY_H
from levada.forecast.within_hour import split_hours

__all__ = ["ZoneResult", "forecast_zone"]

_WEEKS_KNOWN_DAYS = 14
_LEAST_HOURS = 20
_PATTERN_SPREAD = 0.6
_FIRST_DAY_SPREAD, _TWO_WEEKS_SPREAD = 0.4, 0.25
_CALIBRATION_EVERY_H = 6
_CALIBRATION_DAYS = 7
_LEAST_ERRORS = 100
_LEAST_ISSUE_TIMES = 10
_DRIVERS = 6
_DRIVERS_EVERY_H = 7
"""Shapley values are the dearest part of a forecast: hours that far apart still meet every hour of the day within a week."""


@dataclass(frozen=True, slots=True, eq=False)
class ZoneResult:
    """A zone's forecast, its quantiles at intervals.GRID (GRID, steps), and errors of past issue times (issue times, hours), for paths."""

    forecast: SeriesForecast
    margin: Floats
    past_errors: Floats


def forecast_zone(inputs: ForecastInput, past: Past, trained: Trained | None) -> ZoneResult:
    """Quantiles of one zone's flow, by its trained ensemble where it has one. Raises InputGap with neither a day of readings nor a pattern."""
    if past.measured_hours < _LEAST_HOURS:
        return _by_pattern(inputs, past)
    if past.hours.scale <= 0:
        past.notes.append("every usable reading is zero")
        return _result(inputs, past, Rung.SEASONAL, np.zeros((len(GRID), inputs.count)), Explanation(members={"seasonal": 1.0}))
    if trained is not None:
        return _by_ensemble(inputs, past, trained)
    if past.hours.full_days < ENSEMBLE_DAYS:
        past.notes.append(f"{past.hours.full_days} full days of readings: {ENSEMBLE_DAYS} are needed for the ensemble")
    elif past.fresh:
        past.notes.append("too few complete weeks to fit the ensemble")
    return _by_season(inputs, past)


def _by_pattern(inputs: ForecastInput, past: Past) -> ZoneResult:
    past.notes.append(f"{past.measured_hours} hours of readings: {_LEAST_HOURS} are needed for a forecast from measurements")
    if inputs.fallback is None or past.zone not in inputs.fallback:
        raise InputGap(
            f"zone {past.zone!r} has {past.measured_hours} hours of usable flow readings by {isoformat_z(inputs.issue_time)} and no demand pattern",
            f"deliver at least {_LEAST_HOURS} hours of its flow, or give its junctions a demand pattern in the network",
        )
    flow = np.maximum(np.nan_to_num(inputs.fallback[past.zone]), 0.0)
    return _result(inputs, past, Rung.PATTERN, _spread(flow, _PATTERN_SPREAD), Explanation(members={"network pattern": 1.0}))


def _ahead(past: Past) -> tuple[Ints, Ints]:
    hours = past.hours
    return np.full(hours.ahead, hours.known), hours.known + np.arange(hours.ahead)


def _by_ensemble(inputs: ForecastInput, past: Past, trained: Trained) -> ZoneResult:
    # What the trees call level is measured by the flow that they were fitted on.
    hours, ensemble = replace(past.hours, scale=trained.scale), trained.ensemble
    origin, target = _ahead(past)
    of = rows(hours, origin, target)
    flow = ensemble.flow(of, hours, origin, target)
    every = slice(None, None, _DRIVERS_EVERY_H)
    effect = np.abs(ensemble.effects(of.part(every), (target - origin)[every])).mean(axis=0) / max(float(flow.mean()), 1e-12)
    names = feature_names(hours)
    explanation = Explanation(
        members=_shares(ensemble, hours.ahead),
        drivers=tuple(Driver(name=names[i], effect=float(effect[i])) for i in np.argsort(-effect, kind="stable")[:_DRIVERS] if effect[i] > 0),
        weather=ensemble.weather,
    )
    return _result(inputs, past, Rung.ENSEMBLE, _margin(inputs, past, flow, trained.band, trained.shape), explanation, trained.past_errors)


def _shares(ensemble: Ensemble, hours: int) -> Mapping[str, float]:
    near = min(1.0, FIRST_DAY_H / hours)
    return {name: float(near * weight[0] + (1 - near) * weight[1]) for name, weight in ensemble.weights.items()}


def _margin(inputs: ForecastInput, past: Past, flow: Floats, band: Band, shape: Floats) -> Floats:
    """Quantiles (GRID, steps) of the forecast hours' steps round the median `flow` (hours,)."""
    clock, per_hour, count = past.hours.clock, past.per_hour, inputs.count
    _, target = _ahead(past)
    mid = np.maximum(split_hours(flow, target, clock, shape).ravel()[:count], 0.0)
    free, slot = np.repeat(clock.free[clock.day[target]], per_hour)[:count], np.repeat(clock.slot[target], per_hour)[:count]
    return band.around(mid, np.arange(count) / per_hour, free, slot)


def _by_season(inputs: ForecastInput, past: Past) -> ZoneResult:
    hours = past.hours
    origin, target = _ahead(past)
    explanation = Explanation(members={"seasonal": 1.0})
    flow = typical_day(hours, target)
    if hours.full_days >= _WEEKS_KNOWN_DAYS:
        flow = np.where(np.isfinite(hours.baseline[target]), seasonal(hours, origin, target), flow)
        origin, target = _recent_pairs(past)
        if len(origin) >= _LEAST_ERRORS:
            errors = past.step_errors(origin, target, seasonal(hours, origin, target))
            band = conformal_band(**errors, days=len(np.unique(hours.clock.day[target])))
            return _result(inputs, past, Rung.SEASONAL, _margin(inputs, past, flow, band, past.shape), explanation)
    days = min(max(hours.full_days, 1), _WEEKS_KNOWN_DAYS)
    # So few days say little of how days differ: the band is a share of the flow, narrower as days come in.
    spread = _FIRST_DAY_SPREAD + (_TWO_WEEKS_SPREAD - _FIRST_DAY_SPREAD) * (days - 1) / (_WEEKS_KNOWN_DAYS - 1)
    past.notes.append(f"the band is {spread:.0%} of the flow: too few days to measure it")
    mid = np.maximum(split_hours(flow, _ahead(past)[1], hours.clock, past.shape).ravel()[: inputs.count], 0.0)
    return _result(inputs, past, Rung.SEASONAL, _spread(mid, spread), explanation)


def _recent_pairs(past: Past) -> tuple[Ints, Ints]:
    """Issue times of the last week, and the known hours that each looked ahead to."""
    hours = past.hours
    origins = np.arange(hours.known - _CALIBRATION_EVERY_H, max(hours.known - 24 * _CALIBRATION_DAYS, 168) - 1, -_CALIBRATION_EVERY_H)[::-1]
    origin = np.repeat(origins, hours.ahead)
    target = origin + np.tile(np.arange(hours.ahead), len(origins))
    judged = target < hours.known
    origin, target = origin[judged], target[judged]
    judged = np.isfinite(hours.flow[target]) & np.isfinite(hours.baseline[target])
    return origin[judged], target[judged]


def _spread(flow: Floats, of_flow: float) -> Floats:
    """Quantiles (GRID, steps) as shares of the flow: `of_flow` is how far 10 and 90 % lie from the median."""
    return np.maximum(flow * (1 + of_flow * (np.asarray(GRID)[:, None] - 0.5) / 0.4), 0.0)


def _result(
    inputs: ForecastInput, past: Past, rung: Rung, margin: Floats, explanation: Explanation, past_errors: Floats | None = None
) -> ZoneResult:
    days, volumes = _volumes(inputs, margin, past_errors)
    told = replace(
        explanation,
        special_days=special_days(inputs.start, -(-inputs.count * inputs.step_s // 3600), inputs.time_zone, inputs.holidays, inputs.local_days),
        left_out=past.left_out,
        changes=past.changes,
        notes=tuple(past.notes),
    )
    found = SeriesForecast(
        zone=past.zone,
        rung=rung,
        quantiles_m3_per_s=interpolated(margin, inputs.quantiles),
        days=tuple(days),
        day_volume_m3=interpolated(volumes, inputs.quantiles),
        explanation=told,
    )
    return ZoneResult(found, margin, np.empty((0, past.hours.ahead)) if past_errors is None else past_errors)


def _volumes(inputs: ForecastInput, margin: Floats, past_errors: Floats | None) -> tuple[list[date], Floats]:
    """Whole local days of the horizon and quantiles (GRID, days) of their volumes, m3.

    By the errors that whole days had, where they are known; else as if all steps of a day erred alike, which is wider.
    """
    end = inputs.start + timedelta(seconds=inputs.count * inputs.step_s)
    days, columns = [], []
    median = GRID.index(0.5)
    for day, first, after in whole_days(inputs.start, end, inputs.time_zone):
        begin, until = (int((at - inputs.start).total_seconds()) // inputs.step_s for at in (first, after))
        steps = margin[:, begin:until].sum(axis=1) * inputs.step_s
        if past_errors is not None and len(past_errors) >= _LEAST_ISSUE_TIMES:
            hours = slice(begin * inputs.step_s // 3600, -(-until * inputs.step_s // 3600))
            error = mean_of_known(past_errors[:, hours], axis=1)
            error = error[np.isfinite(error)] * (after - first).total_seconds()
            lead_days = max(1.0, begin * inputs.step_s / 86_400)
            if len(error) >= _LEAST_ISSUE_TIMES:
                steps = np.maximum(steps[median] + conformal_quantiles(error, len(error) / lead_days**0.5), 0.0)
        days.append(day)
        columns.append(steps)
    return days, np.array(columns).T if columns else np.empty((len(GRID), 0))
