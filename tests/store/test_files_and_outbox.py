"""Delivered files, their quarantine, and what waits to be laid into a tenant's folder."""

import asyncio
import hashlib

import psycopg
import pytest
from tests.store.conftest import NOW

from levada.domain.errors import NotFound
from levada.store.database import Database
from levada.store.files import QuarantineRow, add_quarantine, find_file, get_file, list_files, record_file
from levada.store.outbox import mark_delivered, put_outbox, undelivered


async def record(db, content: bytes, state: str = "taken", **more) -> int:
    sha256 = hashlib.sha256(content).hexdigest()
    values = {"name": "scada.csv", "size": len(content), "received_at": NOW, "rows_ok": 3, "rows_bad": 0, "contract": "scada", "problem": None, "original": None}
    return await record_file(db, sha256=sha256, state=state, **{**values, **more})


def test_a_file_with_quarantined_rows_shows_them_and_how_it_came(in_database, tenant) -> None:
    rows = [QuarantineRow(7, "T1", "abc", "not a number", "2026;abc"), QuarantineRow(9, "", "\x00", "a NUL", "\x00\udcff")]

    async def work(database: Database) -> None:
        async with database.tenant(tenant) as db:
            file_id = await record(db, b"original \x00 content", "partly", rows_bad=2, problem="2 rows are bad", original=b"original \x00 content")
            await add_quarantine(db, file_id, rows)
        async with database.tenant(tenant) as db:
            detail = await get_file(db, file_id)
            assert detail.original == b"original \x00 content"
            assert detail.rows == [rows[0], QuarantineRow(9, "", "�", "a NUL", "�?")]
            assert [f.file_id for f in await list_files(db, 10)] == [file_id]
            assert detail.file == (await list_files(db, 10))[0]
            with pytest.raises(NotFound):
                await get_file(db, file_id + 1000)

    in_database(work)


def test_a_content_is_found_as_it_was_taken_even_when_it_was_refused_or_sent_again_since(in_database, tenant) -> None:
    sha256 = hashlib.sha256(b"x").hexdigest()

    async def work(database: Database) -> None:
        async with database.tenant(tenant) as db:
            assert await find_file(db, sha256) is None
            await record(db, b"x", "refused", problem="no contract")
            found = await find_file(db, sha256)
            assert found is not None
            assert found.state == "refused"
            taken = await record(db, b"x")
            await record(db, b"x", "duplicate")
            found = await find_file(db, sha256)
            assert found is not None
            assert found.file_id == taken

    in_database(work)


def test_of_two_deliveries_of_one_content_at_once_one_is_taken(in_database, tenant) -> None:
    sha256 = hashlib.sha256(b"y").hexdigest()

    async def work(database: Database) -> None:
        async def deliver() -> str:
            async with database.tenant(tenant) as db:
                state = "duplicate" if await find_file(db, sha256) else "taken"
                await asyncio.sleep(0.02)
                await record(db, b"y", state)
                return state

        assert sorted(await asyncio.gather(*(deliver() for _ in range(3)))) == ["duplicate", "duplicate", "taken"]
        with pytest.raises(psycopg.errors.UniqueViolation):  # and the database would not have it otherwise
            async with database.tenant(tenant) as db:
                await record(db, b"y")

    in_database(work)


def test_outbox_items_of_all_tenants_wait_in_their_order_until_they_are_delivered(in_database, installation) -> None:
    one, two = installation.new_tenant(), installation.new_tenant()

    async def work(database: Database) -> None:
        ids = []
        for tenant_id, path, content in ((one, "plan_current.csv", b"old"), (two, "receipt.json", b"\x00\xff"), (one, "plan_current.csv", b"new")):
            async with database.tenant(tenant_id) as db:
                ids.append(await put_outbox(db, path, content, NOW))

        async def waiting() -> list[tuple[str, str, bytes]]:
            async with database.registry() as registry:
                return [(i.tenant_id, i.path, i.content) for i in await undelivered(registry) if i.tenant_id in (one, two)]

        assert await waiting() == [(one, "plan_current.csv", b"old"), (two, "receipt.json", b"\x00\xff"), (one, "plan_current.csv", b"new")]
        async with database.tenant(one) as db:
            await mark_delivered(db, ids[0], NOW)
            await mark_delivered(db, ids[1], NOW)  # another tenant's: nothing happens
        assert await waiting() == [(two, "receipt.json", b"\x00\xff"), (one, "plan_current.csv", b"new")]

    in_database(work)


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "a/../../b", "", "."])
def test_a_path_out_of_the_outbox_is_refused_by_the_database(in_database, tenant, path) -> None:
    async def work(database: Database) -> None:
        with pytest.raises(psycopg.errors.CheckViolation):
            async with database.tenant(tenant) as db:
                await put_outbox(db, path, b"x", NOW)

    in_database(work)
