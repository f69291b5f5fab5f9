"""Connections: a tenant's, which sees that tenant's rows only, and the registry's, which sees no tenant's rows at all.

A unit of work is one transaction, from entering the context to leaving it: nobody commits inside. Nothing that is accepted is
told to others before that commit: notifications and jobs are part of the transaction.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from levada.domain.errors import NotFound, SetupError
from levada.domain.tenant import TenantId
from levada.store.objects import Objects, ObjectsAway
from levada.store.queries import query
from levada.telemetry.log import get_logger

__all__ = ["CONNECTED", "DATABASE_TROUBLE", "Connection", "Database", "Event", "RegistryConnection", "TenantConnection"]

log = get_logger("store")

CONNECTED = "connected"
"""Topic of the event that `listen` gives whenever it begins to hear: what happened before was not heard, so catch up now."""

DATABASE_TROUBLE = (psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout, ObjectsAway)
"""The database, or the store beside it, is gone or restarting: nothing is wrong with what was to be done."""

_MAX_PAYLOAD_BYTES = 7800  # PostgreSQL refuses notifications of 8000 bytes and more


@dataclass(frozen=True, slots=True)
class Event:
    """Something that was committed. Topics: readings, run, plan, file, outbox; and `connected` (without tenant)."""

    tenant_id: TenantId
    topic: str
    detail: dict[str, Any]


class Connection:
    """One open transaction. Statements are called by name; see queries.py."""

    def __init__(self, raw: AsyncConnection[DictRow], channel: str) -> None:
        self.raw = raw
        self._channel = channel

    async def fetch(self, name: str, /, **parameters: Any) -> list[DictRow]:
        """All rows of the named statement."""
        async with self.raw.cursor(binary=True) as cursor:
            await cursor.execute(query(name), parameters)
            return await cursor.fetchall()

    async def one(self, name: str, /, **parameters: Any) -> DictRow | None:
        """The first row of the named statement, or None."""
        async with self.raw.cursor(binary=True) as cursor:
            await cursor.execute(query(name), parameters)
            return await cursor.fetchone()

    async def execute(self, name: str, /, **parameters: Any) -> int:
        """Run the named statement; returns how many rows it changed."""
        async with self.raw.cursor() as cursor:
            await cursor.execute(query(name), parameters)
            return cursor.rowcount

    async def execute_many(self, name: str, /, rows: list[dict[str, Any]]) -> None:
        """Run the named statement once for each row, in one round trip."""
        async with self.raw.cursor() as cursor:
            await cursor.executemany(query(name), rows)


class TenantConnection(Connection):
    """A transaction that sees and writes one tenant's rows, whatever is asked of it."""

    def __init__(self, raw: AsyncConnection[DictRow], channel: str, tenant_id: TenantId, objects: Objects | None) -> None:
        super().__init__(raw, channel)
        self.tenant_id = tenant_id
        self.objects = objects

    async def notify(self, topic: str, detail: dict[str, Any]) -> None:
        """Tell listeners, once this transaction has committed. `detail` must be small JSON: names and ids, no content."""
        payload = json.dumps({"tenant_id": self.tenant_id, "topic": topic, "detail": detail}, separators=(",", ":"), allow_nan=False, default=str)
        if len(payload.encode()) > _MAX_PAYLOAD_BYTES:
            raise ValueError(f"the notification {topic!r} is too large: name what changed, do not send it")
        await self.execute("notify", channel=self._channel, payload=payload)


class RegistryConnection(Connection):
    """A transaction without a tenant: only the registry's functions show anything."""


class Database:
    """The pools of one process to one database, as the application's role."""

    def __init__(self, url: str, pool: AsyncConnectionPool[AsyncConnection[DictRow]], channel: str, objects: Objects | None) -> None:
        self.url = url
        self.objects = objects
        self._pool = pool
        self._channel = channel

    @classmethod
    async def open(cls, url: str, *, min_size: int = 1, max_size: int = 8, wait_s: float = 15.0, objects: Objects | None = None) -> Self:
        """Connect, waiting up to `wait_s` for a server that is just starting. `objects`: where inputs of runs are kept, if not in the database. Raises
        SetupError when it cannot be had."""
        deadline = asyncio.get_running_loop().time() + wait_s
        while True:
            try:
                async with await AsyncConnection.connect(url, connect_timeout=5, autocommit=True, row_factory=dict_row) as first:
                    row = await (await first.execute(query("notification_channel"))).fetchone()
                break
            except (psycopg.errors.InvalidSchemaName, psycopg.errors.UndefinedFunction) as e:
                raise SetupError(f"the database at {_without_password(url)} has no Levada schema", "start it with `levada serve`, which sets it up") from e
            except psycopg.OperationalError as e:
                if asyncio.get_running_loop().time() > deadline:
                    raise SetupError(
                        f"the database at {_without_password(url)} cannot be reached: {' '.join(str(e).split())}",
                        "start it, or mend LEVADA_DATABASE_URL",
                    ) from e
                await asyncio.sleep(0.2)
        pool: AsyncConnectionPool[AsyncConnection[DictRow]] = AsyncConnectionPool(
            url,
            min_size=min_size,
            max_size=max_size,
            open=False,
            # A connection that died with the server is noticed before it is handed out, so a restart costs no caller an error.
            check=AsyncConnectionPool.check_connection,
            kwargs={"row_factory": dict_row, "connect_timeout": 5},
            reconnect_timeout=60.0,
            name="levada",
        )
        try:
            await pool.open(wait=True, timeout=wait_s)
        except PoolTimeout as e:
            await pool.close()
            raise SetupError(f"the database at {_without_password(url)} gives no connections", "look at its max_connections") from e
        return cls(url, pool, str(row["channel"]) if row else "", objects)

    async def close(self) -> None:
        await self._pool.close()

    @asynccontextmanager
    async def tenant(self, tenant_id: TenantId) -> AsyncIterator[TenantConnection]:
        """A transaction of one tenant: commits at the end, rolls back on an exception. Raises NotFound for an unknown tenant."""
        async with self._pool.connection() as raw:
            db = TenantConnection(raw, self._channel, tenant_id, self.objects)
            # Local to the transaction: a setting of the session would leak to whoever uses this connection next.
            await db.execute("enter_tenant", tenant_id=tenant_id)
            if await db.one("tenant_is_there") is None:
                raise NotFound("tenant", tenant_id)
            yield db

    @asynccontextmanager
    async def registry(self) -> AsyncIterator[RegistryConnection]:
        """A transaction without a tenant."""
        async with self._pool.connection() as raw:
            yield RegistryConnection(raw, self._channel)

    async def listen(self) -> AsyncIterator[Event]:
        """Events as they are committed, for as long as wanted; connects again by itself when the server was gone.

        Gives a `connected` event each time it begins to hear. What was committed while nobody listened is not repeated.
        """
        wait_s = 0.2
        while True:
            try:
                async with await AsyncConnection.connect(self.url, connect_timeout=5, autocommit=True) as connection:
                    await connection.execute(query("listen").replace(b"CHANNEL", self._channel.encode()))
                    wait_s = 0.2
                    yield Event("", CONNECTED, {})
                    while True:
                        async for heard in connection.notifies(timeout=30):
                            told = json.loads(heard.payload)
                            yield Event(told["tenant_id"], told["topic"], told["detail"])
                        await connection.execute(query("ping"))  # a server that vanished without a word is noticed here
            except psycopg.OperationalError as e:
                log.warning("listening again", because=" ".join(str(e).split()), in_s=wait_s)
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, 5.0)


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=f"{parts.username or ''}@{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}", query="").geturl() if parts.password else url
