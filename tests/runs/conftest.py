"""How tests of runs work: an async function of the database, in a loop of its own; tenants are new each time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import psycopg
import pytest
from tests.conftest import Installation

from levada.store.database import Database

T = TypeVar("T")
InDatabase = Callable[[Callable[[Database], Awaitable[T]]], T]


@pytest.fixture
def tenant(installation: Installation) -> str:
    return installation.new_tenant()


@pytest.fixture
def empty_queue(installation: Installation) -> None:
    """For tests that count what a worker does: nothing of an earlier test waits."""
    with psycopg.connect(installation.worker_url) as connection:
        connection.execute("DELETE FROM procrastinate_jobs")


@pytest.fixture
def in_database(installation: Installation) -> InDatabase[T]:
    """Run an async function with the database open as the application's role."""

    def run(work: Callable[[Database], Awaitable[T]]) -> T:
        async def with_database() -> T:
            database = await Database.open(installation.app_url, max_size=6)
            try:
                return await asyncio.wait_for(work(database), 120)
            finally:
                await database.close()

        return asyncio.run(with_database())

    return run
