"""How pumps stand at the start, and what may be asked of them. What is not measured is taken from the plan that is followed, else assumed, and said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from levada.domain.errors import DocumentError
from levada.domain.network import Pump
from levada.domain.plant_fields import PumpFields
from levada.domain.pumping import Bools
from levada.domain.pumping_terms import ControllableValve
from levada.domain.series import Floats, Readings
from levada.domain.settings import PumpSettings
from levada.domain.terms import Span
from levada.domain.time import from_np, to_np
from levada.runs.horizon import Horizon
from levada.runs.rest import plan_over_steps

__all__ = ["deviation", "pump_fields"]

_STATUS_AGE = timedelta(hours=3)
_QUARTER = timedelta(minutes=15)


@dataclass(frozen=True, slots=True, kw_only=True)
class _State:
    """How one pump stands. `held_s` is None where it is not known."""

    is_on: bool
    held_s: float | None
    starts_made: int
    flags: tuple[str, ...]


def pump_fields(horizon: Horizon) -> tuple[PumpFields, tuple[str, ...]]:
    """The fields and, in words, what was assumed. Raises DocumentError for a time that does not exist or ends before it begins."""
    network, flags = horizon.network, list[str]()
    settings = [horizon.inputs.operation.pumps[pump.name] for pump in network.pumps]
    states = [_state(horizon, pump, s) for pump, s in zip(network.pumps, settings, strict=True)]
    for state in states:
        flags += state.flags
    n = len(horizon.steps)
    available, forced = np.ones((n, len(settings)), bool), np.zeros((n, len(settings)), bool)
    for j, (pump, s) in enumerate(zip(network.pumps, settings, strict=True)):
        available[:, j] = ~_touched(horizon, s.outages, f"pumps.{pump.name}.outages")
        forced[:, j] = _touched(horizon, s.forced_on, f"pumps.{pump.name}.forced_on")
        if not s.available:
            available[:, j] = False
            flags.append(f"pump {pump.name} is set out of service")
        elif not available[:, j].all():
            flags.append(f"pump {pump.name} is out of service in {int((~available[:, j]).sum())} of {n} steps")
        if lost := int((forced[:, j] & ~available[:, j]).sum()):
            flags.append(f"pump {pump.name}: forced on and out of service in {lost} steps; it is out there")
            forced[:, j] &= available[:, j]
    least = [max(s.min_on or 0, s.min_off or 0) for s in settings]
    fields = PumpFields(
        max_starts=np.array([s.max_starts_per_day for s in settings], np.int64),
        initial_on=np.array([state.is_on for state in states], bool),
        min_speed=np.array([s.min_speed for s in settings]),
        max_speed=np.array([s.max_speed for s in settings]),
        available=available,
        starts_made=np.array([state.starts_made for state in states], np.int64),
        min_on_s=_given([s.min_on for s in settings]),
        min_off_s=_given([s.min_off for s in settings]),
        held_s=np.array([float(long) if state.held_s is None else state.held_s for state, long in zip(states, least, strict=True)]) if any(least) else None,
        forced_on=forced if forced.any() else None,
        wear_cost_per_start=_given([s.wear_per_start or None for s in settings]),
        run_hours_h=_run_hours(horizon, settings, flags),
    )
    return fields, tuple(flags)


def _given(values: Sequence[float | None]) -> Floats | None:
    return None if all(v is None for v in values) else np.array([float(v or 0.0) for v in values])


# --- state ----------------------------------------------------------------------------------------------------------


def _state(horizon: Horizon, pump: Pump, settings: PumpSettings) -> _State:
    status, flags = _status(horizon, settings), list[str]()
    on = status.values > 0.5
    is_known = len(status) > 0 and horizon.inputs.issue_time - from_np(status.times[-1]) <= _STATUS_AGE
    if is_known:
        is_on, held_s = bool(on[-1]), _held_s(horizon, status)
    else:
        is_on, how = _otherwise(horizon, pump)
        held_s = None
        flags.append(f"pump {pump.name}: no status within {_STATUS_AGE.seconds // 3600} h; assumed {how}")
    midnight = horizon.local_day_start
    today = status.times >= to_np(midnight)
    made = int((on[1:] & ~on[:-1] & today[1:]).sum())
    if horizon.steps.start - midnight >= _QUARTER and not today.any():
        flags.append(f"pump {pump.name}: its starts of today are not known; planned as if there were none")
    if made > settings.max_starts_per_day:
        flags.append(f"pump {pump.name}: was started {made} times today, more than the {settings.max_starts_per_day} it may be; no further start before midnight")
        made = settings.max_starts_per_day
    return _State(is_on=is_on, held_s=held_s, starts_made=made, flags=tuple(flags))


def _status(horizon: Horizon, settings: PumpSettings) -> Readings:
    """Whether the pump runs, as readings of 0 and 1: by its status, else by its speed; empty where neither is measured."""
    for series, least in ((settings.status_series, 0.5), (settings.speed_series, 0.0)):
        if len(found := horizon.readings(series)):
            return Readings.good(found.times, (found.values > least).astype(np.float64))
    return Readings.empty()


def _held_s(horizon: Horizon, status: Readings) -> float:
    """Seconds from the last switch to the start; from the first reading, where all are alike."""
    other = np.flatnonzero(status.values != status.values[-1])
    since = from_np(status.times[int(other[-1]) + 1 if len(other) else 0])
    return max(0.0, (horizon.steps.start - since).total_seconds())


def _otherwise(horizon: Horizon, pump: Pump) -> tuple[bool, str]:
    """Running before the start, and whence that is known, where no status tells it."""
    plan = horizon.followed
    for planned in () if plan is None else plan.pumps:
        if plan is not None and planned.name == pump.name:
            step = max(i for i, at in enumerate(plan.step_starts) if at <= horizon.inputs.issue_time)
            return planned.on[step], f"as in the previous plan ({'on' if planned.on[step] else 'off'})"
    return pump.initially_on, f"{'on' if pump.initially_on else 'off'}, as the network starts"


def _run_hours(horizon: Horizon, settings: Sequence[PumpSettings], flags: list[str]) -> Floats | None:
    hours: list[float | None] = []
    for pump, s in zip(horizon.network.pumps, settings, strict=True):
        counter = horizon.readings(s.run_hours_series)
        hours.append(float(counter.values[-1]) / 3600.0 if len(counter) else s.run_hours)
        if s.run_hours_series is not None and not len(counter):
            flags.append(f"pump {pump.name}: no hours run are known (series {s.run_hours_series}); {'those of the settings stand in' if s.run_hours is not None else 'taken as the mean of the others'}")
    known = [h for h in hours if h is not None]
    return np.array([float(np.mean(known)) if h is None else h for h in hours]) if known else None


# --- what may be asked ------------------------------------------------------------------------------------------------


def _touched(horizon: Horizon, spans: Sequence[Span], path: str) -> Bools:
    holds = np.zeros(len(horizon.timeline.minutes), bool)
    for i, span in enumerate(spans):
        try:
            holds |= horizon.timeline.in_span(span)
        except ValueError as e:
            raise DocumentError("operation", f"{path}[{i}]", str(e)) from None
    return horizon.timeline.touched(holds)


def deviation(horizon: Horizon, valves: Sequence[ControllableValve]) -> tuple[Bools | None, Floats | None]:
    """The plan followed until now and what an hour of leaving it costs, each (n, pumps); None where there is no such plan or no cost.

    Steps that it does not reach are free.
    """
    operation, network = horizon.inputs.operation, horizon.network
    costs = np.zeros((len(horizon.steps), len(network.pumps)))
    for j, pump in enumerate(network.pumps):
        own = operation.pumps[pump.name].deviation_cost_per_h
        value, path = (operation.deviation_cost_per_h, "deviation_cost_per_h") if own is None else (own, f"pumps.{pump.name}.deviation_cost_per_h")
        if value is not None:
            costs[:, j] = horizon.over_steps(value, "operation", path)
            if (costs[:, j] < 0).any():
                raise DocumentError("operation", path, "is negative; a plan cannot be paid for being left")
    given = None if horizon.followed is None else plan_over_steps(horizon.followed, network, valves, horizon.steps)
    if given is None or not costs.any():
        return None, None
    return given.schedule.on, np.where(given.is_covered[:, None], costs, 0.0)
