"""The queue: a job exists exactly when its cause does, and a dead worker's job is given out again."""

import asyncio
import json
import subprocess
import sys
import time

import psycopg
import pytest

from levada.store.database import Database
from levada.store.jobs import (
    TASK_NEW_DATA,
    enqueue,
    forget_finished,
    make_queue,
    queue_depth,
    queue_rows,
    release_stalled,
    workers,
)

POLL = {"install_signal_handlers": False, "fetch_job_polling_interval": 0.1, "wait": False, "listen_notify": False}


@pytest.fixture(autouse=True)
def empty_queue(installation) -> None:
    with psycopg.connect(installation.worker_url) as connection:
        connection.execute("DELETE FROM procrastinate_jobs")
        connection.execute("DELETE FROM procrastinate_workers")


async def jobs_of(db) -> list[dict]:
    return await (await db.raw.execute("SELECT id, task_name, args, lock, queueing_lock, status::text FROM queue.procrastinate_jobs ORDER BY id")).fetchall()


def test_a_job_put_in_by_a_transaction_that_fails_does_not_exist(in_database, tenant) -> None:
    async def work(database: Database) -> None:
        async def fail() -> None:
            async with database.tenant(tenant) as db:
                await enqueue(db, "work", {"x": 1})
                raise RuntimeError("on purpose")

        with pytest.raises(RuntimeError):
            await fail()
        async with database.tenant(tenant) as db:
            assert await jobs_of(db) == []
            job_id = await enqueue(db, "work", {"x": 1})
        async with database.tenant(tenant) as db:
            (job,) = await jobs_of(db)
            assert job["id"] == job_id
            assert job["args"] == {"x": 1, "tenant_id": tenant, "trace": {}}

    in_database(work)


def test_a_worker_does_jobs_of_all_tenants_under_its_own_role(in_database, installation) -> None:
    tenants = [installation.new_tenant() for _ in range(3)]
    done = []

    async def work(database: Database) -> None:
        queue = make_queue(installation.worker_url)

        @queue.task(name="work")
        async def task(tenant_id: str, trace: dict, x: int) -> None:
            done.append((tenant_id, x))

        for x, tenant_id in enumerate(tenants):
            async with database.tenant(tenant_id) as db:
                await enqueue(db, "work", {"x": x})
        async with database.registry() as registry:
            assert await queue_depth(registry) == {("work", "todo"): 3}
        async with queue.open_async():
            await queue.run_worker_async(**POLL)
            async with database.registry() as registry:
                assert await queue_depth(registry) == {("work", "succeeded"): 3}
                assert [r.oldest_wait_s for r in await queue_rows(registry)] == [None]
                assert await workers(registry) == []
            await forget_finished(queue, 0)
            async with database.registry() as registry:
                assert await queue_depth(registry) == {}

    in_database(work)
    assert done == list(zip(tenants, range(3), strict=True))


def test_a_listening_worker_takes_a_job_at_once(in_database, installation, tenant) -> None:
    async def work(database: Database) -> None:
        queue = make_queue(installation.worker_url)
        took = asyncio.Event()

        @queue.task(name="work")
        async def task(tenant_id: str, trace: dict) -> None:
            took.set()

        async with queue.open_async():
            worker = asyncio.create_task(queue.run_worker_async(install_signal_handlers=False, fetch_job_polling_interval=60))
            await asyncio.sleep(0.3)
            async with database.registry() as registry:
                (row,) = await workers(registry)
                assert row.heartbeat_age_s < 10
            async with database.tenant(tenant) as db:
                await enqueue(db, "work", {})
            await asyncio.wait_for(took.wait(), 2)
            worker.cancel()
            with pytest.raises(asyncio.CancelledError):
                await worker

    in_database(work)


