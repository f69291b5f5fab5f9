"""What failed for good: runs with their errors, and jobs that were given up. Each can be tried again, by somebody whose name is kept.

A run that failed is a row of `run`. A job of another task (publishing, say) whose attempts are used up is noted here, with all that it takes
to put it in again. Whatever is done to a letter stands in the audit log, in the same transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from levada.domain.errors import NotFound
from levada.store.audit_log import note
from levada.store.content import plain_json
from levada.store.database import TenantConnection
from levada.store.jobs import Priority, enqueue
from levada.store.runs import retry_run

__all__ = ["DeadLetter", "add_dead_job", "dead_letters", "retry_letter"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """`letter_id` is a run's or a job's number, `what` the kind of the run or the job's task, `error` as LevadaError.as_document()."""

    letter_id: str
    is_run: bool
    what: str
    at: datetime
    attempts: int
    error: dict[str, Any]


async def add_dead_job(
    db: TenantConnection, *, job_id: int, task: str, args: Mapping[str, Any], priority: int, lock: str | None, attempts: int, error: Mapping[str, Any], at: datetime
) -> None:
    """Note that a job was given up. `lock` is the queue's own text of it. Twice is as good as once."""
    given = {name: value for name, value in args.items() if name not in ("tenant_id", "trace")}
    own_lock = None if lock is None else lock.removeprefix(f"{db.tenant_id}/")
    await db.execute("add_dead_job", job_id=job_id, task=task, args=Jsonb(given), priority=priority, lock=own_lock, attempts=attempts, error=Jsonb(plain_json(error)), at=at)


async def dead_letters(db: TenantConnection, limit: int) -> list[DeadLetter]:
    """The newest first."""
    return [DeadLetter(**row) for row in await db.fetch("dead_letters", limit=limit)]


async def retry_letter(db: TenantConnection, letter_id: str, by: str, at: datetime) -> None:
    """Try it again: the run itself, from the input that it froze, or a new job with the old one's arguments. Noted in the audit log.

    Raises NotFound where there is no such letter; StateError for a run that is not failed or cancelled, or while another of its kind waits.
    """
    if letter_id.isdecimal():
        row = await db.one("take_dead_job", job_id=int(letter_id), by=by, at=at)
        if row is None:
            raise NotFound("dead job", letter_id)
        job_id = await enqueue(db, row["task"], row["args"], priority=Priority(row["priority"]), lock=row["lock"])
        await note(db, by, "job tried again", {"job_id": int(letter_id), "task": row["task"], "as": job_id}, at)
        return
    try:
        run_id = UUID(letter_id)
    except ValueError:
        raise NotFound("run or dead job", letter_id) from None
    await retry_run(db, run_id, by, at)
    await note(db, by, "run tried again", {"run_id": str(run_id)}, at)
