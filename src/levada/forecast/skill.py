"""How good a forecast was: scores against what was then measured, and last week's values to compare with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime

import numpy as np

from levada.domain.series import Floats, Readings
from levada.domain.time import to_np
from levada.forecast.grid import even_steps, known_readings
from levada.forecast.wall_clock import wall_clock

__all__ = ["Skill", "last_week", "mean_skill", "score"]

_WEEKS_BACK = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Skill:
    """Scores of one forecast, over the steps that were measured; NaN where none was, or where the levels lack the interval.

    | field | meaning |
    |---|---|
    | mae | mean absolute error of the median, m3/s |
    | pi1, pi2 | mean and largest absolute error of the first 24 h, m3/s |
    | pi3 | mean absolute error after 24 h, m3/s |
    | pinball | mean pinball loss over the levels, m3/s |
    | coverage_80, coverage_90 | part of the values within the 10-90 % and 5-95 % quantiles |
    | width_80, width_90 | mean distance of these quantiles, m3/s |
    | cumulated_m3 | largest absolute cumulated error of the median over the first 24 h, m3; unmeasured steps count as right |
    | mean_flow | mean measured flow, m3/s |
    """

    mae: float
    pi1: float
    pi2: float
    pi3: float
    pinball: float
    coverage_80: float
    coverage_90: float
    width_80: float
    width_90: float
    cumulated_m3: float
    mean_flow: float


def score(quantiles: Floats, levels: Sequence[float], measured: Floats, step_s: int) -> Skill:
    """Score `quantiles` (levels, n), m3/s, by `measured` (n,), NaN where missing. Raises ValueError where `levels` lack 0.5."""
    median = quantiles[list(levels).index(0.5)]
    error = measured - median
    size, day = np.abs(error), 86_400 // step_s
    deviation = measured - quantiles
    tau = np.asarray(levels)[:, None]
    loss = np.maximum(tau * deviation, (tau - 1) * deviation)
    (cover_80, width_80), (cover_90, width_90) = (_interval(quantiles, levels, measured, *q) for q in ((0.1, 0.9), (0.05, 0.95)))
    first = error[:day]
    known = np.isfinite(first)
    return Skill(
        mae=_mean(size),
        pi1=_mean(size[:day]),
        pi2=float(size[:day][known].max()) if known.any() else float("nan"),
        pi3=_mean(size[day:]),
        pinball=_mean(loss.mean(axis=0)),
        coverage_80=cover_80,
        coverage_90=cover_90,
        width_80=width_80,
        width_90=width_90,
        cumulated_m3=float(np.abs(np.cumsum(np.where(known, first, 0.0))).max() * step_s) if known.any() else float("nan"),
        mean_flow=_mean(measured),
    )


def _interval(quantiles: Floats, levels: Sequence[float], measured: Floats, below: float, above: float) -> tuple[float, float]:
    if below not in levels or above not in levels:
        return float("nan"), float("nan")
    low, high = quantiles[list(levels).index(below)], quantiles[list(levels).index(above)]
    known = np.isfinite(measured)
    return _mean(np.where(known, (measured >= low) & (measured <= high), np.nan)), float((high - low).mean())


def _mean(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")


def mean_skill(of: Sequence[Skill]) -> Skill:
    """The mean of each score over forecasts, NaN left out."""
    return Skill(**{f.name: _mean(np.array([getattr(s, f.name) for s in of])) for f in fields(Skill)})


def last_week(readings: Readings, start: datetime, count: int, step_s: int, time_zone: str) -> Floats:
    """What was measured at the same wall-clock times a week before, m3/s, (count,); where that is missing, two weeks before and so on.

    Only readings of intervals that ended by `start` are used; NaN where eight weeks hold none.
    """
    known, interval_s = known_readings(readings, start)
    flow = even_steps(known, interval_s, start, step_s)
    steps = to_np(start) + (np.arange(-len(flow), count) * step_s * 1_000_000).astype("timedelta64[us]")
    clock = wall_clock(steps, time_zone, {})
    per_hour = 3600 // step_s
    cell = (clock.day * 24 + clock.slot) * per_hour + clock.minute * 60 // step_s
    # Of the hour that comes twice in autumn, the first stands for both.
    by_cell = np.full(int(cell[-1]) + 1, np.nan)
    by_cell[cell[: len(flow)][::-1]] = flow[::-1]
    found = np.full(count, np.nan)
    for weeks in range(1, _WEEKS_BACK + 1):
        back = cell[len(flow) :] - weeks * 7 * 24 * per_hour
        earlier = np.where(back >= 0, by_cell[np.maximum(back, 0)], np.nan)
        found = np.where(np.isfinite(found), found, earlier)
    return found
