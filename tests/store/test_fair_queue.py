"""Whose job is next: a tenant's thousands hold up another's one by no more than the job that runs."""

import asyncio
from collections import Counter

import psycopg
import pytest
from procrastinate.jobs import Status

from levada.store.jobs import Priority, jobs_due, make_queue


@pytest.fixture(autouse=True)
def empty_queue(installation) -> None:
    with psycopg.connect(installation.worker_url) as connection:
        connection.execute("DELETE FROM procrastinate_jobs")
        connection.execute("DELETE FROM turn")
        connection.execute("DELETE FROM procrastinate_workers")


@pytest.fixture
def put(installation):
    """Put in `count` jobs of a tenant, as many transactions would."""

    def insert(tenant: str, count: int = 1, priority: int = 0, lock: str | None = None, in_s: float | None = None, task: str = "work") -> None:
        with psycopg.connect(installation.worker_url) as connection:
            connection.execute(
                "INSERT INTO procrastinate_jobs (queue_name, task_name, priority, lock, args, scheduled_at)"
                " SELECT 'levada', %s, %s, %s, jsonb_build_object('tenant_id', %s::text, 'n', n), now() + %s * interval '1 second' FROM generate_series(1, %s) AS n",
                [task, priority, lock, tenant, in_s, count],
            )

    return insert


async def nothing() -> None:
    """Stands for a task; the tests take jobs without doing them."""


def worked(installation, work, **options):
    """Run `work(take, end)`: `take()` gives the next job or None, `end(job)` notes that it was done well."""

    async def run():
        queue = make_queue(installation.worker_url, **options)
        queue.task(name="work")(nothing)
        async with queue.open_async():
            worker_id = await queue.job_manager.register_worker()

            async def take():
                return await queue.job_manager.fetch_job(queues=None, worker_id=worker_id)

            async def end(job) -> None:
                await queue.job_manager.finish_job(job, Status.SUCCEEDED, delete_job=False)

            return await work(take, end)

    return asyncio.run(run())


def whose(job) -> str:
    return job.task_kwargs["tenant_id"]


@pytest.mark.parametrize("priority", [Priority.PLAN, Priority.BACKTEST])
def test_a_job_that_arrives_behind_another_tenant_s_five_thousand_is_next(installation, put, priority) -> None:
    put("large", 5000, priority)

    async def work(take, end):
        first = await take()
        put("small", 1, priority)
        await end(first)
        return [whose(first), whose(await take()), whose(await take())]

    assert worked(installation, work) == ["large", "small", "large"]


def test_a_plan_is_next_before_thousands_of_backtests_of_its_own_tenant_and_of_others(installation, put) -> None:
    for tenant in ("one", "two"):
        put(tenant, 3000, Priority.BACKTEST)
        put(tenant, 500, Priority.TRAINING)
    put("two", 1, Priority.PLAN)
    put("one", 1, Priority.SHORT)

    async def work(take, end):
        return [(j.priority, whose(j)) for j in [await take() for _ in range(4)]]

    assert worked(installation, work) == [(10, "one"), (0, "two"), (-10, "one"), (-10, "two")]


def test_with_one_slot_tenants_take_turns_however_much_each_has(installation, put) -> None:
    for tenant, count in (("large", 2000), ("middle", 40), ("small", 5)):
        put(tenant, count)

    async def work(take, end):
        order = []
        for _ in range(15):
            job = await take()
            order.append(whose(job))
            await end(job)
        return order

    assert worked(installation, work) == ["large", "middle", "small"] * 5


def test_with_many_slots_each_tenant_has_as_many_running(installation, put) -> None:
    for tenant, count in (("large", 2000), ("middle", 40), ("small", 2)):
        put(tenant, count)

    async def work(take, end):
        return Counter(whose(j) for j in [await take() for _ in range(12)])

    assert worked(installation, work) == {"large": 5, "middle": 5, "small": 2}


def test_a_training_that_has_waited_for_six_hours_takes_its_turn_among_plans(installation, put) -> None:
    put("old", 1, Priority.TRAINING, "run/train")
    put("new", 1, Priority.TRAINING, "run/train")
    with psycopg.connect(installation.admin_url) as connection:
        connection.execute("SET search_path TO queue")
        for tenant, hours in (("old", 6.1), ("new", 5.9)):
            of = "SELECT id FROM procrastinate_jobs WHERE args ->> 'tenant_id' = %s AND status = 'todo'"
            connection.execute(f"UPDATE procrastinate_events SET at = now() - %s * interval '1 hour' WHERE job_id IN ({of})", [hours, tenant])
    for tenant in ("old", "a", "b"):
        put(tenant, 2)

    async def work(take, end):
        order = []
        while (job := await take()) is not None:
            order.append((whose(job), job.lock))
            await end(job)
        return order

    order = worked(installation, work)
    # Each tenant in its turn; of one tenant's plan and old training the one that was put in first.
    assert order[:3] == [("old", "run/train"), ("a", None), ("b", None)]
    assert order[-1] == ("new", "run/train")
    assert len(order) == 8


