from __future__ import annotations

import asyncio
import itertools
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import psutil
import pytest
from tests.conftest import Installation
from tests.runs import tiny
from tests.runs.working import CLOCK, Published, ask, drain, run_of, until

from levada.domain.errors import InputGap
from levada.domain.run import Cause, Run, RunKind, RunState
from levada.runs.child import ComputeChild, Computed, ComputeFailed
from levada.runs.compute_run import MAX_FAILURES, MAX_KILLED, again_in_s, compute_run
from levada.runs.limits import RunLimits
from levada.runs.worker import Counts, work
from levada.store.database import Database
from levada.store.dead_letters import dead_letters, retry_letter
from levada.store.documents import put_document
from levada.store.indicators import latest_indicators
from levada.store.jobs import TASK_NEW_DATA, TASK_PUBLISH, Priority, enqueue, make_queue, release_stalled
from levada.store.plans import list_plans
from levada.store.runs import list_runs, request_run, start_run
from levada.store.usage import list_usage

pytestmark = pytest.mark.usefixtures("empty_queue")


def test_draining_does_what_is_due_and_what_follows_from_it_then_ends(in_database: Any, installation: Installation, tenant: str) -> None:
    async def check(database: Database) -> None:
        await tiny.put_in(database, tenant)
        run_id, published = await ask(database, tenant), Published()
        counts = await drain(database, installation, published)
        assert counts == Counts(done=2, failed=0, put_off=0)  # the run, and the publishing of its plan
        run = await run_of(database, tenant, run_id)
        assert run.state is RunState.DONE
        assert run.accounting is not None
        assert run.accounting.peak_memory_bytes > 5e6
        async with database.tenant(tenant) as db:
            (plan,) = await list_plans(db, 10)
            assert [i.name for i in await latest_indicators(db)] == ["rest"]
        assert plan.run_id == run_id
        assert published.of(tenant) == [str(plan.plan_id)]
        assert not psutil.Process().children(recursive=True)

    in_database(check)


def test_a_gap_in_the_input_fails_the_run_at_once_and_says_what_to_do(in_database: Any, installation: Installation, tenant: str) -> None:
    async def check(database: Database) -> None:
        await tiny.put_in(database, tenant)
        run_id = await ask(database, tenant, tiny.NOW + timedelta(hours=5))
        assert await drain(database, installation, Published()) == Counts(done=0, failed=1, put_off=0)
        run = await run_of(database, tenant, run_id)
        assert run.state is RunState.FAILED
        assert run.attempts == 1
        assert run.error is not None
        assert run.error["code"] == "input-gap"
        assert "tank TNK" in str(run.error["message"])

    in_database(check)


def test_a_run_that_falls_due_before_the_first_data_is_put_aside_and_later_it_is_a_failure(in_database: Any, installation: Installation, tenant: str) -> None:
    async def due(database: Database, at: datetime) -> Run:
        async with database.tenant(tenant) as db:
            run_id = (await request_run(db, kind=RunKind.PLAN, cause=Cause.TIMETABLE, issue_time=at, due_at=at, at=at)).run_id
        await drain(database, installation, Published())
        return await run_of(database, tenant, run_id)

    async def check(database: Database) -> None:
        await tiny.put_in(database, tenant)
        early = await due(database, tiny.NOW + timedelta(hours=5))  # its levels are too old
        assert early.state is RunState.CANCELLED
        assert [e["code"] for e in early.history] == ["not-yet"]
        assert "tank TNK" in str(early.history[0]["message"])
        async with database.tenant(tenant) as db:
            assert await dead_letters(db, 10) == []
        assert (await due(database, tiny.NOW)).state is RunState.DONE
        # Once it has had a plan, levels that do not come are somebody's to look at.
        assert (await due(database, tiny.NOW + timedelta(hours=6))).state is RunState.FAILED

    in_database(check)


