"""One run from the queue to its stored result: freeze, compute, store. Harmless when it is done twice.

Freezing is a transaction: the run's input is fixed by the first attempt, and later ones use the same. Storing is a transaction: the result,
what follows from it (a plan, its indicators and the job that publishes it; a training's models) are there together or not at all, and only for the worker that finishes first.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections import deque
from collections.abc import Coroutine, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from levada.clock import Clock
from levada.domain.bundle import Bundle
from levada.domain.errors import InputGap, LevadaError
from levada.domain.plan import PlanResult
from levada.domain.run import Accounting, Cause, Run, RunKind, RunState
from levada.domain.training import TrainResult
from levada.runs.child import ComputeChild, Computed, ComputeFailed
from levada.runs.contender import Contender, this_version
from levada.runs.freeze import freeze, freeze_training
from levada.runs.limits import RunLimits
from levada.runs.shadowing import after_plan, after_shadow, given_to_stable
from levada.store.bundles import get_bundle, put_bundle
from levada.store.database import DATABASE_TROUBLE, Database
from levada.store.indicators import put_indicators
from levada.store.jobs import TASK_PUBLISH, Priority, enqueue
from levada.store.models import put_models
from levada.store.plans import list_plans, publish_plan
from levada.store.runs import (
    add_history,
    add_usage,
    attach_bundle,
    fail_run,
    finish_run,
    get_run,
    give_way,
    put_aside,
    put_progress,
    start_run,
)
from levada.telemetry.log import get_logger
from levada.telemetry.trace import span

__all__ = ["MAX_ATTEMPTS", "MAX_FAILURES", "MAX_KILLED", "TryAgain", "again_in_s", "compute_run"]

log = get_logger("runs")

MAX_FAILURES = 3
"""Attempts that a run has when its computing crashes or hits a limit."""
MAX_KILLED = 8
"""Attempts that it has when its computing is killed from outside, which is seldom the run's own fault."""
MAX_ATTEMPTS = 20
"""Attempts in all: a run that takes its workers with it, so that none lives to tell, must end at some time."""
_RETRIED = {"run-crash", "run-timeout", "defect"}
_LONGEST_WAIT_S = 120.0
_LOOK_S = 1.0
"""So often is looked whether a run that is being computed was cancelled."""


class TryAgain(Exception):
    """The work is to be tried again after `in_s` seconds of real time."""

    def __init__(self, because: str, in_s: float) -> None:
        super().__init__(because)
        self.in_s = in_s


async def compute_run(
    database: Database, tenant_id: str, run_id: UUID, *, worker: str, clock: Clock, child: ComputeChild, limits: Mapping[RunKind, RunLimits], version: Contender | None = None
) -> RunState | None:
    """Do a run, or note why it cannot be done; returns as what it ended here. A kind that `limits` does not name has the usual ones. `version`: what `child`
    computes with, where that is not this one. QUEUED where a candidate could not and stable will.

    None where it had ended before, or ended elsewhere meanwhile: it was cancelled, or another worker was faster. Raises TryAgain when a later
    attempt may do it, NotFound for an unknown run.
    """
    async with database.tenant(tenant_id) as db:
        run = await start_run(db, run_id, worker, clock.now())
        # What was frozen by an earlier attempt is finished: somebody may know of it.
        newer = await give_way(db, run, clock.now()) if run is not None and run.bundle_id is None else None
    if newer is not None:
        log.info("run gives way to a newer one that waits", newer=str(newer))
        return RunState.CANCELLED
    if run is None:
        log.info("run had ended before")
        return None
    log.info("run started", kind=run.kind.value, cause=run.cause.value, attempt=run.attempts)
    by = version or this_version()
    allowed = limits.get(run.kind, RunLimits())
    memory_bytes = allowed.larger_memory_bytes if _was_too_large(run) else allowed.memory_bytes
    try:
        if run.attempts > MAX_ATTEMPTS:
            message = f"begun {run.attempts - 1} times and never finished: the workers that computed it were lost"
            raise ComputeFailed({"code": "run-lost", "message": message}, permanent=True)
        with span("run.freeze", attempt=run.attempts):
            bundle = await _frozen(database, run, clock.now())
        with span("run.compute", bundle=bundle.bundle_id):
            told: deque[dict[str, object]] = deque(maxlen=1)
            computed = await _while_wanted(database, run, child.compute(bundle, allowed, memory_bytes, told.append), told)
        if computed is None:
            log.info("the run has ended elsewhere; computing it was stopped")
            return None
        with span("run.store"):
            return RunState.DONE if await _store(database, run, computed, by, clock) else None
    except DATABASE_TROUBLE:
        raise
    except ComputeFailed as e:
        failed = e
    except LevadaError as e:
        if isinstance(e, InputGap) and await _is_too_early(database, run, e, clock):
            return RunState.CANCELLED
        failed = ComputeFailed(e.as_document(), permanent=True)
    except Exception as e:  # whatever it is, the run must not stay `running` for ever
        log.exception("defect")
        failed = ComputeFailed({"code": "defect", "message": f"a defect in the program: {type(e).__name__}: {e}"}, permanent=False)
    async with database.tenant(tenant_id) as db:
        if await given_to_stable(db, run, by.name, failed.document, clock.now()):
            if failed.taken is not None:
                await add_usage(db, run_id, failed.taken, clock.now(), runs=0)
            return RunState.QUEUED
    if (in_s := again_in_s(run, failed, allowed, memory_bytes)) is not None:
        async with database.tenant(tenant_id) as db:
            await add_history(db, run_id, {**failed.document, "attempt": run.attempts}, clock.now(), failed.taken)
        raise TryAgain(str(failed), in_s)
    await _fail(database, run, {**failed.document, "attempts": run.attempts}, failed.taken, by.name, clock)
    return RunState.FAILED


