"""A worker: takes jobs from the queue and does them, in as many processes as wanted.

A job is given out again when its worker is gone (no heartbeat for `STALLED_S`), when the database was gone while it ran, and when it
says so itself (TryAgain); so all of it is written to be harmless when done twice. Runs are computed in a child process (child.py).
What fails for good is kept, with its reason, to be tried again by hand: a run as a run, another job as a dead letter.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from uuid import UUID

import procrastinate
from procrastinate import JobContext
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import Job, Status
from procrastinate.retry import BaseRetryStrategy, RetryDecision

from levada.clock import Clock
from levada.domain.errors import LevadaError, NotFound, SetupError
from levada.domain.run import RunKind, RunState
from levada.runs.child import PIPELINE, ComputeChild
from levada.runs.compute_run import TryAgain, compute_run
from levada.runs.contender import Contender, this_version
from levada.runs.limits import RunLimits
from levada.runs.new_data import plan_on_new_data
from levada.store.database import DATABASE_TROUBLE, Database
from levada.store.dead_letters import add_dead_job
from levada.store.jobs import (
    BACKGROUND_JOBS,
    STALLED_S,
    TASK_NEW_DATA,
    TASK_RUN,
    forget_finished,
    make_queue,
    release_stalled,
    task_of,
)
from levada.store.releases import announce_versions
from levada.telemetry.log import bound, get_logger
from levada.telemetry.trace import continued

__all__ = ["Counts", "Handler", "work"]

log = get_logger("worker")

Handler = Callable[[Database, dict[str, Any], Any], Awaitable[None]]
"""Does a job: the database, the job's arguments (with tenant_id), the present instant. Must be harmless when done twice."""

HEARTBEAT_S = 2.0
SWEEP_S = 3.0
_DRAIN_POLL_S = 0.2
GRACE_S = 8.0
"""How long a worker that is asked to stop goes on with what it has begun; then it puts it back."""
KEEP_HOURS = 48
IDLE_CHILD_S = 300.0
MAX_HANDLER_ATTEMPTS = 6
MAX_BEGUN = 50
"""A job that takes its workers with it, so that none lives to tell, is given up when it has been begun so often."""

_TROUBLE = (*DATABASE_TROUBLE, ConnectorException, ConnectionError)


