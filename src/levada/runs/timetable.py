"""Asks for the runs that are due, for all tenants, by timetables that are data.

Nothing is kept in this process that matters: the run's row says what was asked for, so several of these processes never ask twice
and one that was down catches up when it is back. What was missed meanwhile is asked for once: of each kind the latest, for the plans
that nobody got hours ago are of no use now. A run uses what is known when it is asked for, not what was known when it was due.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta

from levada.clock import Clock
from levada.domain.errors import LevadaError
from levada.domain.run import Cause, RunKind
from levada.domain.settings import Timetable, Utility
from levada.runs.due import Due, due_between, next_due
from levada.store.database import DATABASE_TROUBLE, Database, TenantConnection
from levada.store.documents import document_versions, find_document
from levada.store.runs import request_run
from levada.store.tenants import list_tenants
from levada.store.timetable import last_due
from levada.telemetry.log import bound, get_logger
from levada.telemetry.trace import span

__all__ = ["CATCH_UP", "ask_for_due", "keep_timetable"]

log = get_logger("timetable")

CATCH_UP = timedelta(hours=24)
"""What was due longer ago than this is not asked for any more."""
_TICK_S = 1.0
_READ_AGAIN_S = 5.0


@dataclass(frozen=True, slots=True)
class _Kept:
    """A tenant between its due instants: when the next one is, and when (by the loop's clock) its documents were read."""

    next_due: datetime | None
    read_at: float
    problem: str = ""


async def ask_for_due(db: TenantConnection, now: datetime) -> datetime | None:
    """Ask for what is due by `now` and has not been asked for; returns the next due instant, None when there is none.

    An entry is due only after its timetable was put in. Raises DocumentError when a document does not hold.
    """
    timetable, utility = await find_document(db, "timetable"), await find_document(db, "utility")
    if not isinstance(timetable, Timetable) or not isinstance(utility, Utility) or not timetable.entries:
        return None
    put_in = (await document_versions(db, "timetable"))[0].created_at
    latest: dict[RunKind, Due] = {}
    for due in due_between(timetable.entries, utility.time_zone, max(now - CATCH_UP, put_in), now):
        latest[due.kind] = due
    for kind, due in latest.items():
        last = await last_due(db, kind)
        if last is not None and last >= due.at:
            continue
        # The first span of a trace that ends with the published plan.
        with span("timetable.due", tenant=db.tenant_id, kind=kind.value):
            made = await request_run(db, kind=kind, cause=Cause.TIMETABLE, issue_time=now, due_at=due.at, at=now)
        if made.created:
            late = now - due.at
            log.info("run is due", run=str(made.run_id), kind=kind.value, due_at=due.at.isoformat(), late_s=round(late.total_seconds(), 1))
    return next_due(timetable.entries, utility.time_zone, now)


async def keep_timetable(database: Database, clock: Clock, *, only_once: bool = False) -> None:
    """Ask for due runs until cancelled; with `only_once`, for those that are due now.

    A tenant whose documents do not hold is told in the log and left out; the others go on.
    """
    kept: dict[str, _Kept] = {}
    loop = asyncio.get_running_loop()
    while True:
        wait_s = _TICK_S
        try:
            async with database.registry() as registry:
                tenants = [row.tenant_id for row in await list_tenants(registry)]
            for tenant_id in tenants:
                now, before = clock.now(), kept.get(tenant_id)
                if before is None or loop.time() - before.read_at > _READ_AGAIN_S or (before.next_due is not None and before.next_due <= now):
                    kept[tenant_id] = await _tenant(database, tenant_id, now, loop.time(), before.problem if before else "")
            now = clock.now()
            wait_s = min([_TICK_S, *(clock.real_seconds(k.next_due - now) for k in kept.values() if k.next_due is not None)])
        except DATABASE_TROUBLE as e:
            log.warning("the timetable waits for the database", problem=" ".join(str(e).split()))
        if only_once:
            return
        await asyncio.sleep(max(0.01, wait_s))


async def _tenant(database: Database, tenant_id: str, now: datetime, read_at: float, known_problem: str) -> _Kept:
    with bound(tenant=tenant_id):
        try:
            async with database.tenant(tenant_id) as db:
                return _Kept(await ask_for_due(db, now), read_at)
        except LevadaError as e:
            if str(e) != known_problem:  # told once, not every few seconds
                log.error("this tenant's timetable is left out", problem=str(e))
            return _Kept(None, read_at, str(e))
