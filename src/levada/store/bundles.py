"""Input bundles of runs: parts by their content, each kept once per tenant however many bundles hold it."""

from __future__ import annotations

from datetime import datetime

from psycopg.types.json import Jsonb

from levada.domain.bundle import Bundle, BundleError
from levada.domain.errors import NotFound
from levada.store.content import get_contents, put_content
from levada.store.database import TenantConnection

__all__ = ["get_bundle", "put_bundle"]


async def put_bundle(db: TenantConnection, bundle: Bundle, at: datetime) -> str:
    """Keep a bundle; returns its id. The same content again changes nothing."""
    bundle_id = bundle.bundle_id
    if await db.one("get_bundle", bundle_id=bundle_id) is None:
        await put_content(db, bundle.parts.values())
        await db.execute("add_bundle", bundle_id=bundle_id, kind=bundle.kind, parts=Jsonb(bundle.part_ids), at=at)
    return bundle_id


async def get_bundle(db: TenantConnection, bundle_id: str) -> Bundle:
    """Raises NotFound; BundleError when what is kept does not have that id any more (a damaged disk)."""
    row = await db.one("get_bundle", bundle_id=bundle_id)
    if row is None:
        raise NotFound("bundle", bundle_id)
    parts: dict[str, str] = row["parts"]
    contents = await get_contents(db, parts.values())
    bundle = Bundle(row["kind"], {name: contents[sha256] for name, sha256 in parts.items()})
    if bundle.bundle_id != bundle_id:
        raise BundleError(bundle_id, "what is stored does not match its SHA-256")
    return bundle