def test_background_jobs_of_a_tenant_have_a_limit_that_its_plans_have_not(installation, put) -> None:
    put("one", 10, Priority.BACKTEST)

    async def work(take, end):
        first, second, third = await take(), await take(), await take()
        assert third is None
        put("one", 1, Priority.PLAN)
        plan = await take()
        await end(first)
        return second.priority, plan.priority, (await take()).priority, await take()

    assert worked(installation, work, background=2) == (Priority.BACKTEST, Priority.PLAN, Priority.BACKTEST, None)


def test_jobs_of_one_lock_run_one_at_a_time_in_order_also_past_one_that_is_put_off(installation, put) -> None:
    put("one", 3, lock="one/run")
    put("one", 1, lock="one/put-off", in_s=3600)
    put("one", 1, lock="one/put-off")
    put("one", 1, in_s=3600)
    put("one", 1)

    async def work(take, end):
        first, free = await take(), await take()
        assert await take() is None
        await end(first)
        second = await take()
        return [(j.lock, j.task_kwargs["n"]) for j in (first, free, second)], await take()

    assert worked(installation, work) == ([("one/run", 1), (None, 1), ("one/run", 2)], None)


def test_jobs_of_a_task_that_this_version_does_not_know_are_left_to_one_that_does(installation, put) -> None:
    put("one", 1, Priority.SHORT, task="of a later version")
    put("one", 1, lock="one/later", task="of a later version")
    put("one", 1, lock="one/later")
    put("one", 1)

    async def work(take, end):
        return [(await take()).task_name, await take()]

    assert worked(installation, work) == ["work", None]


def test_as_many_jobs_are_due_as_workers_could_begin(installation, put, in_database) -> None:
    async def due(database, background=2) -> int:
        async with database.registry() as registry:
            return await jobs_due(registry, background=background)

    assert in_database(due) == 0
    put("one", 3)
    put("one", 5, lock="one/run")  # one at a time
    put("one", 1, in_s=3600)
    put("one", 1, lock="one/off", in_s=3600)
    put("one", 1, lock="one/off")
    assert in_database(due) == 4
    put("one", 10, Priority.BACKTEST)
    put("two", 1, Priority.BACKTEST)
    assert in_database(due) == 4 + 2 + 1

    async def work(take, end):
        for _ in range(6):  # the plans, by turns with nobody, then a backtest of each
            await take()

    worked(installation, work)
    assert in_database(due) == 1

    with psycopg.connect(installation.worker_url) as connection:
        # As an autoscaler asks; the dead worker's six jobs are due as well, and its backtests no longer of use as running ones.
        connection.execute("UPDATE procrastinate_workers SET last_heartbeat = now() - interval '1 minute'")
        assert connection.execute("SELECT registry.jobs_due(2, 10)").fetchone() == (7,)


def test_many_workers_at_once_take_each_job_once_and_leave_none(installation, put) -> None:
    for tenant in ("one", "two", "three"):
        put(tenant, 120)
        put(tenant, 10, lock=f"{tenant}/run")

    async def work(take, end):
        taken: list[int] = []

        async def worker() -> None:
            while (job := await take()) is not None:
                taken.append(job.id)
                await end(job)

        for _ in range(4):  # a worker may find a lane shut for a moment, and leave
            await asyncio.gather(*(worker() for _ in range(4)))
        return taken

    taken = worked(installation, work)
    assert len(taken) == len(set(taken)) == 390


def test_a_worker_is_not_done_while_a_job_waits_whose_lock_it_lets_go_at_that_moment(installation, put) -> None:
    put("a", 2, lock="a/run")
    drained = []

    async def run() -> None:
        queue = make_queue(installation.worker_url, on_drained=lambda: drained.append(True))
        queue.task(name="work")(nothing)
        async with queue.open_async():
            worker_id = await queue.job_manager.register_worker()
            first = await queue.job_manager.fetch_job(queues=None, worker_id=worker_id)
            ask = queue.connector.execute_query_one_async
            asked = []

            async def ended_meanwhile(*what, **values):
                row = await ask(*what, **values)
                asked.append(row)
                if len(asked) == 1:
                    await queue.job_manager.finish_job(first, Status.SUCCEEDED, delete_job=False)
                return row

            queue.connector.execute_query_one_async = ended_meanwhile
            second = await queue.job_manager.fetch_job(queues=None, worker_id=worker_id)
            assert second is not None
            assert not drained
            await queue.job_manager.finish_job(second, Status.SUCCEEDED, delete_job=False)
            assert await queue.job_manager.fetch_job(queues=None, worker_id=worker_id) is None
            assert drained

    asyncio.run(run())
