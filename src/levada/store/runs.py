"""Runs: asked for, started, finished exactly once.

queued -> running -> done | failed | cancelled. A run is asked for by a row and a job in one transaction; whoever takes the job starts the run, and may do so
again when the first one's worker died. Finishing looks at the state again on the locked row, so of two workers only one takes effect.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.errors import UniqueViolation
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from levada.domain.errors import NotFound, StateError
from levada.domain.run import Accounting, Cause, Run, RunKind, RunState
from levada.domain.time import isoformat_z
from levada.store.audit_log import note
from levada.store.content import get_content, plain_json, put_content
from levada.store.database import TenantConnection
from levada.store.jobs import Priority, enqueue, task_of

__all__ = [
    "CreatedRun",
    "add_history",
    "add_usage",
    "attach_bundle",
    "cancel_run",
    "create_run",
    "fail_run",
    "finish_run",
    "get_result",
    "get_run",
    "give_way",
    "list_runs",
    "put_aside",
    "put_progress",
    "request_run",
    "retry_run",
    "start_run",
]


_ACCOUNTED = ("wall_s", "cpu_s", "peak_memory_bytes", "queue_wait_s", "bytes_read", "bytes_written")
_NOTHING = Accounting(wall_s=0.0, cpu_s=0.0, peak_memory_bytes=0, queue_wait_s=0.0)
_PRIORITY = {RunKind.PLAN: Priority.PLAN, RunKind.TRAIN: Priority.TRAINING}


@dataclass(frozen=True, slots=True)
class CreatedRun:
    """The run that was asked for; `created` is False when there was one already that does."""

    run_id: UUID
    created: bool


async def create_run(
    db: TenantConnection, *, kind: RunKind, cause: Cause, issue_time: datetime, due_at: datetime | None = None, created_at: datetime, started_by: str = ""
) -> CreatedRun:
    """A queued run, without a job. `due_at` is given for the timetable's runs and for no others.

    Of the timetable's there is one for each kind and `due_at`, ever. Of the others one of a kind waits at a time: where one does, it is
    returned and its issue time moved up to this one's, so that it uses all that is known by then.
    """
    if (cause is Cause.TIMETABLE) != (due_at is not None):
        raise ValueError("due_at belongs to the timetable's runs")
    values = {"kind": kind.value, "cause": cause.value, "issue_time": issue_time, "due_at": due_at, "created_at": created_at, "started_by": started_by, "version": await _version(db, kind)}
    if cause is Cause.TIMETABLE:
        row = await db.one("create_due_run", **values) or await db.one("run_due_at", kind=kind.value, due_at=due_at)
    else:
        row = await db.one("create_asked_run", **values)
    if row is None:
        raise LookupError(kind)
    created = CreatedRun(row["run_id"], row["created"])
    if created.created:
        await _tell(db, created.run_id, RunState.QUEUED)
    return created


async def request_run(
    db: TenantConnection, *, kind: RunKind, cause: Cause, issue_time: datetime, due_at: datetime | None = None, at: datetime, started_by: str = ""
) -> CreatedRun:
    """create_run, and the job that computes it, in this transaction. A tenant's runs of a kind are computed one at a time, in order.

    Plans that wait are given out before trainings.
    """
    made = await create_run(db, kind=kind, cause=cause, issue_time=issue_time, due_at=due_at, created_at=at, started_by=started_by)
    if made.created:
        await _enqueue(db, made.run_id, kind, await _version(db, kind))
    return made


async def _version(db: TenantConnection, kind: RunKind) -> str | None:
    """Which version computes the next run: trainings stay with stable, for both versions forecast from them."""
    row = await db.one("release")
    if row is None:
        return None
    return str(row["candidate"] if row["mode"] == "canary" and kind is RunKind.PLAN else row["stable"])


async def _enqueue(db: TenantConnection, run_id: UUID, kind: RunKind, version: str | None) -> None:
    await enqueue(db, task_of(version), {"run_id": str(run_id)}, priority=_PRIORITY[kind], lock=f"run/{kind.value}")


async def start_run(db: TenantConnection, run_id: UUID, worker: str, at: datetime) -> Run | None:
    """Begin to compute, or begin again where an earlier worker did not finish; None when the run has ended. Raises NotFound."""
    row = await db.one("start_run", run_id=run_id, worker=worker, at=at)
    if row is None:
        await get_run(db, run_id)
        return None
    await _tell(db, run_id, RunState.RUNNING)
    return _run(row, db.tenant_id)


async def put_progress(db: TenantConnection, run_id: UUID, progress: Mapping[str, Any]) -> None:
    """Note how far a run is that is being computed, and tell open pages."""
    if await db.one("put_progress", run_id=run_id, progress=Jsonb(plain_json(progress))) is not None:
        await _tell(db, run_id, RunState.RUNNING)


async def attach_bundle(db: TenantConnection, run_id: UUID, bundle_id: str) -> None:
    """Say which input the run uses; it must be stored. A run that has one keeps it, so that a second attempt uses the same."""
    await db.execute("attach_bundle", run_id=run_id, bundle_id=bundle_id)


async def finish_run(db: TenantConnection, run_id: UUID, *, result: bytes, accounting: Accounting, manifest: Mapping[str, Any], at: datetime, version: str | None = None) -> bool:
    """Store the result and with what it was computed, `version` if that has a name. False, and nothing changed, when the run had ended before: the caller then leaves out what follows from it."""
    # The row is locked first: a second worker that finishes now waits here, then finds the run done.
    if await db.one("lock_open_run", run_id=run_id) is None:
        return False
    (sha256,) = await put_content(db, [result])
    await db.execute("finish_run", run_id=run_id, result_sha256=sha256, manifest=Jsonb(dict(manifest)), at=at, version=version, **_accounting_values(accounting))
    await add_usage(db, run_id, accounting, at, runs=1)
    await _tell(db, run_id, RunState.DONE)
    return True


async def fail_run(db: TenantConnection, run_id: UUID, error: Mapping[str, Any], accounting: Accounting | None, at: datetime) -> bool:
    """The run cannot be made; `error` is LevadaError.as_document() or like it, `accounting` what the last attempt took. False when it had ended before."""
    if await db.one("lock_open_run", run_id=run_id) is None:
        return False
    await db.execute("fail_run", run_id=run_id, error=Jsonb(plain_json(error)), at=at, **_accounting_values(accounting))
    await add_usage(db, run_id, accounting or _NOTHING, at, runs=1, failed=1)
    await _tell(db, run_id, RunState.FAILED)
    return True


async def add_history(db: TenantConnection, run_id: UUID, entry: Mapping[str, Any], at: datetime, accounting: Accounting | None = None) -> None:
    """Remember what became of an attempt of a run that goes on, and what it took; `entry` is like an error's document."""
    took = {} if accounting is None else {"wall_s": round(accounting.wall_s, 3), "cpu_s": round(accounting.cpu_s, 3)}
    await db.execute("add_history", run_id=run_id, entry=Jsonb(_entry({**entry, **took}, at)))
    if accounting is not None:
        await add_usage(db, run_id, accounting, at, runs=0)


