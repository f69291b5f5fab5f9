"""A plan in full: what it promises, how that was proved, every switch with its reason, and what was assumed or relaxed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from litestar import Request, get
from litestar.params import FromPath
from litestar.response import Redirect, Template

from levada.domain.plan import ForecastReport, Plan
from levada.store.plans import StoredPlan, current_plan, forecast_of, get_plan
from levada.web.access import needs
from levada.web.page import display_of, page
from levada.web.site import ThisSite
from levada.web.views.board import action_words, certificate_words, mode_of
from levada.web.views.display import Display
from levada.web.views.forecast import ZoneRow, zone_rows
from levada.web.views.plan import plan_end, step_edges, switches
from levada.web.views.told import reason_words, violation_words

__all__ = ["current_plan_page", "plan_page"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanView:
    """A plan in the utility's words and units."""

    plan_id: str
    run_id: str
    mode: str
    ladder: str
    ladder_reason: str
    facts: list[tuple[str, str]]
    certificate: list[tuple[str, str]]
    violations: list[str]
    flags: list[str]
    zones: list[ZoneRow]
    switches: list[tuple[str, str, str]]
    pumps: list[tuple[str, str, str, str]]
    tanks: list[tuple[str, str, str, str, str, str]]
    steps: list[tuple[str, str, str, str, list[str]]]
    names: list[str]
    """Pumps, then valves: the columns of `steps`."""


def _facts(stored: StoredPlan, now: datetime, d: Display) -> list[tuple[str, str]]:
    plan = stored.plan
    near = d.local.near
    return [
        (d.t("plan.issued"), near(plan.issue_time, now)),
        (d.t("plan.published"), near(stored.published_at, now)),
        (d.t("plan.covers"), f"{near(plan.starts_at, now)} – {near(plan_end(plan), now)}"),
        (d.t("plan.valid_until"), near(plan.expires_at, now)),
        (d.t("plan.cost"), d.money(plan.cost)),
        *_items(plan, d),
        (d.t("plan.audited_cost"), d.money(plan.audit.cost)),
        (d.t("plan.bound"), d.money(plan.certificate.lower_bound)),
        (d.t("plan.gap"), d.percent(plan.certificate.gap, 2)),
        (d.t("plan.energy"), f"{d.number(plan.energy_kwh, 0)}\u00a0kWh"),
    ]


def _items(plan: Plan, d: Display) -> list[tuple[str, str]]:
    """What the cost is made of, where it is more than energy."""
    items = {} if plan.bill is None else {name: getattr(plan.bill, name) for name in ("energy", "demand_charge", "water", "wear", "co2", "deviation", "stored_water")}
    told = {name: amount for name, amount in items.items() if abs(amount) >= 0.005}
    return [(d.t(f"bill.{name}"), d.money(amount)) for name, amount in told.items()] if len(told) > 1 else []


def _certificate(stored: StoredPlan, d: Display) -> list[tuple[str, str]]:
    audit, certificate = stored.plan.audit, stored.plan.certificate
    work = ", ".join(f"{name} {d.number(count, 0)}" for name, count in sorted(certificate.work.items())) or "–"
    return [
        (d.t("plan.audit"), d.t("audit.accepted" if audit.accepted else "audit.refused", engine=audit.engine)),
        (d.t("plan.hydraulic_step"), f"{d.number(audit.hydraulic_step_s / 60, 0)}\u00a0min"),
        (d.t("plan.certificate"), certificate_words(certificate, d)),
        (d.t("plan.method"), certificate.method or "–"),
        (d.t("plan.work"), work),
    ]


def plan_view(stored: StoredPlan, forecast: ForecastReport, now: datetime, d: Display) -> PlanView:
    """The whole plan as text."""
    plan = stored.plan
    mode = mode_of(stored, now)
    edges = step_edges(plan)
    begun = edges[0].replace(year=edges[0].year - 1)  # so that a switch at the plan's first instant is listed too
    return PlanView(
        plan_id=str(stored.plan_id),
        run_id=str(stored.run_id),
        mode=mode,
        ladder=d.t(f"ladder.{mode}"),
        ladder_reason=plan.ladder_reason,
        facts=_facts(stored, now, d),
        certificate=_certificate(stored, d),
        violations=[violation_words(v, d) for v in plan.audit.violations],
        flags=list(plan.flags),
        zones=zone_rows(forecast, d),
        switches=[(d.local.near(s.time, now), action_words(s, d), reason_words(s.reason, d) if s.reason else "–") for s in switches(plan, begun)],
        pumps=[
            (p.name, str(p.starts), d.duration_hours(sum(s for s, on in zip(plan.step_seconds, p.on, strict=True) if on)), _energy(p.power_w, plan.step_seconds, d))
            for p in plan.pumps
        ],
        tanks=[
            (t.name, d.level(t.level_m[0]), d.level(min(t.level_m)), d.level(max(t.level_m)), f"{d.level(t.min_level_m)} – {d.level(t.max_level_m)}", f"{d.level(t.level_m[-1])} (≥ {d.level(t.end_level_m)})")
            for t in plan.tanks
        ],
        steps=[
            (
                d.local.near(edges[i], now),
                f"{d.price(plan.price_per_kwh[i])}{'*' if plan.price_assumed[i] else ''}",
                d.money(plan.step_cost[i]),
                d.flow(plan.demand_m3_per_s[i]),
                [*(_state(p.on[i], p.speed[i], d) for p in plan.pumps), *(_choice(v.choice[i], d) for v in plan.valves)],
            )
            for i in range(len(plan.step_starts))
        ],
        names=[*(p.name for p in plan.pumps), *(v.link for v in plan.valves)],
    )


def _state(on: bool, speed: float, d: Display) -> str:
    return d.percent(speed, 0) if on else "–"


def _choice(choice: str | float, d: Display) -> str:
    return d.t(f"valve.{choice}") if isinstance(choice, str) else d.number(choice, 3)


def _energy(power_w: list[float], step_seconds: list[int], d: Display) -> str:
    kwh = sum(p * s for p, s in zip(power_w, step_seconds, strict=True)) / 3.6e6
    return f"{d.number(kwh, 0)}\u00a0kWh"


@get("/t/{tenant:str}/plans/{plan_id:uuid}", guards=[needs("plans:read")], include_in_schema=False)
async def plan_page(request: Request[Any, Any, Any], tenant: FromPath[str], plan_id: FromPath[UUID], site: ThisSite) -> Template:
    async with site.database.tenant(tenant) as db:
        utility, d = await display_of(db)
        stored = await get_plan(db, plan_id)
        forecast = await forecast_of(db, plan_id)
    return page(request, "plan", display=d, utility=utility, tenant=tenant, view=plan_view(stored, forecast, site.clock.now(), d))


@get("/t/{tenant:str}/plan", guards=[needs("plans:read")], include_in_schema=False)
async def current_plan_page(request: Request[Any, Any, Any], tenant: FromPath[str], site: ThisSite) -> Template | Redirect:
    """The newest plan; before the first, the board, which says what it waits for."""
    now = site.clock.now()
    async with site.database.tenant(tenant) as db:
        utility, d = await display_of(db)
        stored = await current_plan(db, now)
        if stored is None:
            return Redirect(f"/t/{tenant}", status_code=303)
        forecast = await forecast_of(db, stored.plan_id)
    return page(request, "plan", display=d, utility=utility, tenant=tenant, view=plan_view(stored, forecast, now, d))
