"""What is kept as it came. Bytes by their SHA-256, once per tenant and compressed: networks, parts of bundles, results, originals of files.
And whatever an error's document holds, as JSON can hold it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import zstandard

from levada.domain.errors import NotFound
from levada.store.database import TenantConnection

__all__ = ["get_content", "get_contents", "plain_json", "put_content"]


async def put_content(db: TenantConnection, contents: Iterable[bytes]) -> list[str]:
    """Keep these contents; returns their SHA-256 in hex, in order. What is there already is not sent again."""
    digests: list[str] = []
    by_digest: dict[str, bytes] = {}
    for content in contents:
        digests.append(digest := hashlib.sha256(content).hexdigest())
        by_digest[digest] = content
    await db.execute("hold_content", tenant=db.tenant_id)
    there = {row["sha256"] for row in await db.fetch("content_known", sha256s=list(by_digest))}
    packer = zstandard.ZstdCompressor(level=6)
    rows = [{"sha256": d, "bytes": len(c), "content": packer.compress(c)} for d, c in sorted(by_digest.items()) if d not in there]
    if rows:
        await db.execute_many("add_content", rows)
    return digests


async def get_contents(db: TenantConnection, sha256s: Iterable[str]) -> dict[str, bytes]:
    """Contents by their SHA-256. Raises NotFound for the first that is not there."""
    wanted = set(sha256s)
    rows = await db.fetch("get_content", sha256s=sorted(wanted))
    unpacker = zstandard.ZstdDecompressor()
    found = {row["sha256"]: unpacker.decompress(bytes(row["content"])) for row in rows}
    for missing in sorted(wanted - set(found)):
        raise NotFound("content", missing)
    return found


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
