"""SERIES.svg: what was measured and what was forecast, with its bands, drawn without a plotting library."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from html import escape
from itertools import pairwise

import numpy as np

from levada.cases.forecasting.load import ForecastCase
from levada.domain.series import Floats
from levada.domain.time import Instants, from_np, to_np, zone
from levada.forecast import Forecast

__all__ = ["plot"]

_WIDTH, _PANEL, _LEFT, _RIGHT, _TOP, _GAP = 960.0, 150.0, 70.0, 16.0, 40.0, 34.0
_INK, _MUTED, _GRID, _MEASURED, _MEDIAN, _BAND = "#1f2933", "#6b7785", "#e3e8ee", "#1f2933", "#2a78b8", "#2a78b8"
_MOST_PANELS = 8
_BEFORE = timedelta(days=2)


def plot(case: ForecastCase, series: str, forecasts: Sequence[Forecast], *, title: str) -> str:
    """A panel for each of the last issue times, eight at most: readings from two days before, the median, the bands. Times are those of the case's clock."""
    chosen = [f for f in forecasts if any(z.zone == series for z in f.zones)][-_MOST_PANELS:]
    parts: list[str] = []
    y = _TOP
    for f in chosen:
        parts += _panel(case, series, f, y)
        y += _PANEL + _GAP
    legend = f"{case.units[series]}; dark: measured; blue: forecast, with the bands of its quantiles; the line in the middle is the issue time"
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH:g} {y + 10:g}" width="{_WIDTH:g}" height="{y + 10:g}" font-family="system-ui, sans-serif" font-size="12" role="img">',
        f"<title>{escape(title)}</title>", f'<rect width="{_WIDTH:g}" height="{y + 10:g}" fill="#fff"/>',
        _label(_LEFT, 18, title, size=14, weight=600), _label(_LEFT, 33, legend, fill=_MUTED), *parts, "</svg>", "",
    ])  # fmt: skip


def _panel(case: ForecastCase, series: str, f: Forecast, top: float) -> list[str]:
    found = f.zone(series)
    flow = found.quantiles_m3_per_s / case.factor(series)
    begin, end = f.start - _BEFORE, f.start + timedelta(seconds=f.step_s * len(f.times))
    readings = case.zones[series]
    a, b = np.searchsorted(readings.times, [to_np(begin), to_np(end)])
    values = readings.values[a:b] / case.factor(series)
    high = float(max(flow.max(), values.max(initial=0.0))) or 1.0
    span = (end - begin).total_seconds()

    def x(instant: datetime) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * (instant - begin).total_seconds() / span

    def y(value: float) -> float:
        return top + _PANEL * (1 - value / high)

    parts = [f'<rect x="{_LEFT:g}" y="{top:.1f}" width="{_WIDTH - _LEFT - _RIGHT:g}" height="{_PANEL:g}" fill="none" stroke="{_GRID}"/>']
    parts += _days(case, begin, end, x, top)
    parts += [_label(_LEFT - 6, y(v) + 4, f"{v:.3g}", anchor="end", fill=_MUTED) for v in (0.0, high)]
    middle = [x(t + timedelta(seconds=f.step_s / 2)) for t in f.times]
    below, above = [q for q in f.levels if q < 0.5], [q for q in f.levels if q > 0.5]
    for low, up in zip(below, reversed(above), strict=False):
        parts.append(_area(middle, flow[f.level(low)], flow[f.level(up)], y))
    parts.append(_line(middle, flow[f.level(0.5)].tolist(), y, _MEDIAN))
    parts += _measured([x(from_np(t)) for t in readings.times[a:b]], values, readings.times[a:b], y)
    parts.append(f'<line x1="{x(f.start):.1f}" x2="{x(f.start):.1f}" y1="{top:.1f}" y2="{top + _PANEL:.1f}" stroke="{_INK}" stroke-dasharray="4 3"/>')
    return parts


def _days(case: ForecastCase, begin: datetime, end: datetime, x: Callable[[datetime], float], top: float) -> list[str]:
    """Grid lines and names at the local midnights."""
    clock = zone(case.time_zone)
    parts, day = [], begin.astimezone(clock).date()
    while (midnight := datetime(day.year, day.month, day.day, tzinfo=clock)) <= end:
        if midnight >= begin:
            at = x(midnight)
            parts.append(f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{top:.1f}" y2="{top + _PANEL:.1f}" stroke="{_GRID}"/>')
            if at < _WIDTH - _RIGHT - 40:
                parts.append(_label(at + 2, top + _PANEL + 13, f"{midnight:%a %d %b}", fill=_MUTED))
        day += timedelta(days=1)
    return parts


def _measured(xs: list[float], values: Floats, times: Instants, y: Callable[[float], float]) -> list[str]:
    """A line, broken where readings are missing."""
    if not len(xs):
        return []
    usual = np.median(np.diff(times).astype(np.int64)) if len(xs) > 1 else 0
    cuts = [0, *(np.flatnonzero(np.diff(times).astype(np.int64) > 1.5 * usual) + 1).tolist(), len(xs)]
    return [_line(xs[a:b], values[a:b].tolist(), y, _MEASURED, width=1.0) for a, b in pairwise(cuts) if b > a]


def _line(xs: list[float], values: list[float], y: Callable[[float], float], colour: str, width: float = 1.6) -> str:
    points = " ".join(f"{a:.1f},{y(v):.1f}" for a, v in zip(xs, values, strict=True))
    return f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="{width:g}"/>'


def _area(xs: list[float], low: Floats, high: Floats, y: Callable[[float], float]) -> str:
    there = [f"{a:.1f},{y(v):.1f}" for a, v in zip(xs, high.tolist(), strict=True)]
    back = [f"{a:.1f},{y(v):.1f}" for a, v in zip(reversed(xs), low.tolist()[::-1], strict=True)]
    return f'<polygon points="{" ".join(there + back)}" fill="{_BAND}" fill-opacity="0.16"/>'


def _label(x: float, y: float, text: str, *, anchor: str = "start", fill: str = _INK, size: int = 12, weight: int = 400) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{fill}" font-size="{size}" font-weight="{weight}">{escape(text)}</text>'
