"""Readings have arrived: is a new plan wanted?"""

from __future__ import annotations

from datetime import datetime, timedelta

from levada.domain.run import Cause, RunKind, RunState
from levada.domain.settings import Operation, Timetable
from levada.store.database import Database, TenantConnection
from levada.store.documents import find_document
from levada.store.plans import current_plan
from levada.store.runs import list_runs, request_run
from levada.store.series import latest
from levada.telemetry.log import get_logger

__all__ = ["plan_on_new_data"]

log = get_logger("runs")

_LOOK_BACK = 20


async def plan_on_new_data(database: Database, tenant_id: str, now: datetime) -> None:
    """Ask for a run when the timetable wants one on new data and the current plan has the age for it.

    No second run is asked for while one of that age waits or is being computed. Raises DocumentError for a timetable that does not hold.
    """
    async with database.tenant(tenant_id) as db:
        timetable = await find_document(db, "timetable")
        if not isinstance(timetable, Timetable) or not timetable.plan_on_new_data:
            return
        if not await _levels_are_recent(db, now):
            return  # history is being loaded: a plan could only say that levels are missing
        since = now - timedelta(minutes=timetable.plan_after_minutes)
        current = await current_plan(db, now)
        if current is not None and current.plan.issue_time > since:
            return
        for run in await list_runs(db, _LOOK_BACK):
            if run.kind is RunKind.PLAN and run.cause is not Cause.SHADOW and run.state in (RunState.QUEUED, RunState.RUNNING) and run.issue_time > since:
                return
        made = await request_run(db, kind=RunKind.PLAN, cause=Cause.NEW_DATA, issue_time=now, at=now)
    log.info("new data: a plan is asked for", run=str(made.run_id), created=made.created)


async def _levels_are_recent(db: TenantConnection, now: datetime) -> bool:
    """Whether each tank has a level young enough to plan from."""
    operation = await find_document(db, "operation")
    if not isinstance(operation, Operation):
        return False
    newest = await latest(db, now)
    oldest = now - timedelta(minutes=operation.max_data_age_minutes)
    return all((reading := newest.get(tank.level_series)) is not None and reading.time >= oldest for tank in operation.tanks.values())
