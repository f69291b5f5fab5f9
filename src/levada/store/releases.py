"""Which version computes a tenant's runs; runs that compute another one's input for comparison; what came of the comparisons.

A run's job names its version in its task (`run@VERSION`): a worker takes only tasks that it knows, so it takes the runs of the versions that it
serves. A plan that waits for a version that nobody serves any more goes to whoever takes it: late is worse than by another version.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from psycopg.types.json import Jsonb

from levada.domain.errors import StateError
from levada.domain.release import WITHDRAWN, Compared, Comparison, Release, ReleaseMode
from levada.domain.run import Run
from levada.domain.time import isoformat_z
from levada.store.audit_log import note
from levada.store.content import plain_json
from levada.store.database import Connection, TenantConnection
from levada.store.jobs import TASK_RUN, Priority, enqueue, task_of
from levada.store.queries import query
from levada.telemetry.log import get_logger

if TYPE_CHECKING:
    from procrastinate import App

__all__ = [
    "UNSERVED_S",
    "ServedVersion",
    "add_comparison",
    "announce_versions",
    "comparisons",
    "get_release",
    "give_run_to",
    "promote",
    "roll_back",
    "served_versions",
    "set_channels",
    "shadow_run",
    "withdraw",
]  # fmt: skip

log = get_logger("releases")

UNSERVED_S = 60.0
"""A version that no worker has said to serve for so long is taken for gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedVersion:
    """A version that a worker has said to serve, so long ago."""

    version: str
    age_s: float

    @property
    def is_served(self) -> bool:
        return self.age_s < UNSERVED_S


# --- channels ---------------------------------------------------------------------------------------------------------


async def get_release(db: TenantConnection) -> Release | None:
    """None where the tenant goes on as if there were one version only."""
    row = await db.one("release")
    return None if row is None else Release(**{**row, "mode": ReleaseMode(row["mode"])})


async def set_channels(
    db: TenantConnection, mode: ReleaseMode, *, stable: str, candidate: str | None = None, max_worse: float | None = None, by: str, at: datetime
) -> Release:
    """Take up a mode, with another candidate where one is given; `stable` counts where there is none yet. Noted in the audit log.

    Raises StateError for shadow and canary without a candidate, and for a candidate that is stable already.
    """
    await db.execute("lock_release")
    before = await get_release(db)
    was = before or Release(stable=stable, candidate=None, mode=ReleaseMode.STABLE, changed_at=at, changed_by=by)
    named = candidate or was.candidate
    if mode is not ReleaseMode.STABLE and named is None:
        raise StateError("there is no candidate", "name one: `levada release candidate VERSION`")
    if named == was.stable:
        raise StateError(f"{named} is stable already", "name another version as the candidate")
    allowed = was.max_worse if max_worse is None else max_worse
    found = replace(was, candidate=named, mode=mode, max_worse=allowed, reason=f"set by {by}", changed_at=at, changed_by=by)
    await _put(db, found, f"release set to {mode.value}")
    return found


async def promote(db: TenantConnection, by: str, at: datetime) -> Release:
    """The candidate becomes stable, from the next run on. Raises StateError where there is none."""
    await db.execute("lock_release")
    was = await get_release(db)
    if was is None or was.candidate is None:
        raise StateError("there is no candidate to promote", "name one: `levada release candidate VERSION`")
    found = replace(
        was, stable=was.candidate, previous_stable=was.stable, candidate=None, mode=ReleaseMode.STABLE, reason=f"{was.candidate} promoted by {by}", changed_at=at, changed_by=by
    )
    await _put(db, found, "release promoted")
    return found


async def roll_back(db: TenantConnection, by: str, at: datetime) -> Release:
    """The version before becomes stable again, from the next run on. Raises StateError where there is none."""
    await db.execute("lock_release")
    was = await get_release(db)
    if was is None or was.previous_stable is None:
        raise StateError("there is no version to roll back to", "only what was promoted can be rolled back")
    found = replace(
        was, stable=was.previous_stable, previous_stable=was.stable, candidate=None, mode=ReleaseMode.STABLE, reason=f"rolled back from {was.stable} by {by}", changed_at=at, changed_by=by
    )
    await _put(db, found, "release rolled back")
    return found


