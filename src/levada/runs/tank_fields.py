"""How tanks stand at the start, and between which levels they have to stay; what a tank already breaks is opened a little and said."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from levada.domain.errors import DocumentError, InputGap
from levada.domain.network import Tank
from levada.domain.plant_fields import TankFields
from levada.domain.pumping import Bools
from levada.domain.series import Floats
from levada.domain.settings import TankSettings
from levada.domain.time import from_np, to_np
from levada.runs.horizon import Horizon

__all__ = ["tank_fields"]

_FULLEST_END = 0.9
_ROOM = 0.02  # of a tank's range: how much further than its present level a limit is opened that the level already breaks


@dataclass(frozen=True, slots=True, kw_only=True)
class _Start:
    """One tank. `reserve`, `ceiling`: (n,), None where none is stated."""

    level: float
    low: float
    high: float
    end: tuple[float, float]
    reserve: Floats | None
    ceiling: Floats | None
    flags: tuple[str, ...]


def tank_fields(horizon: Horizon) -> tuple[TankFields, tuple[str, ...]]:
    """The fields and, in words, what was assumed or relaxed.

    Raises InputGap for a tank without a usable level, DocumentError where what is stated of a tank contradicts itself.
    """
    settings = [horizon.inputs.operation.tanks[tank.name] for tank in horizon.network.tanks]
    starts = [_start(horizon, tank, s) for tank, s in zip(horizon.network.tanks, settings, strict=True)]
    n = len(horizon.steps)
    worth = np.array([s.value_per_m3 for s in settings])
    fields = TankFields(
        initial_level_m=np.array([t.level for t in starts]),
        min_level_m=np.array([t.low for t in starts]),
        max_level_m=np.array([t.high for t in starts]),
        may_stand_full=np.array([s.may_stand_full for s in settings]),
        end_level_m=np.array([t.end[0] for t in starts]),
        # Without a level it is told by the tank's own limits, which hold anyway.
        reserve_level_m=np.stack([np.full(n, t.low) if t.reserve is None else t.reserve for t in starts], axis=1) if any(t.reserve is not None for t in starts) else None,
        ceiling_level_m=np.stack([np.full(n, t.high) if t.ceiling is None else t.ceiling for t in starts], axis=1) if any(t.ceiling is not None for t in starts) else None,
        end_level_max_m=np.array([t.end[1] for t in starts]) if any(isinstance(s.end, tuple) for s in settings) else None,
        stored_value_per_m3=worth if worth.any() else None,
    )
    return fields, tuple(flag for t in starts for flag in t.flags)


def _start(horizon: Horizon, tank: Tank, settings: TankSettings) -> _Start:
    level, flags = _level(horizon, tank, settings)
    low, high = max(settings.min_level_m, tank.min_level_m), min(settings.max_level_m, tank.max_level_m)
    reserve, ceiling = _by_time(horizon, tank, settings, low, high)
    least, most = _end(tank, settings, level, low, high, flags)
    room = _ROOM * (tank.max_level_m - tank.min_level_m)
    if level <= low:
        opened = max(tank.min_level_m, level - room)
        flags.append(f"tank {tank.name}: stands at {level:.2f} m, at or below its lower limit {low:.2f} m; the limit is relaxed to {opened:.2f} m")
        low = opened
    if level >= high:
        opened = min(tank.max_level_m, level + room)
        flags.append(f"tank {tank.name}: stands at {level:.2f} m, at or above its upper limit {high:.2f} m; the limit is relaxed to {opened:.2f} m")
        high = opened
    if settings.end == "free":
        least = low
    if reserve is not None and reserve[0] >= level:
        stated, until = float(reserve[0]), _first_run(reserve >= level)
        opened = max(low, level - room)
        reserve[:until] = opened
        flags.append(f"tank {tank.name}: stands at {level:.2f} m, at or below its reserve {stated:.2f} m; the reserve is relaxed to {opened:.2f} m {_until(horizon, until)}")
        if until == len(reserve):
            least = min(max(least, stated), most)
    if ceiling is not None and ceiling[0] <= level:
        stated, until = float(ceiling[0]), _first_run(ceiling <= level)
        opened = min(high, level + room)
        ceiling[:until] = opened
        flags.append(f"tank {tank.name}: stands at {level:.2f} m, at or above its ceiling {stated:.2f} m; the ceiling is relaxed to {opened:.2f} m {_until(horizon, until)}")
        if until == len(ceiling):
            least = min(least, stated)
            most = max(least, min(most, stated))
    reserve, ceiling = None if reserve is None else np.maximum(reserve, low), None if ceiling is None else np.minimum(ceiling, high)
    return _Start(level=level, low=low, high=high, end=(least, most), reserve=reserve, ceiling=ceiling, flags=tuple(flags))


def _level(horizon: Horizon, tank: Tank, settings: TankSettings) -> tuple[float, list[str]]:
    """At the start: the usable reading nearest to it, within the tank."""
    usable, flags = horizon.readings(settings.level_series), list[str]()
    if not len(usable):
        raise InputGap(f"tank {tank.name}: no usable level is known (series {settings.level_series})", "deliver its level, or look at the files that were refused")
    nearest = int(np.argmin(np.abs((usable.times - to_np(horizon.steps.start)).astype(np.int64))))
    level, apart = float(usable.values[nearest]), abs(from_np(usable.times[nearest]) - horizon.steps.start)
    if apart >= timedelta(minutes=15):
        flags.append(f"tank {tank.name}: the level at the start is a reading {apart.total_seconds() / 60:.0f} minutes away from it")
    if not tank.min_level_m <= level <= tank.max_level_m:
        inside = min(max(level, tank.min_level_m), tank.max_level_m)
        flags.append(f"tank {tank.name}: measured {level:.2f} m, outside the tank of the network ({tank.min_level_m:g} to {tank.max_level_m:g} m); planned from {inside:.2f} m")
        level = inside
    return level, flags


def _by_time(horizon: Horizon, tank: Tank, settings: TankSettings, low: float, high: float) -> tuple[Floats | None, Floats | None]:
    """Reserve and ceiling in each step: of levels that change within a step the stricter, infinite where none holds."""
    path, timeline = f"tanks.{tank.name}", horizon.timeline
    reserve = None if settings.reserve is None else horizon.over_steps(settings.reserve, "operation", f"{path}.reserve", absent=-np.inf, within=timeline.most)
    ceiling = None if settings.ceiling is None else horizon.over_steps(settings.ceiling, "operation", f"{path}.ceiling", absent=np.inf, within=timeline.least)
    over = np.full(len(horizon.steps), high) if ceiling is None else np.minimum(ceiling, high)
    under = np.full(len(horizon.steps), low) if reserve is None else np.maximum(reserve, low)
    clash = np.flatnonzero(under > over)
    if len(clash) and low < high:
        at = timeline.local(from_np(horizon.steps.times[clash[0]]))
        field = "ceiling" if settings.reserve is None else "reserve"
        raise DocumentError("operation", f"{path}.{field}", f"asks for at least {under[clash[0]]:g} m and at most {over[clash[0]]:g} m on {at:%A %d %B at %H:%M}")
    return reserve, ceiling


def _end(tank: Tank, settings: TankSettings, level: float, low: float, high: float, flags: list[str]) -> tuple[float, float]:
    """Least and greatest level at the end."""
    if settings.end == "free":
        return low, high
    if settings.end == ">= start":
        end = min(max(level, low), low + _FULLEST_END * (high - low))
        if end < level:
            flags.append(f"tank {tank.name}: starts nearly full at {level:.2f} m; at the end {end:.2f} m is enough")
        return end, high
    least, most = settings.end if isinstance(settings.end, tuple) else (float(settings.end), high)
    if least > high or most < low:
        raise DocumentError("operation", f"tanks.{tank.name}.end", f"cannot be reached between {low:g} and {high:g} m, the limits within the tank of the network")
    return max(least, low), min(most, high)


def _first_run(holds: Bools) -> int:
    """How many steps from the first one it holds without a break."""
    breaks = np.flatnonzero(~holds)
    return int(breaks[0]) if len(breaks) else len(holds)


def _until(horizon: Horizon, step: int) -> str:
    if step == len(horizon.steps):
        return "throughout"
    return f"until {horizon.timeline.local(from_np(horizon.steps.edges[step])):%H:%M}"