def test_a_run_that_crashes_is_tried_again_and_then_failed_with_the_reason(in_database: Any, installation: Installation, tenant: str) -> None:
    async def check(database: Database) -> None:
        await tiny.put_in(database, tenant)
        run_id, published = await ask(database, tenant), Published()
        assert await drain(database, installation, published, "crash") == Counts(done=0, failed=0, put_off=1)

        async def is_failed() -> bool:
            await drain(database, installation, published, "crash")  # a later attempt is not due at once
            return (await run_of(database, tenant, run_id)).state is RunState.FAILED

        await until(is_failed)
        run = await run_of(database, tenant, run_id)
        assert run.attempts == MAX_FAILURES
        assert run.error is not None
        assert run.error["code"] == "run-crash"
        assert "SIGSEGV" in str(run.error["message"])
        assert [(e["code"], e["attempt"]) for e in run.history] == [("run-crash", 1), ("run-crash", 2)]
        async with database.tenant(tenant) as db:
            (used,) = await list_usage(db, CLOCK.now().date() - timedelta(days=1), CLOCK.now().date() + timedelta(days=1))
        # All three attempts are accounted for, as one run that failed.
        assert (used.runs, used.failed) == (1, 1)
        assert run.accounting is not None
        assert used.wall_s == pytest.approx(run.accounting.wall_s + sum(e["wall_s"] for e in run.history), abs=0.01)
        assert published.of(tenant) == []

    in_database(check)


def _failed_before(*entries: tuple[str, int | None], attempts: int) -> Run:
    history = tuple({"code": code, "exit_code": exit_code} for code, exit_code in entries)
    return Run(
        tenant_id="t", run_id=uuid4(), kind=RunKind.PLAN, state=RunState.RUNNING, cause=Cause.TIMETABLE, issue_time=tiny.NOW, created_at=tiny.NOW,
        attempts=attempts, history=history,
    )  # fmt: skip


def test_only_a_runs_own_failures_count_against_it_and_what_kills_it_from_outside_counts_less() -> None:
    crash = ComputeFailed({"code": "run-crash", "exit_code": -11}, permanent=False)
    killed = ComputeFailed({"code": "run-crash", "exit_code": -9}, permanent=False)
    limits = RunLimits()
    # Nine attempts whose worker was lost are not nine failures.
    assert again_in_s(_failed_before(attempts=9), crash, limits, limits.memory_bytes) == 2.0
    twice = (("run-crash", -11), ("defect", None))
    assert again_in_s(_failed_before(*twice, attempts=3), crash, limits, limits.memory_bytes) is None
    assert again_in_s(_failed_before(*twice, ("retried", None), attempts=1), crash, limits, limits.memory_bytes) == 2.0
    waits = [again_in_s(_failed_before(*[("run-crash", -9)] * n, attempts=n + 1), killed, limits, limits.memory_bytes) for n in range(MAX_KILLED)]
    assert waits == [2.0, 8.0, 32.0, 120.0, 120.0, 120.0, 120.0, None]


def test_two_workers_that_finish_the_same_run_publish_it_once(in_database: Any, installation: Installation, tenant: str) -> None:
    class Waiting(ComputeChild):
        """Holds its result back until both workers have one."""

        waiting = 0

        async def compute(self, *what: Any) -> Computed:
            computed = await super().compute(*what)
            Waiting.waiting += 1
            while Waiting.waiting < 2:
                await asyncio.sleep(0.05)
            return computed

    async def check(database: Database) -> None:
        await tiny.put_in(database, tenant)
        run_id, published = await ask(database, tenant), Published()
        children = [Waiting("tests.runs.computing:plan_at_once") for _ in range(2)]
        await asyncio.gather(*(compute_run(database, tenant, run_id, worker=f"w{i}", clock=CLOCK, child=child, limits={}) for i, child in enumerate(children)))
        for child in children:
            await child.close()
        await drain(database, installation, published)  # the queued job finds the run done
        async with database.tenant(tenant) as db:
            assert len(await list_plans(db, 10)) == 1
        assert len(published.of(tenant)) == 1

    in_database(check)


