"""How it stands, told for all tenants by one call that shows nothing else."""

from datetime import timedelta

import numpy as np
import psycopg
from tests.store.conftest import NOW, a_forecast, a_plan
from tests.store.test_files_and_outbox import record

from levada.domain.run import Accounting, Cause, RunKind
from levada.domain.series import CellMethod, SeriesSpec
from levada.domain.time import to_np
from levada.domain.units import Quantity
from levada.store.database import Database
from levada.store.overview import RunTotals, installation_status
from levada.store.plans import publish_plan
from levada.store.runs import fail_run, finish_run, request_run, start_run
from levada.store.series import Delivery, add_readings, ensure_series

HOUR = timedelta(hours=1)


def test_the_status_says_of_each_tenant_what_was_put_in(in_database, installation) -> None:
    full, empty = installation.new_tenant("Full"), installation.new_tenant("Empty")

    async def work(database: Database) -> None:
        async with database.tenant(full) as db:
            await ensure_series(db, [SeriesSpec(series_id="tank.T1.level", quantity=Quantity.LEVEL, cell_method=CellMethod.POINT, step_s=900)])
            await add_readings(db, [Delivery("tank.T1.level", np.array([to_np(NOW)]), np.array([1.0]), np.zeros(1, np.uint8))], NOW)
            await record(db, b"1")
            await record(db, b"2", "partly", rows_ok=1, rows_bad=2, received_at=NOW + HOUR)
            for i, took in enumerate((1.0, 3.0)):
                run_id = (await request_run(db, kind=RunKind.PLAN, cause=Cause.TIMETABLE, issue_time=NOW, due_at=NOW + i * HOUR, at=NOW)).run_id
                await start_run(db, run_id, "w", NOW)
                await finish_run(db, run_id, result=b"{}", accounting=Accounting(wall_s=took, cpu_s=took, peak_memory_bytes=int(took), queue_wait_s=0.5), manifest={"levada": "test"}, at=NOW)
                plan_id = await publish_plan(db, run_id, a_plan(full, NOW + i * HOUR), a_forecast(), NOW + i * HOUR)
            for hours in (-30, 1):
                failed = (await request_run(db, kind=RunKind.PLAN, cause=Cause.OPERATOR, issue_time=NOW, at=NOW)).run_id
                await start_run(db, failed, "w", NOW)
                await fail_run(db, failed, {"message": f"at {hours}"}, None, NOW + hours * HOUR)
            await request_run(db, kind=RunKind.PLAN, cause=Cause.OPERATOR, issue_time=NOW, at=NOW)

        async with database.registry() as registry:
            status = await installation_status(registry, NOW + 2 * HOUR)
        by_id = {t.tenant_id: t for t in status.tenants}
        nothing = by_id[empty]
        assert (nothing.name, nothing.data_age_s, nothing.plan, nothing.files, nothing.runs, nothing.run_totals) == ("Empty", None, None, {}, {}, {})
        assert (nothing.rows_ok, nothing.rows_bad, nothing.failed_runs_24h, nothing.last_error, nothing.last_file_at) == (0, 0, 0, None, None)
        told = by_id[full]
        assert told.data_age_s == 7200
        assert (told.files, told.rows_ok, told.rows_bad, told.last_file_at) == ({"taken": 1, "partly": 1}, 4, 2, NOW + HOUR)
        assert told.plan is not None
        assert (told.plan.plan_id, told.plan.issue_time, told.plan.cost, told.plan.audited_cost) == (plan_id, NOW + HOUR, 12.5, 12.51)
        assert told.runs == {"done": 2, "failed": 2, "queued": 1}
        assert told.run_totals == {"plan": RunTotals(runs=2, wall_s=4.0, cpu_s=4.0, queue_wait_s=1.0, peak_memory_bytes=3)}
        assert (told.failed_runs_24h, told.last_error, told.last_error_at) == (1, {"message": "at 1"}, NOW + HOUR)
        assert status.database_bytes > 1_000_000
        assert any(row.task == "run" and row.state == "todo" and row.jobs >= 1 for row in status.queue)

    in_database(work)


def test_a_worker_that_has_not_been_heard_of_is_not_counted_as_alive(in_database, installation) -> None:
    with psycopg.connect(installation.worker_url) as connection:
        connection.execute("DELETE FROM procrastinate_workers")
        connection.execute("INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now()), (now() - interval '1 minute')")

    async def work(database: Database) -> None:
        async with database.registry() as registry:
            (alive,) = (await installation_status(registry, NOW)).workers
        assert alive.heartbeat_age_s < 10

    in_database(work)
    with psycopg.connect(installation.worker_url) as connection:
        connection.execute("DELETE FROM procrastinate_workers")
