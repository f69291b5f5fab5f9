"""Who did what: entries are added and never changed, not even by us (the application's role may not)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from levada.store.database import TenantConnection

__all__ = ["AuditEntry", "list_audit", "note"]


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """`actor` is a person's or program's name, `action` a short phrase, `detail` what it was done to. Never a secret."""

    at: datetime
    actor: str
    action: str
    detail: dict[str, Any]


async def note(db: TenantConnection, actor: str, action: str, detail: Mapping[str, Any], at: datetime) -> None:
    """Remember what was done, with the transaction that does it."""
    await db.execute("note", actor=actor, action=action, detail=Jsonb(dict(detail)), at=at)


async def list_audit(db: TenantConnection, limit: int) -> list[AuditEntry]:
    """The newest first."""
    return [AuditEntry(**row) for row in await db.fetch("list_audit", limit=limit)]
