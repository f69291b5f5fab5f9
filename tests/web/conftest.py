"""A web application on the session's real database, with two utilities and their people."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import pytest
from litestar.testing import TestClient
from tests.conftest import Installation
from tests.web.samples import NOW, fill

from levada.clock import Clock
from levada.domain.tenant import RIGHTS, Role
from levada.store.accounts import create_account, create_token, set_membership
from levada.store.database import Database
from levada.store.tenants import create_tenant
from levada.web.app import make_app
from levada.web.attempts import Attempts

T = TypeVar("T")
PASSWORD = "a long enough password"


@dataclass(frozen=True)
class World:
    """Two utilities, `own` and `other`, with readings and plans; `empty` has nothing yet."""

    url: str
    own: str
    other: str
    empty: str
    token: str
    other_token: str
    metrics_token: str
    expired_token: str

    def run(self, work: Callable[[Database], Awaitable[T]]) -> T:
        """Do something in the database, in a loop of its own."""

        async def with_database() -> T:
            database = await Database.open(self.url, max_size=2)
            try:
                return await work(database)
            finally:
                await database.close()

        return asyncio.run(with_database())


@pytest.fixture(scope="session")
def world(installation: Installation) -> World:
    own, other, empty = "web-own", "web-other", "web-empty"

    async def make() -> World:
        database = await Database.open(installation.app_url, max_size=2)
        try:
            async with database.registry() as registry:
                for tenant, name in ((own, "Águas da Serra"), (other, "Aguas de la Ribera"), (empty, "Nothing Yet")):
                    await create_tenant(registry, tenant, name)
                for email, memberships in {
                    "operator@own.example": {own: Role.OPERATOR}, "viewer@own.example": {own: Role.VIEWER}, "operator@other.example": {other: Role.OPERATOR},
                    "engineer@all.example": {own: Role.ENGINEER, other: Role.ENGINEER, empty: Role.ENGINEER}, "nobody@none.example": {},
                }.items():  # fmt: skip
                    await create_account(registry, email, email.split("@")[0].title(), PASSWORD)
                    for tenant, role in memberships.items():
                        await set_membership(registry, email, tenant, role)
                every = RIGHTS[Role.OPERATOR]
                tokens = {
                    "token": await create_token(registry, own, "scada", every, None),
                    "other_token": await create_token(registry, other, "scada", every, None),
                    "metrics_token": await create_token(registry, own, "prometheus", {"metrics:read"}, None),
                    "expired_token": await create_token(registry, own, "old", every, NOW - timedelta(days=1)),
                }
            await fill(database, own)
            await fill(database, other, language="es", name="Aguas de la Ribera")
        finally:
            await database.close()
        return World(url=installation.app_url, own=own, other=other, empty=empty, **tokens)

    return asyncio.run(make())


@pytest.fixture(scope="session")
def opened(world: World) -> Iterator[TestClient[Any]]:
    app = make_app(database_url=world.url, clock=still(), secure_cookies=False, demo_note=None)
    with TestClient(app, base_url="http://levada.test", raise_server_exceptions=False) as started:
        started.follow_redirects = False
        yield started


@pytest.fixture
def client(opened: TestClient[Any]) -> TestClient[Any]:
    """A browser or program that is nobody yet; the clock stands at NOW."""
    opened.cookies.clear()
    opened.app.state.site.attempts = Attempts()
    return opened


def still() -> Clock:
    """A clock that stands still at NOW."""
    return Clock(datetime.now(UTC), NOW, 1e-12)


def sign_in(client: TestClient[Any], email: str, password: str = PASSWORD, next_path: str = "", address: str | None = None) -> Any:
    """Through the form, as a browser does: first the page with its CSRF token, then the form."""
    page = client.get("/sign-in")
    token = page.text.split('name="_csrf_token" value="')[1].split('"')[0]
    return client.post("/sign-in", data={"email": email, "password": password, "next": next_path, "_csrf_token": token})


def csrf(client: TestClient[Any], path: str) -> dict[str, str]:
    """The header that scripts of that page send."""
    return {"x-csrf-token": client.get(path).text.split('"x-csrf-token": "')[1].split('"')[0]}


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}
