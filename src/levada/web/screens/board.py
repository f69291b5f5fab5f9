"""The operator's page of one utility: what to do now, and how good and how fresh it is."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from litestar import Request, get, post
from litestar.params import FromPath
from litestar.response import Redirect, ServerSentEvent, Template

from levada.domain.calendar import holidays_in
from levada.domain.errors import InputGap
from levada.domain.run import RunState
from levada.domain.series import Readings
from levada.domain.settings import DayAheadTariff, Operation, Tariff, Utility
from levada.domain.tariff import energy_prices
from levada.domain.time import Steps, Window
from levada.store.database import TenantConnection
from levada.store.documents import find_document
from levada.store.plans import StoredPlan, current_plan, forecast_of, plans_covering
from levada.store.releases import get_release
from levada.store.runs import get_run, list_runs
from levada.store.series import data_age, latest, list_series, readings_many
from levada.web.access import needs, principal_of_request
from levada.web.api.runs import ask_for_run
from levada.web.events import event_stream
from levada.web.page import display_of, page
from levada.web.site import Site, ThisSite
from levada.web.views.board import BoardData, BoardView, board_view
from levada.web.views.charts import BoardCharts, history_window
from levada.web.views.cost import Issued, SpentSoFar, measured_so_far, planned_so_far
from levada.web.views.display import Display
from levada.web.views.run import run_row

__all__ = ["board", "board_events", "board_json", "board_parts", "plan_now", "plan_now_state"]

_RUNS_SHOWN, _RUNS_LOOKED_AT = 5, 50
"""The newest runs, and of so many those that are under way: with a long queue the one that is computed is not among the newest."""

_QUARTER = timedelta(minutes=15)


def _series_shown(operation: Operation) -> set[str]:
    found = {t.level_series for t in operation.tanks.values()} | {s for z in operation.zones.values() for s in z.metered_flows}
    for pump in operation.pumps.values():
        found |= {s for s in (pump.status_series, pump.speed_series) if s}
    return found


async def _measured_cost(
    db: TenantConnection, utility: Utility, operation: Operation, tariff: Tariff, today: Window, now: datetime
) -> SpentSoFar | None:
    """Metered energy since midnight, each pump's at the tariff of its meter; None where a pump's energy is not metered or a tariff has a gap."""
    methods = {s.series_id: s.cell_method for s in await list_series(db)}
    counters = {name: pump.energy_series for name, pump in operation.pumps.items() if pump.energy_series}
    quarters = int((now - today.start) / _QUARTER)
    if len(counters) < len(operation.pumps) or quarters < 1 or not all(series in methods for series in counters.values()):
        return None
    steps = Steps.even(today.start, _QUARTER, quarters)
    contracts = [tariff.tariff, *(meter.tariff for meter in tariff.meters.values() if meter.tariff is not None)]
    contract_of = {pump: meter.tariff or tariff.tariff for meter in tariff.meters.values() for pump in meter.pumps}
    published = {c.price_series for c in contracts if isinstance(c, DayAheadTariff) and c.price_series in methods}
    # A reading before midnight and one after now are needed to know the counter at both ends.
    found = await readings_many(db, sorted({*counters.values(), *published}), Window(today.start - timedelta(hours=2), now + timedelta(seconds=1)), now)
    holidays = holidays_in(utility, today)
    try:
        prices = [energy_prices(c, steps, utility.time_zone, holidays, found.get(c.price_series) if isinstance(c, DayAheadTariff) else None).per_kwh for c in contracts]
    except InputGap:
        return None
    metered = [(found[series].usable(), methods[series], prices[contracts.index(contract_of.get(name, tariff.tariff))]) for name, series in counters.items()]
    return measured_so_far(metered, steps, today, now)


async def _load(db: TenantConnection, now: datetime, *, may_start: bool) -> tuple[Utility, Display, BoardView]:
    """All that the page shows of one utility, as known now."""
    utility, d = await display_of(db)
    documents = {kind: await find_document(db, kind) for kind in ("operation", "tariff")}
    operation = documents["operation"] if isinstance(documents["operation"], Operation) else None
    tariff = documents["tariff"] if isinstance(documents["tariff"], Tariff) else None
    current = await current_plan(db, now)
    today, history = d.local.today(now), history_window(now)
    recent: Sequence[StoredPlan] = [s for s in await plans_covering(db, Window(min(today.start, history.start), now)) if s.published_at <= now]
    if current is not None and current.plan_id not in {s.plan_id for s in recent}:
        recent = [*recent, current]
    known = {s.series_id for s in await list_series(db)}
    readings: dict[str, Readings] = {}
    if operation is not None:
        readings = await readings_many(db, _series_shown(operation) & known, history, now)
    data = BoardData(
        now=now,
        current=current,
        recent=recent,
        forecast=await forecast_of(db, current.plan_id) if current else None,
        operation=operation,
        readings=readings,
        latest=await latest(db, now),
        data_age=await data_age(db, now, now),
        runs=[r for i, r in enumerate(await list_runs(db, _RUNS_LOOKED_AT)) if i < _RUNS_SHOWN or r.state is RunState.RUNNING],
        planned=planned_so_far([Issued(s.published_at, s.plan) for s in recent], today, now),
        measured=await _measured_cost(db, utility, operation, tariff, today, now) if operation and tariff else None,
        has_tariff=tariff is not None,
        may_start=may_start,
        release=await get_release(db),
    )
    return utility, d, board_view(data, d)


def _may_start(request: Request[Any, Any, Any], tenant: str) -> bool:
    principal = principal_of_request(request)
    return principal is not None and principal.may(tenant, "runs:start")


async def _board(request: Request[Any, Any, Any], site: Site, tenant: str, template: str) -> Template:
    async with site.database.tenant(tenant) as db:
        utility, d, view = await _load(db, site.clock.now(), may_start=_may_start(request, tenant))
    return page(request, template, display=d, utility=utility, tenant=tenant, view=view)


@get("/t/{tenant:str}", guards=[needs("plans:read")], include_in_schema=False)
async def board(request: Request[Any, Any, Any], tenant: FromPath[str], site: ThisSite) -> Template:
    """The whole page."""
    return await _board(request, site, tenant, "board")


@get("/t/{tenant:str}/board/parts", guards=[needs("plans:read")], include_in_schema=False)
async def board_parts(request: Request[Any, Any, Any], tenant: FromPath[str], site: ThisSite) -> Template:
    """What changes on the page, for an open one to take in."""
    return await _board(request, site, tenant, "board_parts")


@get("/t/{tenant:str}/board.json", guards=[needs("plans:read")], include_in_schema=False)
async def board_json(tenant: FromPath[str], site: ThisSite) -> BoardCharts:
    """The charts as numbers."""
    async with site.database.tenant(tenant) as db:
        _, _, view = await _load(db, site.clock.now(), may_start=False)
    return view.charts


@get("/t/{tenant:str}/events", guards=[needs("plans:read")], include_in_schema=False)
async def board_events(tenant: FromPath[str], site: ThisSite) -> ServerSentEvent:
    """Tells the page when something of the utility changed."""
    return event_stream(site.audience, tenant)


@post("/t/{tenant:str}/plan-now", guards=[needs("runs:start")], include_in_schema=False, status_code=200)
async def plan_now(request: Request[Any, Any, Any], tenant: FromPath[str], site: ThisSite) -> Template | Redirect:
    """Asks for a plan and shows how it goes; without scripts, on the whole page."""
    made = await ask_for_run(request, site, tenant)
    if not request.headers.get("hx-request"):
        return Redirect(f"/t/{tenant}", status_code=303)
    return await _run_state(request, site, tenant, made.run_id)


@get("/t/{tenant:str}/plan-now/{run_id:uuid}", guards=[needs("runs:read")], include_in_schema=False)
async def plan_now_state(request: Request[Any, Any, Any], tenant: FromPath[str], run_id: FromPath[UUID], site: ThisSite) -> Template:
    """How the run that was asked for goes."""
    return await _run_state(request, site, tenant, run_id)


async def _run_state(request: Request[Any, Any, Any], site: Site, tenant: str, run_id: UUID) -> Template:
    async with site.database.tenant(tenant) as db:
        utility, d = await display_of(db)
        run = await get_run(db, run_id)
    return page(request, "plan_now", display=d, utility=utility, tenant=tenant, run=run_row(run, site.clock.now(), d), may_start=_may_start(request, tenant))