async def _is_too_early(database: Database, run: Run, gap: InputGap, clock: Clock) -> bool:
    """Whether a run fell due before the utility's first data had come: it is put aside then, which is no failure that somebody must look at."""
    if run.cause is not Cause.TIMETABLE or run.bundle_id is not None:
        return False
    async with database.tenant(run.tenant_id) as db:
        if await list_plans(db, 1):
            return False
        await put_aside(db, run, str(gap), clock.now())
    log.info("the first data have not come yet; nothing is computed", problem=str(gap))
    return True


def _was_too_large(run: Run) -> bool:
    return any(entry["code"] == "run-memory" for entry in run.history)


def again_in_s(run: Run, failed: ComputeFailed, limits: RunLimits, memory_bytes: int) -> float | None:
    """How long to wait before the next attempt; None where there is none."""
    if failed.document["code"] == "run-memory":
        # The same input needs the same memory again: only more of it helps, once.
        return 0.0 if memory_bytes < limits.larger_memory_bytes else None
    # Only its own failures count: attempts whose worker was lost are none of its doing.
    failures = 1 + sum(entry["code"] in _RETRIED for entry in run.history[_since_retry(run) :])
    most = MAX_KILLED if failed.document.get("exit_code") == -signal.SIGKILL else MAX_FAILURES
    return None if failed.permanent or failures >= most else min(2.0 * 4 ** (failures - 1), _LONGEST_WAIT_S)


def _since_retry(run: Run) -> int:
    """Where in its history the run was asked for again last: what it had failed of before counts no more."""
    return max((i + 1 for i, entry in enumerate(run.history) if entry["code"] == "retried"), default=0)