async def add_usage(db: TenantConnection, run_id: UUID, accounting: Accounting, at: datetime, *, runs: int, failed: int = 0) -> None:
    """Count what a run, or an attempt of one (`runs` 0), has taken on the day of `at`."""
    await db.execute("add_usage", run_id=run_id, at=at, runs=runs, failed=failed, **_accounting_values(accounting))


async def cancel_run(db: TenantConnection, run_id: UUID, by: str, at: datetime) -> None:
    """End a run that is not wanted any more: one that waits is never begun, one that is being computed is stopped by its worker, which looks each second.

    Noted in the audit log. Raises NotFound, and StateError for a run that has ended.
    """
    if not await _cancel(db, run_id, "cancelled", f"cancelled by {by}", at):
        run = await get_run(db, run_id)
        raise StateError(f"run {run_id} is {run.state.value}", "only one that waits or is being computed can be cancelled")
    await note(db, by, "run cancelled", {"run_id": str(run_id)}, at)


async def give_way(db: TenantConnection, run: Run, at: datetime) -> UUID | None:
    """Cancel a run of the timetable for a newer one of its kind that waits already and will know more; returns that one, None where none waits.

    So whoever falls behind catches up: what was due while it was busy is not computed for nobody.
    """
    newer = await db.one("overtaking_run", kind=run.kind.value, issue_time=run.issue_time) if run.cause is Cause.TIMETABLE else None
    if newer is None:
        return None
    await _cancel(db, run.run_id, "overtaken", f"not computed: run {newer['run_id']}, which is newer, waited already", at)
    return UUID(str(newer["run_id"]))


