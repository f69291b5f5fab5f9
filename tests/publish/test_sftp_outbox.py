"""From the outbox table into the folder: whole, once, the newest last, whatever breaks in between."""

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from tests.conftest import Installation
from tests.store.conftest import a_forecast, a_plan

from levada.clock import REAL_TIME, Clock
from levada.domain.errors import NotFound
from levada.domain.run import Cause, RunKind
from levada.domain.settings import Utility
from levada.publish import sftp_outbox
from levada.publish.sftp_outbox import CURRENT, deliver_forever, deliver_once, handle_publish, publish_plan_file
from levada.store.database import Database
from levada.store.documents import put_document
from levada.store.outbox import put_outbox, undelivered
from levada.store.plans import publish_plan
from levada.store.runs import create_run

NOW = datetime(2026, 3, 1, 6, tzinfo=UTC)


async def within(installation: Installation, work: Callable[[Database], object]) -> None:
    database = await Database.open(installation.app_url, max_size=4)
    try:
        await asyncio.wait_for(work(database), 60)  # type: ignore[arg-type]
    finally:
        await database.close()


async def new_plan(database: Database, tenant: str, issue_time: datetime) -> UUID:
    async with database.tenant(tenant) as db:
        await put_document(db, "utility", Utility(name="U"), "test", NOW)
        run = await create_run(db, kind=RunKind.PLAN, cause=Cause.TIMETABLE, issue_time=issue_time, due_at=issue_time, created_at=issue_time)
        return await publish_plan(db, run.run_id, a_plan(tenant, issue_time), a_forecast(issue_time), issue_time)


def test_a_plan_is_laid_into_the_folder_under_its_name_and_as_the_current_one(installation: Installation, tmp_path: Path) -> None:
    async def work(database: Database) -> None:
        tenant = installation.new_tenant()
        plan = await new_plan(database, tenant, NOW)
        await handle_publish(database, {"tenant_id": tenant, "plan_id": str(plan)}, NOW)
        await deliver_once(database, tmp_path, REAL_TIME)
        outbox = tmp_path / tenant / "outbox"
        assert sorted(p.name for p in outbox.iterdir()) == ["plan_20260301T060000Z.csv", CURRENT]
        assert (outbox / CURRENT).read_bytes() == (outbox / "plan_20260301T060000Z.csv").read_bytes()
        assert f"# plan: {plan}" in (outbox / CURRENT).read_text()
        assert await deliver_once(database, tmp_path, REAL_TIME) == 0

    asyncio.run(within(installation, work))


def test_a_plan_that_is_put_out_late_does_not_take_the_place_of_a_newer_one(installation: Installation, tmp_path: Path) -> None:
    async def work(database: Database) -> None:
        tenant = installation.new_tenant()
        older, newer = await new_plan(database, tenant, NOW), await new_plan(database, tenant, NOW + timedelta(hours=1))
        for plan in (newer, older, older):
            await publish_plan_file(database, tenant, plan, NOW + timedelta(hours=2))
        await deliver_once(database, tmp_path, REAL_TIME)
        assert f"# plan: {newer}" in (tmp_path / tenant / "outbox" / CURRENT).read_text()

    asyncio.run(within(installation, work))


def test_a_plan_that_is_not_there_is_an_error(installation: Installation) -> None:
    async def work(database: Database) -> None:
        with pytest.raises(NotFound):
            await publish_plan_file(database, installation.new_tenant(), UUID(int=0), NOW)

    asyncio.run(within(installation, work))


def test_delivery_begins_with_what_waited_and_goes_on_as_it_comes(installation: Installation, tmp_path: Path) -> None:
    async def work(database: Database) -> None:
        tenant = installation.new_tenant()
        path = tmp_path / tenant / "outbox" / "a.csv"

        async def put(content: bytes) -> None:
            async with database.tenant(tenant) as db:
                await put_outbox(db, "a.csv", b"older", NOW)
                await put_outbox(db, "a.csv", content, NOW)
            while not path.exists() or path.read_bytes() != content:
                await asyncio.sleep(0.02)

        async with database.tenant(tenant) as db:
            await put_outbox(db, "before.csv", b"before", NOW)
        delivering = asyncio.create_task(deliver_forever(database, tmp_path, REAL_TIME))
        for i in range(5):
            await put(b"%d" % i)
        assert (tmp_path / tenant / "outbox" / "before.csv").read_bytes() == b"before"
        assert [p.name for p in path.parent.iterdir() if p.name.startswith(".")] == []
        delivering.cancel()
        with suppress(asyncio.CancelledError):
            await delivering

    asyncio.run(within(installation, work))


