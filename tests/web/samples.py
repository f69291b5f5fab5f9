"""A small utility with readings, a forecast and an audited plan, as a worker would have left it. Levels follow from a water balance."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import numpy as np

from levada.domain.plan import (
    AuditReport,
    Certificate,
    ForecastReport,
    Ladder,
    Plan,
    PlanResult,
    PumpPlan,
    Reason,
    TankPlan,
    ZoneForecast,
)
from levada.domain.run import Accounting, Cause, RunKind
from levada.domain.series import CellMethod, SeriesSpec
from levada.domain.settings import Document, read_document
from levada.domain.time import to_np
from levada.domain.units import Quantity
from levada.store.database import Database
from levada.store.documents import put_document
from levada.store.plans import publish_plan
from levada.store.runs import finish_run, request_run, start_run
from levada.store.series import Delivery, add_readings, ensure_series

NOW = datetime(2026, 3, 17, 3, 10, tzinfo=UTC)
"""03:10 in Lisbon on a Tuesday."""
PUMPS = ("P1", "P2", "PV")
TANKS = {"T1": (1.0, 4.5), "T2": (0.8, 3.8)}
ZONES = ("alta", "baixa")
PEAK = {"P1": 0.030, "P2": 0.030, "PV": 0.020}
"""Flow of each pump at full speed, m3/s."""


def documents(language: str = "pt", name: str = "Águas da Serra") -> dict[str, Document]:
    """Settings of the utility, one of each kind."""
    days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun", "holiday"]
    columns = {spec.series_id: {"series": spec.series_id, "quantity": spec.quantity.value, "unit": _UNITS[spec.quantity]} for spec in series()}
    bodies = {
        "utility": {"name": name, "time_zone": "Europe/Lisbon", "language": language, "country": "PT", "currency": "EUR", "flow_unit": "L/s"},
        "operation": {
            "network": "0" * 64,
            "tanks": {t: {"level_series": f"tank.{t}.level", "min_level_m": a, "max_level_m": b} for t, (a, b) in TANKS.items()},
            "pumps": {
                p: {"status_series": f"pump.{p}.status", "energy_series": f"pump.{p}.energy", **({"min_speed": 0.7, "speed_series": "pump.PV.speed"} if p == "PV" else {})}
                for p in PUMPS
            },
            "zones": {z: {"flow_series": f"zone.{z}.flow", "junctions": [f"J-{z}"]} for z in ZONES},
        },
        "tariff": {
            "tariff": {
                "kind": "time-of-use",
                "periods": [
                    {"name": "super vazio", "price_per_kwh": 0.081, "days": days, "start": "02:00", "end": "06:00"},
                    {"name": "vazio", "price_per_kwh": 0.102, "days": days, "start": "22:00", "end": "08:00"},
                    {"name": "ponta", "price_per_kwh": 0.214, "days": days, "start": "09:30", "end": "12:00"},
                    {"name": "ponta", "price_per_kwh": 0.214, "days": days, "start": "18:30", "end": "21:00"},
                    {"name": "cheias", "price_per_kwh": 0.148, "days": days, "start": "00:00", "end": "00:00"},
                ],
            }
        },
        "files": {"contracts": [{"name": "scada", "file_name": "scada_*.csv", "columns": columns}]},
        "timetable": {"entries": [{"cron": "5 * * * *"}]},
    }
    return {kind: read_document(kind, body) for kind, body in bodies.items()}


_UNITS = {Quantity.LEVEL: "m", Quantity.FLOW: "L/s", Quantity.STATUS: "1", Quantity.SPEED: "1", Quantity.ENERGY: "kW.h"}


def series() -> list[SeriesSpec]:
    """What the utility measures, each quarter of an hour."""

    def spec(series_id: str, quantity: Quantity, method: CellMethod = CellMethod.POINT) -> SeriesSpec:
        return SeriesSpec(series_id=series_id, quantity=quantity, cell_method=method, step_s=900)

    return [
        *(spec(f"tank.{t}.level", Quantity.LEVEL) for t in TANKS),
        *(spec(f"zone.{z}.flow", Quantity.FLOW, CellMethod.MEAN) for z in ZONES),
        *(spec(f"pump.{p}.status", Quantity.STATUS) for p in PUMPS),
        *(spec(f"pump.{p}.energy", Quantity.ENERGY) for p in PUMPS),
        spec("pump.PV.speed", Quantity.SPEED),
    ]


def demand(instant: datetime) -> float:
    """Expected demand of all zones, m3/s: low at night, two peaks."""
    h = instant.hour + instant.minute / 60
    return 0.018 + 0.016 * math.exp(-(((h - 8.5) / 2.2) ** 2)) + 0.014 * math.exp(-(((h - 20) / 2.4) ** 2)) + 0.008 * math.exp(-(((h - 13) / 3) ** 2))


def runs_at(pump: str, instant: datetime) -> tuple[bool, float]:
    """Whether the sample schedule runs the pump then, and how fast."""
    h = instant.hour
    if pump == "P1":
        return (h < 7 or h in (15, 16)), 1.0
    if pump == "P2":
        return h in (3, 4, 5), 1.0
    return (h < 9 or 13 <= h < 18 or h >= 21), 0.95 if h < 6 else 0.82


def price(instant: datetime) -> tuple[float, str]:
    h = instant.hour + instant.minute / 60
    if 2 <= h < 6:
        return 0.081, "super vazio"
    if h >= 22 or h < 8:
        return 0.102, "vazio"
    return (0.214, "ponta") if 9.5 <= h < 12 or 18.5 <= h < 21 else (0.148, "cheias")


def levels(start: datetime, count: int, step_s: int, first: dict[str, float]) -> dict[str, list[float]]:
    """Levels at the steps' edges by the water balance: the pumps' flow less the demand, shared by the tanks."""
    found = {t: [level] for t, level in first.items()}
    area = {"T1": 420.0, "T2": 250.0}
    for i in range(count):
        at = start + timedelta(seconds=i * step_s)
        flow = sum(PEAK[p] * runs_at(p, at)[1] for p in PUMPS if runs_at(p, at)[0])
        net = (flow - demand(at)) * step_s / len(TANKS)
        for t, (low, high) in TANKS.items():
            found[t].append(min(high, max(low, found[t][-1] + net / area[t])))
    return found


def plan(tenant: str, issue: datetime = NOW, *, ladder: Ladder = Ladder.NEW, hours_valid: float = 6.0, step_s: int = 3600, count: int = 24, **changes: object) -> Plan:
    """An audited plan from the next full hour on."""
    start = issue.replace(minute=0, second=0, microsecond=0)
    starts = [start + timedelta(seconds=i * step_s) for i in range(count)]
    states = {p: [runs_at(p, t) for t in starts] for p in PUMPS}
    power = {p: [18_500.0 * (PEAK[p] / 0.03) * s**3 if on else 0.0 for on, s in states[p]] for p in PUMPS}
    prices = [price(t) for t in starts]
    step_cost = [sum(power[p][i] for p in PUMPS) / 1000 * step_s / 3600 * prices[i][0] for i in range(count)]
    cost = sum(step_cost)
    found = levels(start, count, step_s, {"T1": 2.9, "T2": 2.2})
    new = ladder is Ladder.NEW
    body = {
        "tenant_id": tenant, "issue_time": issue, "starts_at": start, "expires_at": start + timedelta(hours=hours_valid), "ladder": ladder,
        "ladder_reason": "" if new else "the newest level of tank T1 is 4 h old", "currency": "EUR",
        "step_starts": starts, "step_seconds": [step_s] * count,
        "price_per_kwh": [p for p, _ in prices], "price_period": [n for _, n in prices], "price_assumed": [False] * count,
        "pumps": [
            PumpPlan(
                name=p, on=[on for on, _ in states[p]], speed=[s if on else 0.0 for on, s in states[p]],
                flow_m3_per_s=[PEAK[p] * s if on else 0.0 for on, s in states[p]], power_w=power[p],
                starts=sum(b and not a for (a, _), (b, _) in zip(states[p], states[p][1:], strict=False)),
            )
            for p in PUMPS
        ],
        "tanks": [TankPlan(name=t, level_m=found[t], min_level_m=a, max_level_m=b, end_level_m=found[t][0]) for t, (a, b) in TANKS.items()],
        "demand_m3_per_s": [demand(t) for t in starts], "cost": cost, "energy_kwh": sum(sum(v) for v in power.values()) * step_s / 3.6e6, "step_cost": step_cost,
        "certificate": Certificate(
            cost=cost, lower_bound=cost * 0.974 if new else None, gap=0.026 if new else None, kind="sampled" if new else "none",
            method="Lagrangian bound over tank levels", samples=400 if new else 0, work={"nodes": 1240, "simulations": 8210},
        ),
        "audit": AuditReport(accepted=True, cost=cost * 1.0003, energy_kwh=310.0, engine="EPANET 2.3.5", hydraulic_step_s=900),
        "reasons": [
            Reason(pump="P1", time=start + timedelta(hours=4), action="stop", text="T1 reaches 4.10 m: what is left is cheaper to pump at 15:00 (0.148) than in the peak (0.214)", figures={"level_m": 4.1}),
            Reason(pump="P2", time=start + timedelta(hours=3), action="stop", text="the cheap hours end at 06:00 (0.081 to 0.102 EUR/kWh)", figures={"price": 0.081}),
        ],
        "flags": ["2 readings of zone.baixa.flow were missing; filled from the same hours of last week"],
    }  # fmt: skip
    return Plan.model_validate({**body, **changes})


def forecast(issue: datetime = NOW) -> ForecastReport:
    """Demand for 48 h, hourly."""
    start = issue.replace(minute=0, second=0, microsecond=0)
    times = [start + timedelta(hours=i) for i in range(48)]
    shares = {"alta": 0.4, "baixa": 0.6}
    zones = []
    for zone, share in shares.items():
        q50 = [demand(t) * share for t in times]
        spread = [0.06 + 0.002 * i for i in range(48)]
        zones.append(
            ZoneForecast(
                zone=zone, method="ensemble", q50_m3_per_s=q50, q10_m3_per_s=[v * (1 - s) for v, s in zip(q50, spread, strict=True)],
                q90_m3_per_s=[v * (1 + s) for v, s in zip(q50, spread, strict=True)],
            )
        )  # fmt: skip
    return ForecastReport(issue_time=issue, step_s=3600, times=times, zones=zones)


def deliveries(until: datetime, hours: int = 30) -> list[Delivery]:
    """Readings each quarter up to `until`, as measured: the sample schedule with some noise."""
    rng = np.random.default_rng(4)
    count = hours * 4
    start = until.replace(minute=until.minute // 15 * 15, second=0, microsecond=0) - timedelta(minutes=15 * (count - 1))
    instants = [start + timedelta(minutes=15 * i) for i in range(count)]
    times = np.array([to_np(t) for t in instants])
    found = levels(start, count - 1, 900, {"T1": 3.4, "T2": 2.9})
    values: dict[str, list[float]] = {f"tank.{t}.level": found[t] for t in TANKS}
    for zone, share in (("alta", 0.4), ("baixa", 0.6)):
        values[f"zone.{zone}.flow"] = [demand(t) * share * (1 + 0.05 * rng.standard_normal()) for t in instants]
    for p in PUMPS:
        states = [runs_at(p, t) for t in instants]
        values[f"pump.{p}.status"] = [float(on) for on, _ in states]
        joules = [18_900.0 * (PEAK[p] / 0.03) * s**3 * 900 if on else 0.0 for on, s in states]
        values[f"pump.{p}.energy"] = [5e9, *(5e9 + np.cumsum(joules))[:-1]]
    values["pump.PV.speed"] = [runs_at("PV", t)[1] for t in instants]
    quality = np.zeros(count, np.uint8)
    return [Delivery(series_id, times, np.array(v, dtype=np.float64), quality) for series_id, v in values.items()]


async def fill(database: Database, tenant: str, now: datetime = NOW, *, with_plan: bool = True, language: str = "pt", name: str = "Águas da Serra") -> None:
    """Documents, series, readings and, unless left out, a plan for the tenant."""
    async with database.tenant(tenant) as db:
        for kind, document in documents(language, name).items():
            await put_document(db, kind, document, "test", now)
        await ensure_series(db, series())
        await add_readings(db, deliveries(now), now)
    if with_plan:
        for back in (4, 2, 0):
            await publish(database, tenant, plan(tenant, now - timedelta(hours=back)), now - timedelta(hours=back))


async def publish(database: Database, tenant: str, one: Plan, at: datetime) -> str:
    """What a worker does with a plan: a run, done, and the plan published with its forecast. Returns the plan's id."""
    async with database.tenant(tenant) as db:
        made = await request_run(db, kind=RunKind.PLAN, cause=Cause.NEW_DATA, issue_time=one.issue_time, at=at)
    async with database.tenant(tenant) as db:
        await start_run(db, made.run_id, "test", at)
        ahead = forecast(one.issue_time)
        result = PlanResult(plan=one, forecast=ahead).model_dump_json().encode()
        spent = Accounting(wall_s=3.2, cpu_s=3.0, peak_memory_bytes=212_000_000, queue_wait_s=0.4)
        await finish_run(db, made.run_id, result=result, accounting=spent, manifest={"levada": "test"}, at=at)
        return str(await publish_plan(db, made.run_id, one, ahead, at))
