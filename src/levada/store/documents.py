"""Settings documents, each kind with its versions: the newest is current, none is ever changed."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime

from levada.domain.bundle import canonical_json
from levada.domain.errors import NotFound
from levada.domain.settings import Document, read_document
from levada.store.database import TenantConnection

__all__ = ["DocumentVersion", "document_at", "document_versions", "find_document", "get_document", "get_document_version", "put_document"]


@dataclass(frozen=True, slots=True)
class DocumentVersion:
    """One version of a document: its number (from 1), when and by whom it was put in."""

    version: int
    created_at: datetime
    created_by: str


async def put_document(db: TenantConnection, kind: str, document: Document, by: str, at: datetime) -> int:
    """Store a document as the newest version of its kind; returns its number. One with the current version's content changes nothing.

    Raises DocumentError when the document is not of that kind.
    """
    body = document.model_dump(mode="json")
    read_document(kind, body)
    text = canonical_json(body)
    sha256 = hashlib.sha256(text).hexdigest()
    await db.execute("lock_documents", kind=kind)
    current = await db.one("current_document", kind=kind)
    if current is not None and current["body_sha256"] == sha256:
        return int(current["version"])
    version = 1 if current is None else int(current["version"]) + 1
    await db.execute("add_document", kind=kind, version=version, body=text.decode(), sha256=sha256, at=at, by=by)
    return version


async def find_document(db: TenantConnection, kind: str) -> Document | None:
    """The current version, or None. Raises DocumentError when it no longer holds under this code."""
    row = await db.one("current_document", kind=kind)
    return None if row is None else read_document(kind, json.loads(row["body"]))


async def document_at(db: TenantConnection, kind: str, at: datetime) -> Document | None:
    """The version that was current at an instant, or the first one where none was there yet; None where there is none at all."""
    row = await db.one("document_at", kind=kind, at=at)
    return None if row is None else read_document(kind, json.loads(row["body"]))


async def get_document(db: TenantConnection, kind: str) -> Document:
    """The current version. Raises NotFound when the tenant has none of that kind."""
    found = await find_document(db, kind)
    if found is None:
        raise NotFound("document", kind)
    return found


async def get_document_version(db: TenantConnection, kind: str, version: int) -> Document:
    """One version. Raises NotFound."""
    row = await db.one("document_version", kind=kind, version=version)
    if row is None:
        raise NotFound("document", f"{kind} version {version}")
    return read_document(kind, json.loads(row["body"]))


async def document_versions(db: TenantConnection, kind: str) -> list[DocumentVersion]:
    """All versions, the newest first."""
    return [DocumentVersion(row["version"], row["created_at"], row["created_by"]) for row in await db.fetch("document_versions", kind=kind)]
