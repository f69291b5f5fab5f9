"""From what is known and the forecast to what is asked of the pumps. Whatever is assumed or relaxed on the way is told in `flags`.

| of the problem | rule |
|---|---|
| demand | a zone's expected flow (the forecast's median), split over its junctions by base demand; junctions of no zone follow the network's own patterns on the tenant's clock |
| initial level | the usable reading nearest to the start |
| limits | those of the operation document; where a tank already stands outside them, opened to its level and a little more |
| end level | the level at the start, or the lower limit where the tank stands below it; at most `_FULLEST_END` of the way up: a tank asked to end full could only be full at that very instant |
| running before | the latest status reading, else the previous plan, else the network's initial status |
| starts | a day's limit less the starts since local midnight, but not less than the share of the next day's limit that falls into the horizon |
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from levada.domain.errors import InputGap
from levada.domain.network import Network, Tank
from levada.domain.plan import ForecastReport, Plan
from levada.domain.plan_input import PlanInput
from levada.domain.pumping import Bools, PumpingProblem
from levada.domain.series import Floats, Readings
from levada.domain.settings import DayAheadTariff, PumpSettings, TankSettings
from levada.domain.tariff import EnergyPrices, energy_prices
from levada.domain.time import Steps, Window, from_np, local_midnight, to_np, zone
from levada.hydraulics.inp import pattern_demands

__all__ = ["StatedProblem", "junction_demands", "local_clock_s", "state_problem", "zone_shares"]

_FULLEST_END = 0.9
_ROOM = 0.02  # of a tank's range: how much further than its present level a limit is opened that the level already breaks
_STATUS_AGE = timedelta(hours=3)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StatedProblem:
    """The problem, the prices behind it, and in words whatever was assumed or relaxed to state it."""

    problem: PumpingProblem
    prices: EnergyPrices
    flags: tuple[str, ...]


def state_problem(inputs: PlanInput, network: Network, steps: Steps, forecast: ForecastReport, holidays: Mapping[date, str]) -> StatedProblem:
    """State the scheduling problem of a planning run.

    Raises InputGap for a tank without a usable level or a tariff without a price, ProblemError where the settings contradict each other.
    """
    operation, flags = inputs.operation, list[str]()
    published = None
    terms = inputs.tariff.tariff
    if isinstance(terms, DayAheadTariff):
        published = inputs.readings.get(terms.price_series, Readings.empty()).usable()
    prices = energy_prices(inputs.tariff, steps, inputs.utility.time_zone, holidays, published)
    if assumed := sum(prices.assumed):
        flags.append(f"no published energy price for {assumed} of {len(steps)} steps: the typical day's price stands in")

    tanks = [_TankStart.of(tank, operation.tanks[tank.name], inputs.readings.get(operation.tanks[tank.name].level_series, Readings.empty()), steps) for tank in network.tanks]
    for tank in tanks:
        flags += tank.flags

    initial_on, max_starts = np.zeros(len(network.pumps), bool), np.zeros(len(network.pumps), np.int64)
    for i, pump in enumerate(network.pumps):
        settings = operation.pumps[pump.name]
        status = _status(settings, inputs.readings)
        initial_on[i], note = _running_before(pump.name, status, inputs.previous_plan, inputs.issue_time, otherwise=pump.initially_on)
        flags += note
        max_starts[i] = _starts_left(settings.max_starts_per_day, status, steps.window, inputs.utility.time_zone)
        if not settings.available:
            flags.append(f"pump {pump.name} is set out of service")

    per_pump = [operation.pumps[pump.name] for pump in network.pumps]
    return StatedProblem(
        problem=PumpingProblem(
            network=network,
            steps=steps,
            demand_m3_per_s=junction_demands(inputs, network, steps, forecast),
            price_per_kwh=np.repeat(prices.per_kwh[:, None], len(network.pumps), axis=1),
            initial_level_m=np.array([t.level_m for t in tanks]),
            min_level_m=np.array([t.min_level_m for t in tanks]),
            max_level_m=np.array([t.max_level_m for t in tanks]),
            may_stand_full=np.zeros(len(tanks), bool),
            end_level_m=np.array([t.end_level_m for t in tanks]),
            pressure_floors_m={floor.node: floor.min_pressure_m for floor in operation.pressure_floors},
            max_starts=max_starts,
            count_starts="window",
            initial_on=initial_on,
            min_speed=np.array([s.min_speed for s in per_pump]),
            max_speed=np.array([s.max_speed for s in per_pump]),
            available=_everywhere(np.array([s.available for s in per_pump]), len(steps)),
            max_power_kw=terms.contracted_power_kw,
            hydraulic_step_s=operation.hydraulic_step_s,
        ),
        prices=prices,
        flags=tuple(flags),
    )


def _everywhere(values: Bools, count: int) -> Bools:
    return np.repeat(values[None, :], count, axis=0)


# --- demand ---------------------------------------------------------------------------------------------------------


def local_clock_s(instant: datetime, time_zone: str) -> int:
    """Seconds on the tenant's clock since midnight: where demand patterns, which start at midnight, stand at `instant`."""
    local = instant.astimezone(zone(time_zone))
    return local.hour * 3600 + local.minute * 60 + local.second


