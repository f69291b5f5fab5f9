"""Runs that end before they are done: cancelled, or too large for the memory that they may have; and runs that are tried again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import psutil
import pytest
from tests.conftest import Installation
from tests.runs import tiny
from tests.runs.working import CLOCK, Published, ask, drain, run_of, until

from levada.domain.errors import StateError
from levada.domain.run import Cause, RunKind, RunState
from levada.runs.limits import RunLimits
from levada.runs.worker import Counts, work
from levada.store.audit_log import list_audit
from levada.store.database import Database
from levada.store.dead_letters import dead_letters, retry_letter
from levada.store.jobs import TASK_PUBLISH
from levada.store.plans import list_plans
from levada.store.runs import cancel_run, request_run, retry_run

pytestmark = pytest.mark.usefixtures("empty_queue")
MB = 1_000_000


async def cancel(database: Database, tenant: str, run_id: UUID) -> None:
    async with database.tenant(tenant) as db:
        await cancel_run(db, run_id, "ana", tiny.NOW)


@asynccontextmanager
async def working(database: Database, installation: Installation, function: str, published: Published) -> AsyncIterator[None]:
    """A worker that goes on until the block ends."""
    ready = asyncio.Event()
    worker = asyncio.create_task(
        work(database, installation.worker_url, CLOCK, drain=False, handlers={TASK_PUBLISH: published.handle}, function=f"tests.runs.computing:{function}", on_ready=ready.set)
    )
    try:
        await ready.wait()
        yield
    finally:
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)


def test_a_run_that_waits_and_is_cancelled_is_never_begun(in_database: Any, installation: Installation, tenant: str) -> None:
    async def check(database: Database) -> None:
        await tiny.put_in(database, tenant)
        run_id = await ask(database, tenant)
        await cancel(database, tenant, run_id)
        assert (await drain(database, installation, Published())).failed == 0
        run = await run_of(database, tenant, run_id)
        assert (run.state, run.attempts, run.error) == (RunState.CANCELLED, 0, None)
        assert [e["message"] for e in run.history] == ["cancelled by ana"]
        async with database.tenant(tenant) as db:
            assert [(e.actor, e.action, e.detail) for e in await list_audit(db, 1)] == [("ana", "run cancelled", {"run_id": str(run_id)})]
        assert await ask(database, tenant) != run_id  # it holds up no other one

    in_database(check)


def test_a_run_that_is_being_computed_is_stopped_within_seconds_and_its_worker_goes_on(in_database: Any, installation: Installation, tenant: str) -> None:
    async def check(database: Database) -> None:
        await tiny.put_in(database, tenant)
        published = Published()
        run_id = await ask(database, tenant)

        async def is_computing() -> bool:
            run = await run_of(database, tenant, run_id)
            return run.bundle_id is not None and bool(psutil.Process().children())

        async with working(database, installation, "plan_never", published):
            await until(is_computing)
            await cancel(database, tenant, run_id)

            async def is_stopped() -> bool:
                return not psutil.Process().children()

            await until(is_stopped, 5)
            second = await ask(database, tenant)

            async def is_begun() -> bool:
                return (await run_of(database, tenant, second)).state is RunState.RUNNING

            await until(is_begun, 10)
            await cancel(database, tenant, second)
        run = await run_of(database, tenant, run_id)
        assert (run.state, run.error) == (RunState.CANCELLED, None)
        assert published.of(tenant) == []

    in_database(check)


def test_a_run_that_is_cancelled_while_its_result_comes_stays_cancelled_and_publishes_nothing(in_database: Any, installation: Installation, tenant: str, monkeypatch: Any) -> None:
    monkeypatch.setattr("levada.runs.compute_run._LOOK_S", 3600)  # nobody looks: it is found out when storing

    async def check(database: Database) -> None:
        await tiny.put_in(database, tenant)
        published, run_id = Published(), await ask(database, tenant)
        async with working(database, installation, "plan_slowly", published):

            async def is_running() -> bool:
                return (await run_of(database, tenant, run_id)).state is RunState.RUNNING

            await until(is_running)
            await cancel(database, tenant, run_id)
            await asyncio.sleep(5)
        assert (await run_of(database, tenant, run_id)).state is RunState.CANCELLED
        async with database.tenant(tenant) as db:
            assert await list_plans(db, 10) == []
        assert published.of(tenant) == []

    in_database(check)


def test_only_what_is_open_can_be_cancelled_and_only_what_ended_badly_tried_again(in_database: Any, installation: Installation, tenant: str) -> None:
    async def check(database: Database) -> None:
        await tiny.put_in(database, tenant)
        run_id = await ask(database, tenant)
        async with database.tenant(tenant) as db:
            with pytest.raises(StateError, match="is queued; only one that failed or was cancelled"):
                await retry_run(db, run_id, "ana", tiny.NOW)
        await drain(database, installation, Published())
        with pytest.raises(StateError, match="is done; only one that waits or is being computed"):
            await cancel(database, tenant, run_id)

    in_database(check)


def test_a_cancelled_run_is_not_queued_beside_another_that_waits(in_database: Any, tenant: str) -> None:
    async def check(database: Database) -> None:
        first = await ask(database, tenant)
        await cancel(database, tenant, first)
        await ask(database, tenant)
        with pytest.raises(StateError, match="another run of this kind waits already"):
            async with database.tenant(tenant) as db:
                await retry_run(db, first, "ana", tiny.NOW)

    in_database(check)


def test_a_failed_run_is_a_dead_letter_and_tried_again_from_the_input_that_it_froze(in_database: Any, installation: Installation, tenant: str) -> None:
    async def check(database: Database) -> None:
        await tiny.put_in(database, tenant)
        run_id = await ask(database, tenant)
        await drain(database, installation, Published(), "gap")
        failed = await run_of(database, tenant, run_id)
        assert failed.state is RunState.FAILED
        async with database.tenant(tenant) as db:
            (letter,) = await dead_letters(db, 10)
            assert (letter.is_run, letter.letter_id, letter.what, letter.error["code"]) == (True, str(run_id), "plan", "input-gap")
            await retry_letter(db, letter.letter_id, "ana", tiny.NOW)
            assert await dead_letters(db, 10) == []
            assert [(e.actor, e.action) for e in await list_audit(db, 1)] == [("ana", "run tried again")]
        assert (await drain(database, installation, Published())).failed == 0
        done = await run_of(database, tenant, run_id)
        assert (done.state, done.attempts, done.bundle_id, done.error) == (RunState.DONE, 1, failed.bundle_id, None)
        assert [e["code"] for e in done.history] == ["input-gap", "retried"]

    in_database(check)


@pytest.mark.parametrize(("largest", "state"), [(900, RunState.DONE), (450, RunState.FAILED), (300, RunState.FAILED)])
def test_a_run_that_needs_too_much_memory_is_computed_once_more_with_a_larger_class(in_database: Any, installation: Installation, tenant: str, largest: int, state: RunState) -> None:
    limits = {RunKind.PLAN: RunLimits(memory_bytes=450 * MB if largest == 900 else 300 * MB, max_memory_bytes=largest * MB)}
    attempts = 1 if largest == 300 else 2

    async def check(database: Database) -> None:
        await tiny.put_in(database, tenant)
        run_id = await ask(database, tenant)
        counts = await drain(database, installation, Published(), "plan_of_600_mb", limits=limits)
        run = await run_of(database, tenant, run_id)
        assert (run.state, run.attempts) == (state, attempts)
        assert [(e["code"], e["limit_bytes"]) for e in run.history] == [("run-memory", limits[RunKind.PLAN].memory_bytes)] * (attempts - 1)
        if state is RunState.FAILED:
            assert counts == Counts(done=0, failed=1, put_off=0)
            assert run.error is not None
            assert (run.error["code"], run.error["limit_bytes"]) == ("run-memory", largest * MB)
            assert int(str(run.error["used_bytes"])) > largest * MB
        else:
            assert counts == Counts(done=2, failed=0, put_off=0)
            assert run.accounting is not None
            assert run.accounting.peak_memory_bytes > 600 * MB

    in_database(check)


def test_of_the_timetable_s_runs_that_wait_only_the_newest_is_computed(in_database: Any, installation: Installation, tenant: str) -> None:
    async def check(database: Database) -> None:
        await tiny.put_in(database, tenant)
        waiting = []
        for minutes in (0, 15, 30):
            at = tiny.NOW + timedelta(minutes=minutes)
            async with database.tenant(tenant) as db:
                waiting.append((await request_run(db, kind=RunKind.PLAN, cause=Cause.TIMETABLE, issue_time=at, due_at=at, at=at)).run_id)
        counts = await drain(database, installation, published := Published())
        runs = [await run_of(database, tenant, run_id) for run_id in waiting]
        assert [run.state for run in runs] == [RunState.CANCELLED, RunState.CANCELLED, RunState.DONE]
        assert [run.history[0]["code"] for run in runs[:2]] == ["overtaken", "overtaken"]
        assert str(waiting[2]) in runs[0].history[0]["message"]
        assert (len(published.of(tenant)), counts.failed) == (1, 0)

    in_database(check)


def test_an_operator_s_run_is_computed_though_the_timetable_s_newer_one_waits(in_database: Any, installation: Installation, tenant: str) -> None:
    async def check(database: Database) -> None:
        await tiny.put_in(database, tenant)
        asked, later = await ask(database, tenant), tiny.NOW + timedelta(minutes=15)
        async with database.tenant(tenant) as db:
            due = (await request_run(db, kind=RunKind.PLAN, cause=Cause.TIMETABLE, issue_time=later, due_at=later, at=later)).run_id
        await drain(database, installation, Published())
        assert [(await run_of(database, tenant, run_id)).state for run_id in (asked, due)] == [RunState.DONE, RunState.DONE]

    in_database(check)
