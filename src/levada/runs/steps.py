"""The steps of a plan: from the quarter-hour in which it is made, along the clock, over exactly the horizon.

A plan starts at the latest quarter-hour (or hydraulic step, where that is longer) that is not after its issue time, for tank levels are
measured there: nothing has to be extrapolated, and the plan says what to do now. Its first step is short up to the next full step
of the clock and its last step makes up for that, so that switches fall on full steps and tariffs, and the horizon is always the same.
"""

from __future__ import annotations

import math
from datetime import datetime, timedelta

from levada.domain.errors import DocumentError
from levada.domain.settings import Operation
from levada.domain.time import Steps, floor_to

__all__ = ["HISTORY_DAYS", "MODEL_HISTORY_DAYS", "TRAINING_DAYS", "forecast_count", "plan_steps", "start_grid"]

HISTORY_DAYS = 70
"""How much of the zones' past a forecast gets: ten weeks, so that each weekday and the week before are known several times."""

MODEL_HISTORY_DAYS = 100
"""The same where there are trained models: as far as what they are told of the past looks back."""

TRAINING_DAYS = 730
"""How much of the zones' past a training gets: two years, so that each season and each holiday was there twice where it has been measured."""

_QUARTER_S = 900


def start_grid(operation: Operation) -> timedelta:
    """The grid on which plans start: quarter-hours, or a multiple that the hydraulic step divides. Raises DocumentError when it divides no step."""
    step_s, hydraulic_s = operation.step_minutes * 60, operation.hydraulic_step_s
    if step_s % hydraulic_s:
        raise DocumentError("operation", "hydraulic_step_s", f"{hydraulic_s} s does not divide the step of {operation.step_minutes} minutes")
    grid_s = math.lcm(_QUARTER_S, hydraulic_s)
    return timedelta(seconds=grid_s if step_s % grid_s == 0 else step_s)


def plan_steps(issue_time: datetime, operation: Operation) -> Steps:
    """The steps of the plan that is made at `issue_time`; they may be uneven at both ends. Raises DocumentError as start_grid does."""
    step = timedelta(minutes=operation.step_minutes)
    start = floor_to(issue_time, start_grid(operation))
    step_s, horizon_s = int(step.total_seconds()), operation.horizon_hours * 3600
    gone_s = int((start - floor_to(start, step)).total_seconds())
    if gone_s == 0:
        return Steps.even(start, step, horizon_s // step_s)
    return Steps(start, (step_s - gone_s, *[step_s] * (horizon_s // step_s - 1), gone_s))


def forecast_count(operation: Operation) -> int:
    """How many forecast steps cover the forecast's hours and, as the forecast starts with a full step, the plan's last short one."""
    step_s = operation.step_minutes * 60
    return math.ceil(max(operation.forecast_hours * 3600, operation.horizon_hours * 3600 + step_s) / step_s)
