"""Runs: asked for once, computed at least once, finished exactly once."""

import asyncio
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from tests.store.conftest import NOW

from levada.domain.bundle import Bundle
from levada.domain.errors import InputGap, NotFound
from levada.domain.run import Accounting, Cause, RunKind, RunState
from levada.store.bundles import put_bundle
from levada.store.database import Database
from levada.store.runs import (
    attach_bundle,
    create_run,
    fail_run,
    finish_run,
    get_result,
    get_run,
    list_runs,
    request_run,
    start_run,
)
from levada.store.timetable import claim_due, last_due

TOOK = Accounting(wall_s=1.5, cpu_s=1.25, peak_memory_bytes=200_000_000, queue_wait_s=0.25)
MINUTE = timedelta(minutes=1)


async def jobs_of(db) -> list[dict]:
    return await (await db.raw.execute("SELECT id, args, status::text, lock FROM queue.procrastinate_jobs ORDER BY id")).fetchall()


async def ask(db, cause: Cause = Cause.OPERATOR, at=NOW, due_at=None):
    return await request_run(db, kind=RunKind.PLAN, cause=cause, issue_time=at, due_at=due_at, at=at, started_by="ana")


def test_a_run_goes_from_queued_to_done_with_all_that_it_took(in_database, tenant) -> None:
    async def work(database: Database) -> None:
        async with database.tenant(tenant) as db:
            made = await ask(db)
            assert made.created
            queued = await get_run(db, made.run_id)
            assert (queued.state, queued.cause, queued.issue_time, queued.started_by, queued.attempts) == (RunState.QUEUED, Cause.OPERATOR, NOW, "ana", 0)
            (job,) = await jobs_of(db)
            assert job["args"]["run_id"] == str(made.run_id)
            assert job["args"]["tenant_id"] == tenant
        bundle = Bundle("plan", {"x": b"1"})
        async with database.tenant(tenant) as db:
            running = await start_run(db, made.run_id, "worker 1", NOW + MINUTE)
            assert running is not None
            assert (running.state, running.attempts, running.started_at) == (RunState.RUNNING, 1, NOW + MINUTE)
            await attach_bundle(db, made.run_id, await put_bundle(db, bundle, NOW))
        async with database.tenant(tenant) as db:
            with pytest.raises(NotFound):
                await get_result(db, made.run_id)
            assert await finish_run(db, made.run_id, result=b"{}", accounting=TOOK, manifest={"levada": "test"}, at=NOW + 2 * MINUTE)
        async with database.tenant(tenant) as db:
            done = await get_run(db, made.run_id)
            assert (done.state, done.bundle_id, done.accounting, done.finished_at) == (RunState.DONE, bundle.bundle_id, TOOK, NOW + 2 * MINUTE)
            assert await get_result(db, made.run_id) == b"{}"
            assert await start_run(db, made.run_id, "worker 2", NOW) is None

    in_database(work)


def test_of_several_workers_that_finish_a_run_at_once_one_takes_effect(in_database, tenant) -> None:
    async def work(database: Database) -> None:
        async with database.tenant(tenant) as db:
            run_id = (await ask(db)).run_id
            await start_run(db, run_id, "worker 1", NOW)

        async def worker(number: int) -> bool:
            async with database.tenant(tenant) as db:
                mine = await finish_run(db, run_id, result=b"result %d" % number, accounting=TOOK, manifest={"levada": "test"}, at=NOW)
                await asyncio.sleep(0.02)  # holds the row while the others come
                return mine

        outcomes = await asyncio.gather(*(worker(i) for i in range(4)))
        assert sorted(outcomes) == [False, False, False, True]
        async with database.tenant(tenant) as db:
            assert await get_result(db, run_id) == b"result %d" % outcomes.index(True)
            assert not await fail_run(db, run_id, {"message": "late"}, None, NOW)
            assert (await get_run(db, run_id)).state is RunState.DONE

    in_database(work)


