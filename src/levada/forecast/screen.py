"""Readings that cannot be demand: frozen sensors, isolated spikes, negative flows. They are left out and told of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from levada.domain.series import Floats, Readings
from levada.domain.time import from_np
from levada.forecast.output import LeftOut

__all__ = ["Screened", "screen"]

_FROZEN_S = 6 * 3600
_NATURAL_RUNS_PER_DAY = 0.2
_SPIKE_SIGMAS = 10.0
_NATURAL_SPIKES_PER_DAY = 0.1
_MAD_TO_SIGMA = 1.4826
_NINE_TENTHS_IN_SIGMAS = 1.645


@dataclass(frozen=True, slots=True)
class Screened:
    """The readings that are left, and an account of those that are not."""

    readings: Readings
    left_out: tuple[LeftOut, ...]


def screen(readings: Readings, interval_s: int) -> Screened:
    """Leave out what cannot be demand. `interval_s` is the usual distance of the readings.

    - below zero: a zone's meters do not run backwards for a whole interval;
    - frozen: the same value to the last bit for six hours or more, in a zone where this is rare (a small zone at night may well
      draw exactly nothing every night: where such runs come in more than every fifth day, they are the zone's nature);
    - spikes: one or two readings far from both their neighbours and what that hour of the day has had, by ten robust standard
      deviations each, and by the median flow upwards or half of it downwards; not where more
      than three come oftener than every tenth day: that is how this zone draws.
    """
    times, values = readings.times, readings.values
    if not len(values):
        return Screened(readings, ())
    negative = values < 0
    frozen = _frozen(readings, interval_s)
    spikes = _spikes(readings) & ~negative & ~frozen
    left_out = tuple(
        LeftOut(what=what, count=int(bad.sum()), first=from_np(times[bad][0]), last=from_np(times[bad][-1]))
        for bad, what in ((negative, "readings below zero"), (frozen, "readings of a frozen sensor"), (spikes, "spikes"))
        if bad.any()
    )
    kept = ~(negative | frozen | spikes)
    return Screened(Readings(times=times[kept], values=values[kept], quality=readings.quality[kept]), left_out)


def _frozen(readings: Readings, interval_s: int) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    values = readings.values
    starts = np.flatnonzero(np.concatenate([[True], np.diff(values) != 0]))
    ends = np.concatenate([starts[1:], [len(values)]])
    interval = np.timedelta64(interval_s, "s")
    spans = readings.times[ends - 1] - readings.times[starts] + interval
    # Two readings a day apart can be equal by chance; a run must be made of its readings, not of gaps.
    dense = (ends - starts) * interval >= 0.8 * spans
    long = (spans >= np.timedelta64(_FROZEN_S, "s")) & dense
    frozen = np.zeros(len(values), np.bool_)
    days = max(1.0, float((readings.times[-1] - readings.times[0]) / np.timedelta64(1, "D")))
    if long.sum() > max(1.0, _NATURAL_RUNS_PER_DAY * days) or (ends - starts)[long].sum() > len(values) / 2:
        return frozen
    for a, b in zip(starts[long], ends[long], strict=True):
        frozen[a:b] = True
    return frozen


def _spikes(readings: Readings) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    values = readings.values
    if len(values) < 48:
        return np.zeros(len(values), np.bool_)
    # The hour in UTC is near enough to the hour of the day for a scale.
    hour = (readings.times.astype("datetime64[h]").astype(np.int64) % 24).astype(np.int64)
    padded = np.pad(values, 2, mode="edge")
    from_neighbours = values - np.median(sliding_window_view(padded, 5), axis=1)
    from_hour = np.empty_like(values)
    sigma_neighbours, sigma_hour = np.empty_like(values), np.empty_like(values)
    for h in range(24):
        of = hour == h
        if not of.any():
            continue
        from_hour[of] = values[of] - np.median(values[of])
        sigma_hour[of] = _sigma(from_hour[of])
        sigma_neighbours[of] = _sigma(from_neighbours[of])
    # A dropped signal cannot fall further than to nothing; a peak must be as tall as the usual flow before it is doubted.
    median = float(np.median(values))
    margin = np.where(from_neighbours > 0, median, 0.5 * median)
    found: np.ndarray[tuple[int], np.dtype[np.bool_]] = (
        (np.abs(from_neighbours) > np.maximum(_SPIKE_SIGMAS * sigma_neighbours, margin))
        & (np.abs(from_hour) > np.maximum(_SPIKE_SIGMAS * sigma_hour, margin))
    )  # fmt: skip
    days = max(1.0, float((readings.times[-1] - readings.times[0]) / np.timedelta64(1, "D")))
    if found.sum() > max(3.0, _NATURAL_SPIKES_PER_DAY * days):
        return np.zeros(len(values), np.bool_)
    return found


def _sigma(deviations: Floats) -> float:
    """Robust standard deviation from the median size, or where more than half are exactly zero from the size that one in ten exceeds."""
    middle, tail = np.quantile(np.abs(deviations), [0.5, 0.9])
    return float(_MAD_TO_SIGMA * middle if middle > 0 else tail / _NINE_TENTHS_IN_SIGMAS)
