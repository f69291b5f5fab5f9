"""What the timetable has asked for already, so that each due instant is served once and none is forgotten after a pause."""

from __future__ import annotations

from datetime import datetime

from levada.domain.run import RunKind
from levada.store.database import TenantConnection

__all__ = ["claim_due", "last_due"]


async def claim_due(db: TenantConnection, kind: RunKind, due_at: datetime) -> bool:
    """True when no run of that kind was made for `due_at`; the caller makes it in this transaction. Others who ask meanwhile wait, then hear False."""
    await db.execute("lock_timetable", kind=kind.value)
    return await db.one("run_due_at", kind=kind.value, due_at=due_at) is None


async def last_due(db: TenantConnection, kind: RunKind) -> datetime | None:
    """The latest instant for which the timetable has made a run of that kind."""
    row = await db.one("last_due", kind=kind.value)
    return None if row is None else row["last_due"]