async def _while_wanted(database: Database, run: Run, computing: Coroutine[Any, Any, Computed], told: deque[dict[str, object]]) -> Computed | None:
    """What `computing` gives, or None, with it cancelled, as soon as the run has ended without us. What it has `told` last is stored."""
    task, watch = asyncio.ensure_future(computing), asyncio.ensure_future(_until_ended(database, run, told))
    try:
        await asyncio.wait((task, watch), return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return await task
        await watch
        return None
    finally:
        for future in (task, watch):
            future.cancel()
        await asyncio.gather(task, watch, return_exceptions=True)


async def _until_ended(database: Database, run: Run, told: deque[dict[str, object]]) -> None:
    stored: dict[str, object] | None = None
    while True:
        await asyncio.sleep(_LOOK_S)
        with contextlib.suppress(*DATABASE_TROUBLE):  # computing goes on without the database
            async with database.tenant(run.tenant_id) as db:
                if told and told[-1] != stored:
                    stored = told[-1]
                    await put_progress(db, run.run_id, stored)
                if not (await get_run(db, run.run_id)).state.is_open:
                    return


async def _frozen(database: Database, run: Run, at: datetime) -> Bundle:
    async with database.tenant(run.tenant_id) as db:
        if run.bundle_id is not None:
            return await get_bundle(db, run.bundle_id)
        freezing = freeze_training if run.kind is RunKind.TRAIN else freeze
        bundle = (await freezing(db, run.issue_time)).to_bundle()
        await attach_bundle(db, run.run_id, await put_bundle(db, bundle, at))
        return bundle


async def _store(database: Database, run: Run, computed: Computed, by: Contender, clock: Clock) -> bool:
    waited = (run.started_at - run.created_at) if run.started_at else clock.now() - run.created_at
    accounting = Accounting(
        wall_s=computed.wall_s, cpu_s=computed.cpu_s, peak_memory_bytes=computed.peak_memory_bytes, queue_wait_s=max(0.0, clock.real_seconds(waited)),
        bytes_read=computed.bundle_bytes, bytes_written=len(computed.result),
    )  # fmt: skip
    storing = _store_training if run.kind is RunKind.TRAIN else _store_shadow if run.cause is Cause.SHADOW else _store_plan
    return await storing(database, run, computed.result, accounting, by, clock.now())


async def _store_shadow(database: Database, run: Run, computed: bytes, accounting: Accounting, by: Contender, at: datetime) -> bool:
    result = PlanResult.model_validate_json(computed)
    async with database.tenant(run.tenant_id) as db:
        if not await finish_run(db, run.run_id, result=computed, accounting=accounting, manifest=by.made_with, version=by.name, at=at):
            return False
        await after_shadow(db, run, by.name, result, accounting, None, at)
    return True


async def _store_training(database: Database, run: Run, computed: bytes, accounting: Accounting, by: Contender, at: datetime) -> bool:
    result = TrainResult.model_validate_json(computed)
    models = result.models()
    async with database.tenant(run.tenant_id) as db:
        if not await finish_run(db, run.run_id, result=result.report().to_bytes(), accounting=accounting, manifest=by.made_with, version=by.name, at=at):
            log.info("the run has ended elsewhere; this result is dropped")
            return False
        await put_models(db, run.run_id, run.issue_time, models)
    log.info("models trained", zones=len(result.zones), models=len(models), wall_s=round(accounting.wall_s, 2), cpu_s=round(accounting.cpu_s, 2))
    return True


async def _store_plan(database: Database, run: Run, computed: bytes, accounting: Accounting, by: Contender, at: datetime) -> bool:
    result = PlanResult.model_validate_json(computed)
    async with database.tenant(run.tenant_id) as db:
        if not await finish_run(db, run.run_id, result=computed, accounting=accounting, manifest=by.made_with, version=by.name, at=at):
            log.info("the run has ended elsewhere; this result is dropped")
            return False
        plan_id = await publish_plan(db, run.run_id, result.plan, result.forecast, at)
        await put_indicators(db, run.run_id, run.issue_time, result.indicators)
        # Ahead of other work: a plan that nobody has seen is of no use.
        # One at a time for a tenant: the newer plan must be the one that stays as plan_current.csv.
        await enqueue(db, TASK_PUBLISH, {"plan_id": str(plan_id)}, priority=Priority.SHORT, lock="publish")
        await after_plan(db, run, by.name, at)
    plan = result.plan
    log.info(
        "plan made",
        plan=str(plan_id),
        ladder=plan.ladder.value,
        cost=round(plan.cost, 2),
        lower_bound=None if plan.certificate.lower_bound is None else round(plan.certificate.lower_bound, 2),
        accepted=plan.audit.accepted,
        wall_s=round(accounting.wall_s, 2),
        cpu_s=round(accounting.cpu_s, 2),
        peak_mb=round(accounting.peak_memory_bytes / 1e6),
        queue_wait_s=round(accounting.queue_wait_s, 2),
        version=by.name,
    )
    return True


async def _fail(database: Database, run: Run, error: dict[str, object], taken: Accounting | None, version: str, clock: Clock) -> None:
    log.warning("run failed", code=error.get("code"), problem=error.get("message"), attempts=run.attempts)
    async with database.tenant(run.tenant_id) as db:
        if await fail_run(db, run.run_id, error, taken, clock.now()) and run.cause is Cause.SHADOW:
            await after_shadow(db, run, version, None, None, str(error.get("message", error.get("code"))), clock.now())
