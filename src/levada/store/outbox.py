"""What waits to be laid into a tenant's outbox folder: receipts and plans, put in with the transaction that caused them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from levada.domain.tenant import TenantId
from levada.store.database import RegistryConnection, TenantConnection

__all__ = ["OutboxItem", "mark_delivered", "put_outbox", "undelivered"]


@dataclass(frozen=True, slots=True)
class OutboxItem:
    """A file for a tenant: `path` below its outbox folder, and what goes into it."""

    tenant_id: TenantId
    item_id: int
    path: str
    content: bytes = field(repr=False)

    @property
    def id(self) -> int:
        return self.item_id


async def put_outbox(db: TenantConnection, path: str, content: bytes, at: datetime) -> int:
    """Have a file laid into the outbox after this transaction; returns the item's id. Of several for one path the last one stays.

    `path` is relative and does not leave the folder; the database refuses others.
    """
    row = await db.one("put_outbox", path=path, content=content, at=at)
    if row is None:
        raise LookupError(path)
    await db.notify("outbox", {"item_id": row["item_id"]})
    return int(row["item_id"])


async def undelivered(registry: RegistryConnection) -> list[OutboxItem]:
    """What no folder has yet, of all tenants, in the order in which it was put in."""
    return [OutboxItem(r["tenant_id"], r["item_id"], r["path"], bytes(r["content"])) for r in await registry.fetch("undelivered")]


async def mark_delivered(db: TenantConnection, item_id: int, at: datetime) -> None:
    """It lies in the folder now; its content is let go here."""
    await db.execute("mark_delivered", item_id=item_id, at=at)