def _said(error: BaseException) -> str:
    """In one line; the queue's library hides what the database said behind `Database error`."""
    return " ".join(str(error.__cause__ or error).split())


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What became of the jobs that a worker has taken. `failed` are those for good: a run that failed, a job that was given up; `put_off` are
    those to be tried again later."""

    done: int
    failed: int
    put_off: int


@dataclass(slots=True)
class _Outcome:
    """Of a job that ended without an exception."""

    is_failed: bool = False


class _Again(BaseRetryStrategy):
    """Which failed jobs come again, and when (by the real clock)."""

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:
        if isinstance(exception, asyncio.CancelledError):
            return RetryDecision(retry_in={"seconds": 0})  # this worker is stopping; another one goes on
        if isinstance(exception, TryAgain):
            return RetryDecision(retry_in={"seconds": round(exception.in_s)})
        if isinstance(exception, _TROUBLE):
            return RetryDecision(retry_in={"seconds": 2})
        if isinstance(exception, LevadaError) or _is_run(job) or job.attempts + 1 >= MAX_HANDLER_ATTEMPTS:
            return None
        return RetryDecision(retry_in={"seconds": 2 ** (job.attempts + 1)})


_AGAIN = _Again()


def _is_run(job: Job) -> bool:
    return job.task_name.partition("@")[0] == TASK_RUN


class _Lost(LevadaError):
    """A job was begun again and again, and its worker was lost each time."""

    code, status = "job-lost", 500


class _Children:
    """The child processes of a worker: one for each run that it computes at a time, started when needed, ended after a long rest."""

    def __init__(self, count: int, make: Callable[[], ComputeChild]) -> None:
        self._all = [make() for _ in range(count)]
        self._free = list(self._all)
        self._slots = asyncio.Semaphore(count)
        self._rested: dict[ComputeChild, float] = {}

    @contextlib.asynccontextmanager
    async def one(self) -> AsyncIterator[ComputeChild]:
        async with self._slots:
            child = self._free.pop()  # the last one used: it is warm
            self._rested.pop(child, None)
            try:
                yield child
            finally:
                self._free.append(child)
                self._rested[child] = asyncio.get_running_loop().time()

    async def end_rested(self) -> None:
        """Memory that is needed once an hour need not be held all hour."""
        now = asyncio.get_running_loop().time()
        for child in [c for c, since in self._rested.items() if now - since > IDLE_CHILD_S]:
            del self._rested[child]
            await child.close()

    async def close(self) -> None:
        for child in self._all:
            await child.close()


class _Worker:
    def __init__(
        self, database: Database, make: Callable[[Callable[[], None]], procrastinate.App], clock: Clock, handlers: Mapping[str, Handler], name: str, children: Mapping[str, tuple[Contender, _Children]], concurrency: int,
        limits: Mapping[RunKind, RunLimits], *, only_own: bool,
    ) -> None:  # fmt: skip
        """`children` by the version that they compute with, this one's first; `only_own`: runs that no version is named for are left to others."""
        self._database, self._make, self._clock, self._name = database, make, clock, name
        self._children, self._concurrency, self._limits, self._only_own = children, concurrency, limits, only_own
        self._handlers = {**handlers, TASK_NEW_DATA: self._new_data}
        self._done = self._failed = 0
        self._drained = asyncio.Event()
        self._put_off: set[int] = set()
        self._ended: dict[int, float] = {}

    # --- jobs ---

    async def _run(self, context: JobContext, /, *, tenant_id: str, run_id: str, trace: dict[str, str]) -> None:
        async with self._counted(context) as outcome:
            with bound(tenant=tenant_id, run=run_id), continued(trace, "run", tenant=tenant_id, run=run_id):
                version, children = self._children[context.job.task_name.partition("@")[2] or next(iter(self._children))]
                async with children.one() as child:
                    try:
                        ended = await compute_run(
                            self._database, tenant_id, UUID(run_id), worker=self._name, clock=self._clock, child=child, limits=self._limits, version=version
                        )
                    except NotFound as e:
                        log.warning("the run is no longer there", problem=str(e))
                        return
                    outcome.is_failed = ended is RunState.FAILED

    async def _handle(self, context: JobContext, /, *, tenant_id: str, trace: dict[str, str], **args: Any) -> None:
        task = context.job.task_name
        async with self._counted(context):
            with bound(tenant=tenant_id), continued(trace, f"job.{task}", tenant=tenant_id):
                if context.job.attempts >= MAX_BEGUN:
                    raise _Lost(f"begun {context.job.attempts} times and never finished: the workers that did it were lost")
                await self._handlers[task](self._database, {**args, "tenant_id": tenant_id}, self._clock.now())

    async def _give_up(self, job: Job, because: Exception) -> None:
        """Keep a dead letter of it. A run that fails is none: it ends with its error, and its job well."""
        tenant_id = str(job.task_kwargs["tenant_id"])
        log.error("job failed", task=job.task_name, tenant=tenant_id, problem=str(because))
        error = because.as_document() if isinstance(because, LevadaError) else {"code": "defect", "message": f"{type(because).__name__}: {because}"}
        async with self._database.tenant(tenant_id) as db:
            await add_dead_job(
                db, job_id=job.id or 0, task=job.task_name, args=job.task_kwargs, priority=job.priority, lock=job.lock, attempts=job.attempts + 1, error=error, at=self._clock.now()
            )

    async def _new_data(self, database: Database, args: dict[str, Any], now: Any) -> None:
        await plan_on_new_data(database, args["tenant_id"], now)

    @contextlib.asynccontextmanager
    async def _counted(self, context: JobContext) -> AsyncIterator[_Outcome]:
        outcome, job_id = _Outcome(), context.job.id or 0
        try:
            yield outcome
            self._count(job_id, failed=outcome.is_failed)
        except Exception as e:
            if isinstance(e, TryAgain):
                log.warning("job is tried again", because=str(e), in_s=e.in_s)
            elif isinstance(e, _TROUBLE):
                log.warning("the database or the store beside it was gone while a job ran; it is tried again", problem=_said(e))
            if _AGAIN.get_retry_decision(exception=e, job=context.job) is None:
                await self._give_up(context.job, e)
                self._count(job_id, failed=True)
            else:
                self._put_off.add(job_id)
            raise
        except asyncio.CancelledError:
            self._put_off.add(job_id)  # this worker is stopping
            raise
        finally:
            self._ended[job_id] = asyncio.get_running_loop().time()

    def _count(self, job_id: int, *, failed: bool) -> None:
        self._put_off.discard(job_id)
        if failed:
            self._failed += 1
        else:
            self._done += 1

    @property
    def counts(self) -> Counts:
        return Counts(done=self._done, failed=self._failed, put_off=len(self._put_off))

    # --- the queue ---

    def _queue(self) -> procrastinate.App:
        queue = self._make(self._drained.set)
        for task in [*(() if self._only_own else (TASK_RUN,)), *(task_of(version) for version in self._children)]:
            queue.task(name=task, pass_context=True, retry=_AGAIN)(self._run)
        for task in self._handlers:
            queue.task(name=task, pass_context=True, retry=_AGAIN)(self._handle)
        return queue

    async def _serve(self, queue: procrastinate.App, *, poll_s: float) -> None:
        await queue.run_worker_async(
            name=self._name,
            concurrency=self._concurrency,
            install_signal_handlers=False,
            fetch_job_polling_interval=poll_s,
            shutdown_graceful_timeout=GRACE_S,
            update_heartbeat_interval=HEARTBEAT_S,
            stalled_worker_timeout=STALLED_S,
        )

    async def drain(self) -> Counts:
        """Until there is no job to take and none begun. Raises SetupError when the queue is lost meanwhile.

        Not by the library's own way of ending when nothing is due: that ends the heartbeat as well, while the last runs still go on.
        """
        async with self._queue().open_async() as queue:
            await release_stalled(queue, STALLED_S)
            await announce_versions(queue, list(self._children))
            serving, drained = asyncio.ensure_future(self._serve(queue, poll_s=_DRAIN_POLL_S)), asyncio.ensure_future(self._drained.wait())
            try:
                await asyncio.wait((serving, drained), return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in (serving, drained):
                    task.cancel()
                await asyncio.gather(serving, drained, return_exceptions=True)
        if not self._drained.is_set():
            raise SetupError("the database was lost before all was done", "start it; what had begun is given out again")
        return self.counts

    async def forever(self, on_ready: Callable[[], None] | None) -> None:
        wait_s = 0.5
        while True:
            try:
                async with self._queue().open_async() as queue:
                    sweep = asyncio.create_task(self._sweep(queue))
                    try:
                        log.info("worker takes jobs", worker=self._name)
                        if on_ready is not None:
                            on_ready()
                        wait_s = 0.5
                        await self._serve(queue, poll_s=1.0)  # returns when its connections fail
                    finally:
                        sweep.cancel()
                        with contextlib.suppress(asyncio.CancelledError):
                            await sweep
                log.warning("the queue was lost; opening it again")
            except _TROUBLE as e:
                if (task := asyncio.current_task()) is not None and task.cancelling():
                    # Asked to stop while the database is gone: the library's own error then hides the cancellation.
                    raise asyncio.CancelledError from e
                log.warning("the queue cannot be had", problem=_said(e), again_in_s=wait_s)
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, 5.0)

    async def _sweep(self, queue: procrastinate.App) -> None:
        """Give out again what dead workers have left, and what this one has done without being able to say so."""
        loop = asyncio.get_running_loop()
        cleaned = -3600.0
        while True:
            try:
                await announce_versions(queue, list(self._children))
                await asyncio.sleep(SWEEP_S)
                await release_stalled(queue, STALLED_S)
                for job_id in [job_id for job_id, at in self._ended.items() if loop.time() - at > SWEEP_S]:
                    if await queue.job_manager.get_job_status_async(job_id) is Status.DOING:
                        # The database went away between the work and its tick in the queue. The work is harmless when repeated.
                        log.warning("a job's end could not be noted; it is given out again", job=job_id)
                        await queue.job_manager.retry_job_by_id_async(job_id, retry_at=procrastinate.utils.utcnow())
                    del self._ended[job_id]
                if loop.time() - cleaned > 3600:
                    cleaned = loop.time()
                    await forget_finished(queue, KEEP_HOURS)
            except _TROUBLE as e:
                # After an outage all heartbeats look old, also those of workers that live: let them be heard again first.
                log.warning("sweep put off", problem=_said(e))
                await asyncio.sleep(2 * HEARTBEAT_S + SWEEP_S)
            for _, children in self._children.values():
                await children.end_rested()


