"""How wrong such forecasts have been lately, as quantiles round the next one.

Split conformal prediction: errors of forecasts from earlier issue times, made without the values they are judged by, divided by the
usual size of error at that hour of the day; their quantiles by lead time, times that size, are the band. See Lei et al. (2018),
Distribution-free predictive inference for regression, J. Am. Stat. Assoc. 113, doi 10.1080/01621459.2017.1307116.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from levada.domain.series import Floats
from levada.forecast.wall_clock import Ints

__all__ = ["GRID", "Band", "conformal_band", "conformal_quantiles", "interpolated"]

GRID: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.9, 0.95, 0.975, 0.99, 0.995)
"""Levels at which bands are kept; others lie between them on a straight line."""

_LEAD_EDGES_H = (0, 1, 3, 6, 12, 24, 48, 96, 192)
_LEAST_ERRORS = 40
_PRIOR_ERRORS = 20.0
_HALF_LIFE_H = 14 * 24
_LATELY_LIMITS = (0.6, 1.8)


@dataclass(frozen=True, slots=True, eq=False)
class Band:
    """Sizes of error by sort of day (working, free) and hour, (2, 24), m3/s, and quantiles of scaled errors, (GRID, leads), at `leads_h`."""

    size: Floats
    leads_h: Floats
    scaled: Floats

    def around(self, flow: Floats, lead_h: Floats, free: NDArray[np.bool_], slot: Ints) -> Floats:
        """Quantiles (GRID, rows) of flows (rows,) with these leads, sorts of day and local hours: increasing, not negative."""
        size = self.size[free.astype(np.int64), slot]
        rows = np.stack([flow + size * np.interp(lead_h, self.leads_h, row) for row in self.scaled])
        return np.maximum(np.maximum.accumulate(rows, axis=0), 0.0)


def interpolated(on_grid: Floats, levels: tuple[float, ...] | Floats) -> Floats:
    """Quantiles (levels, ...) from those at GRID; beyond its ends, its ends."""
    at = np.interp(levels, GRID, np.arange(len(GRID)))
    low = np.floor(at).astype(np.int64)
    high = np.minimum(low + 1, len(GRID) - 1)
    part = (at - low).reshape((-1,) + (1,) * (on_grid.ndim - 1))
    found: Floats = on_grid[low] * (1 - part) + on_grid[high] * part
    return found


def conformal_band(*, error: Floats, lead_h: Floats, free: NDArray[np.bool_], slot: Ints, age_h: Floats, days: int) -> Band:
    """Learn a band from errors (measured - forecast) of hours `age_h` back, all (rows,), without NaN, at least one row, from that many days.

    Sizes are mean absolute errors, smoothed over neighbouring hours and drawn to the overall one where few errors are known, times what
    errors of the last weeks are over that: a zone in holiday season errs more, and knows it soon. Lead times
    with too few errors take those of the next shorter ones. The sample behind a quantile is counted in days, and in fewer the longer the lead, not
    in rows: errors of one day, and of one issue time, go together.
    """
    overall = max(float(np.abs(error).mean()), 1e-12)
    sort = free.astype(np.int64)
    cell = sort * 24 + slot
    size = (np.bincount(cell, np.abs(error), 48) + _PRIOR_ERRORS * overall) / (np.bincount(cell, minlength=48) + _PRIOR_ERRORS)
    size = size.reshape(2, 24)
    size = 0.5 * size + 0.25 * (np.roll(size, 1, axis=1) + np.roll(size, -1, axis=1))
    scaled = error / size[sort, slot]
    leads, columns = [], []
    nearest = scaled
    for begin, end in pairwise(_LEAD_EDGES_H):
        lead = 0.5 * (begin + end)
        of = scaled[(lead_h >= begin) & (lead_h < end)]
        if len(of) >= _LEAST_ERRORS:
            nearest = of
        leads.append(lead)
        columns.append(conformal_quantiles(nearest, days / max(1.0, lead / 24.0) ** 0.5))
    recency = 0.5 ** (age_h / _HALF_LIFE_H)
    lately = float((recency @ np.abs(scaled)) / recency.sum() / np.abs(scaled).mean()) if np.any(scaled) else 1.0
    return Band(size * np.clip(lately, *_LATELY_LIMITS), np.array(leads), np.array(columns).T)


def conformal_quantiles(error: Floats, sample: float) -> Floats:
    """Quantiles (GRID,) of errors with the conformal correction for a sample of that size: outwards by half a rank, up to the extremes.

    A whole rank is the guarantee for a sample of independent errors; half of one came nearest to 80 % on rolling issue times.
    The median is zero, and no quantile is on its other side.
    """
    outwards = (sample + 0.5) / sample
    at = [max(0.0, 1.0 - (1.0 - q) * outwards) if q < 0.5 else min(1.0, q * outwards) for q in GRID]
    found = np.quantile(error, at)
    side = np.sign(np.asarray(GRID) - 0.5)
    return np.where(side < 0, np.minimum(found, 0.0), np.where(side > 0, np.maximum(found, 0.0), 0.0))