def zone_shares(inputs: PlanInput, network: Network) -> dict[str, tuple[NDArray[np.int64], Floats]]:
    """Zone -> (its junctions' places in the network, the share of the zone's flow that each draws; they sum to 1).

    By base demand; even where no junction of a zone has any.
    """
    shares: dict[str, tuple[NDArray[np.int64], Floats]] = {}
    for name, area in inputs.operation.zones.items():
        places = np.array([network.junction_index[j] for j in area.junctions], np.int64)
        # A negative base demand is an inflow of the model; it takes no part in what customers draw.
        weights = np.array([max(0.0, network.junctions[p].base_demand_m3_per_s) for p in places])
        shares[name] = places, weights / weights.sum() if weights.sum() > 0 else np.full(len(places), 1 / len(places))
    return shares


def junction_demands(inputs: PlanInput, network: Network, steps: Steps, forecast: ForecastReport) -> Floats:
    """Expected demand of each junction in each step, m3/s, shape (steps, junctions)."""
    demand = pattern_demands(network, steps, start_clock_s=local_clock_s(steps.start, inputs.utility.time_zone)).copy()
    forecast_steps = Steps(forecast.times[0], (forecast.step_s,) * len(forecast.times))
    shares = zone_shares(inputs, network)
    for area in forecast.zones:
        places, share = shares[area.zone]
        demand[:, places] = _onto(steps, forecast_steps, np.array(area.q50_m3_per_s))[:, None] * share[None, :]
    return demand


def _onto(steps: Steps, given: Steps, flow: Floats) -> Floats:
    """Mean of a step-wise flow over other steps: by the volume drawn between their edges. Raises InputGap where `given` does not cover them."""
    if given.window.start > steps.window.start or given.window.end < steps.window.end:
        raise InputGap(f"the forecast covers {given.window.start} to {given.window.end}, the plan {steps.window.start} to {steps.window.end}", "ask for a forecast that is long enough")
    volume = np.concatenate([[0.0], np.cumsum(flow * np.array(given.durations_s))])
    offset_s = steps.offsets_s + (steps.start - given.start).total_seconds()
    mean: Floats = np.diff(np.interp(offset_s, given.offsets_s, volume)) / np.array(steps.durations_s)
    return mean


