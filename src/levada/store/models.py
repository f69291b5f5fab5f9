"""Models of demand that trainings have made: texts kept by their content, each once however many trainings and bundles hold it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from levada.domain.plan_input import StoredModels
from levada.store.content import get_contents, put_content
from levada.store.database import TenantConnection

__all__ = ["current_models", "put_models"]


async def put_models(db: TenantConnection, run_id: UUID, trained_at: datetime, texts: Mapping[str, str]) -> None:
    """Keep the models (zone -> text) of a training; the same run and zone again changes nothing."""
    sha256s = await put_content(db, [text.encode() for text in texts.values()])
    rows = [{"run_id": run_id, "zone": zone, "trained_at": trained_at, "sha256": sha256} for zone, sha256 in zip(texts, sha256s, strict=True)]
    if rows:
        await db.execute_many("add_model", rows)


async def current_models(db: TenantConnection, at: datetime) -> StoredModels | None:
    """Of the trainings that used what was known by `at` and made a model, the newest one's models; None before the first."""
    rows = await db.fetch("current_models", at=at)
    if not rows:
        return None
    contents = await get_contents(db, {row["sha256"] for row in rows})
    return StoredModels(rows[0]["trained_at"], {row["zone"]: contents[row["sha256"]].decode() for row in rows})