async def put_aside(db: TenantConnection, run: Run, why: str, at: datetime) -> None:
    """Cancel a run of the timetable that came before a utility had what a first plan needs; `why` says what that is. Data that come ask for one."""
    await _cancel(db, run.run_id, "not-yet", f"not computed, as there is nothing yet to plan the first time from: {why}", at)


async def _cancel(db: TenantConnection, run_id: UUID, code: str, why: str, at: datetime) -> bool:
    """False where it had ended."""
    if await db.one("cancel_run", run_id=run_id, at=at, entry=Jsonb(_entry({"code": code, "message": why}, at))) is None:
        return False
    await _tell(db, run_id, RunState.CANCELLED)
    return True


async def retry_run(db: TenantConnection, run_id: UUID, by: str, at: datetime) -> None:
    """Queue a run again that failed or was cancelled, from the input that it froze if it did; its error goes into its history.

    Raises NotFound; StateError for a run in another state, or while another of its kind waits, which will do as well.
    """
    try:
        row = await db.one("retry_run", run_id=run_id, entry=Jsonb(_entry({"code": "retried", "message": f"tried again by {by}"}, at)))
    except UniqueViolation as e:
        raise StateError("another run of this kind waits already and will use what is known by now", "wait for that one") from e
    if row is None:
        run = await get_run(db, run_id)
        raise StateError(f"run {run_id} is {run.state.value}", "only one that failed or was cancelled can be tried again")
    if row["shadow_of"] is not None:
        await enqueue(db, task_of(row["version"]), {"run_id": str(run_id)}, priority=Priority.BACKTEST, lock="run/shadow")
    else:
        await _enqueue(db, run_id, RunKind(row["kind"]), row["version"])
    await _tell(db, run_id, RunState.QUEUED)


async def get_run(db: TenantConnection, run_id: UUID) -> Run:
    """Raises NotFound."""
    row = await db.one("get_run", run_id=run_id)
    if row is None:
        raise NotFound("run", str(run_id))
    return _run(row, db.tenant_id)


async def list_runs(db: TenantConnection, limit: int, before: UUID | None = None) -> list[Run]:
    """Runs, the newest first; with `before`, those older than that run."""
    return [_run(row, db.tenant_id) for row in await db.fetch("list_runs", limit=limit, before=before)]


async def get_result(db: TenantConnection, run_id: UUID) -> bytes:
    """The result as it was stored. Raises NotFound when there is no such run, or it has none."""
    run = await get_run(db, run_id)
    if run.result_sha256 is None:
        raise NotFound("result of run", str(run_id))
    return await get_content(db, run.result_sha256)


async def _tell(db: TenantConnection, run_id: UUID, state: RunState) -> None:
    await db.notify("run", {"run_id": str(run_id), "state": state.value})


def _entry(entry: Mapping[str, Any], at: datetime) -> Any:
    return plain_json({**entry, "at": isoformat_z(at)})


def _accounting_values(accounting: Accounting | None) -> dict[str, Any]:
    if accounting is None:
        return dict.fromkeys(_ACCOUNTED)
    return {name: getattr(accounting, name) for name in _ACCOUNTED}


def _run(row: DictRow, tenant_id: str) -> Run:
    accounting = None
    if row["wall_s"] is not None:
        accounting = Accounting(**{name: row[name] or 0 for name in _ACCOUNTED})
    return Run(
        tenant_id=tenant_id,
        run_id=row["run_id"],
        kind=RunKind(row["kind"]),
        state=RunState(row["state"]),
        cause=Cause(row["cause"]),
        issue_time=row["issue_time"],
        created_at=row["created_at"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        bundle_id=row["bundle_id"],
        result_sha256=row["result_sha256"],
        attempts=row["attempts"],
        error=row["error"],
        accounting=accounting,
        manifest=row["manifest"],
        started_by=row["started_by"],
        history=tuple(row["history"]),
        progress=row["progress"],
        version=row["version"],
        shadow_of=row["shadow_of"],
    )