def test_a_reader_never_sees_half_a_file(installation: Installation, tmp_path: Path) -> None:
    async def work(database: Database) -> None:
        tenant = installation.new_tenant()
        contents = [bytes([65 + i]) * 200_000 for i in range(8)]
        path = tmp_path / tenant / "outbox" / "big.csv"
        seen: set[bytes] = set()
        stop = False

        def read() -> None:
            while not stop:
                with suppress(FileNotFoundError):
                    seen.add(path.read_bytes())

        reading = asyncio.get_running_loop().run_in_executor(None, read)
        for content in contents:
            async with database.tenant(tenant) as db:
                await put_outbox(db, "big.csv", content, NOW)
            await deliver_once(database, tmp_path, REAL_TIME)
        stop = True
        await reading
        assert seen <= set(contents)

    asyncio.run(within(installation, work))


def test_what_could_not_be_written_or_marked_is_delivered_again(installation: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(database: Database) -> None:
        tenant = installation.new_tenant()
        async with database.tenant(tenant) as db:
            await put_outbox(db, "a.csv", b"content", NOW)

        async def killed(*_: object) -> None:
            raise OSError("killed between rename and mark")

        monkeypatch.setattr(sftp_outbox, "mark_delivered", killed)
        with pytest.raises(OSError, match="killed"):
            await deliver_once(database, tmp_path, REAL_TIME)
        monkeypatch.undo()
        (tmp_path / tenant / "outbox" / "a.csv").unlink()
        assert await deliver_once(database, tmp_path, REAL_TIME) >= 1
        assert (tmp_path / tenant / "outbox" / "a.csv").read_bytes() == b"content"
        async with database.registry() as registry:
            assert [i for i in await undelivered(registry) if i.tenant_id == tenant] == []

    asyncio.run(within(installation, work))


def test_two_processes_that_share_a_root_take_turns(installation: Installation, tmp_path: Path) -> None:
    async def work(database: Database) -> None:
        tenant = installation.new_tenant()
        for i in range(10):
            async with database.tenant(tenant) as db:
                await put_outbox(db, "a.csv", b"%d" % i, NOW)
        counts = await asyncio.gather(*(deliver_once(database, tmp_path, REAL_TIME) for _ in range(3)))
        assert sorted(counts)[:2] == [0, 0]
        assert (tmp_path / tenant / "outbox" / "a.csv").read_bytes() == b"9"

    asyncio.run(within(installation, work))


def test_old_receipts_and_plans_are_cleared_away_and_the_current_plan_never(tmp_path: Path) -> None:
    outbox = tmp_path / "serra" / "outbox"
    outbox.mkdir(parents=True)
    for name, days in (("receipt_old.csv.json", 40), ("receipt_new.csv.json", 30), ("plan_old.csv", 36), (CURRENT, 400), (".7.part", 50)):
        (outbox / name).write_text("x")
        at = (NOW - timedelta(days=days)).timestamp()
        os.utime(outbox / name, (at, at))
    sftp_outbox._tidy(tmp_path, NOW)
    assert sorted(p.name for p in outbox.iterdir()) == [CURRENT, "receipt_new.csv.json"]


def test_files_are_dated_by_the_installation_s_clock(installation: Installation, tmp_path: Path) -> None:
    async def work(database: Database) -> None:
        tenant = installation.new_tenant()
        async with database.tenant(tenant) as db:
            await put_outbox(db, "a.csv", b"x", NOW)
        told = datetime(2031, 1, 1, tzinfo=UTC)
        await deliver_once(database, tmp_path, Clock(datetime.now(UTC), told, 1.0))
        assert abs((tmp_path / tenant / "outbox" / "a.csv").stat().st_mtime - told.timestamp()) < 60

    asyncio.run(within(installation, work))
