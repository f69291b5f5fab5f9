"""Plans: what the pumps are to do, with cost, bound, audit, expiry and reasons."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from litestar import get
from litestar.params import FromPath
from pydantic import AwareDatetime, BaseModel, Field

from levada.domain.errors import NotFound
from levada.domain.plan import Plan
from levada.store.plans import PlanHead, StoredPlan, current_plan, get_plan, list_plans
from levada.web.access import needs
from levada.web.api.answers import Limit, Tenant, answers
from levada.web.site import ThisSite
from levada.web.views.plan import step_edges

__all__ = ["PlanDocument", "list_published_plans", "show_current_plan", "show_plan"]


class PumpStep(BaseModel):
    """One pump in one step: `speed` is relative, 0 where the pump stands still."""

    name: str
    on: bool
    speed: float


class PlanStep(BaseModel):
    """One step [start, end) of a plan, with every pump in it."""

    start: AwareDatetime
    end: AwareDatetime
    price_per_kwh: float
    cost: float
    pumps: list[PumpStep]


class PlanDocument(Plan):
    """A published plan. Do not follow it once `expires_at` has passed, whatever `expired` said when it was fetched."""

    plan_id: UUID
    run_id: UUID
    published_at: AwareDatetime
    expired: Annotated[bool, Field(description="Whether it had expired when this answer was made")]
    lower_bound: Annotated[float | None, Field(description="No plan of the stated problem costs less; none on the lower rungs of the ladder")]
    audited_cost: Annotated[float, Field(description="What EPANET says that the plan costs")]
    steps: Annotated[list[PlanStep], Field(description="The same schedule as `pumps`, step by step")]


class PlanHeadDocument(BaseModel):
    """What a plan promises, without its steps."""

    plan_id: UUID
    run_id: UUID
    issue_time: AwareDatetime
    starts_at: AwareDatetime
    expires_at: AwareDatetime
    published_at: AwareDatetime
    ladder: str
    cost: float
    lower_bound: float | None
    audited_cost: float


class PlanList(BaseModel):
    plans: list[PlanHeadDocument]


def _document(stored: StoredPlan, now: datetime) -> PlanDocument:
    plan = stored.plan
    edges = step_edges(plan)
    steps = [
        PlanStep(
            start=edges[i],
            end=edges[i + 1],
            price_per_kwh=plan.price_per_kwh[i],
            cost=plan.step_cost[i],
            pumps=[PumpStep(name=p.name, on=p.on[i], speed=p.speed[i] if p.on[i] else 0.0) for p in plan.pumps],
        )
        for i in range(len(plan.step_starts))
    ]
    return PlanDocument(
        **{name: getattr(plan, name) for name in Plan.model_fields},
        plan_id=stored.plan_id,
        run_id=stored.run_id,
        published_at=stored.published_at,
        expired=stored.expired(now),
        lower_bound=plan.certificate.lower_bound,
        audited_cost=plan.audit.cost,
        steps=steps,
    )


def _head(head: PlanHead) -> PlanHeadDocument:
    return PlanHeadDocument(**{name: getattr(head, name) for name in PlanHeadDocument.model_fields})


@get("/tenants/{tenant:str}/plans/current", guards=[needs("plans:read")], responses=answers(401, 403, 404), tags=["plans"], summary="The plan to follow now")
async def show_current_plan(tenant: Tenant, site: ThisSite) -> PlanDocument:
    """The newest published plan. It may have expired: look at `expires_at`. 404 with code `not-found` before the first plan."""
    now = site.clock.now()
    async with site.database.tenant(tenant) as db:
        stored = await current_plan(db, now)
    if stored is None:
        raise NotFound("plan", "current")
    return _document(stored, now)


@get("/tenants/{tenant:str}/plans", guards=[needs("plans:read")], responses=answers(401, 403, 404), tags=["plans"], summary="Published plans")
async def list_published_plans(tenant: Tenant, site: ThisSite, limit: Limit = 50) -> PlanList:
    """Heads of the published plans, the newest first."""
    async with site.database.tenant(tenant) as db:
        return PlanList(plans=[_head(head) for head in await list_plans(db, limit)])


@get("/tenants/{tenant:str}/plans/{plan_id:uuid}", guards=[needs("plans:read")], responses=answers(401, 403, 404), tags=["plans"], summary="One plan")
async def show_plan(tenant: Tenant, plan_id: FromPath[UUID], site: ThisSite) -> PlanDocument:
    """A plan as it was published."""
    async with site.database.tenant(tenant) as db:
        return _document(await get_plan(db, plan_id), site.clock.now())
