"""How tests of the worker work: ask for a run of the tiny utility, drain the queue with a computing of the test's own, look at the run."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from tests.conftest import Installation
from tests.runs import tiny

from levada.clock import Clock
from levada.domain.run import Cause, Run, RunKind
from levada.runs.worker import Counts, work
from levada.store.database import Database
from levada.store.jobs import TASK_PUBLISH
from levada.store.runs import get_run, request_run

CLOCK = Clock(datetime.now(UTC), tiny.NOW, 1.0)


class Published:
    """Takes the place of the publishing channel: notes which plans it was asked to put out."""

    def __init__(self) -> None:
        self.plans: list[tuple[str, str]] = []

    async def handle(self, database: Database, args: dict[str, Any], now: datetime) -> None:
        self.plans.append((args["tenant_id"], args["plan_id"]))

    def of(self, tenant: str) -> list[str]:
        return [plan for name, plan in self.plans if name == tenant]


async def ask(database: Database, tenant: str, at: datetime = tiny.NOW) -> UUID:
    async with database.tenant(tenant) as db:
        return (await request_run(db, kind=RunKind.PLAN, cause=Cause.OPERATOR, issue_time=at, at=at)).run_id


async def drain(database: Database, installation: Installation, published: Published, function: str = "plan_at_once", **options: Any) -> Counts:
    return await work(
        database, installation.worker_url, CLOCK, drain=True, handlers={TASK_PUBLISH: published.handle}, function=f"tests.runs.computing:{function}", **options
    )


async def run_of(database: Database, tenant: str, run_id: UUID) -> Run:
    async with database.tenant(tenant) as db:
        return await get_run(db, run_id)


async def until(what: Callable[[], Awaitable[bool]], timeout_s: float = 60) -> None:
    async with asyncio.timeout(timeout_s):
        while not await what():
            await asyncio.sleep(0.1)
