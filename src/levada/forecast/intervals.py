"""How wrong such forecasts have been lately, as bands round the next one.

Split conformal prediction: errors of forecasts from earlier issue times, made without the values they are judged by, divided by the
usual size of error at that hour of the day; their quantiles by lead time, times that size, are the band. See Lei et al. (2018),
Distribution-free predictive inference for regression, J. Am. Stat. Assoc. 113, doi 10.1080/01621459.2017.1307116.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from levada.domain.series import Floats
from levada.forecast.wall_clock import Ints

__all__ = ["Band", "conformal_band"]

_LEAD_EDGES_H = (0, 1, 3, 6, 12, 24, 48, 96, 192)
_LEAST_ERRORS = 40


@dataclass(frozen=True, slots=True, eq=False)
class Band:
    """Sizes of error by sort of day and hour, (2, 24), m3/s, and the 10 % and 90 % quantiles of scaled errors by lead, at `leads_h`."""

    size: Floats
    leads_h: Floats
    low: Floats
    high: Floats

    def around(self, flow: Floats, lead_h: Floats, free: NDArray[np.int64], slot: Ints) -> tuple[Floats, Floats]:
        """Lower and upper quantile of flows (rows,) with these leads, sorts of day and local hours: below is not above flow, nor negative."""
        size = self.size[free, slot]
        low = flow + size * np.interp(lead_h, self.leads_h, self.low)
        high = flow + size * np.interp(lead_h, self.leads_h, self.high)
        return np.clip(low, 0.0, flow), np.maximum(high, flow)


def conformal_band(
    *, error: Floats, lead_h: Floats, free: NDArray[np.int64], slot: Ints, days: int, quantiles: tuple[float, float] = (0.1, 0.9)
) -> Band:
    """Learn a band from errors (measured - forecast), all arrays (rows,), without NaN, at least one row, from that many days.

    Sizes are mean absolute errors, smoothed over neighbouring hours and drawn to the overall one where few errors are known. Lead times
    with too few errors take the quantiles of all. The sample behind a quantile is counted in days, and in fewer the longer the lead, not
    in rows: errors of one day, and of one issue time, go together.
    """
    overall = max(float(np.abs(error).mean()), 1e-12)
    cell = free * 24 + slot
    prior = 20.0
    size = (np.bincount(cell, np.abs(error), 48) + prior * overall) / (np.bincount(cell, minlength=48) + prior)
    size = size.reshape(2, 24)
    size = 0.5 * size + 0.25 * (np.roll(size, 1, axis=1) + np.roll(size, -1, axis=1))
    scaled = error / size[free, slot]
    leads, lows, highs = [], [], []
    for begin, end in pairwise(_LEAD_EDGES_H):
        lead = 0.5 * (begin + end)
        of = scaled[(lead_h >= begin) & (lead_h < end)]
        low, high = _quantiles(of if len(of) >= _LEAST_ERRORS else scaled, quantiles, days / max(1.0, lead / 24.0) ** 0.5)
        leads.append(lead)
        lows.append(low)
        highs.append(high)
    return Band(size, np.array(leads), np.array(lows), np.array(highs))


def _quantiles(scaled: Floats, quantiles: tuple[float, float], sample: float) -> tuple[float, float]:
    """Quantiles with the conformal correction for a sample of that size: outwards by half a rank, up to the extremes.

    A whole rank is the guarantee for a sample of independent errors; half of one came nearest to 80 % on rolling issue times.
    """
    low, high = quantiles
    outwards = (sample + 0.5) / sample
    below, above = np.quantile(scaled, [max(0.0, 1.0 - (1.0 - low) * outwards), min(1.0, high * outwards)])
    return min(0.0, float(below)), max(0.0, float(above))
