"""What is kept as it came. Bytes by their SHA-256, once per tenant and compressed: networks, parts of bundles, results, originals of files. Parts of
bundles may lie apart, in a store of objects (objects.py); their rows are in the database all the same. And whatever an error's document holds, as JSON can hold it.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import zstandard

from levada.domain.errors import NotFound, SetupError
from levada.domain.tenant import TenantId
from levada.store.database import Database, TenantConnection

__all__ = ["get_content", "get_contents", "plain_json", "put_content", "sweep_objects"]


_SMALL_BYTES = 4096
"""Contents that take no more than this, compressed, stay in the database: a request for each would cost more than it saves."""


async def put_content(db: TenantConnection, contents: Iterable[bytes], *, apart: bool = False) -> list[str]:
    """Keep these contents; returns their SHA-256 in hex, in order. What is there already is not sent again. `apart`: in the store of objects, where there
    is one. Raises ObjectsAway."""
    digests: list[str] = []
    by_digest: dict[str, bytes] = {}
    for content in contents:
        digests.append(digest := hashlib.sha256(content).hexdigest())
        by_digest[digest] = content
    await db.execute("hold_content", tenant=db.tenant_id)
    there = {row["sha256"] for row in await db.fetch("content_known", sha256s=list(by_digest))}
    packer = zstandard.ZstdCompressor(level=6)
    objects = db.objects if apart else None
    rows: list[dict[str, Any]] = []
    for d, c in sorted(by_digest.items()):
        if d in there:
            continue
        packed = packer.compress(c)
        if objects is None or len(packed) <= _SMALL_BYTES:
            rows.append({"sha256": d, "bytes": len(c), "content": packed, "apart_bytes": None})
        else:
            # Before the row: what a transaction that fails leaves behind is swept (sweep_objects), what a row names is there.
            await objects.put(f"{db.tenant_id}/{d}", packed)
            rows.append({"sha256": d, "bytes": len(c), "content": None, "apart_bytes": len(packed)})
    if rows:
        await db.execute_many("add_content", rows)
    return digests


async def get_contents(db: TenantConnection, sha256s: Iterable[str]) -> dict[str, bytes]:
    """Contents by their SHA-256. Raises NotFound for the first that is not there, SetupError where they lie in a store of objects and none is set, ObjectsAway."""
    wanted = set(sha256s)
    rows = await db.fetch("get_content", sha256s=sorted(wanted))
    packed = {row["sha256"]: bytes(row["content"]) for row in rows if row["content"] is not None}
    apart = sorted(row["sha256"] for row in rows if row["content"] is None)
    if apart:
        if db.objects is None:
            raise SetupError(f"content {apart[0][:12]}... lies in the bundle store, and LEVADA_BUNDLE_STORE is not set", "set it as it was when the run was made")
        objects = await asyncio.gather(*(db.objects.get(f"{db.tenant_id}/{sha256}") for sha256 in apart))
        packed |= {sha256: found for sha256, found in zip(apart, objects, strict=True) if found is not None}
    for missing in sorted(wanted - set(packed)):
        raise NotFound("content", missing)
    unpacker = zstandard.ZstdDecompressor()
    return {sha256: unpacker.decompress(content) for sha256, content in packed.items()}


async def sweep_objects(database: Database, tenant_id: TenantId) -> int:
    """Delete from the store of objects what no row of the tenant names any more: dropped bundles' contents, and what failed transactions left. Returns
    how many. Raises ObjectsAway."""
    if database.objects is None:
        return 0
    deleted = 0
    async for names in database.objects.names(tenant_id):
        async with database.tenant(tenant_id) as db:
            # Alone: what is being kept at this moment has its object before its row.
            await db.execute("hold_content_alone", tenant=tenant_id)
            named = {row["sha256"] for row in await db.fetch("content_apart", sha256s=names)}
            if gone := [f"{tenant_id}/{name}" for name in names if name not in named]:
                await database.objects.delete(gone)
                deleted += len(gone)
    return deleted


async def get_content(db: TenantConnection, sha256: str) -> bytes:
    """One content. Raises NotFound."""
    return (await get_contents(db, [sha256]))[sha256]


def plain_json(value: Any) -> Any:
    """As JSON can hold it: what is no JSON becomes text, numbers that JSON has no word for become None."""
    if isinstance(value, Mapping):
        return {str(k): plain_json(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain_json(v) for v in value]
    if isinstance(value, float):
        return value if value - value == 0 else None
    return value if value is None or isinstance(value, bool | int) else str(value).replace("\x00", "�")