async def withdraw(db: TenantConnection, candidate: str, because: str, at: datetime) -> bool:
    """Return a canary to stable; False where that candidate is no canary any more. Noted in the audit log, told in the log and to listeners (topic `release`)."""
    await db.execute("lock_release")
    was = await get_release(db)
    if was is None or was.mode is not ReleaseMode.CANARY or was.candidate != candidate:
        return False
    await _put(db, replace(was, mode=ReleaseMode.STABLE, reason=WITHDRAWN + because, changed_at=at, changed_by="levada"), "canary withdrawn")
    log.error("the candidate is withdrawn", tenant=db.tenant_id, candidate=candidate, because=because)
    return True


async def _put(db: TenantConnection, release: Release, action: str) -> None:
    await db.execute("put_release", **{**asdict(release), "mode": release.mode.value})
    await note(
        db, release.changed_by, action, {"stable": release.stable, "candidate": release.candidate, "mode": release.mode.value, "reason": release.reason}, release.changed_at
    )
    await db.notify("release", {"mode": release.mode.value})


# --- who serves what --------------------------------------------------------------------------------------------------


async def served_versions(db: Connection) -> list[ServedVersion]:
    """Of all workers, the one heard of last first."""
    return [ServedVersion(**row) for row in await db.fetch("served_versions")]


async def announce_versions(queue: App, versions: list[str]) -> int:
    """Say that this worker serves these versions; and give plans that wait for one that nobody serves to whoever takes them. Returns how many."""
    await queue.connector.execute_query_async(query=query("serve_versions").decode(), versions=versions)
    freed = await queue.connector.execute_query_all_async(query=query("free_unserved").decode(), task=TASK_RUN, seconds=UNSERVED_S)
    for job in freed:
        log.warning("no worker serves the version that a plan waits for; another one computes it", job=job["id"])
    return len(freed)


# --- runs -------------------------------------------------------------------------------------------------------------


async def shadow_run(db: TenantConnection, of: Run, version: str, at: datetime) -> UUID | None:
    """Have a run's input computed by another version as well; None where it is already, or where no worker serves that version."""
    if not any(v.version == version and v.is_served for v in await served_versions(db)):
        log.warning("no worker serves the version to compare with", version=version)
        return None
    row = await db.one("create_shadow_run", run_id=of.run_id, version=version, at=at)
    if row is None:
        return None
    await enqueue(db, task_of(version), {"run_id": str(row["run_id"])}, priority=Priority.BACKTEST, lock="run/shadow")
    return UUID(str(row["run_id"]))


async def give_run_to(db: TenantConnection, run: Run, version: str, because: dict[str, Any], at: datetime) -> bool:
    """Have a run that is being computed computed again by another version, ahead of other work; False where it has ended meanwhile."""
    entry = Jsonb(plain_json({**because, "at": isoformat_z(at)}))
    if await db.one("give_run_to", run_id=run.run_id, version=version, entry=entry) is None:
        return False
    await enqueue(db, task_of(version), {"run_id": str(run.run_id)}, priority=Priority.PLAN, lock=f"run/{run.kind.value}")
    return True


# --- comparisons ------------------------------------------------------------------------------------------------------


async def add_comparison(db: TenantConnection, shadow_run_id: UUID, comparison: Comparison) -> None:
    await db.execute(
        "add_comparison", shadow_run_id=shadow_run_id, candidate=comparison.candidate, by_stable=Jsonb(asdict(comparison.by_stable)),
        by_candidate=Jsonb(asdict(comparison.by_candidate)), at=comparison.at,
    )  # fmt: skip


async def comparisons(db: TenantConnection, candidate: str, limit: int) -> list[Comparison]:
    """Of a candidate, the newest first."""
    return [
        Comparison(candidate=row["candidate"], by_stable=Compared(**row["stable_result"]), by_candidate=Compared(**row["candidate_result"]), at=row["at"])
        for row in await db.fetch("comparisons", candidate=candidate, limit=limit)
    ]