def test_a_second_attempt_uses_the_input_that_the_first_one_froze(in_database: Any, installation: Installation, tenant: str) -> None:
    async def check(database: Database) -> None:
        await tiny.put_in(database, tenant)
        run_id = await ask(database, tenant)
        child = ComputeChild("tests.runs.computing:plan_never")
        attempt = asyncio.create_task(compute_run(database, tenant, run_id, worker="w", clock=CLOCK, child=child, limits={}))

        async def is_frozen() -> bool:
            return (await run_of(database, tenant, run_id)).bundle_id is not None

        await until(is_frozen)
        attempt.cancel()
        await asyncio.gather(attempt, return_exceptions=True)
        frozen = (await run_of(database, tenant, run_id)).bundle_id
        async with database.tenant(tenant) as db:
            await put_document(db, "operation", tiny.document("operation", plan_valid_hours=3), "test", tiny.NOW)
        await drain(database, installation, Published())  # its job still waits
        run = await run_of(database, tenant, run_id)
        assert run.state is RunState.DONE
        assert run.attempts == 2
        assert run.bundle_id == frozen

    in_database(check)


def test_a_stopped_worker_puts_back_what_it_could_not_finish(in_database: Any, installation: Installation, tenant: str, monkeypatch: Any) -> None:
    monkeypatch.setattr("levada.runs.worker.GRACE_S", 0.5)

    async def check(database: Database) -> None:
        await tiny.put_in(database, tenant)
        run_id, ready, published = await ask(database, tenant), asyncio.Event(), Published()
        never = work(
            database, installation.worker_url, CLOCK, drain=False, handlers={TASK_PUBLISH: published.handle}, function="tests.runs.computing:plan_never", on_ready=ready.set
        )
        worker = asyncio.create_task(never)
        await ready.wait()

        async def is_running() -> bool:
            return (await run_of(database, tenant, run_id)).state is RunState.RUNNING

        await until(is_running)
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)
        assert not psutil.Process().children(recursive=True)
        await drain(database, installation, published)  # at once: no waiting for a heartbeat to go stale
        assert (await run_of(database, tenant, run_id)).state is RunState.DONE
        assert len(published.of(tenant)) == 1

    in_database(check)


def test_a_draining_worker_that_is_stopped_puts_back_what_it_could_not_finish(in_database: Any, installation: Installation, tenant: str, monkeypatch: Any) -> None:
    monkeypatch.setattr("levada.runs.worker.GRACE_S", 0.5)

    async def check(database: Database) -> None:
        await tiny.put_in(database, tenant)
        run_id, published = await ask(database, tenant), Published()
        draining = asyncio.create_task(drain(database, installation, published, "plan_never"))

        async def is_running() -> bool:
            return (await run_of(database, tenant, run_id)).state is RunState.RUNNING

        await until(is_running)
        draining.cancel()
        await asyncio.gather(draining, return_exceptions=True)
        assert not psutil.Process().children(recursive=True)
        assert await drain(database, installation, published) == Counts(done=2, failed=0, put_off=0)

    in_database(check)


def test_a_draining_worker_is_heard_of_as_long_as_its_last_run_goes_on(in_database: Any, installation: Installation, tenant: str, monkeypatch: Any) -> None:
    monkeypatch.setattr("levada.runs.worker.HEARTBEAT_S", 0.2)

    async def check(database: Database) -> None:
        await tiny.put_in(database, tenant)
        run_id = await ask(database, tenant)
        draining = asyncio.create_task(drain(database, installation, Published(), "plan_slowly"))

        async def has_told() -> bool:
            return (await run_of(database, tenant, run_id)).progress is not None

        # How far it is can be seen meanwhile.
        await until(has_told)
        assert (await run_of(database, tenant, run_id)).progress == {"stage": "search", "cost": 12.5, "bound": 12.0}
        await asyncio.sleep(2.0)  # longer than a worker may be silent, below
        queue = make_queue(installation.worker_url)
        async with queue.open_async():
            assert await release_stalled(queue, 1.5) == 0
        assert (await draining).done == 2
        assert (await run_of(database, tenant, run_id)).attempts == 1

    in_database(check)


