"""Published plans, and the forecast that each was made from. A plan is never changed; a newer one takes its place."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from psycopg.rows import DictRow

from levada.domain.bundle import canonical_json
from levada.domain.errors import NotFound
from levada.domain.plan import ForecastReport, Ladder, Plan
from levada.domain.time import Window
from levada.store.database import TenantConnection

__all__ = ["PlanHead", "StoredPlan", "current_plan", "forecast_of", "get_plan", "list_plans", "plans_covering", "publish_plan"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanHead:
    """What a plan promises, without its steps."""

    plan_id: UUID
    run_id: UUID
    issue_time: datetime
    starts_at: datetime
    expires_at: datetime
    ladder: Ladder
    cost: float
    lower_bound: float | None
    audited_cost: float
    published_at: datetime


@dataclass(frozen=True, slots=True)
class StoredPlan:
    """A published plan. It may have expired: ask `expired`."""

    plan_id: UUID
    run_id: UUID
    published_at: datetime
    plan: Plan

    def expired(self, at: datetime) -> bool:
        """Must the plan no longer be followed at that instant?"""
        return at >= self.plan.expires_at


async def publish_plan(db: TenantConnection, run_id: UUID, plan: Plan, forecast: ForecastReport, at: datetime) -> UUID:
    """Store a run's plan and tell listeners (topic `plan`); returns the plan's id. The same run again changes nothing.

    Raises ValueError for a plan of another tenant and for one that holds NaN or infinity, which could never be read again.
    """
    if plan.tenant_id != db.tenant_id:
        raise ValueError(f"a plan of tenant {plan.tenant_id!r} cannot be published for {db.tenant_id!r}")
    row = await db.one(
        "publish_plan",
        run_id=run_id,
        issue_time=plan.issue_time,
        starts_at=plan.starts_at,
        expires_at=plan.expires_at,
        ladder=plan.ladder.value,
        cost=plan.cost,
        lower_bound=plan.certificate.lower_bound,
        audited_cost=plan.audit.cost,
        at=at,
        body=canonical_json(plan.model_dump(mode="json")).decode(),
        forecast=canonical_json(forecast.model_dump(mode="json")).decode(),
    )
    if row is None:
        row = await db.one("plan_of_run", run_id=run_id)
        if row is None:
            raise LookupError(run_id)
        return UUID(str(row["plan_id"]))
    await db.notify("plan", {"plan_id": str(row["plan_id"])})
    return UUID(str(row["plan_id"]))


async def current_plan(db: TenantConnection, at: datetime) -> StoredPlan | None:
    """Of the plans published by `at` the one with the latest issue time; it may have expired. None before the first."""
    row = await db.one("current_plan", at=at)
    return None if row is None else _stored(row)


async def get_plan(db: TenantConnection, plan_id: UUID) -> StoredPlan:
    """Raises NotFound."""
    row = await db.one("get_plan", plan_id=plan_id)
    if row is None:
        raise NotFound("plan", str(plan_id))
    return _stored(row)


async def list_plans(db: TenantConnection, limit: int) -> list[PlanHead]:
    """The newest first."""
    return [PlanHead(**{**row, "ladder": Ladder(row["ladder"])}) for row in await db.fetch("list_plans", limit=limit)]


async def forecast_of(db: TenantConnection, plan_id: UUID) -> ForecastReport:
    """The demand that the plan was made for. Raises NotFound."""
    row = await db.one("forecast_of", plan_id=plan_id)
    if row is None:
        raise NotFound("plan", str(plan_id))
    return ForecastReport.model_validate_json(row["forecast"])


async def plans_covering(db: TenantConnection, window: Window) -> list[StoredPlan]:
    """Plans that could be followed at some instant of the window (from their start to their expiry), by issue time."""
    return [_stored(row) for row in await db.fetch("plans_covering", start=window.start, end=window.end)]


def _stored(row: DictRow) -> StoredPlan:
    return StoredPlan(row["plan_id"], row["run_id"], row["published_at"], Plan.model_validate_json(row["body"]))
