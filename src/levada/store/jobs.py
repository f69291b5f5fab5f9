"""The job queue: procrastinate behind one door.

A job is put in by the transaction that causes it, so it exists exactly when its cause does. A worker's process takes jobs under a role
of its own. What a job does must be harmless when it is done twice: a job whose worker died is given out again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from psycopg.types.json import Jsonb

from levada.store.database import Connection, TenantConnection
from levada.store.queries import query
from levada.telemetry.log import get_logger
from levada.telemetry.trace import carrier

if TYPE_CHECKING:
    from procrastinate import App

__all__ = [
    "BACKGROUND_JOBS",
    "STALLED_S",
    "TASK_NEW_DATA",
    "TASK_PUBLISH",
    "TASK_RUN",
    "Priority",
    "QueueRow",
    "WorkerRow",
    "enqueue",
    "forget_finished",
    "jobs_due",
    "make_queue",
    "queue_depth",
    "queue_rows",
    "release_stalled",
    "task_of",
    "workers",
]

log = get_logger("queue")

TASK_RUN = "run"
"""Compute a run: tenant_id, run_id, trace. Where a version is to compute it, the task is `task_of` that."""
TASK_NEW_DATA = "new-data"
"""Readings have arrived: tenant_id, trace."""
TASK_PUBLISH = "publish"
"""Put a plan out to the tenant's channels: tenant_id, plan_id, trace."""

_QUEUE = "levada"


def task_of(version: str | None) -> str:
    """The task of a run that a version is to compute; None: whichever takes it."""
    return TASK_RUN if version is None else f"{TASK_RUN}@{version}"


STALLED_S = 10.0
"""A worker not heard of for so long is taken for dead and its jobs are given out again."""
BACKGROUND_JOBS = 16
"""So many jobs below `Priority.PLAN` a tenant may have running at a time, over all workers, where nothing else is said."""


class Priority(IntEnum):
    """What goes first. What is below PLAN is done in the background and has a limit for each tenant."""

    SHORT = 10
    """Takes a moment, and a plan waits for it or is of no use without it: publishing, looking at new data."""
    PLAN = 0
    TRAINING = -10
    BACKTEST = -20


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueRow:
    """How many jobs of a task are in a state (todo, doing, succeeded, failed), and how long the oldest that could run has waited."""

    task: str
    state: str
    jobs: int
    oldest_wait_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerRow:
    """A worker that has told of itself; by the database's clock. One that was killed stays until it is pruned."""

    worker_id: int
    last_heartbeat: datetime
    heartbeat_age_s: float


def make_queue(worker_url: str, *, background: int = BACKGROUND_JOBS, on_drained: Callable[[], None] | None = None) -> App:
    """The queue for a worker's process; open it with `async with queue.open_async()`.

    Which job is next: of the highest priority; among equals of the tenant with the fewest running, then of the one that has waited longest for a
    turn, so that nobody's thousands hold up another's one. A training that could have run for six hours counts as a plan. Of jobs below
    `Priority.PLAN` a tenant has at most `background` running.
    `on_drained` is called whenever a worker asks for a job, has none, and gets none.
    """
    from levada.store.fair_queue import fair_queue

    return fair_queue(worker_url, background, on_drained)


async def enqueue(
    db: TenantConnection,
    task: str,
    args: Mapping[str, Any],
    *,
    priority: Priority = Priority.PLAN,
    lock: str | None = None,
    queueing_lock: str | None = None,
    run_at: datetime | None = None,
) -> int:
    """Put a job in with this transaction; returns its id.

    The job's arguments are `args`, `tenant_id` and `trace` (the present trace's context). Jobs with the same `lock` run one at a time, in order;
    give them one priority. Of jobs with the same `queueing_lock` one waits: where there is one, its id is returned, and it is not given
    out before this transaction has committed, so it sees what this one did. Both locks are the tenant's own.
    `run_at` is an instant of the real clock: the queue knows no other.
    """
    full_args = {**args, "tenant_id": db.tenant_id, "trace": carrier()}
    row = await db.one(
        "enqueue",
        queue=_QUEUE,
        task=task,
        priority=int(priority),
        lock=lock and f"{db.tenant_id}/{lock}",
        queueing_lock=queueing_lock and f"{db.tenant_id}/{queueing_lock}",
        args=Jsonb(full_args),
        run_at=run_at,
    )
    if row is None:
        raise LookupError(task)
    if not row["is_new"]:
        # A worker may have passed over it while we held it: tell them again at commit.
        await db.execute("wake_workers", job_id=row["id"])
    return int(row["id"])


async def queue_rows(db: Connection) -> list[QueueRow]:
    """Jobs by task and state, of all tenants."""
    return [QueueRow(**row) for row in await db.fetch("queue_depth")]


async def queue_depth(db: Connection) -> dict[tuple[str, str], int]:
    """(task, state) -> how many jobs, of all tenants."""
    return {(row.task, row.state): row.jobs for row in await queue_rows(db)}


async def jobs_due(db: Connection, *, background: int = BACKGROUND_JOBS) -> int:
    """How many jobs workers could begin at this moment, of all tenants, those of dead workers among them: so many it is worth to start.

    Jobs that are put off, that wait behind another of their lock, or that their tenant's limit of background jobs holds back do not count.
    """
    row = await db.one("jobs_due", background=background, stalled_s=STALLED_S)
    return 0 if row is None else int(row["jobs"])


async def workers(db: Connection) -> list[WorkerRow]:
    """Workers that have registered and not signed off."""
    return [WorkerRow(**row) for row in await db.fetch("workers")]


async def release_stalled(queue: App, seconds: float) -> int:
    """Give out again the jobs of workers that have not been heard of for `seconds`; returns how many. Several may do this at once.

    One statement, not the library's two steps (list, then retry): between them the job may have gone to a living worker.
    """
    released = await queue.connector.execute_query_all_async(query=query("release_stalled").decode(), seconds=seconds)
    for job in released:
        log.warning("the worker of a job is gone; the job is given out again", job=job["id"], task=job["task_name"])
    await queue.job_manager.prune_stalled_workers(seconds)
    return len(released)


async def forget_finished(queue: App, hours: int) -> None:
    """Remove jobs that ended more than so many hours ago; of those that failed for good, the dead letters stay."""
    await queue.job_manager.delete_old_jobs(nb_hours=hours, include_failed=True)
