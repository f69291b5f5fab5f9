"""plot.svg: prices, pumps and tank levels of a plan over time, drawn without a plotting library."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from html import escape

from levada.cases.load import Case
from levada.cases.plan_document import PlanDocument, TankCourse

__all__ = ["plot"]

_WIDTH, _LEFT, _RIGHT, _TOP = 960.0, 130.0, 70.0, 44.0
_PRICE_H, _PUMP_H, _TANK_H, _GAP = 70.0, 18.0, 90.0, 26.0
_INK, _MUTED, _GRID, _PUMP, _WATER, _LIMIT, _PRICE = "#1f2933", "#6b7785", "#e3e8ee", "#2a78b8", "#1b8a9a", "#c0492f", "#8a6d1f"
_TICK_HOURS = (1, 2, 3, 6, 12, 24, 48, 168)


def plot(case: Case, plan: PlanDocument) -> str:
    """The plan as an SVG text. Times are those of the case's clock."""
    return _Drawing(case, plan).text()


class _Drawing:
    """Panels from top to bottom; `y` is where the next one begins."""

    def __init__(self, case: Case, plan: PlanDocument) -> None:
        self.case, self.plan = case, plan
        edges = [0]
        for seconds in plan.step_seconds:
            edges.append(edges[-1] + seconds)
        self.x = [_LEFT + (_WIDTH - _LEFT - _RIGHT) * e / edges[-1] for e in edges]
        self.parts: list[str] = []
        self.y = _TOP

    def text(self) -> str:
        plan, top = self.plan, self.y
        self._prices()
        self._pumps()
        for tank in plan.tanks:
            self._tank(tank)
        ticks = self._ticks(top, self.y - _GAP + 6)
        height = self.y + 12
        verdict = "accepted by" if plan.audit.accepted else "rejected by"
        gap = "" if plan.certificate.gap is None else f", gap {100 * plan.certificate.gap:.2f} %"
        title = f"{plan.case}: {plan.bill.total:.2f} {plan.currency}{gap}, {verdict} {plan.audit.engine}"
        return "\n".join([
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH:g} {height:g}" width="{_WIDTH:g}" height="{height:g}" font-family="system-ui, sans-serif" font-size="12" role="img">',
            f"<title>{escape(title)}</title>", f'<rect width="{_WIDTH:g}" height="{height:g}" fill="#fff"/>',
            _label(_LEFT, 22, title, size=14, weight=600), *ticks, *self.parts, "</svg>", "",
        ])  # fmt: skip

    def _ticks(self, top: float, bottom: float) -> list[str]:
        """Grid lines and labels at round hours of the case's clock."""
        start, end = self.plan.starts_at, self.plan.ends_at
        total = (end - start).total_seconds()
        every = next((h for h in _TICK_HOURS if total / 3600 / h <= 13), _TICK_HOURS[-1])
        found: list[str] = []
        instant = start.replace(minute=0, second=0, microsecond=0)
        while instant <= end:
            local: datetime = instant.astimezone(self.case.clock)
            if instant >= start and not local.minute and local.hour % min(every, 24) == 0:
                x = _LEFT + (_WIDTH - _LEFT - _RIGHT) * (instant - start).total_seconds() / total
                found.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top:.1f}" y2="{bottom:.1f}" stroke="{_GRID}"/>')
                name = f"{local:%d %b}" if local.hour == 0 else f"{local:%H:%M}"
                found.append(_label(x, bottom + 14, name, anchor="middle", fill=_MUTED))
            # Clocks with offsets of half and quarter hours show their round hours at other minutes of UTC.
            instant += timedelta(minutes=15)
        return found

    def _prices(self) -> None:
        courses = list(dict.fromkeys(tuple(p) for p in self.plan.price_per_kwh.values()))
        low, high = min(0.0, *(min(c) for c in courses)), max(max(c) for c in courses)
        scale = _Scale(low, high if high > low else low + 1.0, self.y, _PRICE_H)
        self.parts.append(_label(_LEFT - 8, self.y + 12, f"{self.plan.currency}/kWh", anchor="end"))
        for course in courses:
            points = " ".join(f"{self.x[k + e]:.1f},{scale(p):.1f}" for k, p in enumerate(course) for e in (0, 1))
            self.parts.append(f'<polyline points="{points}" fill="none" stroke="{_PRICE}" stroke-width="1.5"/>')
        for value in sorted({low, high}):
            self.parts.append(_label(_WIDTH - _RIGHT + 6, scale(value) + 4, f"{value:.3g}", fill=_MUTED))
        self.y += _PRICE_H + _GAP

    def _pumps(self) -> None:
        for pump in self.plan.pumps:
            running = [s for s in pump.speed if s > 0]
            slowest, span = min(running, default=0.0), max(running, default=0.0) - min(running, default=0.0)
            self.parts.append(_label(_LEFT - 8, self.y + 13, pump.name, anchor="end"))
            self.parts.append(f'<rect x="{_LEFT:g}" y="{self.y + 2:.1f}" width="{_WIDTH - _LEFT - _RIGHT:g}" height="{_PUMP_H - 4:g}" fill="#f4f6f8"/>')
            for first, last, speed in _runs(pump.speed):
                if speed > 0:
                    high = (_PUMP_H - 4) * (0.4 + 0.6 * (speed - slowest) / span if span > 1e-9 else 1.0)
                    self.parts.append(
                        f'<rect x="{self.x[first]:.1f}" y="{self.y + _PUMP_H - 2 - high:.1f}" width="{self.x[last] - self.x[first]:.1f}" height="{high:.1f}" fill="{_PUMP}">'
                        f"<title>{escape(pump.name)} at speed {speed:.3f}</title></rect>"
                    )
            self.parts.append(_label(_WIDTH - _RIGHT + 6, self.y + 13, f"{pump.starts} start{'' if pump.starts == 1 else 's'}", fill=_MUTED))
            self.y += _PUMP_H
        self.y += _GAP

    def _tank(self, tank: TankCourse) -> None:
        low, high = min(tank.min_level_m, *tank.level_m), max(tank.max_level_m, *tank.level_m)
        room = 0.06 * (high - low)
        scale = _Scale(low - room, high + room, self.y, _TANK_H)
        self.parts.append(_label(_LEFT - 8, self.y + _TANK_H / 2 + 4, f"{tank.name}, m", anchor="end"))
        for level in (tank.min_level_m, tank.max_level_m):
            self.parts.append(f'<line x1="{_LEFT:g}" x2="{_WIDTH - _RIGHT:g}" y1="{scale(level):.1f}" y2="{scale(level):.1f}" stroke="{_LIMIT}" stroke-dasharray="5 4"/>')
            self.parts.append(_label(_WIDTH - _RIGHT + 6, scale(level) + 4, f"{level:.4g}", fill=_MUTED))
        for limit in (tank.reserve_level_m, tank.ceiling_level_m):
            if limit is not None:
                points = " ".join(f"{self.x[k + e]:.1f},{scale(v):.1f}" for k, v in enumerate(limit) for e in (0, 1))
                self.parts.append(f'<polyline points="{points}" fill="none" stroke="{_LIMIT}" stroke-width="1" stroke-dasharray="2 3"/>')
        points = " ".join(f"{x:.1f},{scale(v):.1f}" for x, v in zip(self.x, tank.level_m, strict=True))
        floor = scale(low - room)
        self.parts.append(f'<polygon points="{self.x[0]:.1f},{floor:.1f} {points} {self.x[-1]:.1f},{floor:.1f}" fill="{_WATER}" fill-opacity="0.12"/>')
        self.parts.append(f'<polyline points="{points}" fill="none" stroke="{_WATER}" stroke-width="1.8"/>')
        x, end, most = self.x[-1], tank.end_level_m, tank.end_level_max_m
        self.parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{scale(end):.1f}" y2="{scale(tank.max_level_m if most is None else most):.1f}" stroke="{_INK}" stroke-width="2.5"/>')
        self.y += _TANK_H + _GAP


class _Scale:
    """From a value to a height on the page: `high` at the panel's top."""

    def __init__(self, low: float, high: float, top: float, height: float) -> None:
        self._low, self._span, self._top, self._height = low, high - low, top, height

    def __call__(self, value: float) -> float:
        return self._top + self._height * (1 - (value - self._low) / self._span)


def _runs(values: Sequence[float]) -> list[tuple[int, int, float]]:
    """(first, one past the last, value) of each stretch of equal values."""
    found: list[tuple[int, int, float]] = []
    for k, value in enumerate(values):
        if found and found[-1][2] == value:
            found[-1] = (found[-1][0], k + 1, value)
        else:
            found.append((k, k + 1, value))
    return found


def _label(x: float, y: float, text: str, *, anchor: str = "start", fill: str = _INK, size: int = 12, weight: int = 400) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{fill}" font-size="{size}" font-weight="{weight}">{escape(text)}</text>'
