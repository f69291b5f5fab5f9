"""The forecast of all zones."""

from __future__ import annotations

from datetime import timedelta

from levada.domain.plan import ForecastReport
from levada.forecast.inputs import ForecastInput
from levada.forecast.zone import Horizon, forecast_zone

__all__ = ["forecast"]


def forecast(inputs: ForecastInput) -> ForecastReport:
    """Demand of each zone over the asked steps, with 10, 50 and 90 % quantiles; zones in order of name.

    Each zone is forecast by itself, so neither the order nor the presence of others changes it. `ZoneForecast.method` is the rung of
    the ladder that its history reached (zone.py), `notes` say what was left out, missing or assumed.
    Raises InputGap for a zone with neither enough readings nor a fallback; DocumentError for an unknown time zone.
    """
    horizon = Horizon(
        issue_time=inputs.issue_time,
        start=inputs.start,
        step_s=inputs.step_s,
        count=inputs.count,
        time_zone=inputs.time_zone,
        holidays=inputs.holidays,
        seed=inputs.seed,
    )
    fallback = inputs.fallback or {}
    return ForecastReport(
        issue_time=inputs.issue_time,
        step_s=inputs.step_s,
        times=[inputs.start + timedelta(seconds=i * inputs.step_s) for i in range(inputs.count)],
        zones=[forecast_zone(zone, inputs.zones[zone], fallback.get(zone), horizon) for zone in sorted(inputs.zones)],
    )
