"""How tests of intake work: an async function of the open database, in a loop of its own; a tenant with file contracts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from tests.intake.delivering import FILES

from levada.domain.settings import read_document
from levada.store.database import Database
from levada.store.documents import put_document

if TYPE_CHECKING:
    from tests.conftest import Installation

InDatabase = Callable[[Callable[[Database], Awaitable[Any]]], Any]


@pytest.fixture(scope="session")
def in_database(installation: Installation) -> InDatabase:
    """Run an async function with the database open as the application's role; returns what it returns."""

    def run(work: Callable[[Database], Awaitable[Any]]) -> Any:
        async def with_database() -> Any:
            database = await Database.open(installation.app_url, max_size=6)
            try:
                return await asyncio.wait_for(work(database), 60)
            finally:
                await database.close()

        return asyncio.run(with_database())

    return run


@pytest.fixture
def tenant(installation: Installation, in_database: InDatabase) -> str:
    """A new tenant with the contracts FILES."""
    tenant_id = installation.new_tenant()

    async def put(database: Database) -> None:
        async with database.tenant(tenant_id) as db:
            await put_document(db, "files", read_document("files", FILES), "test", datetime(2026, 1, 1, tzinfo=UTC))

    in_database(put)
    return tenant_id