async def work(
    database: Database,
    worker_url: str,
    clock: Clock,
    *,
    drain: bool,
    handlers: Mapping[str, Handler],
    name: str | None = None,
    on_ready: Callable[[], None] | None = None,
    concurrency: int = 2,
    limits: Mapping[RunKind, RunLimits] = MappingProxyType({}),
    background: int = BACKGROUND_JOBS,
    function: str = PIPELINE,
    candidates: Sequence[Contender] = (),
    only_own: bool = False,
) -> Counts:
    """Do jobs until cancelled; with `drain`, those that are due. Returns what became of them.

    Runs and new data are handled here, other tasks by `handlers`. When cancelled, what has begun is finished or, after `GRACE_S`, put back
    into the queue. `concurrency` jobs are done at a time, so up to so many runs are computed side by side, each in a child process
    with the `limits` of its kind. Of a tenant's background jobs at most `background` run at a time, over all workers. `function` is what the
    child computes runs with. `candidates`: other versions, whose runs it does as well; with `only_own` it leaves runs that no version is named for to others.
    """
    own = this_version()
    children = {own.name: (own, _Children(concurrency, lambda: ComputeChild(function)))}
    children |= {other.name: (other, _Children(concurrency, other.child)) for other in candidates if other.name not in children}
    worker = _Worker(
        database, lambda on_drained: make_queue(worker_url, background=background, on_drained=on_drained if drain else None), clock, handlers, name or f"{socket.gethostname()}-{os.getpid()}", children, concurrency, limits,
        only_own=only_own,
    )  # fmt: skip
    try:
        if drain:
            return await worker.drain()
        await worker.forever(on_ready)
        return worker.counts
    finally:
        for _, each in children.values():
            await each.close()
