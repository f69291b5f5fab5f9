"""Real worker processes that are killed in mid-run, and a PostgreSQL that is: each run is finished, once."""

from __future__ import annotations

import asyncio
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import psutil
import psycopg
import pytest
from tests.conftest import Installation
from tests.runs import tiny

from levada.domain.run import Cause, Run, RunKind, RunState
from levada.store import embedded
from levada.store.database import Database
from levada.store.migrate import app_url, migrate, worker_url
from levada.store.plans import PlanHead, list_plans
from levada.store.runs import get_run, request_run

pytestmark = pytest.mark.system

_PROGRAM = """
import asyncio, sys
from datetime import UTC, datetime
from levada.clock import Clock
from levada.runs.worker import work
from levada.store.database import Database
from levada.telemetry.log import configure_logs
from tests.runs import tiny

async def publish(database, args, now):
    print("published", args["plan_id"], flush=True)

async def main(app_url, worker_url):
    configure_logs("text")
    database = await Database.open(app_url)
    clock = Clock(datetime.now(UTC), tiny.NOW, 1.0)
    await work(database, worker_url, clock, drain=False, handlers={"publish": publish}, function="tests.runs.computing:plan_slowly",
               on_ready=lambda: print("ready", flush=True))

asyncio.run(main(*sys.argv[1:]))
"""


@contextmanager
def worker(app: str, queue: str) -> Iterator[subprocess.Popen[str]]:
    root = Path(__file__).parents[2]
    with subprocess.Popen([sys.executable, "-c", _PROGRAM, app, queue], cwd=root, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            if process.poll() is None:
                process.kill()


async def ask(app: str, tenant: str) -> UUID:
    database = await Database.open(app)
    try:
        await tiny.put_in(database, tenant)
        async with database.tenant(tenant) as db:
            return (await request_run(db, kind=RunKind.PLAN, cause=Cause.OPERATOR, issue_time=tiny.NOW, at=tiny.NOW)).run_id
    finally:
        await database.close()


async def look(app: str, tenant: str, run_id: UUID) -> tuple[Run, list[PlanHead]]:
    database = await Database.open(app)
    try:
        async with database.tenant(tenant) as db:
            return await get_run(db, run_id), await list_plans(db, 10)
    finally:
        await database.close()


def wait_for_state(app: str, tenant: str, run_id: UUID, state: RunState, timeout_s: float) -> Run:
    end = time.monotonic() + timeout_s
    while True:
        run, _ = asyncio.run(look(app, tenant, run_id))
        if run.state is state:
            return run
        assert time.monotonic() < end, f"run is {run.state} after {timeout_s} s"
        time.sleep(0.2)


def postmaster(directory: Path) -> psutil.Process:
    for process in psutil.process_iter(["cmdline"]):
        command = process.info["cmdline"] or []
        if command and command[0].endswith("/postgres") and any(str(directory) in part for part in command):
            return process
    raise AssertionError(f"no server runs in {directory}")


def test_a_run_whose_worker_is_killed_is_taken_over_within_seconds_and_done_once(installation: Installation) -> None:
    tenant, app, queue = installation.new_tenant(), installation.app_url, installation.worker_url
    run_id = asyncio.run(ask(app, tenant))
    with worker(app, queue) as first:
        wait_for_state(app, tenant, run_id, RunState.RUNNING, 30)
        time.sleep(1.0)  # the child computes
        computing = psutil.Process(first.pid).children()
        assert computing
        with worker(app, queue):
            first.kill()
            killed = time.monotonic()
            done = wait_for_state(app, tenant, run_id, RunState.DONE, 40)
            took = time.monotonic() - killed
            _, alive = psutil.wait_procs(computing, timeout=20)
            assert not alive
    assert done.attempts == 2
    assert took < 25
    assert len(asyncio.run(look(app, tenant, run_id))[1]) == 1


def test_a_stopped_process_that_wakes_up_again_after_its_run_was_taken_over_changes_nothing(installation: Installation) -> None:
    tenant, app, queue = installation.new_tenant(), installation.app_url, installation.worker_url
    run_id = asyncio.run(ask(app, tenant))
    with worker(app, queue) as first:
        wait_for_state(app, tenant, run_id, RunState.RUNNING, 30)
        time.sleep(0.5)
        first.send_signal(signal.SIGSTOP)
        with worker(app, queue) as second:
            wait_for_state(app, tenant, run_id, RunState.DONE, 40)
            result = asyncio.run(look(app, tenant, run_id))
            first.send_signal(signal.SIGCONT)
            time.sleep(3.0)  # it has its result, and finds the run done
            assert asyncio.run(look(app, tenant, run_id)) == result
            assert first.poll() is None
            assert second.poll() is None


def test_a_run_during_which_postgresql_is_killed_is_done_once() -> None:
    top = Path(tempfile.mkdtemp(prefix="levada-crash-"))
    top.chmod(0o711)
    directory = top / "database"
    try:
        admin = asyncio.run(embedded.start(directory))
        asyncio.run(migrate(admin))
        app, queue, tenant = app_url(admin), worker_url(admin), "crash"
        with psycopg.connect(app) as connection:
            connection.execute("SELECT registry.create_tenant(%s, %s)", [tenant, "Crash water"])
        run_id = asyncio.run(ask(app, tenant))
        with worker(app, queue) as process:
            wait_for_state(app, tenant, run_id, RunState.RUNNING, 30)
            postmaster(directory).kill()
            time.sleep(4.0)  # the result is there while the database is not
            asyncio.run(embedded.start(directory))
            wait_for_state(app, tenant, run_id, RunState.DONE, 60)
            assert process.poll() is None
            # And it goes on taking jobs.
            second = asyncio.run(ask(app, tenant))
            wait_for_state(app, tenant, second, RunState.DONE, 30)
        plans = asyncio.run(look(app, tenant, run_id))[1]
        assert sorted(str(p.run_id) for p in plans) == sorted([str(run_id), str(second)])
    finally:
        asyncio.run(embedded.forget(directory))
        shutil.rmtree(top, ignore_errors=True)
