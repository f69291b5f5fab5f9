"""What tests of several folders share: one real embedded PostgreSQL a session, with fresh tenants in it."""

from __future__ import annotations

import asyncio
import itertools
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest

from levada.store import embedded
from levada.store.migrate import app_url, migrate, worker_url


@dataclass(frozen=True)
class Installation:
    """Addresses of a migrated database for its keeper, the application and the worker; and tenants, each new and empty."""

    admin_url: str
    app_url: str
    worker_url: str
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def new_tenant(self, name: str = "Test water") -> str:
        """Make a tenant and return its id. Not async: may be called with or without a running loop."""
        tenant_id = f"test-{next(self._numbers)}"
        with psycopg.connect(self.app_url) as connection:
            connection.execute("SELECT registry.create_tenant(%s, %s)", [tenant_id, name])
        return tenant_id


@pytest.fixture(scope="session")
def database_directory() -> Iterator[Path]:
    """A directory that the server's user can enter: pytest's own is closed to others, and as root the server is another user."""
    top = Path(tempfile.mkdtemp(prefix="levada-test-"))
    top.chmod(0o711)
    yield top / "database"
    asyncio.run(embedded.forget(top / "database"))
    shutil.rmtree(top, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_url(database_directory: Path) -> str:
    """The keeper's address of an empty embedded PostgreSQL that lives as long as the test session."""
    return asyncio.run(embedded.start(database_directory))


@pytest.fixture(scope="session")
def installation(postgres_url: str) -> Installation:
    """The session's database with Levada's schema. Open it with `Database.open(installation.app_url)` in your own loop."""
    asyncio.run(migrate(postgres_url))
    return Installation(postgres_url, app_url(postgres_url), worker_url(postgres_url))
