"""What runs have taken, by day: written by the transaction that ends a run (runs.py), kept when runs are forgotten."""

from __future__ import annotations

from datetime import date

from levada.domain.usage import Usage
from levada.store.database import TenantConnection

__all__ = ["list_usage"]


async def list_usage(db: TenantConnection, first: date, last: date) -> list[Usage]:
    """By UTC day, kind and cause; both days included."""
    return [Usage(tenant_id=db.tenant_id, **row) for row in await db.fetch("usage", first=first, last=last)]
