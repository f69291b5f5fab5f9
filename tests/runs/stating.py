"""From a tiny utility's changed documents and readings to the problem that a run states."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from tests.runs import tiny

from levada.domain.calendar import holidays_in
from levada.domain.plan import ForecastReport, Plan, ZoneForecast
from levada.domain.plan_input import PlanInput
from levada.domain.series import Floats, Readings
from levada.domain.time import Window, floor_to, to_np
from levada.hydraulics.inp import read_network
from levada.runs.problem import StatedProblem, state_problem
from levada.runs.steps import forecast_count, plan_steps

NETWORK = read_network(tiny.INP, "tiny")


def forecast_of(inputs: PlanInput) -> ForecastReport:
    step_s, count = inputs.operation.step_minutes * 60, forecast_count(inputs.operation)
    start = floor_to(inputs.issue_time, timedelta(seconds=step_s))
    zone = ZoneForecast(zone="village", method="ensemble", q10_m3_per_s=[0.010] * count, q50_m3_per_s=[0.012] * count, q90_m3_per_s=[0.016] * count)
    return ForecastReport(issue_time=inputs.issue_time, step_s=step_s, times=[start + timedelta(seconds=i * step_s) for i in range(count)], zones=[zone])


def stated(
    at: datetime = tiny.NOW,
    *,
    tank: dict[str, Any] | None = None,
    pump: dict[str, Any] | None = None,
    operation: dict[str, Any] | None = None,
    tariff: dict[str, Any] | None = None,
    readings: dict[str, Readings] | None = None,
    previous: Plan | None = None,
    level_m: float = 2.5,
    paths: Floats | None = None,
) -> StatedProblem:
    """State the problem at `at`; `tank` and `pump` are changes to TNK and PU1, `operation` and `tariff` to the documents, `readings` more of them."""
    base: Any = tiny.document("operation").model_dump(mode="json")
    changes = {"tanks": {"TNK": {**base["tanks"]["TNK"], **(tank or {})}}, "pumps": {**base["pumps"], "PU1": {**base["pumps"]["PU1"], **(pump or {})}}, **(operation or {})}
    inputs = tiny.plan_input(at, operation=changes, tariff=tariff, level_m=level_m, previous_plan=previous)
    for name, more in (readings or {}).items():
        inputs.readings[name] = more  # type: ignore[index]
    holidays = holidays_in(inputs.utility, Window(at, at + timedelta(days=4)))
    return state_problem(inputs, NETWORK, plan_steps(at, inputs.operation), forecast_of(inputs), holidays, paths=paths)


def hourly(first: str, values: list[float]) -> Readings:
    """Readings an hour apart from an instant in UTC."""
    return Readings.good(np.datetime64(first, "us") + np.arange(len(values)) * np.timedelta64(3600, "s"), np.array(values))


def at_utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def switches(*at: tuple[str, float]) -> Readings:
    """Status readings: (instant in UTC, 1 or 0)."""
    return Readings.good(np.array([to_np(at_utc(text)) for text, _ in at]), np.array([v for _, v in at]))
