from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.runs import tiny

from levada.clock import Clock
from levada.domain.run import Cause, Run, RunKind
from levada.runs.timetable import keep_timetable
from levada.store.database import Database
from levada.store.documents import put_document
from levada.store.jobs import TASK_RUN, queue_depth
from levada.store.runs import list_runs

DAY_BEFORE = datetime(2026, 6, 1, tzinfo=UTC)
NOW = datetime(2026, 6, 3, 6, 0, 20, tzinfo=UTC)


def stopped(at: datetime) -> Clock:
    """A clock that hardly moves, so that a test knows what time it is."""
    return Clock(datetime.now(UTC), at, 1e-9)


async def put_timetable(database: Database, tenant: str, *crons: str, at: datetime = DAY_BEFORE) -> None:
    async with database.tenant(tenant) as db:
        await put_document(db, "utility", tiny.document("utility"), "test", at)
        await put_document(db, "timetable", tiny.document("timetable", entries=[{"cron": c} for c in crons]), "test", at)


async def runs_of(database: Database, tenant: str) -> list[Run]:
    async with database.tenant(tenant) as db:
        return await list_runs(db, 100)


def test_what_is_due_becomes_a_queued_run_with_its_job(in_database: Any, tenant: str) -> None:
    async def work(database: Database) -> None:
        await put_timetable(database, tenant, "0 7 * * *")  # 06:00 UTC in summer
        async with database.registry() as registry:
            before = (await queue_depth(registry)).get((TASK_RUN, "todo"), 0)
        await keep_timetable(database, stopped(NOW), only_once=True)
        (run,) = await runs_of(database, tenant)
        assert run.cause is Cause.TIMETABLE
        assert abs(run.issue_time - NOW) < timedelta(seconds=1)
        async with database.registry() as registry:
            assert (await queue_depth(registry))[(TASK_RUN, "todo")] >= before + 1

    in_database(work)


def test_three_processes_at_once_ask_for_each_due_run_once(in_database: Any, tenant: str) -> None:
    async def work(database: Database) -> None:
        await put_timetable(database, tenant, "0 * * * *")
        for hour in range(3):
            clock = stopped(NOW + timedelta(hours=hour))
            await asyncio.gather(*(keep_timetable(database, clock, only_once=True) for _ in range(3)))
        assert len(await runs_of(database, tenant)) == 3

    in_database(work)


def test_after_an_outage_only_the_latest_missed_run_is_made(in_database: Any, tenant: str) -> None:
    async def work(database: Database) -> None:
        await put_timetable(database, tenant, "0 * * * *")
        await keep_timetable(database, stopped(NOW), only_once=True)
        await keep_timetable(database, stopped(NOW + timedelta(hours=9)), only_once=True)
        first, second = sorted(await runs_of(database, tenant), key=lambda r: r.issue_time)
        assert second.issue_time - first.issue_time >= timedelta(hours=8, minutes=59)

    in_database(work)


def test_an_entry_is_not_due_before_its_timetable_was_put_in(in_database: Any, tenant: str) -> None:
    async def work(database: Database) -> None:
        await put_timetable(database, tenant, "0 * * * *", at=NOW - timedelta(seconds=5))
        await keep_timetable(database, stopped(NOW), only_once=True)
        assert await runs_of(database, tenant) == []

    in_database(work)


def test_a_tenant_whose_timetable_does_not_hold_is_left_out_and_the_others_go_on(in_database: Any, installation: Any) -> None:
    broken, good = installation.new_tenant(), installation.new_tenant()

    async def work(database: Database) -> None:
        await put_timetable(database, broken, "99 * * * *")
        await put_timetable(database, good, "0 7 * * *")
        await keep_timetable(database, stopped(NOW), only_once=True)
        assert await runs_of(database, broken) == []
        assert len(await runs_of(database, good)) == 1

    in_database(work)


def test_a_day_that_passes_in_seconds_has_all_its_runs(in_database: Any, tenant: str) -> None:
    async def work(database: Database) -> None:
        await put_timetable(database, tenant, "0 * * * *")
        clock = Clock(datetime.now(UTC), NOW, 3600.0)  # an hour a second
        task = asyncio.create_task(keep_timetable(database, clock))
        while clock.now() < NOW + timedelta(hours=4, minutes=50):
            await asyncio.sleep(0.1)
        task.cancel()
        made = await runs_of(database, tenant)
        assert len(made) == 5  # the one due at the start and four more
        assert len({r.issue_time.astimezone(UTC).replace(minute=0, second=0, microsecond=0) for r in made}) == 5

    in_database(work)


def test_plans_and_trainings_are_due_each_by_their_own_entries_and_plans_go_first(in_database: Any, tenant: str) -> None:
    async def work(database: Database) -> None:
        async with database.tenant(tenant) as db:
            await put_document(db, "utility", tiny.document("utility"), "test", DAY_BEFORE)
            entries = [{"kind": "train", "cron": "30 3 * * *"}, {"cron": "0 * * * *"}]
            await put_document(db, "timetable", tiny.document("timetable", entries=entries), "test", DAY_BEFORE)
        await keep_timetable(database, stopped(NOW), only_once=True)
        await keep_timetable(database, stopped(NOW + timedelta(hours=1)), only_once=True)
        assert sorted(run.kind for run in await runs_of(database, tenant)) == [RunKind.PLAN, RunKind.PLAN, RunKind.TRAIN]
        async with database.tenant(tenant) as db, db.raw.cursor() as cursor:
            await cursor.execute("SELECT DISTINCT lock, priority FROM queue.procrastinate_jobs ORDER BY priority DESC")
            assert [tuple(row.values()) for row in await cursor.fetchall()] == [(f"{tenant}/run/plan", 0), (f"{tenant}/run/train", -10)]

    in_database(work)
