"""Workers from zero to many: processes that are started when there is work share it, do each run once, and end by themselves."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from uuid import UUID

import psycopg
import pytest
from tests.conftest import Installation
from tests.runs import tiny

from levada.domain.run import Cause, RunKind, RunState
from levada.store.database import Database
from levada.store.jobs import jobs_due
from levada.store.plans import list_plans
from levada.store.runs import get_run, request_run

pytestmark = pytest.mark.system
TENANTS, WORKERS = 6, 3


async def ask(database: Database, tenant: str) -> UUID:
    await tiny.put_in(database, tenant)
    async with database.tenant(tenant) as db:
        return (await request_run(db, kind=RunKind.PLAN, cause=Cause.OPERATOR, issue_time=tiny.NOW, at=tiny.NOW)).run_id


def test_draining_workers_share_what_is_due_do_it_once_and_end(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> None:
    async def put_in() -> tuple[dict[str, UUID], int]:
        database = await Database.open(installation.app_url)
        try:
            runs = {tenant: await ask(database, tenant) for tenant in tenants}
            async with database.registry() as registry:
                return runs, await jobs_due(registry)
        finally:
            await database.close()

    async def look() -> None:
        database = await Database.open(installation.app_url)
        try:
            for tenant, run_id in runs.items():
                async with database.tenant(tenant) as db:
                    run = await get_run(db, run_id)
                    assert (run.state, run.attempts, run.error) == (RunState.DONE, 1, None)
                    assert len(await list_plans(db, 10)) == 1
            async with database.registry() as registry:
                assert await jobs_due(registry) == 0
        finally:
            await database.close()

    with psycopg.connect(installation.worker_url) as connection:
        connection.execute("DELETE FROM procrastinate_jobs")
    tenants = [installation.new_tenant() for _ in range(TENANTS)]
    runs, due = asyncio.run(put_in())
    assert due == TENANTS
    env = {**os.environ, "LEVADA_DATABASE_URL": installation.admin_url, "LEVADA_DATA_DIR": str(tmp_path_factory.mktemp("data"))}
    workers = [subprocess.Popen([sys.executable, "-m", "levada", "worker", "--drain"], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(WORKERS)]
    done = []
    for worker in workers:
        out, err = worker.communicate(timeout=120)
        assert worker.returncode == 0, err
        told = re.fullmatch(r"(\d+) done, 0 failed, 0 to be tried again later\n", out)
        assert told, out
        done.append(int(told[1]))
    assert sum(done) == 2 * TENANTS, "each run, and the publishing of its plan"
    asyncio.run(look())
