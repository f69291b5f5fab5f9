"""EPANET networks, each by the SHA-256 of its INP file."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from levada.domain.errors import NotFound
from levada.store.content import get_content, put_content
from levada.store.database import TenantConnection

__all__ = ["NetworkRow", "get_network", "list_networks", "put_network"]


@dataclass(frozen=True, slots=True)
class NetworkRow:
    """A stored network: its hash, the name under which it first came, its size, when and by whom."""

    sha256: str
    name: str
    bytes: int
    created_at: datetime
    created_by: str


async def put_network(db: TenantConnection, name: str, inp: bytes, by: str, at: datetime) -> str:
    """Store an INP file; returns its SHA-256. The same content again changes nothing."""
    (sha256,) = await put_content(db, [inp])
    await db.execute("add_network", sha256=sha256, name=name, at=at, by=by)
    return sha256


async def get_network(db: TenantConnection, sha256: str) -> bytes:
    """The INP file as it came. Raises NotFound."""
    if await db.one("network", sha256=sha256) is None:
        raise NotFound("network", sha256)
    return await get_content(db, sha256)


async def list_networks(db: TenantConnection) -> list[NetworkRow]:
    """All networks of the tenant, the newest first."""
    return [NetworkRow(**row) for row in await db.fetch("list_networks")]
