"""Connections: transactions, notifications, and a server that is killed under them."""

import asyncio
import os
import signal

import psycopg
import pytest
from tests.store.conftest import NOW

from levada.domain.errors import NotFound
from levada.store import embedded
from levada.store.database import CONNECTED, Database, Event
from levada.store.outbox import put_outbox, undelivered


def test_an_unknown_tenant_is_not_found(in_database) -> None:
    async def work(database: Database) -> None:
        with pytest.raises(NotFound, match="no tenant 'atlantis'"):
            async with database.tenant("atlantis"):
                pass

    in_database(work)


def test_a_transaction_that_fails_leaves_nothing_and_tells_nobody(in_database, tenant) -> None:
    async def work(database: Database) -> None:
        heard: list[Event] = []
        listening = asyncio.Event()

        async def listen() -> None:
            async for event in database.listen():
                if event.topic == CONNECTED:
                    listening.set()
                elif event.tenant_id == tenant:
                    heard.append(event)
                    if event.detail.get("last"):
                        return

        task = asyncio.create_task(listen())
        await listening.wait()

        async def fail() -> None:
            async with database.tenant(tenant) as db:
                await put_outbox(db, "a.csv", b"x", NOW)
                raise RuntimeError("on purpose")

        with pytest.raises(RuntimeError, match="on purpose"):
            await fail()
        async with database.tenant(tenant) as db:
            await db.notify("file", {"last": True})
        await asyncio.wait_for(task, 10)
        assert heard == [Event(tenant, "file", {"last": True})]
        async with database.registry() as registry:
            assert [i for i in await undelivered(registry) if i.tenant_id == tenant] == []

    in_database(work)


def test_a_notification_with_content_in_it_is_refused(in_database, tenant) -> None:
    async def work(database: Database) -> None:
        async with database.tenant(tenant) as db:
            with pytest.raises(ValueError, match="too large"):
                await db.notify("file", {"content": "x" * 8000})

    in_database(work)


def test_work_and_listening_go_on_after_the_server_was_killed_and_started_again(installation, in_database, tenant, database_directory) -> None:
    async def work(database: Database) -> None:
        events: asyncio.Queue[Event] = asyncio.Queue()

        async def listen() -> None:
            async for event in database.listen():
                events.put_nowait(event)

        task = asyncio.create_task(listen())
        assert (await asyncio.wait_for(events.get(), 10)).topic == CONNECTED
        async with database.tenant(tenant) as db:
            await put_outbox(db, "a.csv", b"x", NOW)
        assert (await asyncio.wait_for(events.get(), 10)).topic == "outbox"

        os.kill(int((database_directory / "cluster" / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
        assert await embedded.start(database_directory) == installation.admin_url

        async with database.tenant(tenant) as db:  # no error reaches the caller: the dead connection was replaced
            await put_outbox(db, "b.csv", b"y", NOW)
        async with database.registry() as registry:
            assert [i.path for i in await undelivered(registry) if i.tenant_id == tenant] == ["a.csv", "b.csv"]
        while (await asyncio.wait_for(events.get(), 20)).topic != CONNECTED:
            pass
        async with database.tenant(tenant) as db:
            await db.notify("plan", {})
        while (event := await asyncio.wait_for(events.get(), 10)).topic != "plan":
            pass
        assert event.tenant_id == tenant
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    in_database(work)


def test_a_server_that_goes_in_mid_transaction_is_an_error_for_that_transaction_only(in_database, installation, tenant) -> None:
    async def work(database: Database) -> None:
        async def interrupted() -> None:
            async with database.tenant(tenant) as db:
                await put_outbox(db, "c.csv", b"x", NOW)
                async with await psycopg.AsyncConnection.connect(installation.admin_url) as keeper:
                    await keeper.execute("SELECT pg_terminate_backend(%s)", [db.raw.info.backend_pid])
                await db.notify("file", {})

        with pytest.raises(psycopg.OperationalError):
            await interrupted()
        async with database.registry() as registry:
            assert [i for i in await undelivered(registry) if i.tenant_id == tenant] == []

    in_database(work)
