"""From mean flows of hours to mean flows of shorter steps, by the shape that the zone has had within its hours."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from levada.domain.series import Floats
from levada.forecast.wall_clock import Ints, WallClock

__all__ = ["hours_of_steps", "shape_within_hours", "split_hours"]

_DAYS = 56
_SHRINK = 4.0
_LIMITS = (0.25, 4.0)


def hours_of_steps(steps: Floats, per_hour: int) -> tuple[Floats, Floats]:
    """Whole hours of steps that end with the last hour: (hours, per_hour) and their means (hours,).

    An hour is known where at least half of its steps are; the mean is over those. Steps before the first whole hour are dropped.
    """
    whole = steps[len(steps) % per_hour :].reshape(-1, per_hour)
    has = np.isfinite(whole)
    number = has.sum(axis=1)
    mean: Floats = np.where(number * 2 >= per_hour, np.where(has, whole, 0.0).sum(axis=1) / np.maximum(number, 1), np.nan)
    return whole, mean


def shape_within_hours(within: Floats, hourly: Floats, clock: WallClock) -> NDArray[np.float64]:
    """Flow of each step of an hour over the hour's mean, by sort of day (working, free) and local hour: (2, 24, per_hour).

    From the last eight weeks; hours with all steps known count. Drawn towards 1 where few hours are known; each hour's mean is 1.
    `within` and `hourly` are hours_of_steps' results; `clock` covers at least these hours, from its first.
    """
    hours, per_hour = within.shape
    shape = np.ones((2, 24, per_hour))
    if per_hour == 1 or hours == 0:
        return shape
    recent = np.arange(max(0, hours - 24 * _DAYS), hours)
    recent = recent[np.isfinite(within[recent]).all(axis=1)]
    free = clock.free[clock.day[recent]].astype(np.int64)
    cell = free * 24 + clock.slot[recent]
    number = np.bincount(cell, minlength=48)
    total = np.bincount(cell, weights=hourly[recent], minlength=48)
    ordinary = float(hourly[recent].mean()) if len(recent) else 0.0
    prior = _SHRINK * max(ordinary, 1e-12)
    for k in range(per_hour):
        of_step = np.bincount(cell, weights=within[recent, k], minlength=48)
        shape[:, :, k] = ((of_step + prior) / (total + prior)).reshape(2, 24)
    shape = np.where(number.reshape(2, 24, 1) > 0, np.clip(shape, *_LIMITS), 1.0)
    normed: NDArray[np.float64] = shape / shape.mean(axis=2, keepdims=True)
    return normed


def split_hours(flow: Floats, target: Ints, clock: WallClock, shape: NDArray[np.float64]) -> Floats:
    """Mean flows of the steps of the target hours, (rows, per_hour), from the means of those hours, (rows,)."""
    free = clock.free[clock.day[target]].astype(np.int64)
    split: Floats = flow[:, None] * shape[free, clock.slot[target]]
    return split