def test_runs_of_one_tenant_are_computed_one_at_a_time_in_order(in_database: Any, installation: Installation, tenant: str) -> None:
    async def check(database: Database) -> None:
        await tiny.put_in(database, tenant)
        ids = []
        for _ in range(3):
            ids.append(await ask(database, tenant))
            async with database.tenant(tenant) as db:  # so that it no longer waits, and the next one is another run
                await start_run(db, ids[-1], "earlier", tiny.NOW)
        await drain(database, installation, Published(), concurrency=2)
        runs = [await run_of(database, tenant, run_id) for run_id in ids]
        for earlier, later in itertools.pairwise(runs):
            assert earlier.finished_at is not None
            assert later.started_at is not None
            assert earlier.finished_at <= later.started_at

    in_database(check)


def test_new_data_asks_for_a_plan_when_the_current_one_is_old_enough_and_once(in_database: Any, installation: Installation, tenant: str) -> None:
    async def deliver(database: Database) -> None:
        async with database.tenant(tenant) as db:
            await enqueue(db, TASK_NEW_DATA, {})

    async def check(database: Database) -> None:
        await tiny.put_in(database, tenant)
        published = Published()
        await deliver(database)
        await deliver(database)
        await drain(database, installation, published)
        async with database.tenant(tenant) as db:
            (run,) = await list_runs(db, 10)
        assert run.cause is Cause.NEW_DATA
        assert run.state is RunState.DONE
        await deliver(database)  # the plan is new: no other one is wanted
        await drain(database, installation, published)
        assert len(published.of(tenant)) == 1

    in_database(check)


def test_a_handler_s_passing_trouble_is_tried_again(in_database: Any, installation: Installation, tenant: str) -> None:
    class Flaky(Published):
        async def handle(self, database: Database, args: dict[str, Any], now: Any) -> None:
            await super().handle(database, args, now)
            if len(self.of(tenant)) == 1:
                raise TimeoutError("a channel that does not answer")

    async def check(database: Database) -> None:
        await tiny.put_in(database, tenant)
        await ask(database, tenant)
        published = Flaky()

        async def is_out() -> bool:
            await drain(database, installation, published)
            return len(published.of(tenant)) == 2

        await until(is_out)
        assert len(set(published.of(tenant))) == 1

    in_database(check)


def test_a_job_that_is_given_up_is_a_dead_letter_and_can_be_tried_again(in_database: Any, installation: Installation, tenant: str) -> None:
    class Refused(Published):
        refuses = True

        async def handle(self, database: Database, args: dict[str, Any], now: Any) -> None:
            if self.refuses and args["tenant_id"] == tenant:
                raise InputGap("the outbox is full", "empty it")
            await super().handle(database, args, now)

    async def check(database: Database) -> None:
        channel = Refused()
        async with database.tenant(tenant) as db:
            await enqueue(db, TASK_PUBLISH, {"plan_id": "p1"}, priority=Priority.SHORT, lock="publish")
        assert (await drain(database, installation, channel)).failed == 1
        async with database.tenant(tenant) as db:
            (letter,) = await dead_letters(db, 10)
        assert (letter.is_run, letter.what, letter.attempts, letter.error["code"]) == (False, TASK_PUBLISH, 1, "input-gap")
        assert letter.error["message"] == "the outbox is full; empty it"
        channel.refuses = False
        async with database.tenant(tenant) as db:
            await retry_letter(db, letter.letter_id, "ana", tiny.NOW)
            assert await dead_letters(db, 10) == []
        assert (await drain(database, installation, channel)).failed == 0
        assert channel.of(tenant) == ["p1"]

    in_database(check)


def test_a_job_whose_workers_are_lost_again_and_again_is_given_up(in_database: Any, installation: Installation, tenant: str, monkeypatch: Any) -> None:
    monkeypatch.setattr("levada.runs.worker.MAX_BEGUN", 0)

    async def check(database: Database) -> None:
        async with database.tenant(tenant) as db:
            await enqueue(db, TASK_PUBLISH, {"plan_id": "p1"})
        published = Published()
        assert (await drain(database, installation, published)).failed == 1
        async with database.tenant(tenant) as db:
            (letter,) = await dead_letters(db, 10)
        assert letter.error["code"] == "job-lost"
        assert published.of(tenant) == []

    in_database(check)
