"""Inputs of runs are dropped by age; nothing that anything else needs goes with them."""

import asyncio
from datetime import timedelta

import psycopg
import pytest
from tests.store.conftest import NOW

from levada.domain.bundle import Bundle
from levada.domain.errors import InputGap
from levada.domain.run import Accounting, Cause, RunKind
from levada.store.audit_log import list_audit
from levada.store.bundles import Dropped, drop_bundles, dropped_at, get_bundle, put_bundle
from levada.store.content import put_content
from levada.store.database import Database
from levada.store.models import current_models, put_models
from levada.store.networks import get_network, put_network
from levada.store.runs import attach_bundle, create_run, finish_run, get_result, start_run

DAY = timedelta(days=1)


async def a_run(db, bundle: Bundle, at, *, done: bool = True):
    made = await create_run(db, kind=RunKind.PLAN, cause=Cause.OPERATOR, issue_time=at, created_at=at)
    await start_run(db, made.run_id, "w", at)
    await attach_bundle(db, made.run_id, await put_bundle(db, bundle, at))
    if done:
        await finish_run(db, made.run_id, result=bundle.parts["own"], accounting=Accounting(wall_s=1, cpu_s=1, peak_memory_bytes=1, queue_wait_s=0), manifest={}, at=at)
    return made.run_id


async def drop(db, days: int = 30) -> Dropped:
    return await drop_bundles(db, older_than=days * DAY, by="retention", at=NOW)


def test_old_inputs_go_and_what_is_shared_with_anything_that_stays_does_not(in_database, tenant) -> None:
    inp, shared = b"[TITLE] network", b"shared with a newer one"
    old = Bundle("plan", {"network.inp": inp, "shared": shared, "own": b"the result, as it happens", "mine": b"m" * 10_000})
    new = Bundle("plan", {"shared": shared, "own": b"new"})

    async def work(database: Database) -> None:
        async with database.tenant(tenant) as db:
            network = await put_network(db, "network.inp", inp, "test", NOW - 60 * DAY)
            old_run = await a_run(db, old, NOW - 50 * DAY)
            await a_run(db, new, NOW - 5 * DAY)
        async with database.tenant(tenant) as db:
            dropped = await drop(db)
            assert (dropped.bundles, dropped.contents) == (1, 1)
            assert 0 < dropped.bytes < 10_000  # as it is stored
            assert [(e.actor, e.action) for e in await list_audit(db, 1)] == [("retention", "bundles dropped")]
        async with database.tenant(tenant) as db:
            with pytest.raises(InputGap, match="was dropped 2026-03-01 by the retention policy"):
                await get_bundle(db, old.bundle_id)
            assert await dropped_at(db, old.bundle_id) == NOW
            assert await get_bundle(db, new.bundle_id) == new
            assert await get_result(db, old_run) == old.parts["own"]
            assert await get_network(db, network) == inp
            assert await drop(db) == Dropped(bundles=0, contents=0, bytes=0)

    in_database(work)


def test_an_input_that_is_frozen_again_is_there_again(in_database, tenant) -> None:
    bundle = Bundle("plan", {"own": b"x"})

    async def work(database: Database) -> None:
        async with database.tenant(tenant) as db:
            await put_bundle(db, bundle, NOW - 50 * DAY)
            assert (await drop(db)).contents == 1
        async with database.tenant(tenant) as db:
            await put_bundle(db, bundle, NOW)
            assert await get_bundle(db, bundle.bundle_id) == bundle
            assert await dropped_at(db, bundle.bundle_id) is None

    in_database(work)


def test_an_old_input_stays_while_a_run_that_uses_it_is_open_or_new(in_database, tenant) -> None:
    open_one, used_again = Bundle("plan", {"own": b"1"}), Bundle("plan", {"own": b"2"})

    async def work(database: Database) -> None:
        async with database.tenant(tenant) as db:
            await a_run(db, open_one, NOW - 50 * DAY, done=False)
            await a_run(db, used_again, NOW - 50 * DAY)
            await a_run(db, used_again, NOW - DAY)
            assert (await drop(db)).bundles == 0

    in_database(work)


def test_old_models_of_demand_go_and_the_newest_training_s_stay_however_old(in_database, tenant) -> None:
    async def work(database: Database) -> None:
        async with database.tenant(tenant) as db:
            for days, texts in ((90, {"a": "oldest", "b": "same"}), (60, {"a": "older", "b": "same"}), (50, {"a": "newest", "b": "same"})):
                at = NOW - days * DAY
                made = await create_run(db, kind=RunKind.TRAIN, cause=Cause.TIMETABLE, issue_time=at, due_at=at, created_at=at)
                await put_models(db, made.run_id, at, texts)
            dropped = await drop(db)
            assert (dropped.bundles, dropped.contents) == (0, 2)
            assert await current_models(db, NOW - 60 * DAY) is None
            found = await current_models(db, NOW)
            assert found is not None
            assert found.texts == {"a": "newest", "b": "same"}

    in_database(work)


def test_what_somebody_is_storing_at_that_moment_is_not_taken_away(in_database, tenant) -> None:
    bundle, again = Bundle("plan", {"own": b"x"}), Bundle("plan", {"own": b"x", "more": b"y"})

    async def work(database: Database) -> None:
        async with database.tenant(tenant) as db:
            await put_bundle(db, bundle, NOW - 50 * DAY)
        async with database.tenant(tenant) as db:
            await put_content(db, again.parts.values())  # finds `x` to be there
            async with database.tenant(tenant) as other:
                dropping = asyncio.create_task(drop(other))
                await asyncio.sleep(0.3)
                assert not dropping.done()
                await put_bundle(db, again, NOW)
                await db.raw.commit()
                assert (await dropping).contents == 0
        async with database.tenant(tenant) as db:
            assert await get_bundle(db, again.bundle_id) == again

    in_database(work)


def test_one_tenant_s_retention_leaves_the_others_alone(in_database, installation, tenant) -> None:
    other, bundle = installation.new_tenant(), Bundle("plan", {"own": b"x"})

    async def work(database: Database) -> None:
        for name in (tenant, other):
            async with database.tenant(name) as db:
                await put_bundle(db, bundle, NOW - 50 * DAY)
        async with database.tenant(tenant) as db:
            assert (await drop(db)).bundles == 1
        async with database.tenant(other) as db:
            assert await get_bundle(db, bundle.bundle_id) == bundle

    in_database(work)


def test_every_table_that_refers_to_contents_is_looked_at(installation) -> None:
    with psycopg.connect(installation.admin_url) as connection:
        found = connection.execute("SELECT conrelid::regclass::text FROM pg_constraint WHERE confrelid = 'levada.blob'::regclass AND contype = 'f'").fetchall()
        (source,) = connection.execute("SELECT prosrc FROM pg_proc WHERE proname = 'drop_bundles'").fetchone()  # type: ignore[misc]
    for (table,) in found:
        assert f"FROM {table.removeprefix('levada.')} AS" in source, f"registry.drop_bundles does not know that {table} refers to contents"


def test_contents_are_removed_by_no_other_way(installation, tenant) -> None:
    with psycopg.connect(installation.app_url) as connection:
        connection.execute("SELECT set_config('app.tenant', %s, true)", [tenant])
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("DELETE FROM levada.blob")