def test_a_finish_that_is_rolled_back_can_be_done_again(in_database, tenant) -> None:
    async def work(database: Database) -> None:
        async with database.tenant(tenant) as db:
            run_id = (await ask(db)).run_id
            await start_run(db, run_id, "worker 1", NOW)

        async def fail() -> None:
            async with database.tenant(tenant) as db:
                assert await finish_run(db, run_id, result=b"1", accounting=TOOK, manifest={"levada": "test"}, at=NOW)
                raise RuntimeError("killed before the commit")

        with pytest.raises(RuntimeError):
            await fail()
        async with database.tenant(tenant) as db:
            again = await start_run(db, run_id, "worker 2", NOW)
            assert again is not None
            assert again.attempts == 2
            assert await finish_run(db, run_id, result=b"2", accounting=TOOK, manifest={"levada": "test"}, at=NOW)

    in_database(work)


def test_of_what_people_and_data_ask_for_one_run_waits_and_knows_what_came_later(in_database, tenant) -> None:
    async def work(database: Database) -> None:
        async def asker(minutes: int, cause: Cause):
            async with database.tenant(tenant) as db:
                made = await ask(db, cause, NOW + minutes * MINUTE)
                await asyncio.sleep(0.01)
                return made

        made = await asyncio.gather(*(asker(i, Cause.NEW_DATA if i % 2 else Cause.OPERATOR) for i in range(6)))
        assert len({m.run_id for m in made}) == 1
        assert sum(m.created for m in made) == 1
        async with database.tenant(tenant) as db:
            assert (await get_run(db, made[0].run_id)).issue_time == NOW + 5 * MINUTE
            assert len(await jobs_of(db)) == 1
            await start_run(db, made[0].run_id, "worker", NOW)
            assert (await ask(db)).created  # the one that runs has its knowledge already

    in_database(work)


def test_what_the_timetable_asks_for_is_made_once_however_many_timetables_there_are(in_database, tenant) -> None:
    async def work(database: Database) -> None:
        async def timetable() -> tuple[bool, UUID]:
            async with database.tenant(tenant) as db:
                free = await claim_due(db, RunKind.PLAN, NOW)
                made = await ask(db, Cause.TIMETABLE, due_at=NOW)
                assert made.created == free
                return made.created, made.run_id

        made = await asyncio.gather(*(timetable() for _ in range(4)))
        assert sum(created for created, _ in made) == 1
        assert len({run_id for _, run_id in made}) == 1
        async with database.tenant(tenant) as db:
            assert await last_due(db, RunKind.PLAN) == NOW
            assert (await ask(db, Cause.TIMETABLE, due_at=NOW + MINUTE)).created
            assert (await ask(db)).created  # an operator's click is a run of its own
            assert await last_due(db, RunKind.PLAN) == NOW + MINUTE
            assert len(await jobs_of(db)) == 3
            with pytest.raises(ValueError, match="due_at"):
                await create_run(db, kind=RunKind.PLAN, cause=Cause.OPERATOR, issue_time=NOW, due_at=NOW, created_at=NOW)

    in_database(work)


def test_a_failure_is_kept_as_it_was_told(in_database, tenant) -> None:
    async def work(database: Database) -> None:
        async with database.tenant(tenant) as db:
            run_id = (await ask(db)).run_id
            await start_run(db, run_id, "worker", NOW)
            error = InputGap("no level of tank T1 is known", "deliver readings of tank.T1.level").as_document()
            assert await fail_run(db, run_id, {**error, "figure": float("nan"), "at": NOW}, TOOK, NOW)
            failed = await get_run(db, run_id)
            assert failed.state is RunState.FAILED
            assert failed.error == {**error, "figure": None, "at": str(NOW)}
            assert not await finish_run(db, run_id, result=b"1", accounting=TOOK, manifest={"levada": "test"}, at=NOW)
            with pytest.raises(NotFound):
                await start_run(db, uuid4(), "worker", NOW)

    in_database(work)


def test_runs_are_listed_the_newest_first_and_page_by_page(in_database, tenant) -> None:
    async def work(database: Database) -> None:
        async with database.tenant(tenant) as db:
            ids = [(await ask(db, Cause.TIMETABLE, due_at=NOW + i * MINUTE)).run_id for i in range(5)]  # all made at the same instant
            newest = ids[::-1]
            assert [r.run_id for r in await list_runs(db, 3)] == newest[:3]
            assert [r.run_id for r in await list_runs(db, 3, before=newest[2])] == newest[3:]

    in_database(work)
