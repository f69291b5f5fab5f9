"""Demand where no meter is: what flows into a zone's tanks, less what flows out of them to others, less what they gain.

A level sensor's noise becomes large when levels are differenced over short steps: a centimetre in a tank of 1000 m2 is 10 m3, three times a small town's
quarter of an hour. So volumes are not differenced but smoothed: demand is a daily profile, a random walk around it and what each step brings by itself; the
volume follows from it and the metered flows, and the sensor shows it with noise. How large the three are is taken from the data, by maximum
likelihood; where the sensor is good, the result is the plain balance.

Method: Kalman filter and Rauch-Tung-Striebel smoother of a local-level model (Durbin and Koopman, Time Series Analysis by State Space Methods, 2nd ed., 2012,
chapters 2 and 4), with the likelihood concentrated in the walk's variance (2.10.2 there).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import reduce
from itertools import product
from math import log

import numpy as np

from levada.domain.pumping import Bools
from levada.domain.series import Floats, Readings
from levada.domain.time import to_np
from levada.forecast.grid import even_steps, usual_interval_s

__all__ = ["demand_by_balance", "stored_together", "volumes_at_edges"]

_RATIOS = tuple(product((10.0**x for x in range(-4, 5)), (10.0**x for x in range(-2, 4))))
"""Variances of the sensor's noise, and of what each step brings, over that of the walk's volume in a step, which are tried."""

_MOST_FOR_RATIO = 2000
"""Steps, the last ones, on which they are tried."""

_DIFFUSE = 1e7
"""Variance of what is not known, in walks of a step."""

_SECOND = np.timedelta64(1, "s")


def demand_by_balance(volume: Readings, inflows: Sequence[Readings], outflows: Sequence[Readings], start: datetime, step_s: int) -> Readings:
    """Mean demand of each step up to `start`, m3/s, labelled by the step's start.

    `volume`: m3 stored at instants (the sum over the zone's tanks); `inflows`, `outflows`: mean flows, m3/s, labelled by interval start. A step
    is left out where a flow is missing, or the volume at both its ends. Only readings before `start` are used.
    """
    fine_s = _fine_step_s([volume, *inflows, *outflows], step_s)
    net = _net_inflow(inflows, outflows, start, fine_s)
    per_step = step_s // fine_s
    net = net[len(net) % per_step :]
    count = len(net) // per_step
    if not count:
        return Readings.empty()
    is_metered: Bools = np.asarray(np.isfinite(net.reshape(count, per_step)).all(axis=1), np.bool_)
    # A line through readings on both sides of an edge needs to know what flowed on both.
    between = np.concatenate([[False], is_metered[:-1] & is_metered[1:], [False]])
    drained = volumes_at_edges(_without_flows(volume, net, start, fine_s), start, step_s, between)
    known = is_metered & (np.isfinite(drained[:-1]) | np.isfinite(drained[1:]))
    if np.isfinite(drained).sum() < 2 or not known.any():
        return Readings.empty()
    profile = _profile(np.where(is_metered, -np.diff(drained) / step_s, np.nan), max(1, 86_400 // step_s))
    walk = _Walk(np.where(is_metered, -profile, np.nan), drained, step_s)
    demand = profile + walk.smooth(*max(_RATIOS, key=lambda ratios: walk.likelihood(*ratios)))
    times = to_np(start) + (np.arange(-count, 0) * step_s).astype("timedelta64[s]")
    return Readings.good(times.astype("datetime64[us]"), np.where(known, demand, np.nan))


def stored_together(volumes: Sequence[Readings]) -> Readings:
    """The volume of several tanks, m3, at the instants at which all of them are known."""
    usable = [volume.usable() for volume in volumes]
    times = reduce(np.intersect1d, [volume.times for volume in usable])
    return Readings.good(times, sum((volume.values[np.isin(volume.times, times)] for volume in usable), np.zeros(len(times))))


def _fine_step_s(readings: Sequence[Readings], step_s: int) -> int:
    """The longest part of a step, of at least a minute, that no reading's interval is shorter than."""
    shortest = min(usual_interval_s(r) for r in readings)
    return next(f for f in range(min(step_s, max(shortest, 60)), 0, -1) if step_s % f == 0)


def _net_inflow(inflows: Sequence[Readings], outflows: Sequence[Readings], start: datetime, step_s: int) -> Floats:
    """What flows in less what flows out in each step, (steps,); NaN where any of it is missing."""
    parts = [(sign, even_steps(r, usual_interval_s(r), start, step_s)) for sign, group in ((1.0, inflows), (-1.0, outflows)) for r in group]
    if not parts:
        return np.zeros(0)
    count = max(len(p) for _, p in parts)
    net = np.zeros(count)
    for sign, part in parts:
        net += sign * np.concatenate([np.full(count - len(part), np.nan), part])
    return net


def _without_flows(volume: Readings, net: Floats, start: datetime, fine_s: int) -> Readings:
    """The volume as it would be had the metered flows not been: what is left moves by demand alone, without the kinks of pumps that are switched."""
    cumulated = np.concatenate([[0.0], np.cumsum(np.nan_to_num(net))]) * fine_s
    t = ((volume.times - to_np(start)) / _SECOND).astype(np.float64)
    edges = np.arange(-len(net), 1) * float(fine_s)
    inside = (t >= edges[0]) & (t <= edges[-1])
    return Readings.good(volume.times[inside], volume.values[inside] - np.interp(t[inside], edges, cumulated))


def volumes_at_edges(volume: Readings, start: datetime, step_s: int, is_smooth: Bools) -> Floats:
    """Volume at the ends of the steps up to `start`, (steps + 1,): where it is smooth by the line through the readings within a quarter of a step, else the
    reading at the edge, or between two that are at most an interval apart; NaN where there is none."""
    count = len(is_smooth) - 1
    t = ((volume.times - to_np(start)) / _SECOND).astype(np.float64) + count * step_s
    edges = np.arange(count + 1) * float(step_s)
    found = np.full(count + 1, np.nan)
    if not len(t):
        return found
    inside = np.interp(edges, t, volume.values, left=np.nan, right=np.nan)
    after = np.minimum(np.searchsorted(t, edges), len(t) - 1)
    gap = np.where(t[after] == edges, 0.0, t[after] - t[np.maximum(after - 1, 0)])
    found = np.where(gap <= 1.5 * usual_interval_s(volume), inside, np.nan)
    nearest = np.round(t / step_s).astype(np.int64)
    near = (nearest >= 0) & (nearest <= count) & (np.abs(t - nearest * step_s) <= step_s / 4)
    k, x, v = nearest[near], (t - nearest * step_s)[near], volume.values[near]
    n, sx, sv, sxx, sxv = (np.bincount(k, weights=w, minlength=count + 1) for w in (np.ones(len(k)), x, v, x * x, x * v))
    bend = n * sxx - sx * sx
    # A line needs readings on both sides of the edge: beyond them it would magnify their noise.
    both = (np.bincount(k, weights=x < 0, minlength=count + 1) > 0) & (np.bincount(k, weights=x > 0, minlength=count + 1) > 0)
    fitted = both & (n >= 3) & is_smooth
    found[fitted] = ((sxx * sv - sx * sxv)[fitted]) / bend[fitted]
    return found


def _profile(raw: Floats, per_day: int) -> Floats:
    """The usual course of a day, by the median of each step of it, (steps,); the median of all where a step of the day was never measured."""
    place = np.arange(len(raw)) % per_day
    everything = float(np.nanmedian(raw)) if np.isfinite(raw).any() else 0.0
    usual = np.full(per_day, everything)
    for p in range(per_day):
        mine = raw[place == p]
        if np.isfinite(mine).any():
            usual[p] = float(np.nanmedian(mine))
    return usual[place]


class _Walk:
    """Demand beyond the profile as a random walk, seen through the volume.

    State: the volume at the step's start, V, and the walk, x. V' = V + (net - x + noise of variance `own`) h, x' = x + noise of variance 1; V is seen
    with noise of variance `sensor` h2. Variances are in walks of a step; the walk's own variance does not change what is smoothed.
    """

    def __init__(self, net: Floats, edges: Floats, step_s: int) -> None:
        self.net, self.edges, self.h = net.tolist(), edges.tolist(), float(step_s)

    def likelihood(self, sensor: float, own: float) -> float:
        """Log-likelihood of the last steps, up to a constant, the walk's variance at its best."""
        first = max(0, len(self.net) - _MOST_FOR_RATIO)
        _, seen, squares, logs = self._filter(sensor, own, first)
        return -0.5 * (seen * log(max(squares, 1e-30) / seen) + logs) if seen > 2 else float("-inf")

    def smooth(self, sensor: float, own: float) -> Floats:
        """What is drawn beyond the profile in each step, (steps,), by the volumes as they were most likely, given all that was seen."""
        states, *_ = self._filter(sensor, own, 0)
        n, h = len(self.net), self.h
        volume = np.zeros(n + 1)
        v_next, x_next = states[n][:2]
        volume[n] = v_next
        for k in range(n - 1, -1, -1):
            v, x, pvv, pvx, pxx = states[k]
            net = self.net[k]
            # Gain of the smoother: what was known here, times how it moves on, over what was expected there.
            if net == net:
                avv, avx = pvv - 2 * h * pvx + h * h * (pxx + own), pvx - h * pxx
                cvv, cxv, expected = pvv - h * pvx, pvx - h * pxx, v + (net - x) * h
            else:
                avv, avx, cvv, cxv, expected = _DIFFUSE * h * h, 0.0, 0.0, 0.0, v
            axx = pxx + 1.0
            det = avv * axx - avx * avx
            gvv, gvx = (cvv * axx - pvx * avx) / det, (pvx * avv - cvv * avx) / det
            gxv, gxx = (cxv * axx - pxx * avx) / det, (pxx * avv - cxv * avx) / det
            dv, dx = v_next - expected, x_next - x
            v_next, x_next = v + gvv * dv + gvx * dx, x + gxv * dv + gxx * dx
            volume[k] = v_next
        return np.asarray(np.array(self.net) - np.diff(volume) / h, np.float64)

    def _filter(self, sensor: float, own: float, first: int) -> tuple[list[tuple[float, float, float, float, float]], int, float, float]:
        """States at each instant once it was seen, (V, x, their variances and covariance); how many were seen, sums of squared innovations over
        their variance and of the logarithms of it."""
        h = self.h
        noise = sensor * h * h
        v, x, pvv, pvx, pxx = 0.0, 0.0, _DIFFUSE * h * h, 0.0, _DIFFUSE
        states, seen, squares, logs, started = [], 0, 0.0, 0.0, 0
        for k in range(first, len(self.net) + 1):
            z = self.edges[k]
            if z == z:
                s = pvv + noise
                innovation = z - v
                gv, gx = pvv / s, pvx / s
                v, x = v + gv * innovation, x + gx * innovation
                pvv, pvx, pxx = pvv - gv * pvv, pvx - gv * pvx, pxx - gx * pvx
                started += 1
                if started > 2:  # the first two only say where volume and walk begin
                    seen, squares, logs = seen + 1, squares + innovation * innovation / s, logs + log(s)
            states.append((v, x, pvv, pvx, pxx))
            if k == len(self.net):
                break
            net = self.net[k]
            if net == net:
                v = v + (net - x) * h
                pvv, pvx = pvv - 2 * h * pvx + h * h * (pxx + own), pvx - h * pxx
            else:
                pvv, pvx = _DIFFUSE * h * h, 0.0  # the volume may have become anything
            pxx += 1.0
        return states, seen, squares, logs
