"""Input bundles of runs: parts by their content, each kept once per tenant however many bundles hold it.

Old ones are dropped by a policy: the bundle's row stays, with the hash of each part, so what went into a run is known for ever; the contents go.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from psycopg.types.json import Jsonb

from levada.domain.bundle import Bundle, BundleError
from levada.domain.errors import InputGap, NotFound
from levada.store.audit_log import note
from levada.store.content import get_contents, put_content
from levada.store.database import TenantConnection

__all__ = ["Dropped", "drop_bundles", "dropped_at", "get_bundle", "put_bundle"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """How many bundles were dropped, how many contents that nothing else refers to, and the bytes that these took."""

    bundles: int
    contents: int
    bytes: int


async def put_bundle(db: TenantConnection, bundle: Bundle, at: datetime) -> str:
    """Keep a bundle; returns its id. The same content again changes nothing. Raises ObjectsAway."""
    bundle_id = bundle.bundle_id
    known = await db.one("get_bundle", bundle_id=bundle_id)
    if known is None or known["dropped_at"] is not None:
        await put_content(db, bundle.parts.values(), apart=True)
        await db.execute("add_bundle", bundle_id=bundle_id, kind=bundle.kind, parts=Jsonb(bundle.part_ids), at=at)
        await db.execute("restore_bundle", bundle_id=bundle_id)
    return bundle_id


async def get_bundle(db: TenantConnection, bundle_id: str) -> Bundle:
    """Raises NotFound; ObjectsAway; InputGap when it was dropped by retention; BundleError when what is kept does not have that id any more (a damaged disk)."""
    row = await db.one("get_bundle", bundle_id=bundle_id)
    if row is None:
        raise NotFound("bundle", bundle_id)
    if row["dropped_at"] is not None:
        raise InputGap(
            f"the input of this run was dropped {row['dropped_at']:%Y-%m-%d} by the retention policy", "export runs that are to be kept for longer: `levada runs export`"
        )
    parts: dict[str, str] = row["parts"]
    contents = await get_contents(db, parts.values())
    bundle = Bundle(row["kind"], {name: contents[sha256] for name, sha256 in parts.items()})
    if bundle.bundle_id != bundle_id:
        raise BundleError(bundle_id, "what is stored does not match its SHA-256")
    return bundle


async def dropped_at(db: TenantConnection, bundle_id: str) -> datetime | None:
    """When a bundle's contents were dropped; None while they are there. Raises NotFound."""
    row = await db.one("get_bundle", bundle_id=bundle_id)
    if row is None:
        raise NotFound("bundle", bundle_id)
    at: datetime | None = row["dropped_at"]
    return at


async def drop_bundles(db: TenantConnection, *, older_than: timedelta, by: str, at: datetime) -> Dropped:
    """Drop bundles made longer ago than that, save those of runs that were asked for since or are open. Noted in the audit log.

    Results, plans and forecasts stay.
    """
    row = await db.one("drop_bundles", tenant=db.tenant_id, made_before=at - older_than, at=at)
    if row is None:
        raise LookupError("drop_bundles")
    dropped = Dropped(**row)
    if dropped.bundles:
        await note(db, by, "bundles dropped", {"older_than_days": older_than / timedelta(days=1), "bundles": dropped.bundles, "bytes": dropped.bytes}, at)
    return dropped