def test_of_jobs_with_one_queueing_lock_one_waits_and_it_sees_what_the_last_asker_did(in_database, installation, tenant) -> None:
    async def look(tenant_id: str, trace: dict) -> None:
        raise AssertionError("the test takes jobs without doing them")

    async def work(database: Database) -> None:
        queue = make_queue(installation.worker_url)
        queue.task(name=TASK_NEW_DATA)(look)
        async with queue.open_async():
            async with database.tenant(tenant) as db:
                first = await enqueue(db, TASK_NEW_DATA, {}, queueing_lock="new-data")
            async with database.tenant(tenant) as db:
                assert await enqueue(db, TASK_NEW_DATA, {}, queueing_lock="new-data") == first
                worker_id = await queue.job_manager.register_worker()
                # Not yet committed: a worker that took the job now would not see our readings, and nobody would come again.
                assert await queue.job_manager.fetch_job(queues=None, worker_id=worker_id) is None
            job = await queue.job_manager.fetch_job(queues=None, worker_id=worker_id)
            assert job is not None
            assert job.id == first
            async with database.tenant(tenant) as db:  # the one that runs may have looked already: another one waits
                assert await enqueue(db, TASK_NEW_DATA, {}, queueing_lock="new-data") != first

    in_database(work)


def test_two_tenants_locks_of_one_name_are_two(in_database, installation) -> None:
    async def work(database: Database) -> None:
        ids = []
        for tenant_id in (installation.new_tenant(), installation.new_tenant()):
            async with database.tenant(tenant_id) as db:
                ids.append(await enqueue(db, "work", {}, lock="run", queueing_lock="new-data"))
        assert ids[0] != ids[1]

    in_database(work)


def test_the_job_of_a_killed_worker_is_given_out_again_once(in_database, installation, tenant) -> None:
    async def put() -> None:
        database = await Database.open(installation.app_url, max_size=1)
        async with database.tenant(tenant) as db:
            await enqueue(db, "work", {}, lock="run")
        await database.close()

    asyncio.run(put())
    code = (
        "import asyncio\nfrom levada.store.jobs import make_queue\n"
        f"queue = make_queue({installation.worker_url!r})\n"
        "@queue.task(name='work')\nasync def work(tenant_id, trace):\n    print('at work', flush=True)\n    await asyncio.sleep(60)\n"
        "async def main():\n    async with queue.open_async():\n        await queue.run_worker_async()\nasyncio.run(main())"
    )
    worker = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert worker.stdout is not None
    assert worker.stdout.readline() == "at work\n"
    worker.kill()
    worker.wait()
    worker.stdout.close()
    killed = time.monotonic()
    done = []

    async def work(database: Database) -> None:
        queue = make_queue(installation.worker_url)

        @queue.task(name="work")
        async def task(tenant_id: str, trace: dict) -> None:
            done.append(tenant_id)

        async with queue.open_async():
            assert await release_stalled(queue, 30) == 0  # it may only be slow
            await asyncio.sleep(max(0.0, 1.0 - (time.monotonic() - killed)))
            released = await asyncio.gather(*(release_stalled(queue, 0.5) for _ in range(3)))
            assert sum(released) == 1
            await queue.run_worker_async(**POLL)
            async with database.registry() as registry:
                assert await queue_depth(registry) == {("work", "succeeded"): 1}

    in_database(work)
    assert done == [tenant]


def test_a_jobs_wait_is_counted_from_when_it_could_run(in_database, installation, tenant) -> None:
    async def work(database: Database) -> None:
        async with database.tenant(tenant) as db:
            await enqueue(db, "work", {})
        await asyncio.sleep(0.1)
        async with database.registry() as registry:
            (row,) = await queue_rows(registry)
        assert row.oldest_wait_s is not None
        assert 0.1 <= row.oldest_wait_s < 5

    in_database(work)


def test_the_trace_goes_with_the_job(in_database, tenant) -> None:
    from opentelemetry.sdk.trace import TracerProvider

    async def work(database: Database) -> None:
        with TracerProvider().get_tracer("test").start_as_current_span("upload") as span:
            async with database.tenant(tenant) as db:
                await enqueue(db, "work", {})
        async with database.tenant(tenant) as db:
            (job,) = await jobs_of(db)
        assert f"{span.get_span_context().trace_id:032x}" in json.dumps(job["args"]["trace"])

    in_database(work)
