"""Documents, networks, bundles and the audit log: versioned, content-addressed, never changed."""

import asyncio
from datetime import time, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.store.conftest import NOW

from levada.domain.bundle import Bundle, BundleError, canonical_json
from levada.domain.errors import DocumentError, NotFound
from levada.domain.settings import Tariff, TariffPeriod, TimeOfUseTariff, Timetable, TimetableEntry, Utility
from levada.store.audit_log import AuditEntry, list_audit, note
from levada.store.bundles import get_bundle, put_bundle
from levada.store.database import Database
from levada.store.documents import (
    document_at,
    document_versions,
    find_document,
    get_document,
    get_document_version,
    put_document,
)
from levada.store.networks import get_network, list_networks, put_network


def test_a_document_gets_a_new_version_only_when_it_changes(in_database, tenant) -> None:
    first, second = Utility(name="Serra", local_holidays={"2026-06-13": "Santo António"}), Utility(name="Serra e Vale")

    async def work(database: Database) -> None:
        async with database.tenant(tenant) as db:
            assert await find_document(db, "utility") is None
            with pytest.raises(NotFound):
                await get_document(db, "utility")
            assert [await put_document(db, "utility", d, "ana", NOW) for d in (first, first, second, second, first)] == [1, 1, 2, 2, 3]
        async with database.tenant(tenant) as db:
            assert await get_document(db, "utility") == first
            assert await get_document_version(db, "utility", 2) == second
            assert [v.version for v in await document_versions(db, "utility")] == [3, 2, 1]
            with pytest.raises(NotFound):
                await get_document_version(db, "utility", 4)

    in_database(work)


def test_a_document_is_told_as_it_was_at_an_instant_and_before_all_versions_as_the_first(in_database, tenant) -> None:
    async def work(database: Database) -> None:
        async with database.tenant(tenant) as db:
            assert await document_at(db, "utility", NOW) is None
            for hour, name in ((0, "first"), (2, "second"), (4, "third")):
                await put_document(db, "utility", Utility(name=name), "ana", NOW + timedelta(hours=hour))
            found = [await document_at(db, "utility", NOW + timedelta(hours=hour)) for hour in (-1, 0, 1, 2, 5)]
            assert [d.name for d in found if isinstance(d, Utility)] == ["first", "first", "first", "second", "third"]

    in_database(work)


def test_a_document_of_another_kind_is_refused(in_database, tenant) -> None:
    async def work(database: Database) -> None:
        async with database.tenant(tenant) as db:
            with pytest.raises(DocumentError):
                await put_document(db, "timetable", Utility(name="Serra"), "ana", NOW)

    in_database(work)


def test_two_who_change_a_document_at_once_make_two_versions(in_database, tenant) -> None:
    async def work(database: Database) -> None:
        async def change(minute: int) -> int:
            async with database.tenant(tenant) as db:
                version = await put_document(db, "timetable", Timetable(entries=(TimetableEntry(cron=f"{minute} * * * *"),)), "ana", NOW)
                await asyncio.sleep(0.02)
                return version

        assert sorted(await asyncio.gather(*(change(i) for i in range(4)))) == [1, 2, 3, 4]

    in_database(work)


def test_a_network_is_kept_once_by_its_content(in_database, tenant) -> None:
    async def work(database: Database) -> None:
        inp = b"[TITLE]\r\ncaf\xe9 \x00\n" * 100
        async with database.tenant(tenant) as db:
            sha256 = await put_network(db, "town.inp", inp, "ana", NOW)
            assert await put_network(db, "again.inp", inp, "rui", NOW) == sha256
            assert await get_network(db, sha256) == inp
            assert [(n.name, n.bytes, n.created_by) for n in await list_networks(db)] == [("town.inp", len(inp), "ana")]
            with pytest.raises(NotFound):
                await get_network(db, "0" * 64)

    in_database(work)


@settings(max_examples=25, deadline=None)
@given(st.dictionaries(st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=10), st.binary(max_size=200) | st.just(b"same"), max_size=6))
def test_a_bundle_comes_back_as_it_was_put_in(installation, parts) -> None:
    tenant_id = installation.new_tenant()
    bundle = Bundle("plan", parts)

    async def work() -> None:
        database = await Database.open(installation.app_url, max_size=1)
        async with database.tenant(tenant_id) as db:
            assert await put_bundle(db, bundle, NOW) == await put_bundle(db, bundle, NOW) == bundle.bundle_id
        async with database.tenant(tenant_id) as db:
            assert await get_bundle(db, bundle.bundle_id) == bundle
            kept = await (await db.raw.execute("SELECT count(*) AS n FROM levada.blob")).fetchone()
        assert kept is not None
        assert kept["n"] == len(set(parts.values()))
        await database.close()

    asyncio.run(work())


def test_a_bundle_of_another_tenant_is_not_there(in_database, installation, tenant) -> None:
    bundle = Bundle("plan", {"secret": b"of one tenant"})

    async def work(database: Database) -> None:
        async with database.tenant(tenant) as db:
            await put_bundle(db, bundle, NOW)
        async with database.tenant(installation.new_tenant()) as db:
            with pytest.raises(NotFound):
                await get_bundle(db, bundle.bundle_id)

    in_database(work)


def test_a_bundle_that_was_damaged_is_told(in_database, installation, tenant) -> None:
    bundle = Bundle("plan", {"x": b"1"})

    async def work(database: Database) -> None:
        async with database.tenant(tenant) as db:
            await put_bundle(db, bundle, NOW)
            await db.raw.execute("INSERT INTO levada.bundle (bundle_id, kind, parts, created_at) SELECT repeat('0', 64), kind, parts, created_at FROM levada.bundle")
            with pytest.raises(BundleError, match="does not match"):
                await get_bundle(db, "0" * 64)

    in_database(work)


def test_the_audit_log_tells_who_did_what_the_newest_first(in_database, tenant) -> None:
    async def work(database: Database) -> None:
        async with database.tenant(tenant) as db:
            await note(db, "ana", "run started", {"run": "1"}, NOW)
            await note(db, "rui", "plan read", {}, NOW)
            assert await list_audit(db, 10) == [AuditEntry(NOW, "rui", "plan read", {}), AuditEntry(NOW, "ana", "run started", {"run": "1"})]

    in_database(work)


def test_prices_of_a_tariff_come_back_to_the_last_bit(in_database, tenant) -> None:
    periods = tuple(TariffPeriod(name=str(p), price_per_kwh=p, days=("mon",), start=time(0), end=time(0)) for p in (1e-7, 0.1 + 0.2, -0.0, 5e-324))
    tariff = Tariff(tariff=TimeOfUseTariff(periods=periods))

    async def work(database: Database) -> None:
        async with database.tenant(tenant) as db:
            await put_document(db, "tariff", tariff, "ana", NOW)
            stored = await get_document(db, "tariff")
        assert canonical_json(stored.model_dump(mode="json")) == canonical_json(tariff.model_dump(mode="json"))

    in_database(work)
