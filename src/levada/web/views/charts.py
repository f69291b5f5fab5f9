"""The board's charts as numbers: everything on one time axis, in the tenant's units, instants as epoch milliseconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from levada.domain.plan import ForecastReport, Plan
from levada.domain.series import Readings
from levada.domain.settings import Operation
from levada.domain.time import Window, floor_to
from levada.store.plans import StoredPlan
from levada.web.views.display import Display
from levada.web.views.plan import Bar, bars, plan_end, step_edges
from levada.web.views.series import Point, measured_bars, points, total
from levada.web.views.zone import epoch_ms

__all__ = ["BoardCharts", "board_charts", "history_window"]

_HISTORY = timedelta(hours=12)
_AHEAD = timedelta(hours=24)

BarRow = tuple[int, int, float]
"""Start and end (epoch ms) and speed of a stretch in which a pump runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TariffChart:
    """Price steps: (epoch ms, price), each holding until the next; the last point closes the axis."""

    prices: list[Point]
    periods: list[str]
    assumed: list[bool]
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PumpChart:
    name: str
    measured: list[BarRow]
    planned: list[BarRow]


@dataclass(frozen=True, slots=True, kw_only=True)
class TankChart:
    name: str
    min_m: float
    max_m: float
    measured: list[Point]
    planned: list[Point]


@dataclass(frozen=True, slots=True, kw_only=True)
class DemandChart:
    """All zones together. The band is the sum of the zones' 10 % and 90 % quantiles."""

    unit: str
    measured: list[Point]
    q10: list[Point]
    q50: list[Point]
    q90: list[Point]


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardCharts:
    start: int
    end: int
    now: int
    time_zone: str
    expires: int | None
    tariff: TariffChart
    pumps: list[PumpChart]
    tanks: list[TankChart]
    demand: DemandChart
    words: dict[str, str]


def history_window(now: datetime) -> Window:
    """The past that the charts show."""
    return Window(floor_to(now - _HISTORY, timedelta(hours=1)), now)


def _rows(found: Sequence[Bar], start: datetime, end: datetime) -> list[BarRow]:
    return [(epoch_ms(max(b.start, start)), epoch_ms(min(b.end, end)), round(b.speed, 3)) for b in found if b.end > start and b.start < end]


def _tariff(recent: Sequence[Plan], start: datetime, d: Display) -> TariffChart:
    """Prices of the plans that touch the axis; where several do, of the one issued last."""
    by_time: dict[datetime, tuple[float, str, bool, datetime]] = {}
    for plan in sorted(recent, key=lambda p: p.issue_time):
        edges = step_edges(plan)
        for i, begin in enumerate(plan.step_starts):
            if edges[i + 1] > start:
                by_time[max(begin, start)] = (plan.price_per_kwh[i], plan.price_period[i], plan.price_assumed[i], edges[i + 1])
    prices: list[Point] = []
    periods: list[str] = []
    assumed: list[bool] = []
    for begin, (price, period, guess, _) in sorted(by_time.items()):
        if prices and prices[-1][1] == price and periods[-1] == period and assumed[-1] == guess:
            continue
        prices.append((epoch_ms(begin), price))
        periods.append(period)
        assumed.append(guess)
    if by_time:
        prices.append((epoch_ms(max(end for *_, end in by_time.values())), prices[-1][1]))
        periods.append(periods[-1])
        assumed.append(assumed[-1])
    return TariffChart(prices=prices, periods=periods, assumed=assumed, unit=f"{d.currency}/kWh")


def _pumps(plan: Plan | None, operation: Operation | None, readings: Mapping[str, Readings], start: datetime, now: datetime, end: datetime) -> list[PumpChart]:
    names = [p.name for p in plan.pumps] if plan else list(operation.pumps) if operation else []
    charts = []
    for name in names:
        planned = next((bars(plan, p) for p in plan.pumps if p.name == name), []) if plan else []
        settings = operation.pumps.get(name) if operation else None
        measured: list[Bar] = []
        if settings is not None and settings.status_series is not None and settings.status_series in readings:
            speed = readings.get(settings.speed_series) if settings.speed_series else None
            measured = measured_bars(readings[settings.status_series], speed, longest_gap_s=3600)
        # Left of now stands what was measured; only where nothing was, what had been planned.
        begin = now if measured else start
        charts.append(PumpChart(name=name, measured=_rows(measured, start, now), planned=_rows(planned, begin, end)))
    return charts


def _tanks(plan: Plan | None, operation: Operation | None, readings: Mapping[str, Readings]) -> list[TankChart]:
    if operation is None:
        return []
    by_name = {t.name: t for t in plan.tanks} if plan else {}
    edges = [epoch_ms(e) for e in step_edges(plan)] if plan else []
    charts = []
    for name, settings in operation.tanks.items():
        planned = by_name.get(name)
        charts.append(
            TankChart(
                name=name,
                min_m=planned.min_level_m if planned else settings.min_level_m,
                max_m=planned.max_level_m if planned else settings.max_level_m,
                measured=points(readings.get(settings.level_series, Readings.empty())),
                planned=[(t, round(v, 3)) for t, v in zip(edges, planned.level_m, strict=True)] if planned else [],
            )
        )
    return charts


def _demand(forecast: ForecastReport | None, operation: Operation | None, readings: Mapping[str, Readings], end: datetime, d: Display) -> DemandChart:
    factor = d.flow_value(1.0)
    zones = list(operation.zones.values()) if operation else []
    # Without a meter in each zone a sum would be compared with a forecast of more than it measures.
    meters = [] if any(z.flow_series is None for z in zones) else [z.flow_series for z in zones if z.flow_series in readings]
    metered = total([readings[str(series)] for series in meters])
    bands: dict[str, list[Point]] = {"q10": [], "q50": [], "q90": []}
    if forecast is not None:
        for i, time in enumerate(forecast.times):
            if time > end:
                break
            for band in bands:
                flow = sum(getattr(z, f"{band}_m3_per_s")[i] for z in forecast.zones)
                bands[band].append((epoch_ms(time), round(flow * factor, 2)))
    return DemandChart(unit=d.flow_sign, measured=points(metered, factor, 2), q10=bands["q10"], q50=bands["q50"], q90=bands["q90"])


def board_charts(
    *,
    now: datetime,
    stored: StoredPlan | None,
    recent: Sequence[StoredPlan],
    forecast: ForecastReport | None,
    operation: Operation | None,
    readings: Mapping[str, Readings],
    d: Display,
) -> BoardCharts:
    """The charts from 12 h ago to the plan's end (24 h ahead where there is none)."""
    start = history_window(now).start
    plan = stored.plan if stored else None
    end = max(now + _AHEAD, plan_end(plan)) if plan and plan_end(plan) > now else now + _AHEAD
    every = [s.plan for s in recent] or ([plan] if plan else [])
    return BoardCharts(
        start=epoch_ms(start),
        end=epoch_ms(end),
        now=epoch_ms(now),
        time_zone=d.time_zone,
        expires=epoch_ms(plan.expires_at) if plan else None,
        tariff=_tariff(every, start, d),
        pumps=_pumps(plan, operation, readings, start, now, end),
        tanks=_tanks(plan, operation, readings),
        demand=_demand(forecast, operation, readings, end, d),
        words={key: d.t(f"chart.{key}") for key in ("tariff", "pumps", "pump", "demand", "measured", "planned", "forecast", "band", "limit", "now", "speed", "assumed", "expires", "level")},
    )
