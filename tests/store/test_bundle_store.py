"""Inputs of runs in a store of objects: a folder, and a server that speaks S3's protocol."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer
from tests.conftest import Installation
from tests.store.conftest import NOW

from levada.domain.bundle import Bundle
from levada.domain.errors import NotFound, SetupError
from levada.store.bundles import drop_bundles, get_bundle, put_bundle
from levada.store.content import get_contents, put_content, sweep_objects
from levada.store.database import DATABASE_TROUBLE, Database
from levada.store.objects import Objects, ObjectsAway

SECRET = "a-secret-key-that-nobody-may-read"
LARGE = os.urandom(20_000)


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """A bucket; its address. The store's variables are set as an operator would."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as m:
        m.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        m.setenv("AWS_ACCESS_KEY_ID", "levada")
        m.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        m.setenv("AWS_REGION", "us-east-1")
        m.setenv("AWS_ALLOW_HTTP", "true")
        boto3.client("s3").create_bucket(Bucket="levada-inputs")
        yield "s3://levada-inputs/some/prefix"
    server.stop()


@pytest.fixture(params=["folder", "s3"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"file://{tmp_path / 'inputs'}" if request.param == "folder" else str(request.getfixturevalue("s3"))


def run(installation: Installation, address: str | None, work: Callable[[Database], Awaitable[Any]]) -> Any:
    async def with_database() -> Any:
        database = await Database.open(installation.app_url, max_size=4, objects=None if address is None else Objects.at(address))
        try:
            return await asyncio.wait_for(work(database), 60)
        finally:
            await database.close()

    return asyncio.run(with_database())


async def names(objects: Objects | None, tenant: str) -> list[str]:
    assert objects is not None
    return sorted([name async for batch in objects.names(tenant) for name in batch])


async def fails(database: Database, tenant: str) -> None:
    async with database.tenant(tenant) as db:
        await put_content(db, [os.urandom(9_000)], apart=True)
        raise RuntimeError("the transaction fails after its object was put")


def test_large_parts_lie_apart_small_ones_in_the_database_and_both_come_back(installation: Installation, tenant: str, address: str) -> None:
    bundle = Bundle("plan", {"settings.json": b"{}", "series": LARGE})

    async def work(database: Database) -> None:
        async with database.tenant(tenant) as db:
            bundle_id = await put_bundle(db, bundle, NOW)
        assert await names(database.objects, tenant) == [bundle.part_ids["series"]]
        async with database.tenant(tenant) as db:
            assert await get_bundle(db, bundle_id) == bundle
            # The same content as anything else: it is where it is.
            assert await put_content(db, [LARGE]) == [bundle.part_ids["series"]]

    run(installation, address, work)


def test_what_retention_drops_is_swept_and_what_another_bundle_or_transaction_needs_is_not(installation: Installation, tenant: str, address: str) -> None:
    shared, late = os.urandom(10_000), os.urandom(10_000)
    old, new = Bundle("plan", {"own": LARGE, "shared": shared}), Bundle("plan", {"shared": shared})

    async def work(database: Database) -> None:
        async with database.tenant(tenant) as db:
            await put_bundle(db, old, NOW - timedelta(days=50))
            await put_bundle(db, new, NOW)
        with pytest.raises(RuntimeError):
            await fails(database, tenant)
        async with database.tenant(tenant) as db:
            dropped = await drop_bundles(db, older_than=timedelta(days=30), by="retention", at=NOW)
            assert dropped.contents == 1
            assert dropped.bytes > len(LARGE)  # random bytes: no smaller when compressed
        assert len(await names(database.objects, tenant)) == 3
        # A sweep that meets a transaction which is just keeping something waits for it.
        async with database.tenant(tenant) as db:
            (kept,) = await put_content(db, [late], apart=True)
            sweep = asyncio.ensure_future(sweep_objects(database, tenant))
            await asyncio.sleep(0.3)
            assert not sweep.done()
        assert await sweep == 2
        assert await names(database.objects, tenant) == sorted([kept, new.part_ids["shared"]])
        async with database.tenant(tenant) as db:
            assert await get_bundle(db, new.bundle_id) == new
        # Dropped and swept, then frozen again: it is there again.
        async with database.tenant(tenant) as db:
            assert await get_bundle(db, await put_bundle(db, old, NOW)) == old

    run(installation, address, work)


def test_another_tenants_objects_are_never_touched(installation: Installation, tenant: str, address: str) -> None:
    other = installation.new_tenant()

    async def work(database: Database) -> None:
        for t in (tenant, other):
            async with database.tenant(t) as db:
                await put_content(db, [LARGE], apart=True)
        assert await sweep_objects(database, tenant) == 0
        assert len(await names(database.objects, other)) == len(await names(database.objects, tenant)) == 1

    run(installation, address, work)


def test_an_object_that_is_gone_is_told_as_missing_content(installation: Installation, tenant: str, address: str) -> None:
    async def work(database: Database) -> None:
        async with database.tenant(tenant) as db:
            (sha256,) = await put_content(db, [LARGE], apart=True)
        assert database.objects is not None
        await database.objects.delete([f"{tenant}/{sha256}"])
        async with database.tenant(tenant) as db:
            with pytest.raises(NotFound, match=sha256):
                await get_contents(db, [sha256])

    run(installation, address, work)


def test_without_the_setting_what_lies_apart_is_told_as_such(installation: Installation, tenant: str, tmp_path: Path) -> None:
    async def keep(database: Database) -> list[str]:
        async with database.tenant(tenant) as db:
            return await put_content(db, [LARGE], apart=True)

    async def read(database: Database) -> None:
        async with database.tenant(tenant) as db:
            await get_contents(db, sha256s)

    sha256s = run(installation, f"file://{tmp_path}", keep)
    with pytest.raises(SetupError, match="LEVADA_BUNDLE_STORE is not set"):
        run(installation, None, read)


def test_a_store_that_does_not_answer_is_trouble_that_passes_and_says_no_secret(
    installation: Installation, tenant: str, s3: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")

    async def work(database: Database) -> None:
        async with database.tenant(tenant) as db:
            await put_bundle(db, Bundle("plan", {"series": LARGE}), NOW)

    with pytest.raises(ObjectsAway, match="the bundle store at s3://levada-inputs/some/prefix did not take") as told:
        run(installation, s3, work)
    assert isinstance(told.value, DATABASE_TROUBLE)
    assert SECRET not in str(told.value)
    with pytest.raises(SetupError, match="cannot be used"):
        asyncio.run(Objects.at(s3).check())


def test_a_bucket_that_is_not_there_is_told_at_the_start(s3: str) -> None:
    with pytest.raises(SetupError, match="NoSuchBucket|does not exist|404"):
        asyncio.run(Objects.at("s3://levada-nothing-here/x").check())
    asyncio.run(Objects.at(s3).check())


@pytest.mark.parametrize("address", ["ftp://host/x", "levada", "s3://", "s3://key:secret@bucket/x"])
def test_an_address_that_cannot_be_used_is_refused_without_being_repeated(address: str) -> None:
    with pytest.raises(SetupError, match="s3://BUCKET/PREFIX") as told:
        Objects.at(address)
    assert "secret" not in str(told.value)