# --- tanks ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _TankStart:
    """How a tank stands at the start and between which limits it has to stay."""

    level_m: float
    min_level_m: float
    max_level_m: float
    end_level_m: float
    flags: tuple[str, ...]

    @classmethod
    def of(cls, tank: Tank, settings: TankSettings, readings: Readings, steps: Steps) -> _TankStart:
        usable, flags = readings.usable(), list[str]()
        if not len(usable):
            raise InputGap(f"tank {tank.name}: no usable level is known (series {settings.level_series})", "deliver its level, or look at the files that were refused")
        distance = np.abs((usable.times - to_np(steps.start)).astype(np.int64))
        nearest = int(np.argmin(distance))
        level, apart = float(usable.values[nearest]), abs(from_np(usable.times[nearest]) - steps.start)
        if apart >= timedelta(minutes=15):
            flags.append(f"tank {tank.name}: the level at the start is a reading {apart.total_seconds() / 60:.0f} minutes away from it")
        if not tank.min_level_m <= level <= tank.max_level_m:
            inside = min(max(level, tank.min_level_m), tank.max_level_m)
            flags.append(f"tank {tank.name}: measured {level:.2f} m, outside the tank of the network ({tank.min_level_m:g} to {tank.max_level_m:g} m); planned from {inside:.2f} m")
            level = inside
        low, high = max(settings.min_level_m, tank.min_level_m), min(settings.max_level_m, tank.max_level_m)
        end = min(max(level, low), low + _FULLEST_END * (high - low))
        if end < level:
            flags.append(f"tank {tank.name}: starts nearly full at {level:.2f} m; at the end {end:.2f} m is enough")
        room = _ROOM * (tank.max_level_m - tank.min_level_m)
        if level <= low:
            opened = max(tank.min_level_m, level - room)
            flags.append(f"tank {tank.name}: stands at {level:.2f} m, at or below its lower limit {low:.2f} m; the limit is relaxed to {opened:.2f} m")
            low = opened
        if level >= high:
            opened = min(tank.max_level_m, level + room)
            flags.append(f"tank {tank.name}: stands at {level:.2f} m, at or above its upper limit {high:.2f} m; the limit is relaxed to {opened:.2f} m")
            high = opened
        return cls(level_m=level, min_level_m=low, max_level_m=high, end_level_m=end, flags=tuple(flags))


# --- pumps ----------------------------------------------------------------------------------------------------------


def _status(settings: PumpSettings, readings: Mapping[str, Readings]) -> Readings:
    """Whether the pump runs, as readings of 0 and 1: by its status, else by its speed; empty where neither is measured."""
    for series in (settings.status_series, settings.speed_series):
        if series is not None and len(found := readings.get(series, Readings.empty()).usable()):
            return Readings.good(found.times, (found.values > 0.5 if series == settings.status_series else found.values > 0.0).astype(np.float64))
    return Readings.empty()


def _running_before(name: str, status: Readings, previous: Plan | None, issue_time: datetime, *, otherwise: bool) -> tuple[bool, list[str]]:
    if len(status) and issue_time - from_np(status.times[-1]) <= _STATUS_AGE:
        return bool(status.values[-1]), []
    if previous is not None and previous.starts_at <= issue_time < previous.expires_at:
        for pump in previous.pumps:
            if pump.name == name:
                step = max(i for i, at in enumerate(previous.step_starts) if at <= issue_time)
                return pump.on[step], [f"pump {name}: no status within {_STATUS_AGE.seconds // 3600} h; assumed as in the previous plan ({'on' if pump.on[step] else 'off'})"]
    return otherwise, [f"pump {name}: no status within {_STATUS_AGE.seconds // 3600} h; assumed {'on' if otherwise else 'off'}, as the network starts"]


def _starts_left(per_day: int, status: Readings, horizon: Window, time_zone: str) -> int:
    """Starts that the horizon may have; see the module's table. The limit is a day's, while the horizon reaches into the next day."""
    tz = zone(time_zone)
    today = horizon.start.astimezone(tz).date()
    midnight, next_midnight = local_midnight(today, tz), local_midnight(today + timedelta(days=1), tz)
    running = status.values > 0.5
    made = int(np.sum(running[1:] & ~running[:-1] & (status.times[1:] >= to_np(midnight))))
    share = max(timedelta(0), horizon.end - next_midnight) / timedelta(days=1)
    return min(per_day, max(per_day - made, math.ceil(per_day * min(share, 1.0))))
